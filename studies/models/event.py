"""The log of a study: who did what to it, when, and what changed. Rows are added, never changed and never deleted."""

from typing import Any, NamedTuple, NoReturn

from django.db import models
from django.db.models import Q
from django.utils import timezone

from studies.errors import LogIsAppendOnly
from studies.models.study import Study

COMMAND_LINE, WORKER, VISITOR = "command line", "worker", "visitor"
"""Who acts where nobody is signed in."""

NO_ACCOUNTS = frozenset({COMMAND_LINE, WORKER, VISITOR})

SHOWN = 80
"""So many letters of a value stand in a line of the log; longer ones are unfolded."""


class About(models.TextChoices):
    """What an event is about; the log can be narrowed to one of them."""

    MADE = "made", "made, cloned, deleted"
    SETTINGS = "settings", "settings"
    CONDITIONS = "conditions", "conditions"
    PICTURES = "pictures", "pictures"
    RECRUITMENT = "recruitment", "recruitment"
    STEP = "step", "steps, such as opening"
    JOB = "job", "work of the worker"
    SHARING = "sharing", "who may see it"
    RESULTS = "results", "results seen or handed out"
    OTHER = "other", "other"


class Change(NamedTuple):
    """What became of one field.

    Attributes:
        field: Its name for people.
        before: Its value before, of a kind that JSON has; None for nothing.
        after: Its value since.
    """

    field: str
    before: Any
    after: Any

    @property
    def said(self) -> tuple[str, str]:
        """Return both values as people read them."""
        return _said(self.before), _said(self.after)

    @property
    def is_long(self) -> bool:
        """Tell whether a value is a text of several lines, or of more letters than a line holds."""
        return any(len(value) > SHOWN or "\n" in value for value in self.said)


def _said(value: Any) -> str:
    names = {None: "nothing", "": "empty", True: "yes", False: "no"}
    return names[value] if isinstance(value, bool | None) or value == "" else str(value)


class EventQuerySet(models.QuerySet["StudyEvent"]):
    """Events, which many rows at once cannot be changed of either."""

    def update(self, **_values: Any) -> NoReturn:
        """Refuse."""
        raise LogIsAppendOnly

    def delete(self) -> NoReturn:
        """Refuse."""
        raise LogIsAppendOnly


class StudyEvent(models.Model):
    """Something was done to a study. It outlives the study and the account: the database ties it to neither.

    Triggers of the database refuse changes that do not come through Django.
    """

    study = models.ForeignKey(Study, models.DO_NOTHING, db_constraint=False, related_name="events")
    study_slug = models.SlugField(help_text="Short name of the study at that time.")
    at = models.DateTimeField(default=timezone.now)
    who = models.CharField(max_length=150, help_text="Name of the account, “command line” or “worker”.")
    about = models.CharField(max_length=11, choices=About)
    sentence = models.TextField(help_text="What was done.")
    changes = models.JSONField(default=list, help_text="Field, value before and value after, of each that changed.")

    objects = EventQuerySet.as_manager()

    class Meta:
        """Rules and order."""

        ordering = ("at", "pk")
        indexes = (models.Index(fields=["study", "at"], name="event_of_study_by_time"),)
        constraints = (
            models.CheckConstraint(condition=Q(about__in=About.values), name="event_about_known"),
            models.CheckConstraint(condition=~Q(who="") & ~Q(sentence=""), name="event_says_who_and_what"),
        )

    def __str__(self) -> str:
        """Return who did what."""
        return f"{self.who}: {self.sentence}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the event; one that is kept already cannot be saved again."""
        if not self._state.adding:
            raise LogIsAppendOnly
        super().save(*args, **kwargs)

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse."""
        raise LogIsAppendOnly

    @property
    def changed(self) -> list[Change]:
        """Return what changed, field by field."""
        return [Change(**change) for change in self.changes]
