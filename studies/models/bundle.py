"""Bundles: everything of a study in one zip, made by the worker."""

from django.db import models
from django.db.models import Q
from django.db.models.signals import post_delete
from django.dispatch import receiver

from studies.models.files import file_delete_on_commit
from studies.models.rater import Origin
from studies.models.study import Study


class BundleState(models.TextChoices):
    """How far a bundle is."""

    WAITING = "waiting", "waiting for the worker"
    READY = "ready", "ready"
    FAILED = "failed", "failed"


class Bundle(models.Model):
    """The latest bundle of a study's votes of one origin. `version` says of which votes it is, or is to be."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="bundles")
    origin = models.CharField(max_length=9, choices=Origin)
    version = models.CharField(max_length=64)
    state = models.CharField(max_length=7, choices=BundleState, default=BundleState.WAITING)
    file = models.FileField(upload_to="bundles/", blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    reason = models.TextField(blank=True)
    ordered_at = models.DateTimeField(auto_now=True)

    class Meta:
        """Rules."""

        constraints = (
            models.UniqueConstraint(fields=["study", "origin"], name="bundle_one_of_each_origin"),
            models.CheckConstraint(condition=Q(state__in=BundleState.values), name="bundle_state_known"),
            models.CheckConstraint(condition=~Q(state="ready") | ~Q(file=""), name="bundle_ready_has_file"),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(reason=""), name="bundle_failure_has_reason"),
        )

    def __str__(self) -> str:
        """Return the study and whose votes."""
        return f"bundle of {self.study}, {self.origin}"


@receiver(post_delete, sender=Bundle)
def _file_delete(instance: Bundle, **_kwargs: object) -> None:
    """Let the file go with its row."""
    file_delete_on_commit(instance.file)
