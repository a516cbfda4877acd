"""Pictures made elsewhere come in: kept as they came until the worker has checked them, taken over when asked for."""

import logging
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from django.core.files.base import ContentFile, File
from django.db import transaction

from studies import images, methods
from studies.errors import (
    ArchiveRejected,
    EvalsiteError,
    MethodUnavailable,
    PhotoRejected,
    PictureSizeWrong,
    StudyStateWrong,
    UploadStateWrong,
)
from studies.models import About, Condition, Photo, SampleUpload, Study, StudyState, UploadedPicture, UploadState
from studies.models.files import file_delete_on_commit
from studies.selectors.photos import file_stem, photo_stems, photos_judged, stem_key
from studies.services.events import event_record
from studies.services.photos import uploads_expand

logger = logging.getLogger(__name__)

CHECK_S = 30 * 60
"""A check that takes longer is given up: no upload that is meant well does."""

REPORT_EACH_S = 1.0
"""How often a check says how far it is."""

FINDINGS = ("extra", "wrong_size", "broken", "unclear")
"""Kinds of files that give no picture: no photo of that name, another size, unreadable, or which photo is not clear."""

Incoming = tuple[str, bytes] | ArchiveRejected | PhotoRejected


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
            with _packed(files) as packed:
                upload.file.save("upload.zip", File(packed), save=False)
        upload.save()
    return upload


def upload_check(*, key: int, files: Iterable[Incoming] | None = None) -> None:
    """Decode every file of an upload that belongs to a photo, and keep what came of each; nothing is taken over yet.

    Calling it again is harmless: an upload that is checked, or gone, is left alone.

    Args:
        key: Primary key of the upload.
        files: (name, bytes) of each file, or a refusal; those in the kept zip if None.
    """
    upload = _claim(key)
    if upload is None:
        return
    found, is_kept = _Sorted(), False
    try:
        if files is None:
            with upload.file.open("rb") as file:
                is_ours = _sort(upload, uploads_expand([(upload.name, cast(BinaryIO, file))]), found)
        else:
            is_ours = _sort(upload, files, found)
        if is_ours:
            is_kept = _keep(upload, found, state=UploadState.CHECKED)
    except EvalsiteError as error:
        _fail(upload, found, str(error))
    except Exception as error:  # whatever it is, the researcher must see it, not only the worker's log
        logger.exception("An upload could not be checked", extra={"upload": upload.pk})
        _fail(
            upload, found, f"“{upload.name}” could not be checked ({type(error).__name__}: {error}); upload it again."
        )
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


@contextmanager
def _packed(files: Sequence[tuple[str, BinaryIO]]) -> Iterator[BinaryIO]:
    """Return one zip: the only file if it is one, else all of them in a new one, not looked into."""
    _, first = files[0]
    start = first.read(2)
    first.seek(0)
    if len(files) == 1 and start == b"PK":
        yield first
        return
    with tempfile.TemporaryFile() as packed:
        names: set[str] = set()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for i, (name, file) in enumerate(files):
                inside = f"{i}/{name}" if name in names else name
                names.add(name)
                with archive.open(inside, "w") as entry:
                    entry.write(file.read())
        packed.seek(0)
        yield packed


def _claim(key: int) -> SampleUpload | None:
    """Begin an attempt; None if there is nothing to check any more."""
    with transaction.atomic():
        upload = SampleUpload.objects.select_for_update().filter(pk=key).first()
        if upload is None or upload.state in (UploadState.CHECKED, UploadState.FAILED):
            return None
        upload.state, upload.attempt, upload.files_checked = UploadState.CHECKING, upload.attempt + 1, 0
        upload.save(update_fields=["state", "attempt", "files_checked"])
    return upload


def _sort(upload: SampleUpload, files: Iterable[Incoming], found: _Sorted) -> bool:
    """Sort files into pictures and findings; return whether the upload is still there and ours."""
    study = upload.condition.study
    photos = list(photos_judged(study).order_by("pk"))
    stems = photo_stems(photos)
    of_stem = {stem_key(stems[photo.pk]): photo for photo in photos}
    several = {stem_key(file_stem(photo.name)) for photo in photos} - of_stem.keys()
    begun = told = time.monotonic()
    for count, file in enumerate(files, start=1):
        _sort_one(upload, file, found, of_stem=of_stem, several=several, size=study.photo_set.high_res_size)
        now = time.monotonic()
        if now - begun > CHECK_S:
            raise UploadStateWrong(
                f"“{upload.name}” was not checked within {CHECK_S // 60} minutes, {count} files in; "
                "upload it in smaller parts."
            )
        if now - told > REPORT_EACH_S:
            told = now
            ours = SampleUpload.objects.filter(pk=upload.pk, attempt=upload.attempt)
            if not ours.update(files_checked=count):
                return False
    return True


def _sort_one(
    upload: SampleUpload,
    file: Incoming,
    found: _Sorted,
    *,
    of_stem: dict[str, Photo],
    several: set[str],
    size: int,
) -> None:
    """Put one file where it belongs; only one that a photo waits for is decoded."""
    if isinstance(file, ArchiveRejected | PhotoRejected):
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
        pixels = images.decode(data, name=name, size=size)
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


def _keep(upload: SampleUpload, found: _Sorted, *, state: UploadState, reason: str = "") -> bool:
    """End an attempt, unless another one has begun or the upload is gone; return whether its pictures are kept."""
    with transaction.atomic():
        row = SampleUpload.objects.select_for_update().filter(pk=upload.pk, attempt=upload.attempt).first()
        if row is None:
            return False
        if state == UploadState.CHECKED:
            UploadedPicture.objects.bulk_create(found.pictures.values(), batch_size=500)
            row.files_checked = len(found.pictures) + sum(map(len, found.findings.values()))
        file_delete_on_commit(row.file)
        row.file, row.state, row.findings, row.reason = "", state, found.findings, reason
        row.save()
    return state == UploadState.CHECKED


def _fail(upload: SampleUpload, found: _Sorted, reason: str) -> None:
    _keep(upload, found, state=UploadState.FAILED, reason=reason)


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
