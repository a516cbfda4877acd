"""Photos of one size, chosen from one or more sets and read when they are asked for."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sr_models.data.source import Source

READ_AT_ONCE = 256
"""Photos that are read together where all of a set are gone through."""


class Photos(Protocol):
    """Photos of one size, read when they are asked for.

    Attributes:
        size: Side in pixels.
        digest: SHA-256 in hexadecimal digits of what is there: of the pixels if all come from `.npz` files, else of
            the sets' listings (names, lengths, and checksums where they are listed), the size, the crop and the choice.
    """

    size: int

    @property
    def digest(self) -> str: ...

    def __len__(self) -> int:
        """Return the number of photos."""
        ...

    def read(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the photos with these numbers, (n, size, size, 3) uint8 sRGB, in that order.

        Raises:
            DataError: If a photo cannot be decoded; the message names its file.
            IndexError: If there is no photo of such a number.
        """
        ...


class Part(NamedTuple):
    """Photos of one set: their numbers (n,) in it."""

    source: Source
    numbers: NDArray[np.int64]


class ChosenPhotos:
    """Photos chosen from several sets, one set after the other; see `Photos`."""

    def __init__(self, parts: Sequence[Part], *, size: int) -> None:
        self.size = size
        self.parts = tuple(part for part in parts if len(part.numbers))
        self._ends = np.cumsum([len(part.numbers) for part in self.parts], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def read(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        indices = np.asarray(indices, np.int64)
        outside = (indices < 0) | (indices >= len(self))
        if outside.any():
            raise IndexError(f"photos are numbered from 0 to {len(self) - 1}, got {indices[outside][0]}")
        photos = np.empty((len(indices), self.size, self.size, 3), np.uint8)
        part_of = np.searchsorted(self._ends, indices, side="right")
        for k in np.unique(part_of):
            here = part_of == k
            source, numbers = self.parts[k]
            photos[here] = source.read(numbers[indices[here] - (self._ends[k] - len(numbers))])
        return photos

    @cached_property
    def digest(self) -> str:
        digest = hashlib.sha256(f"{(len(self), self.size, self.size, 3)} ".encode())
        for source, numbers in self.parts:
            source.digest_update(digest, numbers)
        return digest.hexdigest()

    def photo_name(self, index: int) -> str:
        """Return what a sentence calls one photo."""
        k = int(np.searchsorted(self._ends, index, side="right"))
        source, numbers = self.parts[k]
        return source.photo_name(int(numbers[index - (self._ends[k] - len(numbers))]))

    def without(self, indices: NDArray[np.int64]) -> "ChosenPhotos":
        """Return the photos less those with these numbers."""
        keep = np.ones(len(self), bool)
        keep[indices] = False
        kept = np.split(keep, self._ends[:-1])
        return ChosenPhotos(
            [Part(part.source, part.numbers[mask]) for part, mask in zip(self.parts, kept, strict=True)], size=self.size
        )


def photos_read(photos: Photos, *, limit: int | None = None) -> NDArray[np.uint8]:
    """Read all photos of a small set into memory, or the first ones.

    Args:
        photos: The photos.
        limit: Read at most so many.

    Returns:
        (n, size, size, 3) uint8 sRGB.

    Raises:
        DataError: If a photo cannot be decoded.
    """
    count = len(photos) if limit is None else min(limit, len(photos))
    read = np.empty((count, photos.size, photos.size, 3), np.uint8)
    for start in range(0, count, READ_AT_ONCE):
        end = min(start + READ_AT_ONCE, count)
        read[start:end] = photos.read(np.arange(start, end, dtype=np.int64))
    return read
