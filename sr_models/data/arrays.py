"""Photos that are pixels already: an `.npz` of arrays."""

import hashlib
import struct
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sr_models.data.errors import DataError
from sr_models.data.source import SPLITS

_KNOWN = ("split", "duplicate", "person")
_MARKS = (
    ("split", list(SPLITS.values()), "0 to train on, 1 to validate on and 2 to test on"),
    ("duplicate", [0, 1], "1 to leave out and 0 to keep"),
)


class ArraySource:
    """The photos of an `.npz`; see `source.Source` for the attributes.

    It holds `images` (n, size, size, 3) uint8 and may hold, one entry a photo, `split` (values of `SPLITS`),
    `duplicate` (left out) and `person`. Images that are not packed (`numpy.savez`) are mapped, not read, and processes
    that use one file share its pages; packed ones (`numpy.savez_compressed`) are unpacked into memory.
    """

    def __init__(self, path: Path, *, size: int) -> None:
        self.name, self.size = path.name, size
        self.notes: tuple[str, ...] = ()
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                known = {key: archive[key] for key in _KNOWN if key in archive}
                images = _mapped(path) if "images" in archive else None
                if images is None and "images" in archive:
                    images = archive["images"]
        except Exception as error:
            raise DataError(
                f"The photo set {path.name} is not a readable .npz file ({error}); make it again."
            ) from error
        if images is None:
            raise DataError(
                f"The photo set {path.name} has no array named 'images'; add it as (n, {size}, {size}, 3) uint8."
            )
        if images.dtype != np.uint8 or images.shape[1:] != (size, size, 3):
            raise DataError(
                f"The photo set {path.name} holds {images.shape} {images.dtype}, but (n, {size}, {size}, 3) uint8 is "
                "needed; reduce the photos to that size first."
            )
        for key, entries in known.items():
            if entries.shape != (len(images),):
                raise DataError(
                    f"The photo set {path.name} has {len(images)} images, but {key!r} is {entries.shape}; give it one "
                    "entry for each image."
                )
        for key, values, meaning in _MARKS:
            entries = known.get(key, np.zeros(0))
            strange = entries[~np.isin(entries, values)]
            if len(strange):
                raise DataError(f"The photo set {path.name} has {strange[0]!s} in {key!r}; mark photos by {meaning}.")
        duplicate = known.get("duplicate", np.zeros(len(images))) == 1
        self._images: NDArray[np.uint8] = np.asarray(images)
        self._order = np.flatnonzero(~duplicate).astype(np.int64)
        self.split = known["split"][self._order].astype(np.uint8) if "split" in known else None
        self.person = known["person"][self._order].astype(np.str_) if "person" in known else None
        self.lengths = np.zeros(len(self._order), np.int64)

    def __len__(self) -> int:
        return len(self._order)

    def read(self, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self._images[self._order[numbers]]

    def photo_name(self, number: int) -> str:
        return f"photo {self._order[number]} of {self.name}"

    def content_numbers(
        self,
        numbers: NDArray[np.int64],
        *,
        lengths: NDArray[np.int64] | None = None,  # noqa: ARG002 -- the protocol's; there are no files to spare
    ) -> NDArray[np.uint64]:
        return pixel_numbers(self.read(numbers))

    def digest_update(self, digest: "hashlib._Hash", numbers: NDArray[np.int64]) -> None:
        for start in range(0, len(numbers), 4096):
            digest.update(self.read(numbers[start : start + 4096]).tobytes())


def pixel_numbers(photos: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the first 8 bytes of each photo's SHA-256 as a number, (n,)."""
    digests = (hashlib.sha256(photo.tobytes()).digest() for photo in photos)
    return np.array([int.from_bytes(digest[:8]) for digest in digests], np.uint64)


def _mapped(path: Path) -> NDArray[np.uint8] | None:
    """Map the images of an `.npz` into memory; None if they are packed, or laid out column by column.

    Raises:
        ValueError: If there are fewer bytes than their shape needs.
    """
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("images.npy")
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 0x1:
        return None
    with path.open("rb") as file:
        file.seek(entry.header_offset)
        *_, name_bytes, extra_bytes = struct.unpack("<4s5H3I2H", file.read(30))
        file.seek(name_bytes + extra_bytes, 1)
        start = file.tell()
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_by_column, dtype = read_header(file)
        if is_by_column or dtype != np.uint8:
            return None
        if file.tell() - start + np.prod(shape, dtype=object) > entry.file_size:
            raise ValueError("it is cut off")
        return np.memmap(file, np.uint8, "r", file.tell(), shape)
