"""Sets of photos: a contact sheet, and uploads with a report on every file."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from studies.admin.ownership import OwnedAdmin, researcher_of
from studies.forms import PhotoSetForm, UploadForm
from studies.images import DEFAULT_LIMITS
from studies.models import Photo, PhotoSet
from studies.services import photos

PHOTOS_PER_PAGE = 120
STRIP_LENGTH = 5


@admin.register(PhotoSet)
class PhotoSetAdmin(OwnedAdmin):
    """Photo sets of the researcher."""

    list_display = ("name", "strip", "n_photos", "sizes", "owner", "created_at")
    list_select_related = ("owner",)
    search_fields = ("name",)
    change_list_template = "admin/studies/photoset/list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[PhotoSet]:
        """Count the photos of each set."""
        photo_sets: QuerySet[PhotoSet] = super().get_queryset(request)
        return photo_sets.annotate(photo_count=Count("photos", distinct=True))

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Name the owner only to those who see several owners' sets."""
        return tuple(name for name in self.list_display if name != "owner" or request.user.is_superuser)

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
        """Add the upload."""
        door = self.admin_site.admin_view(require_POST(self.upload_view))
        return [path("<int:object_id>/upload/", door, name="studies_photoset_upload"), *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """Make an empty set, and go on to fill it."""
        form = PhotoSetForm(request.POST or None, owner=request.user)
        if request.method == "POST" and form.is_valid():
            photo_set = photos.photo_set_create(owner=researcher_of(request), **form.cleaned_data)
            self.log_addition(request, photo_set, "Made the photo set.")
            return redirect("admin:studies_photoset_change", photo_set.pk)
        return self.page(request, "photoset/add", {"title": "New photo set", "form": form})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the set's contact sheet."""
        return self._page(request, self.get_object(request, object_id), UploadForm())

    def upload_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Take photos in, and report on each that was not."""
        photo_set = self.get_object(request, str(object_id))
        form = UploadForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._page(request, photo_set, form)
        files = form.cleaned_data["photos"]
        report = photos.photos_add(
            photo_set=photo_set, files=photos.uploads_expand((file.name, file) for file in files)
        )
        added = counted(report.added, "picture")
        refused = f"; {counted(len(report.rejected), 'file')} refused" if report.rejected else ""
        self.log_change(request, photo_set, f"Uploaded {added}{refused}.")
        request.session[_report_key(photo_set)] = {
            "added": report.added,
            "duplicates": report.duplicates,
            "rejected": [sentence for _, sentence in report.rejected],
        }
        level = messages.SUCCESS if report.added and not report.rejected else messages.WARNING
        self.message_user(request, f"{added} added{refused}.", level)
        return redirect("admin:studies_photoset_change", photo_set.pk)

    def _page(self, request: HttpRequest, photo_set: PhotoSet, upload: UploadForm) -> HttpResponse:
        shows = "low_res" if request.GET.get("show") == "low_res" else "high_res"
        page = Paginator(photo_set.photos.order_by("pk"), PHOTOS_PER_PAGE).get_page(request.GET.get("page"))
        context = {
            "title": photo_set.name,
            "photo_set": photo_set,
            "upload": upload,
            "limits": {
                "files": settings.DATA_UPLOAD_MAX_NUMBER_FILES,
                "file_mb": DEFAULT_LIMITS.file_bytes // 1_000_000,
                "megapixels": DEFAULT_LIMITS.pixels // 1_000_000,
                "archive_mb": DEFAULT_LIMITS.archive_bytes // 1_000_000,
            },
            "report": request.session.pop(_report_key(photo_set), None),
            "page": page,
            "shows": shows,
            "pictures": [_shown(photo, shows) for photo in page],
            "studies": photo_set.studies.order_by("-created_at"),
            "banks_of": photo_set.bank_of.select_related("study").order_by("study"),
            "can_delete": self.has_delete_permission(request, photo_set),
        }
        status = 422 if upload.is_bound and not upload.is_valid() else 200
        return self.page(request, "photoset/page", context, status=status)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 file" or "2 files"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _report_key(photo_set: PhotoSet) -> str:
    return f"upload_report_{photo_set.pk}"


def _shown(photo: Photo, size: str) -> tuple[Photo, str]:
    """Return a photo with the address of its picture."""
    return photo, reverse(f"admin:studies_photo_{size}", args=[photo.pk])
