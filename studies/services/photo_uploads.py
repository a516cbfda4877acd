"""Photos come in from a browser: kept as they came until a worker has decoded them, file by file.

A worker takes a slice of an upload and hands it back to the queue, so that samples get their turn. Each file is done in
one transaction, its photos with its line of the report: whoever goes on after a worker that was stopped begins behind
the last such file, and nothing is lost or counted twice.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any, BinaryIO, cast

from django.core.files.base import File
from django.db import transaction

from studies import images
from studies.decoding import Decoder
from studies.errors import EvalsiteError, UploadRejected, UploadStateWrong
from studies.models import PhotoSet, PhotoUpload, UploadState
from studies.services.incoming import WORK_S, files_packed, is_zip, upload_claim, upload_end, upload_hold
from studies.services.photos import photo_cut, pieces_keep

logger = logging.getLogger(__name__)

SLICE_S = 30.0
"""A slice ends after so many seconds."""


def photo_uploads_begin(*, photo_set: PhotoSet, files: Sequence[tuple[str, BinaryIO]]) -> list[PhotoUpload]:
    """Keep files for a photo set as they came; the caller enqueues what is returned.

    Args:
        photo_set: The set that their photos join.
        files: (name, file) of each: photos, and zips of photos.

    Returns:
        An upload for each zip, and one for all the other files together.
    """
    zips = [[(name, file)] for name, file in files if is_zip(file)]
    others = [(name, file) for name, file in files if not is_zip(file)]
    uploads = []
    for group in [*zips, *([others] if others else [])]:
        name = group[0][0] if len(group) == 1 else f"{len(group)} files"
        upload = PhotoUpload(photo_set=photo_set, name=name[:200])
        with files_packed(group) as packed:
            upload.file.save("", File(packed), save=False)
        upload.save()
        uploads.append(upload)
    return uploads


def photo_upload_run(*, key: int) -> bool:
    """Check an upload for one slice; return whether it wants another one.

    Calling it again is harmless: an upload that is checked, stopped or gone is left alone.

    Args:
        key: Primary key of the upload.
    """
    upload = upload_claim(PhotoUpload, key=key)
    if upload is None:
        return False
    try:
        with Decoder() as decoder, upload.file.open("rb") as file:
            if _slice(upload, cast(BinaryIO, file), decoder):
                return True
    except _LostError:
        return False
    except EvalsiteError as error:
        upload_end(upload, state=UploadState.FAILED, reason=str(error))
    except Exception as error:  # whatever it is, the researcher must see it, not only the worker's log
        logger.exception("An upload could not be checked", extra={"upload": upload.pk})
        what = f"{type(error).__name__}: {error}"
        reason = f"“{upload.name}” could not be checked ({what}); run it again, or upload it anew."
        upload_end(upload, state=UploadState.FAILED, reason=reason, keeps_file=True)
    else:
        upload_end(upload, state=UploadState.CHECKED)
    return False


def photo_upload_discard(*, upload: PhotoUpload) -> None:
    """Let an upload go with its report, whatever its state; the photos that it brought stay."""
    upload.delete()


class _LostError(Exception):
    """The upload was stopped, is gone, or another worker has it."""


def _slice(upload: PhotoUpload, file: BinaryIO, decoder: Decoder) -> bool:
    """Check files until the slice or the upload is at its end; return whether some are left."""
    if upload.files_total is None:
        upload.files_total = images.archive_length(file, name=upload.name)
        _hold(upload, files_total=upload.files_total)
    begun = told = time.monotonic()
    for member in images.archive_members(file, name=upload.name, start=upload.files_checked):
        incoming = member if isinstance(member, UploadRejected) else (member.name, member.data)
        cut = photo_cut(incoming, photo_set=upload.photo_set, decoder=decoder)
        now = time.monotonic()
        upload.files_checked, upload.worked_s, told = upload.files_checked + 1, upload.worked_s + now - told, now
        with transaction.atomic():  # short: pictures are decoded before, while nobody waits
            _hold(upload, files_checked=upload.files_checked, worked_s=upload.worked_s)
            if isinstance(cut, UploadRejected):
                _note(upload, "rejected", str(cut))
            elif new := pieces_keep(photo_set=upload.photo_set, cut=cut):
                upload.added += new
                _hold(upload, added=upload.added)
            else:
                _note(upload, "duplicates", cut.name)
        if upload.worked_s > WORK_S:
            raise UploadStateWrong(
                f"“{upload.name}” kept the worker busy for {WORK_S // 60} minutes, more than it may; what was read "
                "until then is in the set: upload the rest in smaller parts."
            )
        if told - begun > SLICE_S:
            return True
    return False


def _hold(upload: PhotoUpload, **changes: Any) -> None:
    if not upload_hold(upload, **changes):
        raise _LostError


def _note(upload: PhotoUpload, kind: str, line: str) -> None:
    """Add a line to the report."""
    upload.findings = upload.findings | {kind: [*upload.findings.get(kind, []), line]}
    _hold(upload, findings=upload.findings)
