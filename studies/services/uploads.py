"""Pictures made elsewhere come in: kept as they came until the worker has checked them, taken over when asked for."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np
from django.core.files.base import ContentFile, File
from django.db import transaction
from numpy.typing import NDArray

from studies import images, methods
from studies.decoding import Decoder
from studies.errors import (
    EvalsiteError,
    MethodUnavailable,
    PhotoRejected,
    PictureSizeWrong,
    StudyStateWrong,
    UploadRejected,
    UploadStateWrong,
)
from studies.models import About, Condition, Photo, SampleUpload, Study, StudyState, UploadedPicture, UploadState
from studies.selectors.photos import file_stem, photo_stems, photos_judged, stem_key
from studies.services.events import event_record
from studies.services.incoming import WORK_S, files_packed, upload_claim, upload_end, upload_hold
from studies.services.photos import Incoming, uploads_expand

logger = logging.getLogger(__name__)

REPORT_EACH_S = 1.0
"""How often a check says how far it is."""

FINDINGS = ("extra", "wrong_size", "broken", "unclear")
"""Kinds of files that give no picture: no photo of that name, another size, unreadable, or which photo is not clear."""


class Taken(NamedTuple):
    """What became of the pictures of a condition.

    Attributes:
        pictures: How many were taken over.
        replaced: How many of them took the place of earlier ones.
    """

    pictures: int
    replaced: int

    def sentence(self, condition: Condition) -> str:
        """Say it."""
        pictures = "1 picture" if self.pictures == 1 else f"{self.pictures} pictures"
        return f"Took over {pictures} of “{condition.label}”, {self.replaced} of them replaced."


@dataclass
class _Sorted:
    """Files of an upload, sorted.

    Attributes:
        pictures: Rows not yet kept, whose files are written, by key of the photo.
        findings: Kind of `FINDINGS` -> a sentence for each file.
    """

    pictures: dict[int, UploadedPicture] = field(default_factory=dict)
    findings: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in FINDINGS})


def upload_begin(*, condition: Condition, name: str, files: Sequence[tuple[str, BinaryIO]] = ()) -> SampleUpload:
    """Keep files for a condition as they came, for `upload_check`; an upload that was not taken over yet goes.

    Args:
        condition: A condition of a draft, whose pictures are uploaded.
        name: Of the file or the folder, for people.
        files: One zip, or pictures; none if the check is handed the files itself.

    Raises:
        StudyStateWrong: If the study is no draft.
        MethodUnavailable: If the condition's pictures are not uploaded.
    """
    with _draft(condition):
        SampleUpload.objects.filter(condition=condition).delete()
        upload = SampleUpload(condition=condition, name=name[:200])
        if files:
            with files_packed(files) as packed:
                upload.file.save("", File(packed), save=False)
        upload.save()
    return upload


def upload_check(*, key: int, files: Iterable[Incoming] | None = None) -> None:
    """Decode every file of an upload that belongs to a photo, and keep what came of each; nothing is taken over yet.

    Calling it again is harmless: an upload that is checked, or gone, is left alone.

    Args:
        key: Primary key of the upload.
        files: (name, bytes) of each file, or a refusal; those in the kept zip if None.
    """
    upload = upload_claim(SampleUpload, key=key)
    if upload is None:
        return
    found, is_kept = _Sorted(), False
    try:
        if files is not None:
            is_ours = _sort(upload, files, found, open_picture=images.decode)
        else:
            with Decoder() as decoder, upload.file.open("rb") as file:
                packed = cast(BinaryIO, file)
                upload_hold(upload, files_checked=0, files_total=images.archive_length(packed, name=upload.name))
                is_ours = _sort(upload, uploads_expand([(upload.name, packed)]), found, open_picture=decoder.picture)
        is_kept = is_ours and _keep(upload, found)
    except EvalsiteError as error:
        upload_end(upload, state=UploadState.FAILED, reason=str(error))
    except Exception as error:  # whatever it is, the researcher must see it, not only the worker's log
        logger.exception("An upload could not be checked", extra={"upload": upload.pk})
        what = f"{type(error).__name__}: {error}"
        reason = f"“{upload.name}” could not be checked ({what}); run it again, or upload it anew."
        upload_end(upload, state=UploadState.FAILED, reason=reason, keeps_file=True)
    finally:
        if not is_kept:
            for picture in found.pictures.values():
                picture.picture.delete(save=False)


def upload_take(*, condition: Condition) -> Taken:
    """Take the pictures of a checked upload over, all of them at once; earlier ones of the same photos go.

    Raises:
        StudyStateWrong: If the study is no draft.
        UploadStateWrong: If there is no upload that is checked and gave a picture.
    """
    with _draft(condition):
        upload = SampleUpload.objects.select_for_update().filter(condition=condition).first()
        if upload is None or upload.state != UploadState.CHECKED:
            state = "there is none" if upload is None else f"it is {upload.get_state_display()}"
            raise UploadStateWrong(f"No upload of “{condition.label}” can be taken over, since {state}; upload first.")
        photos = list(upload.pictures.values_list("photo_id", flat=True))
        if not photos:
            raise UploadStateWrong(
                f"“{upload.name}” has no picture of a photo of the study; name files as the photos and upload again."
            )
        replaced = condition.uploaded_pictures.filter(upload=None, photo__in=photos)
        n_replaced = replaced.count()
        replaced.delete()
        upload.pictures.update(upload=None)
        upload.delete()
        taken = Taken(len(photos), n_replaced)
        event_record(study=condition.study, about=About.PICTURES, sentence=taken.sentence(condition))
    return taken


def upload_discard(*, condition: Condition) -> None:
    """Let an upload go, whatever its state; what was taken over before stays."""
    SampleUpload.objects.filter(condition=condition).delete()


@contextmanager
def _draft(condition: Condition) -> Iterator[None]:
    """Hold the study of a condition fast while its pictures change."""
    if methods.method_get(condition.method).needs != "files":
        raise MethodUnavailable(
            f"“{condition.label}” is made by {methods.method_get(condition.method).label}; pictures can be uploaded "
            "for conditions of the method Uploaded pictures."
        )
    with transaction.atomic():
        study = Study.objects.select_for_update().get(pk=condition.study_id)
        if study.state != StudyState.DRAFT:
            raise StudyStateWrong(
                f"“{study.title}” is {study.state}; its pictures can change only while it is a draft."
            )
        yield


def _sort(
    upload: SampleUpload, files: Iterable[Incoming], found: _Sorted, *, open_picture: Callable[..., NDArray[np.uint8]]
) -> bool:
    """Sort files into pictures and findings; return whether the upload is still there and ours."""
    study = upload.condition.study
    photos = list(photos_judged(study).order_by("pk"))
    stems = photo_stems(photos)
    of_stem = {stem_key(stems[photo.pk]): photo for photo in photos}
    several = {stem_key(file_stem(photo.name)) for photo in photos} - of_stem.keys()
    begun = told = time.monotonic()
    for count, file in enumerate(files, start=1):
        _sort_one(
            upload,
            file,
            found,
            of_stem=of_stem,
            several=several,
            open_picture=partial(open_picture, size=study.photo_set.high_res_size),
        )
        now = time.monotonic()
        if now - begun > WORK_S:
            raise UploadStateWrong(
                f"“{upload.name}” was not checked within {WORK_S // 60} minutes, {count} files in; "
                "upload it in smaller parts."
            )
        if now - told > REPORT_EACH_S:
            told = now
            if not upload_hold(upload, files_checked=count, worked_s=now - begun):
                return False
    return True


def _sort_one(
    upload: SampleUpload,
    file: Incoming,
    found: _Sorted,
    *,
    of_stem: dict[str, Photo],
    several: set[str],
    open_picture: Callable[..., NDArray[np.uint8]],
) -> None:
    """Put one file where it belongs; only one that a photo waits for is decoded."""
    if isinstance(file, UploadRejected):
        found.findings["broken"].append(str(file))
        return
    name, data = file
    stem = stem_key(file_stem(name))
    photo = of_stem.get(stem)
    if photo is None:
        if stem in several:
            found.findings["unclear"].append(
                f"“{name}” could be of several photos of that name; name it as the list of names says."
            )
        else:
            found.findings["extra"].append(
                f"“{name}” has the name of no photo of the study; rename it or leave it out."
            )
        return
    if photo.pk in found.pictures:
        found.findings["unclear"].append(
            f"“{name}” is a second picture of the photo “{photo}”, after “{found.pictures[photo.pk].name}”; keep one."
        )
        return
    try:
        pixels = open_picture(data, name=name)
    except PictureSizeWrong as error:
        found.findings["wrong_size"].append(str(error))
        return
    except PhotoRejected as error:
        found.findings["broken"].append(str(error))
        return
    picture = UploadedPicture(
        condition=upload.condition, upload=upload, photo=photo, name=name[-200:], sha256=images.sha256_of(pixels)
    )
    picture.picture.save(f"{picture.sha256[:16]}.png", ContentFile(images.encode_png(pixels)), save=False)
    found.pictures[photo.pk] = picture


def _keep(upload: SampleUpload, found: _Sorted) -> bool:
    """End an attempt with what was found, unless another one has begun; return whether its pictures are kept."""
    with transaction.atomic():
        checked = len(found.pictures) + sum(map(len, found.findings.values()))
        if not upload_hold(upload, findings=found.findings, files_checked=checked):
            return False
        UploadedPicture.objects.bulk_create(found.pictures.values(), batch_size=500)
        return upload_end(upload, state=UploadState.CHECKED)


def folder_files(path: Path) -> Iterator[Incoming]:
    """Read the pictures of a folder, or of a zip, one at a time; hidden files are passed over.

    Raises:
        UploadStateWrong: If there is nothing at the path.
    """
    if not path.exists():
        raise UploadStateWrong(f"{path} does not exist; give a folder or a zip.")
    paths = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in paths:
        if not file.name.startswith("."):
            with file.open("rb") as opened:
                name = str(file.relative_to(path)) if path.is_dir() else file.name
                yield from uploads_expand([(name, opened)])
