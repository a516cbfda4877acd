"""Photos for training and measuring: a folder of pictures or an `.npz`, as (low_res, high_res) arrays."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sr_models.pixels import downsample

SPLITS = {"train": 0, "validation": 1}

HELD_OUT_EVERY = 20
"""Of a set without a split, about one photo in so many is held out for validation."""


class DataError(Exception):
    """A set of photos cannot be used; the message names the file and the cure."""


class PhotoSplit(NamedTuple):
    """Photos to train on and photos to validate on; none is in both.

    Attributes:
        training: (n, size, size, 3) uint8 sRGB.
        validation: (m, size, size, 3) uint8 sRGB.
        notes: Sentences on what was held out or left out, for whoever started the run.
    """

    training: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    notes: tuple[str, ...]


class _PhotoSet(NamedTuple):
    """One folder or file: images (n, size, size, 3), and what is known of each (n,)."""

    name: str
    images: NDArray[np.uint8]
    split: NDArray[np.uint8] | None = None
    person: NDArray[np.str_] | None = None


def photos_load(
    paths: Sequence[Path],
    *,
    size: int,
    split: str | None = None,
    max_per_person: int | None = None,
    hold_out: bool = False,
) -> NDArray[np.uint8]:
    """Read photos of one size from folders and `.npz` files.

    An `.npz` holds `images` (n, size, size, 3) uint8 and may hold, one entry a photo, `split` (0 = train,
    1 = validation), `duplicate` (left out) and `person`. A folder's pictures are turned upright, cropped to their
    centred square and reduced; a folder has no split.

    Args:
        paths: Folders and `.npz` files.
        size: Side of the photos in pixels.
        split: "train", "validation" or None for all.
        max_per_person: At most so many photos of one person, the first ones, where `person` is known.
        hold_out: Whether sets without a split are parted by a hash of each photo's pixels, as training does that is
            given no photos for validation; otherwise they belong to every part.

    Returns:
        (n, size, size, 3) uint8 sRGB.

    Raises:
        DataError: If a path is missing, of an unknown kind, of another size, or nothing is left.
    """
    sets = [_set_load(path, size=size) for path in paths]
    if hold_out:
        sets = [_held_out_marked(each) for each in sets]
    return _part(sets, split=split, max_per_person=max_per_person)


def photos_split(
    data: Sequence[Path], validation: Sequence[Path] = (), *, size: int, max_per_person: int | None = None
) -> PhotoSplit:
    """Read the photos of a run so that none is both trained on and validated on.

    Without photo sets of their own for validation, sets without a split give every 20th photo, by a hash of its
    pixels. A training photo whose pixels are those of a validation photo is left out.

    Args:
        data: Folders and `.npz` files to train on.
        validation: Those to validate on, of an `.npz` with a split its validation part; if there are none, the
            validation parts of `data`.
        size: Side of the photos in pixels.
        max_per_person: At most so many training photos of one person, the first ones, where `person` is known.

    Raises:
        DataError: If a path is missing, of an unknown kind, of another size, or no photo is left for a part.
    """
    sets = [_set_load(path, size=size) for path in data]
    notes: list[str] = []
    if validation:
        validation_sets = [_set_load(path, size=size) for path in validation]
    else:
        validation_sets = [_held_out_marked(each) for each in sets]
        notes.extend(
            f"{marked.name} has no split: {np.count_nonzero(marked.split)} of its {len(marked.images)} photos, about "
            f"every {HELD_OUT_EVERY}th by a hash of the pixels, are held out for validation; --validation gives others."
            for own, marked in zip(sets, validation_sets, strict=True)
            if own.split is None and marked.split is not None
        )
        sets = validation_sets
    validation_photos = _part(validation_sets, split="validation")
    training = _part(sets, split="train", max_per_person=max_per_person)
    held = set(_digests(validation_photos))
    apart = np.array([digest not in held for digest in _digests(training)])
    if not apart.any():
        raise DataError(
            "Every training photo is also a validation photo; give other photos to --data or to --validation."
        )
    if not apart.all():
        notes.append(
            f"{np.count_nonzero(~apart)} of {len(apart)} training photos are left out, since their pixels are those of "
            "a validation photo."
        )
    return PhotoSplit(training[apart], validation_photos, tuple(notes))


def pairs_make(photos: NDArray[np.uint8], *, factor: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return (low_res, high_res) of the photos (n, H, W, 3), by the one downsampling operator."""
    return downsample(photos, factor=factor), photos


