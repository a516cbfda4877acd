"""Uploads as they came, of whatever they bring: packed as one file, claimed by one worker, stopped and run again."""

import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeVar

from django.db import models, transaction
from django.db.models import F
from django.utils import timezone

from studies.errors import UploadStateWrong
from studies.models import Upload, UploadState
from studies.models.files import file_delete_on_commit
from studies.models.upload import UNDER_WAY
from studies.selectors.uploads import can_run_again

AnyUpload = TypeVar("AnyUpload", bound=Upload)

WORK_S = 30 * 60
"""An upload that keeps workers busy for longer is given up: none that is meant well does."""


def is_zip(file: BinaryIO) -> bool:
    """Tell by its first letters whether a file is a zip."""
    file.seek(0)
    start = file.read(2)
    file.seek(0)
    return start == b"PK"


@contextmanager
def files_packed(files: Sequence[tuple[str, BinaryIO]]) -> Iterator[BinaryIO]:
    """Return one zip: the only file if it is one, else all of them in a new one, not looked into."""
    _, first = files[0]
    if len(files) == 1 and is_zip(first):
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


def upload_claim(model: type[AnyUpload], *, key: int) -> AnyUpload | None:
    """Begin an attempt to check an upload; None if there is nothing to check any more.

    Another attempt that may still be under way is void from now on, and finds that out when it next holds the upload.
    """
    with transaction.atomic():
        upload = _rows(model).select_for_update().filter(pk=key).first()
        if upload is None or not upload.is_under_way:
            return None
        upload.state, upload.attempt, upload.heard_at = UploadState.CHECKING, upload.attempt + 1, timezone.now()
        upload.save(update_fields=["state", "attempt", "heard_at"])
    return upload


def upload_hold(upload: Upload, **changes: Any) -> bool:
    """Write how far an attempt is; return whether the upload is still there and ours to go on with.

    In a transaction nobody else can claim or stop it before the end of that.
    """
    ours = _rows(type(upload)).filter(pk=upload.pk, attempt=upload.attempt, state=UploadState.CHECKING)
    return bool(ours.update(heard_at=timezone.now(), **changes))


def upload_end(upload: Upload, *, state: UploadState, reason: str = "", keeps_file: bool = False) -> bool:
    """End an attempt, unless another one has begun or the upload is gone; return whether it was ours."""
    with transaction.atomic():
        if not upload_hold(upload, state=state, reason=reason, ended_at=timezone.now()):
            return False
        if not keeps_file:
            file_delete_on_commit(upload.file)
            _rows(type(upload)).filter(pk=upload.pk).update(file="")
    return True


def upload_stop(*, upload: Upload) -> None:
    """Stop an upload; what it has brought stays, and it can be run again.

    Raises:
        UploadStateWrong: If no worker has it and none is to have it.
    """
    under_way = _rows(type(upload)).filter(pk=upload.pk, state__in=UNDER_WAY)
    if not under_way.update(state=UploadState.STOPPED, ended_at=timezone.now()):
        upload.refresh_from_db()
        raise UploadStateWrong(f"“{upload.name}” is {upload.get_state_display()}, so there is nothing to stop.")
    upload.refresh_from_db()


def upload_again(*, upload: Upload) -> None:
    """Let an upload wait for a worker again that was stopped, failed or lost its worker; the caller enqueues it.

    Raises:
        UploadStateWrong: If a worker has it, or its files are no longer kept.
    """
    with transaction.atomic():
        upload.refresh_from_db(from_queryset=_rows(type(upload)).select_for_update())
        if not can_run_again(upload):
            raise UploadStateWrong(
                f"“{upload.name}” is {upload.get_state_display()} and cannot be run again; upload its files once more."
            )
        _rows(type(upload)).filter(pk=upload.pk).update(
            state=UploadState.WAITING,
            reason="",
            ended_at=None,
            worked_s=0.0,
            heard_at=timezone.now(),
            attempt=F("attempt") + 1,
        )
    upload.refresh_from_db()


def _rows(model: type[AnyUpload]) -> models.Manager[AnyUpload]:
    """Return the uploads of one kind; the abstract model has no manager that tells their type."""
    return model._default_manager  # noqa: SLF001 -- the documented way to a model's rows
