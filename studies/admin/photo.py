"""Single photos, to look at. What is shown is drawn from the stored picture: an upload itself is never served."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from studies.admin.ownership import ReadOnlyAdmin
from studies.models import Photo


@admin.register(Photo)
class PhotoAdmin(ReadOnlyAdmin):
    """Photos of the researcher's sets."""

    owner_path = "photo_set__owner"
    shared_path = "photo_set__studies__shared_with"
    list_display = ("thumbnail", "name", "photo_set", "created_at")
    list_display_links = ("name",)
    list_filter = (("photo_set", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("photo_set",)
    list_per_page = 60
    search_fields = ("name",)
    fields = ("name", "photo_set", "judged", "given", "sha256", "source_sha256", "created_at")
    readonly_fields = ("judged", "given")

    def get_urls(self) -> list[URLPattern]:
        """Add the pictures."""
        door = self.admin_site.admin_view(require_safe(self.picture_view))
        pictures = [
            path("<int:object_id>/high-res.png", door, {"size": "high_res"}, name="studies_photo_high_res"),
            path("<int:object_id>/low-res.png", door, {"size": "low_res"}, name="studies_photo_low_res"),
        ]
        return [*pictures, *super().get_urls()]

    def picture_view(self, request: HttpRequest, object_id: int, size: str) -> HttpResponse:
        """Serve a photo to its owner."""
        photo = self.get_object(request, str(object_id))
        with getattr(photo, size).open("rb") as file:
            response = HttpResponse(file.read(), content_type="image/png")
        response["Cache-Control"] = "private, max-age=3600"
        return response

    @admin.display(description="picture")
    def thumbnail(self, photo: Photo) -> SafeString:
        """Return the photo in small."""
        return _picture(photo, "high_res", "rp-thumb", "")

    @admin.display(description="judged picture")
    def judged(self, photo: Photo) -> SafeString:
        """Return the picture that raters judge, enlarged."""
        return _picture(photo, "high_res", "rp-picture", f"High-resolution picture of {photo.name}")

    @admin.display(description="input of the methods")
    def given(self, photo: Photo) -> SafeString:
        """Return the low-resolution picture that methods get, enlarged."""
        return _picture(photo, "low_res", "rp-picture", f"Low-resolution picture of {photo.name}")


def _picture(photo: Photo, size: str, css_class: str, alt: str) -> SafeString:
    address = reverse(f"admin:studies_photo_{size}", args=[photo.pk])
    return format_html('<img src="{}" class="{}" alt="{}" loading="lazy">', address, css_class, alt)
