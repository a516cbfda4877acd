"""Pictures that a method made elsewhere, brought in for the photos of a study."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.signals import post_delete
from django.dispatch import receiver

from studies.models.files import file_delete_on_commit, incoming_name, incoming_storage
from studies.models.photo import Photo
from studies.models.study import Condition


class UploadState(models.TextChoices):
    """How far an upload is."""

    WAITING = "waiting", "waiting for the worker"
    CHECKING = "checking", "being checked"
    CHECKED = "checked", "checked"
    FAILED = "failed", "failed"
    STOPPED = "stopped", "stopped"


UNDER_WAY = (UploadState.WAITING, UploadState.CHECKING)
"""States in which an upload wants, or has, a worker."""


class Upload(models.Model):
    """Files that came from a browser, packed as one zip, and how far a worker has come with them.

    The file goes once it is checked, or with the row. `attempt` counts who began to check it: what an earlier one finds
    out is void.
    """

    file = models.FileField(upload_to=incoming_name, storage=incoming_storage, max_length=200, blank=True)
    name = models.CharField(max_length=200, help_text="Of the file or the folder as it came.")
    state = models.CharField(max_length=8, choices=UploadState, default=UploadState.WAITING)
    attempt = models.PositiveIntegerField(default=0)
    files_checked = models.PositiveIntegerField(default=0)
    files_total = models.PositiveIntegerField(null=True, help_text="Files in it, once it was opened.")
    worked_s = models.FloatField(default=0.0, help_text="For how long workers were busy with it.")
    findings = models.JSONField(default=dict, blank=True, help_text="Kind -> what was found, a sentence each.")
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    heard_at = models.DateTimeField(null=True, help_text="When it last came to a queue or was in a worker's hands.")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        """Rules."""

        abstract = True
        constraints = (
            models.CheckConstraint(condition=Q(state__in=UploadState.values), name="%(class)s_state_known"),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(reason=""), name="%(class)s_failure_has_reason"),
        )

    @property
    def is_under_way(self) -> bool:
        """Return whether it wants, or has, a worker."""
        return self.state in UNDER_WAY


class SampleUpload(Upload):
    """Files that came for a condition and are not taken over yet."""

    condition = models.OneToOneField(Condition, models.CASCADE, related_name="upload")

    def __str__(self) -> str:
        """Return the name and the condition."""
        return f"{self.name} for {self.condition}"


class UploadedPicture(models.Model):
    """A picture made elsewhere for one photo, decoded and packed anew; taken over once `upload` is empty.

    `sha256` is that of its pixels. The file goes with the row.
    """

    condition = models.ForeignKey(Condition, models.CASCADE, related_name="uploaded_pictures")
    upload = models.ForeignKey(SampleUpload, models.CASCADE, null=True, related_name="pictures")
    photo = models.ForeignKey(Photo, models.PROTECT, related_name="uploaded_pictures")
    name = models.CharField(max_length=200)
    picture = models.FileField(upload_to="uploaded/%Y/%m", max_length=200)
    sha256 = models.CharField("SHA-256 of the pixels", max_length=64)

    class Meta:
        """Rules and order."""

        ordering = ("condition", "photo")
        constraints = (
            models.UniqueConstraint(
                fields=["condition", "photo"], condition=Q(upload=None), name="uploadedpicture_one_per_photo"
            ),
            models.UniqueConstraint(fields=["upload", "photo"], name="uploadedpicture_one_per_photo_in_upload"),
        )

    def __str__(self) -> str:
        """Return the name of the file that it came in."""
        return self.name


@receiver(post_delete, sender=SampleUpload)
def _delete_upload(instance: SampleUpload, **_kwargs: Any) -> None:
    file_delete_on_commit(instance.file)


@receiver(post_delete, sender=UploadedPicture)
def _delete_picture(instance: UploadedPicture, **_kwargs: Any) -> None:
    file_delete_on_commit(instance.picture)
