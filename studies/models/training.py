"""Training runs: a network, a config and a photo set, and how far a worker has come with them."""

import shutil
import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.db.models.signals import post_delete
from django.dispatch import receiver

from studies.models.photo import PhotoSet


class TrainingState(models.TextChoices):
    """Where a run stands. A worker works on those that are queued, running or stopping; the others rest."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    STOPPING = "stopping", "stopping"
    STOPPED = "stopped", "stopped"
    FINISHED = "finished", "finished"
    FAILED = "failed", "failed"


ACTIVE = (TrainingState.QUEUED, TrainingState.RUNNING, TrainingState.STOPPING)
"""States in which a run wants, or has, a worker."""


class TrainingRun(models.Model):
    """A network in training on a photo set, by a config.

    Its folder holds the photos as they were when it first began, what is needed to go on, the progress and the sample
    grid; a finished run has put its checkpoint among those that conditions can choose. Both go with the row.

    A message to the workers carries `ticket`, and only the newest one counts. The worker that trains writes its name
    into `claim` and the time into `heartbeat_at`, so that no two train one run.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="training_runs")
    name = models.CharField(max_length=80, help_text="For example: Faces of our own, small network.")
    slug = models.SlugField(unique=True, editable=False)
    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    photo_set = models.ForeignKey(PhotoSet, models.PROTECT, related_name="training_runs")
    config_name = models.CharField(max_length=60)
    config = models.TextField()
    start_from = models.CharField(max_length=120, blank=True)

    network = models.CharField(max_length=40)
    parameters = models.PositiveBigIntegerField()
    steps = models.PositiveIntegerField()
    batch = models.PositiveIntegerField()
    speed_key = models.CharField(max_length=64)

    state = models.CharField(max_length=8, choices=TrainingState, default=TrainingState.QUEUED, editable=False)
    reason = models.TextField(blank=True, editable=False)
    step = models.PositiveIntegerField(default=0, editable=False)
    images_per_s = models.FloatField(null=True, editable=False)
    seconds_left = models.FloatField(null=True, editable=False)
    trained_s = models.FloatField(default=0.0, editable=False)

    ticket = models.PositiveIntegerField(default=0, editable=False)
    claim = models.CharField(max_length=300, blank=True, editable=False)
    heartbeat_at = models.DateTimeField(null=True, editable=False)
    crashes = models.PositiveSmallIntegerField(default=0, editable=False)

    created_at = models.DateTimeField(auto_now_add=True)
    queued_at = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        """Rules and order."""

        ordering = ("-created_at", "-pk")
        constraints = (
            models.CheckConstraint(condition=Q(state__in=TrainingState.values), name="trainingrun_state_known"),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(reason=""), name="trainingrun_failure_has_reason"),
            models.CheckConstraint(
                condition=Q(claim="") | Q(state__in=["running", "stopping"], heartbeat_at__isnull=False),
                name="trainingrun_claimed_while_running",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["running", "stopping"]) | ~Q(claim=""), name="trainingrun_running_is_claimed"
            ),
            models.CheckConstraint(condition=~Q(slug=""), name="trainingrun_slug_not_empty"),
        )

    def __str__(self) -> str:
        """Return the name."""
        return self.name

    @property
    def is_active(self) -> bool:
        """Return whether the run wants, or has, a worker."""
        return self.state in ACTIVE

    @property
    def folder(self) -> Path:
        """Return the run's folder, which its first worker makes."""
        return Path(settings.TRAINING_DIR) / str(self.uuid)

    @property
    def checkpoint_path(self) -> Path:
        """Return where a finished run has put its checkpoint."""
        return Path(settings.CHECKPOINTS_DIR) / f"{self.slug}.safetensors"


class TrainingSpeed(models.Model):
    """How fast a network trains here on photos of a size, as measured: photos a second."""

    key = models.CharField(max_length=64)
    size = models.PositiveSmallIntegerField()
    images_per_s = models.FloatField()
    measured_at = models.DateTimeField(auto_now=True)

    class Meta:
        """Rules and order."""

        ordering = ("key", "size")
        constraints = (
            models.UniqueConstraint(fields=["key", "size"], name="trainingspeed_unique"),
            models.CheckConstraint(condition=Q(images_per_s__gt=0), name="trainingspeed_positive"),
        )

    def __str__(self) -> str:
        """Return the speed."""
        return f"{self.images_per_s:g} photos a second"


@receiver(post_delete, sender=TrainingRun)
def _delete_files(instance: TrainingRun, **_kwargs: Any) -> None:
    """Delete the folder, and the checkpoint if the run had put it there, once the deletion of the row is certain."""

    def delete() -> None:
        shutil.rmtree(instance.folder, ignore_errors=True)
        if instance.state == TrainingState.FINISHED:
            instance.checkpoint_path.unlink(missing_ok=True)

    transaction.on_commit(delete)
