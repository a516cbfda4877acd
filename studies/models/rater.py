"""Raters and their passage through a study."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from studies.models.choices import token_make
from studies.models.study import Condition, Study


class Origin(models.TextChoices):
    """Where the answers come from. Tables hold people or simulated raters, never both; previews are in none."""

    PERSON = "person", "person"
    SIMULATED = "simulated", "simulated"
    PREVIEW = "preview", "preview"


class Rater(models.Model):
    """A pseudonymous participant; never a Django user, and without any trait of a person."""

    code = models.CharField(max_length=22, unique=True, default=token_make, editable=False)
    origin = models.CharField(max_length=9, choices=Origin, default=Origin.PERSON)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Rules and order."""

        ordering = ("pk",)
        constraints = (models.CheckConstraint(condition=Q(origin__in=Origin.values), name="rater_origin_known"),)

    def __str__(self) -> str:
        """Return the pseudonym as exports show it."""
        return f"rater-{self.pk}"


class SessionState(models.TextChoices):
    """Where a session stands."""

    ACTIVE = "active", "under way"
    COMPLETE = "complete", "complete"
    EXCLUDED = "excluded", "complete, left out by a rule"
    WITHDRAWN = "withdrawn", "withdrawn by its rater"
    RETURNED = "returned", "given back to its panel"
    FAILED = "failed", "did not pass practice"


FINISHED = (SessionState.COMPLETE, SessionState.EXCLUDED)
"""States of sessions that reached their end."""

ENDED = (SessionState.WITHDRAWN, SessionState.RETURNED, SessionState.FAILED)
"""States of sessions that ended before or after it, and count for nothing: their places are free."""


class RatingSession(models.Model):
    """One rater's passage through one study. Its code is the rater's only key: there is no cookie."""

    code = models.CharField(max_length=22, unique=True, default=token_make, editable=False)
    study = models.ForeignKey(Study, models.PROTECT, related_name="sessions")
    rater = models.ForeignKey(Rater, models.PROTECT, related_name="sessions")
    condition = models.ForeignKey(
        Condition, models.PROTECT, null=True, related_name="sessions", help_text="With one method a session, that one."
    )
    state = models.CharField(max_length=9, choices=SessionState, default=SessionState.ACTIVE)
    exclusion_reason = models.CharField(max_length=40, blank=True)
    broken_rules = models.CharField(
        max_length=200,
        blank=True,
        help_text="Every rule that it breaks, parted by spaces; those that only mark among them.",
    )
    seed = models.BigIntegerField(help_text="Of the plan of its trials.")
    plan = models.TextField(
        default="",
        db_default="",  # a process of the version before, which knows of no plans, goes on starting sessions meanwhile
        editable=False,
        help_text="The pairs of its trials as they were planned, in their order, parted by spaces; with a minus where "
        "the photo is second. Empty before plans were kept: the trials say it.",
    )
    consent_sha256 = models.CharField("SHA-256 of the consent text", max_length=64)
    entry_token = models.CharField(  # noqa: DJ001 -- null, since many sessions may have none and no two may share one
        max_length=22,
        unique=True,
        null=True,
        editable=False,
        help_text="Of the consent form that started it: the same form starts nothing else.",
    )
    language = models.CharField(
        max_length=7, default=settings.LANGUAGE_CODE, help_text="In which its rater has read everything."
    )
    completion_code = models.CharField(max_length=12, blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        """Rules, order and indexes."""

        ordering = ("-started_at", "-pk")
        constraints = (
            models.UniqueConstraint(fields=["study", "rater"], name="session_one_per_rater_and_study"),
            models.CheckConstraint(condition=Q(state__in=SessionState.values), name="session_state_known"),
            models.CheckConstraint(
                condition=Q(state="active", finished_at=None, completion_code="")
                | Q(state__in=["withdrawn", "returned", "failed"], finished_at__isnull=False, completion_code="")
                | (Q(state__in=["complete", "excluded"], finished_at__isnull=False) & ~Q(completion_code="")),
                name="session_finished_is_whole",
            ),
            models.CheckConstraint(
                condition=(Q(state="excluded") & ~Q(exclusion_reason=""))
                | (~Q(state="excluded") & Q(exclusion_reason="")),
                name="session_exclusion_has_reason",
            ),
        )
        indexes = (
            models.Index(fields=["study", "state"], name="session_study_state"),
            models.Index(fields=["state", "started_at"], name="session_state_started"),
        )

    def __str__(self) -> str:
        """Return the name as exports show it."""
        return f"session-{self.pk}"