def _set_load(path: Path, *, size: int) -> _PhotoSet:
    return _folder_load(path, size=size) if path.is_dir() else _npz_load(path, size=size)


def _part(sets: Sequence[_PhotoSet], *, split: str | None, max_per_person: int | None = None) -> NDArray[np.uint8]:
    parts = []
    for each in sets:
        keep = np.ones(len(each.images), bool)
        if split is not None and each.split is not None:
            keep &= each.split == SPLITS[split]
        if max_per_person is not None and each.person is not None:
            seen: dict[str, int] = {}
            for i in np.flatnonzero(keep):
                person = str(each.person[i])
                seen[person] = seen.get(person, 0) + 1
                keep[i] = seen[person] <= max_per_person
        parts.append(each.images[keep])
    if not any(len(part) for part in parts):
        names = ", ".join(each.name for each in sets)
        raise DataError(f"There is no {split or 'usable'} photo in {names}; give another set.")
    return np.concatenate(parts)


def _digests(images: NDArray[np.uint8]) -> list[bytes]:
    return [hashlib.sha256(image.tobytes()).digest() for image in images]


def _held_out_marked(photos: _PhotoSet) -> _PhotoSet:
    """Give a set without a split one that depends on each photo's pixels, so that it survives new neighbours."""
    if photos.split is not None or not len(photos.images):
        return photos
    numbers = np.array([int.from_bytes(digest[:8]) for digest in _digests(photos.images)], np.uint64)
    held = numbers % HELD_OUT_EVERY == 0
    if not held.any():  # a small set gives one photo all the same
        held[numbers.argmin()] = True
    return photos._replace(split=np.where(held, SPLITS["validation"], SPLITS["train"]).astype(np.uint8))


def _npz_load(path: Path, *, size: int) -> _PhotoSet:
    if not path.is_file():
        raise DataError(f"The photo set {path} does not exist; give a folder of pictures or an .npz file.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            entries = {key: archive[key] for key in ("images", "split", "duplicate", "person") if key in archive}
    except (OSError, ValueError) as error:
        raise DataError(f"The photo set {path.name} is not a readable .npz file ({error}); make it again.") from error
    if "images" not in entries:
        raise DataError(
            f"The photo set {path.name} has no array named 'images'; add it as (n, {size}, {size}, 3) uint8."
        )
    images = entries["images"]
    if images.dtype != np.uint8 or images.shape[1:] != (size, size, 3):
        raise DataError(
            f"The photo set {path.name} holds {images.shape} {images.dtype}, but (n, {size}, {size}, 3) uint8 is "
            "needed; reduce the photos to that size first."
        )
    keep = ~entries["duplicate"].astype(bool) if "duplicate" in entries else np.ones(len(images), bool)
    known = {key: entries[key][keep] for key in ("split", "person") if key in entries}
    return _PhotoSet(path.name, images[keep], **known)


def _folder_load(path: Path, *, size: int) -> _PhotoSet:
    photos = []
    for file in sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")):
        try:
            with Image.open(file) as opened:
                picture = ImageOps.exif_transpose(opened).convert("RGB")
        except (UnidentifiedImageError, OSError) as error:
            raise DataError(f"{file.name} is not a readable picture ({error}); take it out of {path}.") from error
        side = min(picture.size)
        if side < size:
            raise DataError(
                f"{file.name} is {picture.width}x{picture.height}; photos need at least {size} pixels a side."
            )
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        square = picture.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
        photos.append(np.asarray(square))
    return _PhotoSet(path.name, np.stack(photos) if photos else np.empty((0, size, size, 3), np.uint8))
