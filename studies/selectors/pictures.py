"""Kept pictures as arrays."""

from collections.abc import Iterable

import numpy as np
from django.core.files.storage import Storage
from django.db.models.fields.files import FieldFile
from numpy.typing import NDArray

from studies import images
from studies.methods import Bank
from studies.models import PhotoSet


def picture_read(file: FieldFile) -> NDArray[np.uint8]:
    """Read a picture of ours: (h, w, 3) uint8 sRGB."""
    with file.open("rb") as opened:
        return images.decode_png(opened.read())


def picture_open(storage: Storage, name: str) -> NDArray[np.uint8]:
    """Read a picture of ours by its name: (h, w, 3) uint8 sRGB."""
    with storage.open(name) as opened:
        return images.decode_png(opened.read())


def pictures_read(files: Iterable[FieldFile]) -> NDArray[np.uint8]:
    """Read pictures of one size: (n, h, w, 3) uint8 sRGB."""
    return np.stack([picture_read(file) for file in files])


def bank_get(photo_set: PhotoSet) -> Bank:
    """Read a photo set as a nearest-neighbour bank, in the order of the photos' digests, which is the same anywhere."""
    photos = list(photo_set.photos.order_by("sha256"))
    if not photos:
        empty = np.empty((0, 1, 1, 3), np.uint8)
        return Bank(empty, empty, "")
    return Bank(
        pictures_read(photo.low_res for photo in photos),
        pictures_read(photo.high_res for photo in photos),
        bank_digest(photo_set),
    )


def bank_digest(photo_set: PhotoSet) -> str:
    """Return the SHA-256 of a bank: of its photos' digests, in the order of the alphabet."""
    digests = photo_set.photos.order_by("sha256").values_list("sha256", flat=True)
    return images.sha256_of("".join(digests).encode())
