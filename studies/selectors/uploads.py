"""Uploads, and pictures made elsewhere: which photos have one, and what they are together."""

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from studies import images
from studies.errors import PictureMissing
from studies.methods import Pictures
from studies.models import Condition, Photo, SampleUpload, Upload, UploadState
from studies.selectors.photos import photo_stems, photos_judged
from studies.selectors.pictures import pictures_read

SILENT_S = 300
"""A worker that was not heard of for so many seconds, over an upload that it has or waits for, is taken for dead."""


def is_silent(upload: Upload) -> bool:
    """Return whether an upload that is under way has not been heard of for `SILENT_S` seconds."""
    heard = upload.heard_at or upload.created_at
    return upload.is_under_way and timezone.now() - heard > timedelta(seconds=SILENT_S)


def can_run_again(upload: Upload) -> bool:
    """Return whether an upload rests, or has lost its worker, and its files are still kept."""
    rests = upload.state in (UploadState.STOPPED, UploadState.FAILED)
    return bool(upload.file) and (rests or is_silent(upload))


def missing_stems(condition: Condition, *, upload: SampleUpload | None = None) -> list[str]:
    """Return the names of the study's photos that lack a picture of a condition, in their order.

    Args:
        condition: A condition whose pictures are uploaded.
        upload: Pictures to be counted as if they were taken over.
    """
    photos = photos_judged(condition.study).order_by("pk")
    there = set(condition.uploaded_pictures.filter(upload=None).values_list("photo_id", flat=True))
    if upload is not None:
        there.update(upload.pictures.values_list("photo_id", flat=True))
    return [stem for pk, stem in photo_stems(photos).items() if pk not in there]


def replaced_count(upload: SampleUpload) -> int:
    """Return how many pictures that were taken over before an upload would replace."""
    coming = upload.pictures.values("photo")
    return upload.condition.uploaded_pictures.filter(upload=None, photo__in=coming).count()


def pictures_digest(condition: Condition) -> str:
    """Return the SHA-256 of all pictures of a condition with the photos they belong to, whatever their files' names."""
    pairs = condition.uploaded_pictures.filter(upload=None, photo__in=photos_judged(condition.study))
    lines = (
        f"{photo} {picture}\n"
        for photo, picture in pairs.order_by("photo__sha256").values_list("photo__sha256", "sha256")
    )
    return images.sha256_of("".join(lines).encode())


def uploaded_get(condition: Condition, *, photos: Sequence[Photo]) -> Pictures:
    """Read a condition's pictures of some photos: (n, H, W, 3) uint8 sRGB, in the order of the photos.

    Raises:
        PictureMissing: If one is missing.
    """
    kept = condition.uploaded_pictures.filter(upload=None, photo__in=photos)
    files = {picture.photo_id: picture.picture for picture in kept}
    for photo in photos:
        if photo.pk not in files:
            raise PictureMissing(
                f"“{condition.label}” has no picture of “{photo}”; take the study back to draft and upload one."
            )
    return pictures_read(files[photo.pk] for photo in photos)
