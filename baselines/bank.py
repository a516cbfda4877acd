"""A bank of training examples in a folder on disk, of any size: written part by part, read as memory-mapped arrays.

The folder holds `low_res.npy` and `high_res.npy`, which any program that knows numpy can read, and `bank.json`. Two
million photos of 32x32 take 6.5 GB on disk; searching them (`baselines.nearest_example`) takes some 30 MB of memory.
"""

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

NAMES = ("low_res", "high_res")

FORMAT = 1
"""Number of this layout; a later one gets the next number."""

Pictures = NDArray[np.uint8]


class BankError(Exception):
    """A bank cannot be written or read; the message says why and what to do."""


class ExampleBank(NamedTuple):
    """Training examples, mapped from their files for reading.

    Attributes:
        low_res: (m, h, w, 3) uint8 sRGB.
        high_res: (m, H, W, 3) uint8 sRGB, the same pictures in the same order.
        digest: SHA-256 of shapes and pixels, in hex; the same whatever parts the bank was written in.
    """

    low_res: Pictures
    high_res: Pictures
    digest: str


def bank_write(
    folder: Path, parts: Iterable[tuple[Pictures, Pictures]], *, progress: Callable[[int], object] = lambda _done: None
) -> ExampleBank:
    """Write a bank part by part; the folder appears when all of it is on the disk, or not at all.

    Args:
        folder: What is to be made; must not exist, its parent must.
        parts: Pairs `(low_res (k, h, w, 3), high_res (k, H, W, 3))` uint8 sRGB, all of the same sizes; one pair is in
            memory at a time.
        progress: Called with the number of pictures written so far; what it raises ends the writing.

    Returns:
        The bank, opened.

    Raises:
        BankError: If the folder exists, the parts do not fit each other or are none, or the disk does not take them.
    """
    if folder.exists():
        raise BankError(f"{folder} exists already: open it as a bank, or choose another folder for the new one.")
    # Beside it, and so on the same disk; the name begins with a dot, so that nobody takes it for a bank.
    unfinished = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.unfinished")
    with _disk_errors_told(folder):
        unfinished.mkdir()
    try:
        _parts_write(unfinished, parts, folder=folder, progress=progress)
        with _disk_errors_told(folder):
            unfinished.rename(folder)
            _flush(folder.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)  # finds nothing if it has become the bank
    return bank_open(folder)


def bank_open(folder: Path) -> ExampleBank:
    """Open a bank; its pixels are read when they are asked for.

    Args:
        folder: What `bank_write` made.

    Returns:
        The bank; its arrays cannot be written to.

    Raises:
        BankError: If there is no bank, its files are incomplete, or they do not belong together.
    """
    try:
        about = json.loads((folder / "bank.json").read_text(encoding="utf-8"))
        form, shapes, digest = about["format"], [about[name] for name in NAMES], about["digest"]
    except FileNotFoundError:
        raise BankError(f"{folder} is no bank of examples: it has no bank.json; write one with bank_write.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BankError(f"{folder / 'bank.json'} cannot be read ({error}); write the bank again.") from error
    if form != FORMAT:
        raise BankError(f"{folder} is a bank of format {form}, and this version reads {FORMAT}; write it again.")
    arrays = []
    for name, shape in zip(NAMES, shapes, strict=True):
        path = folder / f"{name}.npy"
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BankError(
                f"{path} cannot be read, it may have been cut short ({error}); write the bank again."
            ) from error
        if array.dtype != np.uint8 or list(array.shape) != shape:
            raise BankError(
                f"{path} holds {array.shape} {array.dtype}, not {tuple(shape)} uint8; write the bank again."
            )
        arrays.append(array)
    return ExampleBank(arrays[0], arrays[1], str(digest))


class _ArrayFile:
    """A `.npy` of uint8 that grows: the header is written again when the number of pictures is known."""

    def __init__(self, file: BinaryIO, picture: tuple[int, ...]) -> None:
        self.file, self.picture, self.count = file, picture, 0
        self.sha256 = hashlib.sha256()
        self._header_write()

    def append(self, pictures: Pictures) -> None:
        pictures = np.ascontiguousarray(pictures)
        self.file.write(pictures.data)
        self.sha256.update(pictures.data)
        self.count += len(pictures)

    def finish(self) -> None:
        self.file.seek(0)
        self._header_write()
        self.file.flush()
        os.fsync(self.file.fileno())

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.count, *self.picture)

    def _header_write(self) -> None:
        # numpy pads the header so that the first number of the shape may grow to any length in place.
        header = {"descr": "|u1", "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(self.file, header)


def _parts_write(
    unfinished: Path,
    parts: Iterable[tuple[Pictures, Pictures]],
    *,
    folder: Path,
    progress: Callable[[int], object],
) -> None:
    with contextlib.ExitStack() as files:
        arrays: list[_ArrayFile] = []
        for pair in parts:
            _part_check(pair, arrays)
            with _disk_errors_told(folder):
                if not arrays:
                    for name, pictures in zip(NAMES, pair, strict=True):
                        file = files.enter_context((unfinished / f"{name}.npy").open("wb"))
                        arrays.append(_ArrayFile(file, pictures.shape[1:]))
                for array, pictures in zip(arrays, pair, strict=True):
                    array.append(pictures)
            progress(arrays[0].count)
        if not arrays or not arrays[0].count:
            raise BankError("A bank needs at least one training example, got none.")
        with _disk_errors_told(folder):
            for array in arrays:
                array.finish()
    low, high = arrays
    words = f"{low.shape} {low.sha256.hexdigest()} {high.shape} {high.sha256.hexdigest()}"
    digest = hashlib.sha256(words.encode()).hexdigest()
    about = {"format": FORMAT, "low_res": low.shape, "high_res": high.shape, "digest": digest}
    with _disk_errors_told(folder):
        (unfinished / "bank.json").write_text(json.dumps(about) + "\n", encoding="utf-8")
        _flush(unfinished / "bank.json")
        _flush(unfinished)


def _part_check(pair: tuple[Pictures, Pictures], arrays: list[_ArrayFile]) -> None:
    for name, pictures in zip(NAMES, pair, strict=True):
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3 or 0 in pictures.shape[1:]:
            raise BankError(
                f"{name} of a bank must be (k, height, width, 3) uint8, got {pictures.shape} {pictures.dtype}."
            )
    low_res, high_res = pair
    if len(low_res) != len(high_res):
        raise BankError(
            f"low_res and high_res of a bank must be the same pictures, got {len(low_res)} and {len(high_res)}."
        )
    for name, pictures, array in zip(NAMES, pair, arrays, strict=False):  # there are none before the first part
        if pictures.shape[1:] != array.picture:
            raise BankError(
                f"All pictures of {name} of a bank must have one size, got {pictures.shape[1:]} after {array.picture}."
            )


@contextlib.contextmanager
def _disk_errors_told(folder: Path) -> Iterator[None]:
    """Say what the disk did not do, around our own writing only: errors of where the parts come from are theirs."""
    try:
        yield
    except OSError as error:
        raise BankError(
            f"The bank {folder} could not be written ({error.strerror or error}); nothing of it was kept: see to that "
            "and start again."
        ) from error


def _flush(path: Path) -> None:
    """Have a file or a folder on the disk before anything is built on it."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
