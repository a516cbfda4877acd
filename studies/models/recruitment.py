"""How raters come to a study and where they go: the panel's settings, who came from it, and counts of arrivals."""

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from studies.models.rater import RatingSession
from studies.models.study import Study
from studies.recruitment import PANELS, Arrival, Exit, Names, Outcome, Panel


class Withdrawal(models.TextChoices):
    """What becomes of the answers of a rater who withdraws; tables and exports never have them."""

    DELETE = "delete", "they are deleted"
    KEEP = "keep", "they are kept, without the panel's id, and used for nothing"


class Recruitment(models.Model):
    """The way into one study and out again. Codes may change at any time: they are no part of the design."""

    study = models.OneToOneField(Study, models.CASCADE, related_name="recruitment")
    panel = models.CharField(
        max_length=16,
        default="open",
        choices=[(panel.slug, panel.label) for panel in PANELS.values()],
        help_text="Save to see what to paste where.",
    )
    participant_parameter = models.CharField(
        "parameter with the participant's id", max_length=40, blank=True, help_text="Empty: the panel's usual name."
    )
    session_parameter = models.CharField(
        "parameter with the id of the visit", max_length=40, blank=True, help_text="Empty: the panel's usual name."
    )
    study_parameter = models.CharField(
        "parameter with the panel's id of the study",
        max_length=40,
        blank=True,
        help_text="Empty: the panel's usual name.",
    )
    exits = models.JSONField(default=dict, blank=True, help_text="Outcome -> code or address.")
    sends_failed_attention = models.BooleanField(
        "sessions left out end as “failed attention”",
        default=False,
        help_text="Being left out of the analysis and not being paid are two decisions. Without this tick, a rater "
        "whose session a rule leaves out ends as completed, as everybody else does.",
    )
    group = models.CharField(
        "group of studies",
        max_length=60,
        blank=True,
        help_text="Participants of a panel can take part in one of your studies with the same word here. "
        "Empty: only this study counts.",
    )
    checks_tokens = models.BooleanField(
        "only arrivals that Prolific has signed",
        default=False,
        help_text="For workspaces with secure study URLs: nobody can come under another's id.",
    )
    frame_origins = models.TextField(
        "pages that may show the study in a frame",
        blank=True,
        help_text="One a line, such as https://panel.example or https://*.panel.example. Empty: none.",
    )
    window_minimum_px = models.PositiveSmallIntegerField(
        "least width of the window, CSS px",
        default=0,
        validators=[MaxValueValidator(4_000)],
        help_text="Whoever has less, or no scripts, ends as “wrong device”. 0: any will do; a phone has some 390.",
    )
    withdrawal = models.CharField(
        "answers of those who withdraw", max_length=6, choices=Withdrawal, default=Withdrawal.DELETE
    )
    shows_score = models.BooleanField(
        "show raters their score at the end", default=False, help_text="How many test pairs they had right."
    )
    shows_pairs = models.BooleanField(
        "show raters some of their pairs at the end",
        default=False,
        help_text="With what was the photo: those that most others had wrong, and those that most had right. They may "
        "tell others.",
    )

    class Meta:
        """Rules."""

        verbose_name_plural = "recruitment"
        constraints = (
            models.CheckConstraint(condition=Q(withdrawal__in=Withdrawal.values), name="recruitment_withdrawal_known"),
        )

    def __str__(self) -> str:
        """Return the study and its panel."""
        return f"{self.study}: {self.way.label}"

    @property
    def way(self) -> Panel:
        """Return the panel's adapter."""
        return PANELS[self.panel]

    @property
    def names(self) -> Names:
        """Return the parameters that carry the panel's ids."""
        own = (self.participant_parameter, self.session_parameter, self.study_parameter)
        return Names(*(name or usual for name, usual in zip(own, self.way.names, strict=True)))

    @property
    def framed_by(self) -> list[str]:
        """Return the origins whose pages may show the study in a frame."""
        return [*self.way.frames, *self.frame_origins.split()]

    def exit_get(self, outcome: Outcome, arrival: Arrival | None) -> Exit:
        """Return the code and the address for an outcome."""
        return self.way.exit_get(outcome, self.exits, arrival)


class PanelEntry(models.Model):
    """Who came from a panel to which session: the only place where a panel's ids are kept, apart from the answers.

    No export reads it, and `manage.py panel_ids_delete` empties it.
    """

    study = models.ForeignKey(Study, models.CASCADE, related_name="panel_entries")
    panel = models.CharField(max_length=16)
    participant = models.CharField(max_length=128)
    panel_session = models.CharField(max_length=128, blank=True, help_text="The panel's id of the latest visit.")
    panel_study = models.CharField(max_length=128, blank=True)
    submit_to = models.CharField(max_length=60, blank=True, help_text="Where Mechanical Turk wants the end.")
    session = models.OneToOneField(RatingSession, models.CASCADE, related_name="panel_entry")
    submit_attempted_at = models.DateTimeField(
        null=True,
        help_text="When the rater first pressed to hand the assignment in at Mechanical Turk; whether it arrived there "
        "is not told. That all is answered is the session's state.",
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """Rules and order."""

        ordering = ("pk",)
        verbose_name_plural = "panel entries"
        constraints = (
            models.UniqueConstraint(fields=["study", "panel", "participant"], name="panelentry_one_per_participant"),
            models.CheckConstraint(condition=~Q(participant=""), name="panelentry_has_participant"),
        )

    def __str__(self) -> str:
        """Return the session, without the participant's id."""
        return f"entry of {self.session}"

    @property
    def arrival(self) -> Arrival:
        """Return the ids as they came last."""
        return Arrival(self.participant, self.panel_session, self.panel_study, self.submit_to)


class ArrivalCount(models.Model):
    """What came of visits to a study's first page on one day (UTC), of people only and without any id.

    `arrived` counts how often the page was shown, as its script tells: a program that only fetches it counts for
    nothing, a reload no second time, who opens the link twice counts twice. Those who agreed are sessions.
    """

    study = models.ForeignKey(Study, models.CASCADE, related_name="arrivals")
    day = models.DateField()
    arrived = models.PositiveIntegerField(default=0, help_text="First pages shown.")
    declined = models.PositiveIntegerField(default=0, help_text="Said that they do not want to take part.")
    turned_away = models.PositiveIntegerField(
        default=0, help_text="Found the study full, closed, or done in another study of its group."
    )
    wrong_device = models.PositiveIntegerField(default=0, help_text="Left because of their device.")

    class Meta:
        """Rules and order."""

        ordering = ("study", "day")
        constraints = (models.UniqueConstraint(fields=["study", "day"], name="arrivalcount_one_per_day"),)

    def __str__(self) -> str:
        """Return the day and its number of arrivals."""
        return f"{self.day}: {self.arrived}"
