"""The photos that are evaluated, and those among which the nearest one is searched, behind any door to photos."""

import math
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from studies.errors import EvaluationImpossible
from studies.methods import Bank, downsample

if TYPE_CHECKING:
    from sr_models.data.photos import ChosenPhotos, Part, Photos

PARTS = ("validation", "test", "train")
"""The parts of a set that knows its parts, in the order in which one is looked for where none is asked for."""

DEFAULT_SIZE = 32
"""Side in pixels of photos that can have any."""

_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

READ_AT_ONCE = 256
"""Photos of a bank that are read together."""

KEPT = "bank.json"
"""What is in the folder of a bank that was kept (`baselines.bank`)."""

BANK_MEMORY_BYTES = 2**29
"""A bank of more bytes is kept in a file without a name, in the folder for temporary files."""


class EvaluationPhotos(NamedTuple):
    """The photos that are evaluated.

    Attributes:
        photos: They.
        about: Which they are, set by set: "624 photos, the validation part of rooms.npz".
        notes: Sentences on what was decided on the way.
        training: What the same sets have for training, which is none of `photos`; None if they have nothing.
        training_about: Which these are.
    """

    photos: "ChosenPhotos"
    about: str
    notes: list[str]
    training: "ChosenPhotos | None"
    training_about: str


def size_find(paths: Sequence[Path]) -> int:
    """Return the side in pixels of the photos in the first `.npz` among sets, whose size is fixed; 32 without one."""
    for path in paths:
        try:
            with zipfile.ZipFile(path) as archive, archive.open("images.npy") as file:
                read = _HEADER_READERS[np.lib.format.read_magic(file)]
                shape, _, _ = read(file)
                if len(shape) == 4:
                    return int(shape[1])
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            continue  # another kind of set, or one that its door will say more about
    return DEFAULT_SIZE


def photos_open(
    paths: Sequence[Path],
    *,
    size: int,
    split: str | None = None,
    held_out: bool = False,
    crop: int | None = None,
    limit: int | None = None,
) -> EvaluationPhotos:
    """Open the photos to evaluate; nothing is read yet.

    Of a set that knows its parts the validation part is taken; without one the test part; if that is the whole set,
    or there is neither, all photos.

    Args:
        paths: Sets: folders, zips, `.npz`, CelebA, LMDB (`docs/data.md`).
        size: Side of the photos in pixels.
        split: The part to take: one of `PARTS`, or "all"; None for the rule above.
        held_out: Of sets without parts, take what training without photos of its own for validation holds out.
        crop: Side of the centred square that becomes the photo, in pixels of the picture.
        limit: Take at most so many photos, the first ones.

    Raises:
        EvaluationImpossible: If a set cannot be opened, or nothing is left.
    """
    from sr_models.data import DataError  # noqa: PLC0415 -- sr_models is reached only from inside functions
    from sr_models.data.photos import ChosenPhotos  # noqa: PLC0415 -- as above

    notes: list[str] = []
    chosen: list[Part] = []
    training: list[Part] = []
    told, told_training = [], []
    try:
        for path in paths:
            whole, parts = _set_open(path, size=size, held_out=held_out, crop=crop)
            name = whole.parts[0].source.name
            notes.extend(whole.parts[0].source.notes)
            taken = split
            if split is None:
                taken = next((part for part in PARTS[:2] if part in parts), "all")
                if taken != "validation":
                    notes.append(_without_validation(name, len(whole), list(parts), taken))
            elif parts and split not in {*parts, "all"}:
                raise EvaluationImpossible(
                    f"{name} has no {split} part, but {' and '.join(parts)}; give another --split, or all."
                )
            if taken == "all" or not parts:
                chosen.extend(whole.parts)
                told.append(f"all {_count(len(whole))} of {name}")
                continue
            mine = parts[str(taken)]
            chosen.extend(mine)
            told.append(f"{_count(sum(len(part.numbers) for part in mine))}, the {taken} part of {name}")
            if taken != "train" and "train" in parts:
                training.extend(parts["train"])
                told_training.append(f"the train part of {name}")
    except DataError as error:
        raise EvaluationImpossible(str(error)) from error
    photos = ChosenPhotos(chosen, size=size)
    about = "; ".join(told)
    if limit is not None and limit < len(photos):
        photos = photos.without(np.arange(limit, len(photos), dtype=np.int64))
        about = f"the first {_count(limit)} of: {about}"
    bank = ChosenPhotos(training, size=size) if training else None
    return EvaluationPhotos(photos, about, notes, bank, " and ".join(told_training))


