"""A folder of pictures, with all folders inside it."""

import hashlib
import os
import stat
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sr_models.data.errors import DataError, shown
from sr_models.data.pictures import ENDINGS, FILE_BYTES_MOST
from sr_models.data.source import EncodedFile


class FolderFiles:
    """The pictures below a folder, in the order of their paths; see `source.Files`.

    A file is taken for a picture by its ending. What is hidden (a name that begins with a dot) is passed over in
    silence, and linked folders are not entered.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.passed_over = 0
        found: list[tuple[str, int]] = []
        for folder, folders, names in os.walk(path, onerror=_raise):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inside = Path(folder).relative_to(path)
            for name in names:
                if name.startswith("."):
                    continue
                status = (Path(folder) / name).stat()
                if stat.S_ISREG(status.st_mode) and name.lower().endswith(ENDINGS):
                    found.append(((inside / name).as_posix(), status.st_size))
                else:
                    self.passed_over += 1
        found.sort()
        self._names = [name for name, _ in found]
        self.lengths = np.array([length for _, length in found], np.int64)
        digest = hashlib.sha256()
        for name, length in found:
            digest.update(os.fsencode(name) + b"\0%d\n" % length)
        self.listing = digest.digest()

    def file_name(self, number: int) -> str:
        return shown(self._names[number])

    def files_read(self, numbers: NDArray[np.int64]) -> list[EncodedFile]:
        return [EncodedFile(self.file_name(int(number)), self._file_read(int(number))) for number in numbers]

    def checksums(self, numbers: NDArray[np.int64]) -> NDArray[np.uint32]:
        return np.array([zlib.crc32(self._file_read(int(number))) for number in numbers], np.uint32)

    def _file_read(self, number: int) -> bytes:
        try:
            with (self._path / self._names[number]).open("rb") as file:
                return file.read(FILE_BYTES_MOST)
        except OSError as error:
            raise DataError(
                f"{self.file_name(number)} in {self._path.name} cannot be read any more ({error.strerror}); leave the "
                "folder as it is while it is used."
            ) from error


def _raise(error: OSError) -> None:
    raise error
