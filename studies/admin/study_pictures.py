"""Pictures made elsewhere for one condition: upload, report, taking over, and what is there."""

import tempfile
import zipfile
from typing import NamedTuple

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from kombu.exceptions import OperationalError

from studies.admin.ownership import OwnedAdmin
from studies.admin.photo_set import counted
from studies.errors import QueueUnreachable
from studies.forms import PicturesForm
from studies.images import DEFAULT_LIMITS
from studies.methods import METHODS
from studies.models import Condition, SampleUpload, Study, StudyState, UploadState
from studies.selectors.photos import photo_stems, photos_judged
from studies.selectors.uploads import missing_stems, replaced_count
from studies.services import uploads
from studies.tasks import upload_check

SHOWN = 60
"""So many pictures, and so many names of a kind, are shown."""

POLL_MS = 1_500


class Finding(NamedTuple):
    """A kind of files in the report."""

    heading: str
    cure: str
    sentences: list[str]


HEADINGS = {
    "wrong_size": ("Of another size", "Nothing is enlarged or cut here: make them in the size of the photos."),
    "broken": ("Not readable", "Write them once more, as PNG if you can."),
    "unclear": ("Of which photo is not clear", "One file for each photo, named as the photo."),
    "extra": (
        "Of no photo of this study",
        "They are left out. If one should belong to a photo, give it the photo's name.",
    ),
}


def pictures_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study, condition_slug: str) -> HttpResponse:
    """Show what is there and what came; take an upload in by POST."""
    condition = condition_find(study, condition_slug)
    is_upload = request.method == "POST"
    form = PicturesForm(request.POST if is_upload else None, request.FILES if is_upload else None)
    if is_upload and form.is_valid():
        files = form.cleaned_data["pictures"]
        name = str(files[0].name) if len(files) == 1 else counted(len(files), "file")
        begun = uploads.upload_begin(condition=condition, name=name, files=[(str(f.name), f) for f in files])
        try:
            upload_check.delay_on_commit(begun.pk)
        except OperationalError as error:
            raise QueueUnreachable(
                f"“{name}” is kept, but the worker's queue cannot be reached: have it started, which checks it then."
            ) from error
        return redirect(address(condition))
    upload = SampleUpload.objects.filter(condition=condition).first()
    kept = condition.uploaded_pictures.filter(upload=None).select_related("photo").order_by("photo")
    missing = missing_stems(condition)
    context = {
        "study": study,
        "title": f"Pictures of {condition.label}",
        "condition": condition,
        "can_edit": study.state == StudyState.DRAFT and model_admin.owns(request, study),
        "form": form,
        "limits": {
            "files": settings.DATA_UPLOAD_MAX_NUMBER_FILES,
            "file_mb": DEFAULT_LIMITS.file_bytes // 1_000_000,
            "archive_mb": DEFAULT_LIMITS.archive_bytes // 1_000_000,
            "archive_files": DEFAULT_LIMITS.archive_entries,
        },
        "size": study.photo_set.high_res_size,
        "photo_count": photos_judged(study).count(),
        "kept": kept[:SHOWN],
        "kept_count": kept.count(),
        "missing": missing[:SHOWN],
        "missing_count": len(missing),
        "example": next(iter(photo_stems(photos_judged(study).order_by("pk")[:2]).values()), "name"),
        "upload": upload,
        "version": version(upload),
        "poll_ms": POLL_MS if upload is not None and upload.state in (UploadState.WAITING, UploadState.CHECKING) else 0,
        **(report_of(condition, upload) if upload is not None and upload.state == UploadState.CHECKED else {}),
    }
    status = 422 if form.is_bound and not form.is_valid() else 200
    return model_admin.page(request, "study/pictures", context, status=status)


def report_of(condition: Condition, upload: SampleUpload) -> dict[str, object]:
    """Return what an upload holds, and what would still be missing after it, as the page shows it."""
    still = missing_stems(condition, upload=upload)
    return {
        "matched": upload.pictures.count(),
        "replaced": replaced_count(upload),
        "still_missing": still[:SHOWN],
        "still_missing_count": len(still),
        "findings": [
            Finding(heading, cure, upload.findings[kind])
            for kind, (heading, cure) in HEADINGS.items()
            if upload.findings[kind]
        ],
    }


def take_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study, condition_slug: str) -> HttpResponse:
    """Take the checked pictures over."""
    condition = condition_find(study, condition_slug)
    taken = uploads.upload_take(condition=condition)
    model_admin.message_user(request, taken.sentence(condition))
    return redirect(address(condition))


def discard_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study, condition_slug: str) -> HttpResponse:
    """Let an upload go."""
    condition = condition_find(study, condition_slug)
    uploads.upload_discard(condition=condition)
    model_admin.message_user(request, "The upload is gone; the pictures taken over before are as they were.")
    return redirect(address(condition))


def progress_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study, condition_slug: str) -> HttpResponse:
    """Answer how many files of an upload are checked."""
    upload = SampleUpload.objects.filter(condition=condition_find(study, condition_slug)).first()
    count = 0 if upload is None else upload.files_checked
    payload = {
        "version": version(upload),
        "next_ms": POLL_MS,
        "texts": {"checked": str(count)},
        "values": {"checked": count},
    }
    response = JsonResponse(payload)
    response["Cache-Control"] = "no-store"
    return response


def picture_view(
    request: HttpRequest, *, model_admin: OwnedAdmin, study: Study, condition_slug: str, picture: int
) -> HttpResponse:
    """Send one picture as it was packed anew here; the file that came is never served."""
    found = condition_find(study, condition_slug).uploaded_pictures.filter(pk=picture).first()
    if found is None:
        raise Http404(f"There is no picture {picture} of this condition.")
    with found.picture.open("rb") as file:
        response = HttpResponse(file.read(), content_type="image/png")
    response["Cache-Control"] = "private, max-age=3600"
    return response


def inputs_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study, condition_slug: str) -> FileResponse:
    """Send the low-resolution inputs of the study's photos as a zip, under the names that uploads are matched by."""
    condition_find(study, condition_slug)
    photos = photos_judged(study).order_by("pk")
    stems = photo_stems(photos)
    packed = tempfile.TemporaryFile()  # noqa: SIM115 -- the response closes it
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for photo in photos:
            with photo.low_res.open("rb") as file:
                archive.writestr(f"{stems[photo.pk]}.png", file.read())
    packed.seek(0)
    return FileResponse(packed, as_attachment=True, filename=f"{study.slug}-inputs.zip", content_type="application/zip")


def condition_find(study: Study, slug: str) -> Condition:
    """Return a condition of the study whose pictures are uploaded."""
    condition = study.conditions.filter(slug=slug).first()
    if condition is None or METHODS[condition.method].needs != "files":
        raise Http404(f"The study has no condition {slug} of uploaded pictures.")
    return condition


def address(condition: Condition) -> str:
    """Return where a condition's pictures are."""
    return reverse("admin:studies_study_pictures", args=[condition.study_id, condition.slug])


def version(upload: SampleUpload | None) -> str:
    """Return a word that changes when more than the number of files does."""
    return "none" if upload is None else f"{upload.pk}-{upload.state}"
