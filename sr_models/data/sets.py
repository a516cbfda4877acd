"""The doors to photos for training and measuring, and the parts of their sets."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sr_models.data.archive import ZipFiles
from sr_models.data.arrays import ArraySource
from sr_models.data.celeba import celeba_open, is_celeba
from sr_models.data.duplicates import copies_find, is_compared_by_pixels
from sr_models.data.errors import DataError
from sr_models.data.folder import FolderFiles
from sr_models.data.lsun import LmdbFiles, part_of_name
from sr_models.data.photos import ChosenPhotos, Part, Photos
from sr_models.data.source import SPLITS, PictureSource, Source
from sr_models.pixels import downsample

HELD_OUT_EVERY = 20
"""Of a set without a split, about one photo in so many is held out for validation."""


class PhotoSplit(NamedTuple):
    """Photos to train on and photos to validate on; none is in both.

    Attributes:
        training: Those to train on.
        validation: Those to validate on.
        notes: Sentences on what was held out, left out or not used, for whoever started the run.
    """

    training: Photos
    validation: Photos
    notes: tuple[str, ...]


def photos_open(
    paths: Sequence[Path],
    *,
    size: int,
    split: str | None = None,
    max_per_person: int | None = None,
    hold_out: bool = False,
    crop: int | None = None,
) -> ChosenPhotos:
    """Open photos of one size; what is in the sets is listed, and read when it is asked for.

    Args:
        paths: Sets: folders, `.zip` and `.npz` files, folders of CelebA or of an LMDB (`docs/data.md`).
        size: Side of the photos in pixels.
        split: A key of `SPLITS`, or None for all. Of a set without a split all photos belong to every part.
        max_per_person: At most so many photos of one person, the first ones, where persons are known.
        hold_out: Whether sets without a split are parted as `photos_split` does that is given none for validation.
        crop: Side of the centred square that becomes the photo, in pixels of the picture; None for 138 of CelebA's
            aligned photos and for the largest of all others. An `.npz` is taken as it is.

    Raises:
        DataError: If a path is missing, of an unknown kind, of another size, or nothing is left.
        ValueError: If there is no such split.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)} or None, got {split!r}")
    sources = [source_open(path, size=size, crop=crop) for path in paths]
    splits = [_held_out(source) if hold_out and source.split is None else source.split for source in sources]
    return _choose(sources, splits, split=split, max_per_person=max_per_person, size=size)


