"""An LMDB of encoded pictures, as LSUN publishes its bedrooms."""

import hashlib
import re
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sr_models.data.errors import DataError, shown
from sr_models.data.source import EncodedFile

if TYPE_CHECKING:
    import lmdb

_MARK_EVERY = 16
"""One key in so many is kept: a picture is found by the key before it and at most so many steps."""

_PART_OF_NAME = re.compile(r"(?:^|[_-])(train|val|validation|test)(?:[_-]lmdb)?$", re.IGNORECASE)

_ONE_AT_A_TIME = threading.Lock()
"""A process may open an LMDB but once at a time."""


class LmdbFiles:
    """The values of an LMDB's main database, in the order of their keys; see `source.Files`.

    Opening goes through the keys and the lengths, which are kept apart from long values, and keeps the lengths and
    every 16th key. Each reading opens the database anew, read-only and without locks, so that any number of processes
    may read it, also those that were forked; nobody may write to it meanwhile.
    """

    passed_over = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks: list[bytes] = []
        digest = hashlib.sha256()
        with self._opened() as (cursor, count):
            self.lengths = np.empty(count, np.int64)
            for i, (key, value) in enumerate(cursor.iternext()):
                if i % _MARK_EVERY == 0:
                    self._marks.append(bytes(key))
                self.lengths[i] = len(value)
                digest.update(key)
                digest.update(b"\0%d\n" % len(value))
        self.listing = digest.digest()

    def file_name(self, number: int) -> str:
        with self._opened() as (cursor, _):
            key, _ = self._entry(cursor, number)
            return _key_shown(key)

    def files_read(self, numbers: NDArray[np.int64]) -> list[EncodedFile]:
        with self._opened() as (cursor, _):
            entries = (self._entry(cursor, int(number)) for number in numbers)
            return [EncodedFile(_key_shown(key), bytes(value)) for key, value in entries]

    def checksums(self, numbers: NDArray[np.int64]) -> NDArray[np.uint32]:
        with self._opened() as (cursor, _):
            return np.array([zlib.crc32(self._entry(cursor, int(number))[1]) for number in numbers], np.uint32)

    def _entry(self, cursor: "lmdb.Cursor[memoryview]", number: int) -> tuple[memoryview, memoryview]:
        is_there = cursor.set_key(self._marks[number // _MARK_EVERY])
        for _ in range(number % _MARK_EVERY):
            is_there = is_there and cursor.next()
        key, value = cursor.item()
        if not is_there or len(value) != self.lengths[number]:
            raise DataError(f"{self._path.name} was changed while it was used; start again with it as it is now.")
        return key, value

    @contextmanager
    def _opened(self) -> Iterator[tuple["lmdb.Cursor[memoryview]", int]]:
        """Open the database for a moment; give a cursor and the number of entries."""
        try:
            import lmdb  # noqa: PLC0415 -- an extra: only those who have such sets need it
        except ImportError as error:
            raise DataError(
                f"{self._path.name} is an LMDB, which takes the Python package lmdb to read: pip install -r "
                "requirements-extras.txt."
            ) from error
        try:
            with (
                _ONE_AT_A_TIME,
                lmdb.open(str(self._path), readonly=True, lock=False, readahead=False) as environment,
                environment.begin(buffers=True) as transaction,
            ):
                psize, entries = environment.stat()["psize"], environment.stat()["entries"]
                if (self._path / "data.mdb").stat().st_size < psize * (environment.info()["last_pgno"] + 1):
                    raise DataError(f"{self._path.name} is cut off before its end; copy it once more.")
                yield transaction.cursor(), entries
        except (lmdb.Error, OSError) as error:
            raise DataError(f"{self._path.name} is not a readable LMDB ({error}); copy it once more.") from error


def part_of_name(name: str) -> str | None:
    """Return the key of `SPLITS` that the name of an LMDB's folder ends in, as `bedroom_val_lmdb` does; None if none.

    Example:
        >>> part_of_name("bedroom_train_lmdb"), part_of_name("bedroom_val_lmdb"), part_of_name("my_rooms")
        ('train', 'validation', None)
    """
    found = _PART_OF_NAME.search(name)
    if found is None:
        return None
    part = found[1].lower()
    return "validation" if part == "val" else part


def _key_shown(key: memoryview) -> str:
    return shown(bytes(key).decode(errors="backslashreplace"))
