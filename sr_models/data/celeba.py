"""CelebA as it is published: aligned photos, the official split, and who is on them."""

from pathlib import Path

import numpy as np

from sr_models.data.archive import ZipFiles
from sr_models.data.errors import DataError, shown
from sr_models.data.folder import FolderFiles
from sr_models.data.source import SPLITS, Files, PictureSource

ALIGNED_SIZE = (178, 218)
"""Width and height in pixels of an aligned photo."""

CROP = 138
"""Side in pixels of the centre of an aligned photo that is used unless another is asked for.

40 pixels are left out at the top and at the bottom, 20 at the left and at the right, as tensor2tensor's `Img2imgCeleba`
does for the same task.
"""

_PHOTOS = ("img_align_celeba", "Img/img_align_celeba", "img_align_celeba.zip", "Img/img_align_celeba.zip")
_SPLITS = ("list_eval_partition.txt", "Eval/list_eval_partition.txt", "list_eval_partition.csv")
_PEOPLE = ("identity_CelebA.txt", "Anno/identity_CelebA.txt")


def is_celeba(path: Path) -> bool:
    """Tell whether a folder has the aligned photos inside."""
    return _found(path, _PHOTOS) is not None


def celeba_open(path: Path, *, size: int, crop: int | None) -> PictureSource:
    """Open the folder that holds the aligned photos, as a folder or zip, and the official lists beside them.

    The photos come in the order of `list_eval_partition.txt` (0 = train, 1 = validation, 2 = test), which may lie in
    `Eval`, as the photos may in `Img` and `identity_CelebA.txt` in `Anno`.

    Args:
        path: The folder.
        size: Side of the photos in pixels.
        crop: Side of the centred square that becomes the photo, in pixels of the aligned photo; None for `CROP`.

    Raises:
        DataError: If the split is not there, a list cannot be read, or no photo is in it.
    """
    photos, splits, people = (_found(path, names) for names in (_PHOTOS, _SPLITS, _PEOPLE))
    if photos is None or splits is None:
        raise DataError(
            f"{path.name} has CelebA's aligned photos, but no {_SPLITS[0]}; put the official file beside them, or give "
            "the folder of the photos itself to use them without it."
        )
    files: Files = FolderFiles(photos) if photos.is_dir() else ZipFiles(photos)
    number_of = {files.file_name(i).rpartition("/")[2]: i for i in range(len(files.lengths))}
    split_of = _list_read(splits)
    strange = next((name for name, part in split_of.items() if part not in SPLITS.values()), None)
    if strange is not None:
        raise DataError(
            f"{splits.name} has {split_of[strange]} for {shown(strange)}, not 0, 1 or 2; copy the official file anew."
        )
    listed = [name for name in split_of if name in number_of]
    if not listed:
        raise DataError(f"No photo of {photos.name} is listed in {splits.name}; both must be of the aligned photos.")
    notes = []
    if len(listed) < len(split_of):
        notes.append(f"{len(split_of) - len(listed)} of the {len(split_of)} photos of {splits.name} are not there.")
    if len(listed) < len(number_of):
        notes.append(f"{len(number_of) - len(listed)} photos of {photos.name} are not in {splits.name} and not used.")
    person_of = _list_read(people) if people is not None else {}
    if people is None:
        notes.append(f"{path.name} has no {_PEOPLE[0]}, so that it is not known who is on a photo.")
    return PictureSource(
        files,
        name=path.name,
        size=size,
        crop=CROP if crop is None else crop,
        picture_size=ALIGNED_SIZE if crop is None else None,
        order=np.array([number_of[name] for name in listed], np.int64),
        split=np.array([split_of[name] for name in listed], np.uint8),
        person=np.array([str(person_of.get(name, name)) for name in listed]) if people is not None else None,
        notes=tuple(notes),
    )


def _found(path: Path, names: tuple[str, ...]) -> Path | None:
    return next((path / name for name in names if (path / name).exists()), None)


def _list_read(path: Path) -> dict[str, int]:
    """Read lines of a file name and a whole number, apart by spaces or a comma; a heading is passed over."""
    numbers = {}
    try:
        for i, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            name, _, number = line.strip().replace(",", " ").partition(" ")
            if number.strip().isdecimal():
                numbers[name] = int(number)
            elif i > 1 and line.strip():
                raise DataError(
                    f"Line {i} of {path.name} is no file name and number; copy the official file once more."
                )
    except ValueError as error:
        raise DataError(f"{path.name} is not a text file; copy the official one once more.") from error
    return numbers
