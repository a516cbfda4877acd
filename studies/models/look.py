"""Looks at the results of a study that is not closed yet: who, when, and what they saw."""

from django.db import models
from django.db.models import Q

from studies.models.study import Study


class Saw(models.TextChoices):
    """What a look showed; the interval that a report may print follows from it."""

    SEQUENCE = "sequence", "the interval made for looking"
    RATES = "rates", "fool rates, or responses from which they follow"


class ResultsLook(models.Model):
    """Somebody looked at what people's votes show before the study was closed. Rows are added, never changed."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="looks")
    who = models.CharField(max_length=150, help_text="Name of the account, or “command line”.")
    at = models.DateTimeField(auto_now_add=True)
    saw = models.CharField(max_length=8, choices=Saw)
    shown = models.CharField(max_length=80, help_text="The page or the file.")
    sessions = models.PositiveIntegerField(help_text="Sessions that counted at that moment.")

    class Meta:
        """Rules and order."""

        ordering = ("at", "pk")
        constraints = (models.CheckConstraint(condition=Q(saw__in=Saw.values), name="look_saw_known"),)

    def __str__(self) -> str:
        """Return who saw what."""
        return f"{self.who}: {self.shown}"
