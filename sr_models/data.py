"""Photos for training and measuring: a folder of pictures or an `.npz`, as (low_res, high_res) arrays."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sr_models.pixels import downsample

SPLITS = {"train": 0, "validation": 1}


class DataError(Exception):
    """A set of photos cannot be used; the message names the file and the cure."""


def photos_load(
    paths: Sequence[Path], *, size: int, split: str | None = None, max_per_person: int | None = None
) -> NDArray[np.uint8]:
    """Read photos of one size from folders and `.npz` files.

    An `.npz` holds `images` (n, size, size, 3) uint8 and may hold, one entry a photo, `split` (0 = train,
    1 = validation), `duplicate` (left out) and `person`. A folder's pictures are cropped to their centred square and
    reduced; it has no split, so it belongs to every one.

    Args:
        paths: Folders and `.npz` files.
        size: Side of the photos in pixels.
        split: "train", "validation" or None for all.
        max_per_person: At most so many photos of one person, the first ones, where `person` is known.

    Returns:
        (n, size, size, 3) uint8 sRGB.

    Raises:
        DataError: If a path is missing, of an unknown kind, of another size, or nothing is left.
    """
    parts = [
        _folder_load(path, size=size)
        if path.is_dir()
        else _npz_load(path, size=size, split=split, max_per_person=max_per_person)
        for path in paths
    ]
    photos = np.concatenate(parts) if parts else np.empty((0, size, size, 3), np.uint8)
    if not len(photos):
        raise DataError(f"There is no {split or 'usable'} photo in {', '.join(map(str, paths))}; give another set.")
    return photos


def pairs_make(photos: NDArray[np.uint8], *, factor: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return (low_res, high_res) of the photos (n, H, W, 3), by the one downsampling operator."""
    return downsample(photos, factor=factor), photos


def _npz_load(path: Path, *, size: int, split: str | None, max_per_person: int | None) -> NDArray[np.uint8]:
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
    keep = np.ones(len(images), bool)
    if split is not None and "split" in entries:
        keep &= entries["split"] == SPLITS[split]
    if "duplicate" in entries:
        keep &= ~entries["duplicate"].astype(bool)
    if max_per_person is not None and "person" in entries:
        seen: dict[str, int] = {}
        for i in np.flatnonzero(keep):
            person = str(entries["person"][i])
            seen[person] = seen.get(person, 0) + 1
            keep[i] = seen[person] <= max_per_person
    kept: NDArray[np.uint8] = images[keep]
    return kept


def _folder_load(path: Path, *, size: int) -> NDArray[np.uint8]:
    photos = []
    for file in sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")):
        try:
            with Image.open(file) as opened:
                picture = opened.convert("RGB")
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
    return np.stack(photos) if photos else np.empty((0, size, size, 3), np.uint8)
