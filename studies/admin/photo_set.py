"""Sets of photos: a contact sheet, and uploads with a report on every file."""

from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.contrib import admin, messages
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.db.models import Count, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe
from kombu.exceptions import OperationalError

from studies.admin.ownership import OwnedAdmin, researcher_of
from studies.forms import PhotoSetForm, UploadForm
from studies.images import DEFAULT_LIMITS
from studies.models import Photo, PhotoSet, PhotoUpload, UploadState
from studies.services.photo_uploads import photo_upload_discard, photo_uploads_begin
from studies.services.photos import photo_set_create
from studies.tasks import photo_uploads_enqueue

PHOTOS_PER_PAGE = 120
UPLOADS_SHOWN = 5
POLL_MS = 1_500
STRIP_LENGTH = 5


@admin.register(PhotoSet)
class PhotoSetAdmin(OwnedAdmin):
    """Photo sets of the researcher."""

    list_display = ("name", "strip", "n_photos", "sizes", "owner", "created_at")
    list_select_related = ("owner",)
    search_fields = ("name",)
    change_list_template = "admin/studies/photoset/list.html"
    shared_path = "studies__shared_with"

    def get_queryset(self, request: HttpRequest) -> QuerySet[PhotoSet]:
        """Count the photos of each set."""
        photo_sets: QuerySet[PhotoSet] = super().get_queryset(request)
        return photo_sets.annotate(photo_count=Count("photos", distinct=True))

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Name the owner only to those who see several owners' sets."""
        return tuple(name for name in self.list_display if name != "owner" or researcher_of(request).sees_all)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let an empty set be deleted; one with photos may be part of a study's record."""
        if isinstance(obj, PhotoSet) and obj.photos.exists():
            return False
        return super().has_delete_permission(request, obj)

    @admin.display(description="some of them")
    def strip(self, photo_set: PhotoSet) -> SafeString:
        """Return some of the set's photos."""
        shown = photo_set.photos.all()[:STRIP_LENGTH]
        pictures = format_html_join(
            "",
            '<img src="{}" class="rp-thumb" alt="" loading="lazy">',
            ((reverse("admin:studies_photo_high_res", args=[photo.pk]),) for photo in shown),
        )
        return format_html('<span class="rp-strip">{}</span>', pictures)

    @admin.display(description="photos", ordering="photo_count")
    def n_photos(self, photo_set: Any) -> int:
        """Return the number of photos."""
        return int(photo_set.photo_count)

    @admin.display(description="sizes, px")
    def sizes(self, photo_set: PhotoSet) -> str:
        """Return from which size to which the methods go."""
        return f"{photo_set.low_res_size} → {photo_set.high_res_size}"

    def get_urls(self) -> list[URLPattern]:
        """Add the uploads."""
        doors: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "upload": ("upload/", require_POST(self.upload_view)),
            "progress": ("progress.json", require_safe(self.progress_view)),
            "discard": ("upload/<int:upload>/discard/", require_POST(self.discard_view)),
        }
        addresses = [
            path(f"<int:object_id>/{tail}", self.admin_site.admin_view(view), name=f"studies_photoset_{name}")
            for name, (tail, view) in doors.items()
        ]
        return [*addresses, *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """Make an empty set, and go on to fill it."""
        self.add_require(request)
        form = PhotoSetForm(request.POST or None, owner=request.user)
        if request.method == "POST" and form.is_valid():
            photo_set = photo_set_create(owner=researcher_of(request), **form.cleaned_data)
            self.log_addition(request, photo_set, "Made the photo set.")
            return redirect("admin:studies_photoset_change", photo_set.pk)
        return self.page(request, "photoset/add", {"title": "New photo set", "form": form})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the set's contact sheet."""
        return self._page(request, self.get_object(request, object_id), UploadForm())

    def upload_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Take files in as they are; the worker looks into them."""
        photo_set = self.get_object(request, str(object_id))
        form = UploadForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._page(request, photo_set, form)
        photos_take_in(request, model_admin=self, photo_set=photo_set, files=form.cleaned_data["photos"])
        if (study := request.POST.get("study", "")).isdecimal():
            return redirect("admin:studies_study_photos", int(study))
        return redirect("admin:studies_photoset_change", photo_set.pk)

    def progress_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Answer how far the uploads of a set are."""
        uploads = uploads_shown(self.get_object(request, str(object_id)))
        payload = {
            "version": version(uploads),
            "next_ms": POLL_MS,
            "texts": {f"upload-{upload.pk}": progress_text(upload) for upload in uploads},
            "values": {f"upload-{upload.pk}": upload.files_checked for upload in uploads},
        }
        response = JsonResponse(payload)
        response["Cache-Control"] = "no-store"
        return response

    def discard_view(self, request: HttpRequest, object_id: int, upload: int) -> HttpResponse:
        """Let an upload go with its report; the photos that it brought stay."""
        photo_set = self.get_object(request, str(object_id))
        found = photo_set.uploads.filter(pk=upload).first()
        if found is None:
            raise Http404(f"There is no upload {upload} of this set.")
        photo_upload_discard(upload=found)
        return redirect("admin:studies_photoset_change", photo_set.pk)

    def _page(self, request: HttpRequest, photo_set: PhotoSet, upload: UploadForm) -> HttpResponse:
        shows = "low_res" if request.GET.get("show") == "low_res" else "high_res"
        page = Paginator(photo_set.photos.order_by("pk"), PHOTOS_PER_PAGE).get_page(request.GET.get("page"))
        context = {
            "title": photo_set.name,
            "photo_set": photo_set,
            "upload": upload,
            "limits": upload_limits(),
            **uploads_context(photo_set),
            "page": page,
            "shows": shows,
            "pictures": [_shown(photo, shows) for photo in page],
            "is_empty": not page.paginator.count,
            "studies": photo_set.studies.order_by("-created_at"),
            "banks_of": photo_set.bank_of.select_related("study").order_by("study"),
            "may_change": self.has_change_permission(request, photo_set),
            "can_delete": self.has_delete_permission(request, photo_set),
        }
        status = 422 if upload.is_bound and not upload.is_valid() else 200
        return self.page(request, "photoset/page", context, status=status)


def photos_take_in(
    request: HttpRequest, *, model_admin: OwnedAdmin, photo_set: PhotoSet, files: Sequence[UploadedFile]
) -> None:
    """Take files into a set as they are; the worker looks into them."""
    uploads = photo_uploads_begin(photo_set=photo_set, files=[(str(file.name), cast(BinaryIO, file)) for file in files])
    model_admin.log_change(request, photo_set, f"Uploaded {counted(len(files), 'file')} of photos.")
    try:
        photo_uploads_enqueue(uploads)
    except OperationalError:
        message = "The files are kept, but the worker's queue cannot be reached: a worker that starts takes them up."
        model_admin.message_user(request, message, messages.WARNING)


def uploads_context(photo_set: PhotoSet) -> dict[str, Any]:
    """Return what pages show of the newest uploads of a set."""
    uploads = uploads_shown(photo_set)
    return {
        "uploads": [(each, progress_text(each)) for each in uploads],
        "version": version(uploads),
        "poll_ms": POLL_MS if any(each.is_under_way for each in uploads) else 0,
    }


def upload_limits() -> dict[str, int]:
    """Return what an upload may have, in the units of the page."""
    return {
        "files": settings.DATA_UPLOAD_MAX_NUMBER_FILES,
        "file_mb": DEFAULT_LIMITS.file_bytes // 1_000_000,
        "megapixels": DEFAULT_LIMITS.pixels // 1_000_000,
        "archive_mb": DEFAULT_LIMITS.archive_bytes // 1_000_000,
        "archive_files": DEFAULT_LIMITS.archive_entries,
    }


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 file" or "2 files"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def uploads_shown(photo_set: PhotoSet) -> list[PhotoUpload]:
    """Return the newest uploads of a set whose report nobody has put away."""
    return list(photo_set.uploads.all()[:UPLOADS_SHOWN])


def version(uploads: Sequence[PhotoUpload]) -> str:
    """Return a word that changes when more of the uploads changes than their numbers."""
    return "-".join(f"{upload.pk}.{upload.state}" for upload in uploads) or "none"


def progress_text(upload: PhotoUpload) -> str:
    """Say how far a worker is with an upload."""
    if upload.files_total is None:
        return "Waiting for the worker." if upload.state == UploadState.WAITING else "Being opened."
    added = f"{counted(upload.added, 'picture')} added so far"
    return f"{upload.files_checked} of {counted(upload.files_total, 'file')} checked, {added}."


def _shown(photo: Photo, size: str) -> tuple[Photo, str]:
    """Return a photo with the address of its picture."""
    return photo, reverse(f"admin:studies_photo_{size}", args=[photo.pk])
