"""Photos come in: named sets, uploads, crops."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from numpy.typing import NDArray

from studies import images, methods
from studies.decoding import Decoder
from studies.errors import ArchiveRejected, PhotoRejected, UploadRejected
from studies.models import Photo, PhotoSet, Researcher

Incoming = tuple[str, bytes] | UploadRejected
"""Name and bytes of a file, or why it was refused."""


class CutPhoto(NamedTuple):
    """A photo in squares.

    Attributes:
        name: Of its file.
        crops: Its squares.
        source_sha256: Digest of its pixels before it was cut.
    """

    name: str
    crops: list[images.Crop]
    source_sha256: str


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


def uploads_expand(files: Iterable[tuple[str, BinaryIO]]) -> Iterator[Incoming]:
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


def photos_add(*, photo_set: PhotoSet, files: Iterable[Incoming]) -> UploadReport:
    """Decode, crop and keep photos; those that can be used are kept whatever becomes of the others.

    Args:
        photo_set: The set that they join.
        files: (name, bytes) of each file, or a refusal that goes straight into the report.
    """
    added, duplicates, rejected = 0, [], []
    for file in files:
        cut = photo_cut(file, photo_set=photo_set)
        if isinstance(cut, UploadRejected):
            rejected.append((cut.name, str(cut)))
            continue
        new = pieces_keep(photo_set=photo_set, cut=cut)
        added += new
        if not new:
            duplicates.append(cut.name)
    return UploadReport(added, tuple(duplicates), tuple(rejected))


def photo_cut(file: Incoming, *, photo_set: PhotoSet, decoder: Decoder | None = None) -> CutPhoto | UploadRejected:
    """Decode and crop one file; nothing is kept yet.

    Args:
        file: Its name and bytes; a refusal is handed back.
        photo_set: The set whose size and cropping count.
        decoder: What opens a file that came from a browser; None decodes it in this process.

    Returns:
        What the photo gives, or why it cannot be used.
    """
    if isinstance(file, UploadRejected):
        return file
    name, data = file
    size, cropping = photo_set.high_res_size, cast(images.Cropping, photo_set.cropping)
    try:
        if decoder is not None:
            return CutPhoto(name, *decoder.pieces(data, name=name, high_res_size=size, cropping=cropping))
        picture = images.decode(data, name=name)
        crops = images.crops(picture, high_res_size=size, cropping=cropping, name=name)
    except PhotoRejected as error:
        return error
    return CutPhoto(name, crops, images.sha256_of(picture))


def pieces_keep(*, photo_set: PhotoSet, cut: CutPhoto) -> int:
    """Keep the squares of a photo; return how many the set did not have yet."""
    name, crops, source_sha256 = cut
    labels = [Path(name).name if len(crops) == 1 else f"{Path(name).name}, {crop.label}" for crop in crops]
    kept = [
        photo_create(photo_set=photo_set, name=label, high_res=crop.pixels, source_sha256=source_sha256)
        for label, crop in zip(labels, crops, strict=True)
    ]
    return sum(photo is not None for photo in kept)


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
