"""One set of photos behind any door: pixels that are there already, or files that are decoded when asked for."""

import hashlib
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sr_models.data.errors import DataError
from sr_models.data.pictures import FILE_BYTES_MOST, picture_decode
from sr_models.pixels import square_reduce

SPLITS = {"train": 0, "validation": 1, "test": 2}
"""The parts of a set that knows its parts, by what `split` holds for them."""

DECODED_AT_ONCE = 8
"""Files that are read together before they are decoded."""


class EncodedFile(NamedTuple):
    """A file of a set, with its name as a sentence can hold it."""

    name: str
    data: bytes


class Files(Protocol):
    """The encoded pictures of one set, in a fixed order; opening has listed them and read none.

    Attributes:
        lengths: (n,) int64, bytes of each file.
        listing: SHA-256 of the list: names, lengths and, where they are listed, checksums.
        passed_over: Files of the set that are no pictures by their names.
    """

    lengths: NDArray[np.int64]
    listing: bytes
    passed_over: int

    def file_name(self, number: int) -> str:
        """Return the name of a file inside the set, as a sentence can hold it."""
        ...

    def files_read(self, numbers: NDArray[np.int64]) -> list[EncodedFile]:
        """Read the files with these numbers, in that order.

        Raises:
            DataError: If one cannot be read.
        """
        ...

    def checksums(self, numbers: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return the CRC-32 of the files with these numbers, read for it unless the set lists them."""
        ...


class Source(Protocol):
    """One set of photos of one size, and what is known of each.

    Attributes:
        name: For sentences.
        size: Side of the photos in pixels.
        split: (n,) uint8, values of `SPLITS`; None if the set has no parts.
        person: (n,) who is on each photo; None if it is not known.
        lengths: (n,) int64, bytes to decode for each photo; zeros if they are pixels already.
        notes: What whoever opened the set should know.
    """

    name: str
    size: int
    split: NDArray[np.uint8] | None
    person: NDArray[np.str_] | None
    lengths: NDArray[np.int64]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of photos."""
        ...

    def read(self, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the photos with these numbers, (n, size, size, 3) uint8 sRGB."""
        ...

    def photo_name(self, number: int) -> str:
        """Return what a sentence calls one photo."""
        ...

    def content_numbers(
        self, numbers: NDArray[np.int64], *, lengths: NDArray[np.int64] | None = None
    ) -> NDArray[np.uint64]:
        """Return a number (n,) for what is in each photo, without decoding it: equal contents have equal numbers.

        Args:
            numbers: Those of the photos.
            lengths: Files of other lengths than these are not read, as they are not to be told from each other.
        """
        ...

    def digest_update(self, digest: "hashlib._Hash", numbers: NDArray[np.int64]) -> None:
        """Let a digest take in what is in the photos with these numbers."""
        ...


class PictureSource:
    """Files of pictures as photos of one size; see `Source` for the attributes."""

    def __init__(
        self,
        files: Files,
        *,
        name: str,
        size: int,
        crop: int | None,
        picture_size: tuple[int, int] | None = None,
        order: NDArray[np.int64] | None = None,
        split: NDArray[np.uint8] | None = None,
        person: NDArray[np.str_] | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        """Take some or all files of a set.

        Args:
            files: The files.
            name: Of the set.
            size: Side of the photos in pixels.
            crop: Side of the centred square that becomes the photo, in pixels of the picture; None for the largest.
            picture_size: Width and height that each picture must have; None if they may differ.
            order: (n,) numbers of the files that are photos, in the order of the photos; None for all.
            split: (n,) values of `SPLITS`.
            person: (n,) who is on each.
            notes: What whoever opened the set should know.

        Raises:
            DataError: If a file is too long to be a photo, or the crop would have to be enlarged.
        """
        if crop is not None and crop < size:
            raise DataError(
                f"A centre of {crop}x{crop} pixels of {name} cannot give photos of {size}x{size}; give a larger --crop "
                "or a smaller --size."
            )
        self.name, self.size, self.split, self.person = name, size, split, person
        self._files, self._crop, self._picture_size = files, crop, picture_size
        self._order = np.arange(len(files.lengths), dtype=np.int64) if order is None else order
        self.lengths = files.lengths[self._order]
        too_long = np.flatnonzero(self.lengths > FILE_BYTES_MOST)
        if len(too_long):
            raise DataError(
                f"{self.photo_name(int(too_long[0]))} has more than {FILE_BYTES_MOST / 1e6:g} MB; save it smaller or "
                "take it out of the set."
            )
        passed_over = (f"{files.passed_over} files of {name} are no pictures by their names and are not used.",)
        self.notes = (passed_over if files.passed_over else ()) + notes

    def __len__(self) -> int:
        return len(self._order)

    def read(self, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        photos = np.empty((len(numbers), self.size, self.size, 3), np.uint8)
        for start in range(0, len(numbers), DECODED_AT_ONCE):
            files = self._files.files_read(self._order[numbers[start : start + DECODED_AT_ONCE]])
            for i, (name, data) in enumerate(files, start):
                photos[i] = self._photo(data, name=f"{name} in {self.name}")
        return photos

    def _photo(self, data: bytes, *, name: str) -> NDArray[np.uint8]:
        picture = picture_decode(data, name=name)
        if self._picture_size is not None and self._picture_size != picture.size:
            expected = "x".join(map(str, self._picture_size))
            raise DataError(
                f"{name} is {picture.width}x{picture.height} pixels, not {expected}; use it all the same by a --crop."
            )
        least = max(self.size, self._crop or 0)
        if min(picture.size) < least:
            raise DataError(
                f"{name} is {picture.width}x{picture.height} pixels, but a side needs {least}; take it out of the set."
            )
        return square_reduce(picture, size=self.size, side=self._crop or min(picture.size))

    def photo_name(self, number: int) -> str:
        return f"{self._files.file_name(int(self._order[number]))} in {self.name}"

    def content_numbers(
        self, numbers: NDArray[np.int64], *, lengths: NDArray[np.int64] | None = None
    ) -> NDArray[np.uint64]:
        own = self.lengths[numbers]
        asked = np.isin(own, lengths) if lengths is not None else np.ones(len(numbers), bool)
        checksums = np.zeros(len(numbers), np.uint64)
        checksums[asked] = self._files.checksums(self._order[numbers[asked]])
        return (own.astype(np.uint64) << np.uint64(32)) | checksums

    def digest_update(self, digest: "hashlib._Hash", numbers: NDArray[np.int64]) -> None:
        digest.update(f"{self.size} {self._crop} ".encode() + self._files.listing)
        digest.update(self._order[numbers].astype("<i8").tobytes())
