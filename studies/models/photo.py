"""Photos taken by a camera, in named sets."""

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.lookups import Exact
from django.db.models.signals import post_delete
from django.dispatch import receiver

from studies.models.files import file_delete_on_commit


class Cropping(models.TextChoices):
    """How an uploaded photo becomes square pictures of the set's size."""

    CENTRE = "centre", "the centred square of each photo"
    TILES = "tiles", "natural crops: short side twice the size, cut into squares that do not overlap"


class PhotoSet(models.Model):
    """Photos of one size, to be judged in studies or to serve as a nearest-neighbour bank."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="photo_sets")
    name = models.CharField(max_length=80, help_text="For example: Interiors, test side.")
    high_res_size = models.PositiveSmallIntegerField(
        default=32,
        validators=[MinValueValidator(16), MaxValueValidator(1024)],
        help_text="Side in pixels of the pictures that are judged. The founding study used 32.",
    )
    low_res_size = models.PositiveSmallIntegerField(
        default=8,
        validators=[MinValueValidator(2), MaxValueValidator(512)],
        help_text="Side in pixels of the inputs of the methods. The founding study used 8.",
    )
    cropping = models.CharField(max_length=8, choices=Cropping, default=Cropping.CENTRE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Rules and order."""

        ordering = ("-created_at", "-pk")
        constraints = (
            models.UniqueConstraint(fields=["owner", "name"], name="photoset_name_unique"),
            models.CheckConstraint(
                condition=Q(low_res_size__gt=0) & Q(low_res_size__lt=F("high_res_size")),
                name="photoset_low_below_high",
                violation_error_message="The low resolution must be smaller than the high resolution.",
            ),
            models.CheckConstraint(
                condition=Exact(F("high_res_size") % F("low_res_size"), 0),
                name="photoset_low_divides_high",
                violation_error_message="The high resolution must be a whole multiple of the low resolution.",
            ),
        )

    def __str__(self) -> str:
        """Return the name with its sizes."""
        return f"{self.name} ({self.low_res_size} → {self.high_res_size} px)"

    @property
    def factor(self) -> int:
        """Return how many high-resolution pixels make one low-resolution pixel along each axis."""
        return self.high_res_size // self.low_res_size


class Photo(models.Model):
    """One square picture, cut from a photo taken by a camera, with its low-resolution version.

    `sha256` is that of the picture's pixels, `source_sha256` that of the photo's pixels, before cropping: pictures
    with the same source show parts of one scene. The files go with the row.
    """

    photo_set = models.ForeignKey(PhotoSet, models.CASCADE, related_name="photos")
    name = models.CharField(max_length=200)
    sha256 = models.CharField("SHA-256", max_length=64)
    source_sha256 = models.CharField("SHA-256 of the source", max_length=64, db_index=True)
    high_res = models.FileField(upload_to="photos/%Y/%m", max_length=200)
    low_res = models.FileField(upload_to="photos/%Y/%m", max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Rules and order."""

        ordering = ("photo_set", "pk")
        constraints = (models.UniqueConstraint(fields=["photo_set", "sha256"], name="photo_unique_in_set"),)

    def __str__(self) -> str:
        """Return the name."""
        return self.name


@receiver(post_delete, sender=Photo)
def _delete_pictures(instance: Photo, **_kwargs: Any) -> None:
    file_delete_on_commit(instance.high_res)
    file_delete_on_commit(instance.low_res)
