"""Plans of a study's size that are checked by simulation."""

from django.conf import settings
from django.db import models
from django.db.models import Q


class PlanCheckState(models.TextChoices):
    """How far a check is."""

    WAITING = "waiting", "waiting for the worker"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"


class PlanCheck(models.Model):
    """A question whose plan the worker simulates; what was found is a row as `Simulated`, by name of the field."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="plan_checks")
    question = models.JSONField()
    seed = models.PositiveBigIntegerField()
    studies_wanted = models.PositiveIntegerField()
    studies_done = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=7, choices=PlanCheckState, default=PlanCheckState.WAITING)
    found = models.JSONField(null=True, blank=True)
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    heard_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Rules and order."""

        ordering = ("-pk",)
        constraints = (
            models.CheckConstraint(condition=Q(state__in=PlanCheckState.values), name="plancheck_state_known"),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(reason=""), name="plancheck_failure_has_reason"),
            models.CheckConstraint(
                condition=~Q(state="done") | Q(found__isnull=False), name="plancheck_done_has_finding"
            ),
        )

    def __str__(self) -> str:
        """Return how far it is."""
        return f"{self.studies_done} of {self.studies_wanted} simulated studies"
