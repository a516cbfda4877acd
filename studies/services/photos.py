"""Photos come in: named sets, uploads, crops."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from numpy.typing import NDArray

from studies import images, methods
from studies.errors import ArchiveRejected, PhotoRejected
from studies.models import Cropping, Photo, PhotoSet, Researcher


@dataclass(frozen=True)
class UploadReport:
    """What became of an upload.

    Attributes:
        added: New pictures in the set.
        duplicates: Names of files whose pictures the set already had.
        rejected: (name, sentence) of each file that could not be used.
    """

    added: int
    duplicates: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]


def photo_set_create(
    *, owner: Researcher, name: str, high_res_size: int = 32, low_res_size: int = 8, cropping: str = "centre"
) -> PhotoSet:
    """Make an empty set of photos.

    Raises:
        django.core.exceptions.ValidationError: If a size or the name cannot be used.
    """
    photo_set = PhotoSet(
        owner=owner, name=name, high_res_size=high_res_size, low_res_size=low_res_size, cropping=cropping
    )
    photo_set.full_clean()
    photo_set.save()
    return photo_set


def uploads_expand(
    files: Iterable[tuple[str, BinaryIO]],
) -> Iterator[tuple[str, bytes] | ArchiveRejected | PhotoRejected]:
    """Turn uploaded files, zips among them, into single files: (name, bytes), or what was refused and why."""
    limits = images.DEFAULT_LIMITS
    for name, file in files:
        start = file.read(4)
        file.seek(0)
        if start[:2] == b"PK":
            try:
                for member in images.archive_members(file, name=name):
                    yield member if isinstance(member, PhotoRejected) else (member.name, member.data)
            except ArchiveRejected as error:
                yield error
        else:
            yield name, file.read(limits.file_bytes + 1)


def photos_add(
    *, photo_set: PhotoSet, files: Iterable[tuple[str, bytes] | ArchiveRejected | PhotoRejected]
) -> UploadReport:
    """Decode, crop and keep photos; those that can be used are kept whatever becomes of the others.

    Args:
        photo_set: The set that they join.
        files: (name, bytes) of each file, or a refusal that goes straight into the report.
    """
    added, duplicates, rejected = 0, [], []
    for file in files:
        if isinstance(file, (ArchiveRejected, PhotoRejected)):
            rejected.append((file.name, str(file)))
            continue
        name, data = file
        try:
            picture = images.decode(data, name=name)
            pieces = images.crops(
                picture,
                high_res_size=photo_set.high_res_size,
                cropping="tiles" if photo_set.cropping == Cropping.TILES else "centre",
                name=name,
            )
        except PhotoRejected as error:
            rejected.append((name, str(error)))
            continue
        source = images.sha256_of(picture)
        new = 0
        for piece in pieces:
            label = Path(name).name if len(pieces) == 1 else f"{Path(name).name}, {piece.label}"
            new += (
                photo_create(photo_set=photo_set, name=label, high_res=piece.pixels, source_sha256=source) is not None
            )
        added += new
        if not new:
            duplicates.append(name)
    return UploadReport(added, tuple(duplicates), tuple(rejected))


def photo_create(*, photo_set: PhotoSet, name: str, high_res: NDArray[np.uint8], source_sha256: str) -> Photo | None:
    """Keep one picture and its low-resolution version; None if the set has it already.

    Args:
        photo_set: The set that it joins.
        name: For people.
        high_res: (S, S, 3) uint8 sRGB of the set's size.
        source_sha256: Digest of the photo it was cut from.
    """
    digest = images.sha256_of(high_res)
    if photo_set.photos.filter(sha256=digest).exists():
        return None
    low_res = methods.downsample(high_res[None], factor=photo_set.factor)[0]
    photo = Photo(photo_set=photo_set, name=name[:200], sha256=digest, source_sha256=source_sha256)
    photo.high_res.save(f"{digest[:16]}.png", ContentFile(images.encode_png(high_res)), save=False)
    photo.low_res.save(f"{digest[:16]}-low.png", ContentFile(images.encode_png(low_res)), save=False)
    try:
        with transaction.atomic():
            photo.save()
    except IntegrityError:  # another upload of the same photo was faster
        photo.high_res.delete(save=False)
        photo.low_res.delete(save=False)
        return None
    return photo
