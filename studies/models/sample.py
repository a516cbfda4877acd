"""What conditions made of photos."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.signals import post_delete
from django.dispatch import receiver

from studies.models.files import file_delete_on_commit
from studies.models.photo import Photo
from studies.models.study import Condition


class SampleStatus(models.TextChoices):
    """Whether a sample is there."""

    PENDING = "pending", "pending"
    READY = "ready", "ready"
    FAILED = "failed", "failed"


class Sample(models.Model):
    """What a condition made of a photo's low-resolution version, with its seed and its pixel metrics.

    The picture's file goes with the row.
    """

    condition = models.ForeignKey(Condition, models.CASCADE, related_name="samples")
    photo = models.ForeignKey(Photo, models.PROTECT, related_name="samples")
    seed = models.BigIntegerField()
    status = models.CharField(max_length=8, choices=SampleStatus, default=SampleStatus.PENDING)
    reason = models.TextField(blank=True)
    picture = models.FileField(upload_to="samples/%Y/%m", max_length=200, blank=True)
    sha256 = models.CharField("SHA-256 of the pixels", max_length=64, blank=True)
    source_digest = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the checkpoint or the bank that it was made with."
    )
    duration_s = models.FloatField(null=True)
    psnr = models.FloatField("pSNR, dB", null=True)
    ssim = models.FloatField("SSIM", null=True)
    ms_ssim = models.FloatField("MS-SSIM, 5 scales", null=True)
    ms_ssim_3 = models.FloatField("MS-SSIM, 3 scales", null=True)
    consistency = models.FloatField(null=True)

    class Meta:
        """Rules and order."""

        ordering = ("condition", "photo")
        constraints = (
            models.UniqueConstraint(fields=["condition", "photo"], name="sample_unique"),
            models.CheckConstraint(
                condition=~Q(status="ready") | (~Q(picture="") & ~Q(sha256="") & Q(consistency__isnull=False)),
                name="sample_ready_is_whole",
            ),
            models.CheckConstraint(condition=~Q(status="failed") | ~Q(reason=""), name="sample_failure_has_reason"),
        )

    def __str__(self) -> str:
        """Return the condition and the photo."""
        return f"{self.condition} of {self.photo}"


@receiver(post_delete, sender=Sample)
def _delete_picture(instance: Sample, **_kwargs: Any) -> None:
    file_delete_on_commit(instance.picture)
