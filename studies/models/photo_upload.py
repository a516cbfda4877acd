"""Uploads of photos into a set."""

from typing import Any

from django.db import models
from django.db.models.signals import post_delete
from django.dispatch import receiver

from studies.models.files import file_delete_on_commit
from studies.models.photo import PhotoSet
from studies.models.upload import Upload


class PhotoUpload(Upload):
    """Files that came for a photo set: what can be used is in the set as soon as it is checked.

    Files are taken in their order, each with its report in one transaction: `files_checked` of them are done for good,
    and whoever goes on begins behind them.
    """

    photo_set = models.ForeignKey(PhotoSet, models.CASCADE, related_name="uploads")
    added = models.PositiveIntegerField(default=0, help_text="Pictures that it brought into the set.")

    class Meta(Upload.Meta):
        """Order."""

        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        """Return the name and the set."""
        return f"{self.name} for {self.photo_set}"


@receiver(post_delete, sender=PhotoUpload)
def _delete_upload(instance: PhotoUpload, **_kwargs: Any) -> None:
    file_delete_on_commit(instance.file)