def factor_check(size: int, factor: int) -> None:
    """Make sure that photos of a size can be made smaller by a factor.

    Raises:
        EvaluationImpossible: If they cannot.
    """
    if size % factor:
        raise EvaluationImpossible(
            f"Photos of {size}x{size} pixels cannot be made {factor} times smaller; give a --size that is a multiple "
            f"of {factor}."
        )


class BankOpened(NamedTuple):
    """The photos among which the nearest one is searched.

    Attributes:
        bank: They, with their low-resolution versions.
        note: The sentence that says which they are.
    """

    bank: Bank
    note: str


def bank_open(
    paths: Sequence[Path],
    evaluated: EvaluationPhotos,
    *,
    factor: int,
    crop: int | None = None,
    leave_out_duplicates: bool = False,
    keep: Path | None = None,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> BankOpened:
    """Read the photos among which the nearest one is searched; none of those that are evaluated may be among them.

    Args:
        paths: Sets, of which the train part is taken if they have one, else all; or one folder in which a bank was
            kept; without any, the train parts of the sets that are evaluated.
        evaluated: The photos that are evaluated.
        factor: How many times the methods enlarge.
        crop: As for the photos that are evaluated.
        leave_out_duplicates: Whether photos that are evaluated too are left out of the bank instead of refused.
        keep: A new folder in which to keep the bank, so that it need not be read again.
        progress: Called with what is done, the number of photos done, and of all.

    Raises:
        EvaluationImpossible: If there are no such photos, they cannot be read or kept, or one is evaluated too.
    """
    from baselines.bank import BankError  # noqa: PLC0415 -- as above
    from sr_models.data import DataError  # noqa: PLC0415 -- as above

    factor_check(evaluated.photos.size, factor)
    kept = [path for path in paths if (path / KEPT).is_file()]
    if kept and len(paths) > 1:
        raise EvaluationImpossible(f"{kept[0]} is a bank that was kept, and is searched alone; give no other --bank.")
    if keep is not None and (kept or keep.exists()):
        why = "there is one already" if kept else f"{keep} exists"
        raise EvaluationImpossible(f"The bank cannot be kept: {why}; leave --keep-bank out, or give a new folder.")
    try:
        if kept:
            return _kept_open(kept[0], evaluated, factor=factor, progress=progress)
        photos, about = _bank_choose(paths, evaluated, crop=crop)
        shared = _shared_find(photos, evaluated, progress)
        if len(shared) and not leave_out_duplicates:
            told = _shared_sentence(shared, len(photos), first=photos.photo_name(int(shared[0])))
            raise EvaluationImpossible(
                f"{told}; leave them out of the bank by --leave-out-duplicates, or give another --bank."
            )
        photos = photos.without(shared)
        if not len(photos):
            raise EvaluationImpossible("Every photo of the bank is to be evaluated too; give another --bank.")
        left_out = f", less {len(shared)} that are evaluated too" if len(shared) else ""
        note = f"nearest_neighbour searches {_count(len(photos))}, {about}{left_out}."
        return BankOpened(_bank_read(photos, factor=factor, keep=keep, progress=progress), note)
    except (DataError, BankError) as error:
        raise EvaluationImpossible(str(error)) from error


def _bank_choose(paths: Sequence[Path], evaluated: EvaluationPhotos, *, crop: int | None) -> "tuple[ChosenPhotos, str]":
    """Return the photos of a bank, and which they are."""
    from sr_models.data import photos_open as door  # noqa: PLC0415 -- as above
    from sr_models.data.photos import ChosenPhotos, Part  # noqa: PLC0415 -- as above

    if not paths and evaluated.training is not None:
        return evaluated.training, evaluated.training_about
    if not paths:
        raise EvaluationImpossible(
            "nearest_neighbour searches a bank of training photos, and the photos to evaluate come without a train "
            "part; give --bank PHOTOS, or leave nearest_neighbour out."
        )
    parts: list[Part] = []
    told = []
    for path in paths:
        whole = door([path], size=evaluated.photos.size, crop=crop)
        source = whole.parts[0].source
        train = np.empty(0, np.int64) if source.split is None else np.flatnonzero(source.split == 0)
        parts.extend([Part(source, train)] if len(train) else whole.parts)
        told.append(f"the train part of {source.name}" if len(train) else f"all of {source.name}")
    return ChosenPhotos(parts, size=evaluated.photos.size), " and ".join(told)


def _kept_open(
    path: Path, evaluated: EvaluationPhotos, *, factor: int, progress: Callable[[str, int, int], None]
) -> BankOpened:
    """Open a bank that was kept, whose pictures stay on the disk."""
    from baselines.bank import bank_open as door  # noqa: PLC0415 -- as above

    low_res, high_res, digest = door(path)
    size = evaluated.photos.size
    if high_res.shape[1:3] != (size, size) or low_res.shape[1:3] != (size // factor, size // factor):
        has, needs = (
            f"{low}x{low} and {high}x{high}"
            for low, high in ((low_res.shape[1], high_res.shape[1]), (size // factor, size))
        )
        raise EvaluationImpossible(
            f"The bank {path} holds pictures of {has} pixels, not of {needs}; give another --bank."
        )
    shared = _shared_find(_KeptPhotos(high_res, size, digest), evaluated, progress)
    if len(shared):
        told = _shared_sentence(shared, len(high_res), first=f"photo {shared[0]} of {path.name}")
        raise EvaluationImpossible(f"{told}; make the bank again with --leave-out-duplicates, or give another --bank.")
    note = f"nearest_neighbour searches {_count(len(high_res))}, kept in {path.name}."
    return BankOpened(Bank(low_res, high_res, digest), note)


@dataclass
class _KeptPhotos:
    """Pictures that are there already, as `sr_models.data.Photos`."""

    images: NDArray[np.uint8]
    size: int
    digest: str

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.asarray(self.images)[indices]


def _shared_find(
    bank: "Photos", evaluated: EvaluationPhotos, progress: Callable[[str, int, int], None]
) -> NDArray[np.int64]:
    """Return the numbers of the photos of a bank that are evaluated too."""
    from sr_models.data import duplicates_find  # noqa: PLC0415 -- as above

    return duplicates_find(
        bank, evaluated.photos, progress=lambda done, total: progress("comparing the bank", done, total)
    )


def _shared_sentence(shared: NDArray[np.int64], count: int, *, first: str) -> str:
    return (
        f"{len(shared)} of the {count} photos of the bank are to be evaluated too, the first {first}: "
        "nearest_neighbour would find the very answer"
    )


def _set_open(
    path: Path, *, size: int, held_out: bool, crop: int | None
) -> "tuple[ChosenPhotos, dict[str, list[Part]]]":
    """Open one set; return all of it, and the parts that it knows or, if it knows none, gives when it is `held_out`."""
    from sr_models.data import SPLITS  # noqa: PLC0415 -- as above
    from sr_models.data import photos_open as door  # noqa: PLC0415 -- as above
    from sr_models.data.photos import Part  # noqa: PLC0415 -- as above

    whole = door([path], size=size, crop=crop)
    source = whole.parts[0].source
    if source.split is not None:
        known = {part: Part(source, np.flatnonzero(source.split == SPLITS[part])) for part in PARTS}
        return whole, {part: [found] for part, found in known.items() if len(found.numbers)}
    if not held_out:
        return whole, {}
    opened = {part: door([path], size=size, split=part, hold_out=True, crop=crop) for part in ("validation", "train")}
    return whole, {part: list(photos.parts) for part, photos in opened.items()}


def _bank_read(
    photos: "ChosenPhotos", *, factor: int, keep: Path | None, progress: Callable[[str, int, int], None]
) -> Bank:
    """Read a bank, into memory, a file without a name, or the folder in which it is kept."""
    from baselines.bank import bank_write  # noqa: PLC0415 -- as above

    count, size = len(photos), photos.size

    def parts_read() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        for start in range(0, count, READ_AT_ONCE):
            high_res = photos.read(np.arange(start, min(start + READ_AT_ONCE, count), dtype=np.int64))
            yield downsample(high_res, factor=factor), high_res
            progress("reading the bank", min(start + READ_AT_ONCE, count), count)

    if keep is not None:
        return Bank(*bank_write(keep, parts_read()))
    low_res = _array_make((count, size // factor, size // factor, 3))
    high_res = _array_make((count, size, size, 3))
    start = 0
    for low_part, high_part in parts_read():
        part = slice(start, start + len(high_part))
        low_res[part], high_res[part] = low_part, high_part
        start = part.stop
    return Bank(low_res, high_res, photos.digest)


def _array_make(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if math.prod(shape) <= BANK_MEMORY_BYTES:
        return np.empty(shape, np.uint8)
    with tempfile.TemporaryFile() as file:  # the array holds on to it
        return np.memmap(file, np.uint8, "w+", shape=shape)


def _count(number: int) -> str:
    return f"{number:,} photo{'' if number == 1 else 's'}"


def _without_validation(name: str, count: int, parts: Sequence[str], taken: str) -> str:
    """Return the sentence that says what is taken of a set without a validation part."""
    if taken == "test" and len(parts) > 1:
        return f"{name} has no validation part: its test part is used."
    marked = f", which it marks as {parts[0]}," if len(parts) == 1 else ""
    return f"{name} has no validation part: all {_count(count)}{marked} are used."