def photos_split(
    data: Sequence[Path],
    validation: Sequence[Path] = (),
    *,
    size: int,
    max_per_person: int | None = None,
    crop: int | None = None,
    leave_out_duplicates: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> PhotoSplit:
    """Open the photos of a run so that none is both trained on and validated on.

    Without sets of their own for validation, sets without a split give about every 20th photo: of an `.npz` by a hash
    of its pixels, of files by their checksum, so that neither new neighbours nor other names change a photo's part.
    Photos to train on are compared with those to validate on and with the test parts of all the sets
    (`duplicates_find`).

    Args:
        data: Sets to train on; see `photos_open`.
        validation: Those to validate on, of a set with a split its validation part; if there are none, the validation
            parts of `data`.
        size: Side of the photos in pixels.
        max_per_person: At most so many training photos of one person, the first ones, where persons are known.
        crop: See `photos_open`.
        leave_out_duplicates: Whether training photos that are validation or test photos too are left out.
        progress: Called with the number of photos compared so far, and of all that are to be compared.

    Raises:
        DataError: If a set cannot be used, no photo is left for a part, or photos to train on are validation or test
            photos too and are not to be left out.
    """
    sources = [source_open(path, size=size, crop=crop) for path in data]
    splits = [source.split for source in sources]
    notes = [note for source in sources for note in source.notes]
    if validation:
        validation_sources = [source_open(path, size=size, crop=crop) for path in validation]
        validation_splits = [source.split for source in validation_sources]
        notes.extend(note for source in validation_sources for note in source.notes if note not in notes)
    else:
        for k, source in enumerate(sources):
            if source.split is None:
                splits[k] = held = _held_out(source)
                notes.append(
                    f"{source.name} has no split: {np.count_nonzero(held)} of its {len(source)} photos, about every "
                    f"{HELD_OUT_EVERY}th by a hash of the contents, are held out for validation; --validation gives "
                    "others."
                )
        validation_sources, validation_splits = sources, splits
    cure = "give another set" if validation else "give photos to --validation"
    validated = _choose(validation_sources, validation_splits, split="validation", size=size, cure=cure)
    training = _choose(sources, splits, split="train", size=size, max_per_person=max_per_person)
    tests = _parts(sources, splits, split="test", shared=False)
    if validation:
        tests += _parts(validation_sources, validation_splits, split="test", shared=False)
    unseen = ChosenPhotos([*validated.parts, *tests], size=size)
    copies = copies_find(training, unseen, progress=progress)
    copied = np.flatnonzero(copies >= 0)
    if len(copied) == len(training):
        raise DataError(
            "Every training photo is a validation or test photo too; give other photos to --data or to --validation."
        )
    if len(copied) and not leave_out_duplicates:
        first = int(copied[0])
        raise DataError(
            f"{len(copied)} of {len(training)} training photos are validation or test photos too, the first "
            f"{training.photo_name(first)} (as {unseen.photo_name(int(copies[first]))}); train without them by "
            "--leave-out-duplicates."
        )
    if len(copied):
        notes.append(
            f"{len(copied)} of {len(training)} training photos are left out, since their pixels are those of a "
            "validation or test photo."
        )
        training = training.without(copied)
    if not is_compared_by_pixels(training, unseen):
        notes.append(
            f"The {len(training)} training photos are too many to decode before a run, so that only equal files were "
            "looked for among those to validate or test on, not equal pixels."
        )
    return PhotoSplit(training, validated, tuple(notes))


def pairs_make(photos: NDArray[np.uint8], *, factor: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return (low_res, high_res) of the photos (n, H, W, 3), by the one downsampling operator."""
    return downsample(photos, factor=factor), photos


def source_open(path: Path, *, size: int, crop: int | None) -> Source:
    """Open one set by what is at its path; see `photos_open`."""
    kinds = "give a folder of pictures, a .zip or .npz file, or a folder of CelebA or of an LMDB"
    name = path.resolve().name
    try:
        if not path.exists():
            raise DataError(f"The photo set {path} does not exist; {kinds}.")
        if (path / "data.mdb").is_file():
            files, part = LmdbFiles(path), part_of_name(name)
            split = None if part is None else np.full(len(files.lengths), SPLITS[part], np.uint8)
            return PictureSource(files, name=name, size=size, crop=crop, split=split)
        if path.is_dir() and is_celeba(path):
            return celeba_open(path, size=size, crop=crop)
        if path.is_dir():
            return PictureSource(FolderFiles(path), name=name, size=size, crop=crop)
        if path.suffix.lower() == ".zip":
            return PictureSource(ZipFiles(path), name=name, size=size, crop=crop)
        if path.suffix.lower() == ".npz":
            return ArraySource(path, size=size)
    except OSError as error:
        raise DataError(
            f"{error.filename or path} cannot be read ({error.strerror}); see to its permissions or take it out."
        ) from error
    raise DataError(f"The photo set {path} is of an unknown kind; {kinds}.")


def _choose(
    sources: Sequence[Source],
    splits: Sequence[NDArray[np.uint8] | None],
    *,
    split: str | None,
    size: int,
    max_per_person: int | None = None,
    cure: str = "give another set",
) -> ChosenPhotos:
    parts = _parts(sources, splits, split=split, shared=True)
    if max_per_person is not None:
        parts = [_capped(part, max_per_person) for part in parts]
    photos = ChosenPhotos(parts, size=size)
    if not len(photos):
        names = ", ".join(source.name for source in sources)
        raise DataError(f"There is no {split or 'usable'} photo in {names}; {cure}.")
    return photos


def _parts(
    sources: Sequence[Source], splits: Sequence[NDArray[np.uint8] | None], *, split: str | None, shared: bool
) -> list[Part]:
    """Return the part of each set; of one without a split all photos if it is `shared` by all parts, else none."""
    parts = []
    for source, values in zip(sources, splits, strict=True):
        if split is None or (values is None and shared):
            parts.append(Part(source, np.arange(len(source), dtype=np.int64)))
        elif values is not None:
            parts.append(Part(source, np.flatnonzero(values == SPLITS[split])))
    return parts


def _capped(part: Part, max_per_person: int) -> Part:
    if part.source.person is None:
        return part
    seen: dict[str, int] = {}
    keep = np.ones(len(part.numbers), bool)
    for i, person in enumerate(part.source.person[part.numbers]):
        seen[person] = seen.get(person, 0) + 1
        keep[i] = seen[person] <= max_per_person
    return part._replace(numbers=part.numbers[keep])


def _held_out(source: Source) -> NDArray[np.uint8]:
    """Return a split (n,) that depends on the contents of each photo alone, so that it survives new neighbours."""
    if not len(source):
        return np.zeros(0, np.uint8)
    contents = source.content_numbers(np.arange(len(source), dtype=np.int64))
    held = contents % HELD_OUT_EVERY == 0
    if not held.any():  # a small set gives one photo all the same
        held[(contents & np.uint64(0xFFFFFFFF)).argmin()] = True  # of files the checksum, without the length
    return np.where(held, SPLITS["validation"], SPLITS["train"]).astype(np.uint8)
