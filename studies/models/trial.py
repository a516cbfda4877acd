"""Showings of pairs, and the answers."""

from django.db import models
from django.db.models import Q

from studies.models.choices import AsksFor, Kind, Side, token_make
from studies.models.pair import Pair
from studies.models.photo import Photo
from studies.models.rater import RatingSession


class Trial(models.Model):
    """One showing of a pair in a session. Its code says nothing of what it holds."""

    session = models.ForeignKey(  # `trial_position_unique` begins with it: an index of its own would only cost
        RatingSession, models.CASCADE, related_name="trials", db_index=False
    )
    position = models.PositiveSmallIntegerField()
    pair = models.ForeignKey(Pair, models.PROTECT, related_name="trials")
    # The pair's, once more, so that the database can refuse one that comes twice. The pair protects it from deletion:
    # to look for its trials as well would take an index and a check for each of them, a third of what a start costs.
    photo = models.ForeignKey(Photo, models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False)
    kind = models.CharField(max_length=8, choices=Kind)
    photo_side = models.CharField(max_length=6, choices=Side)
    code = models.CharField(max_length=22, default=token_make, editable=False)
    block = models.PositiveSmallIntegerField(
        default=0, help_text="Which block of the staircase it belongs to, from 1; 0 for none."
    )
    repeat_of = models.OneToOneField(
        "self",
        models.CASCADE,
        null=True,
        related_name="repeat",
        help_text="The trial that missed its exposure, or the practice not passed, which this one shows again.",
    )

    class Meta:
        """Rules and order."""

        ordering = ("session", "position")
        constraints = (
            # `unique=True` would make PostgreSQL keep two indexes, one of them for LIKE.
            models.UniqueConstraint(fields=["code"], name="trial_code_unique"),
            models.UniqueConstraint(fields=["session", "position"], name="trial_position_unique"),
            models.UniqueConstraint(
                fields=["session", "photo"], condition=Q(repeat_of=None), name="trial_no_photo_twice_but_repeated"
            ),
            models.CheckConstraint(condition=Q(photo_side__in=Side.values), name="trial_side_known"),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="trial_kind_known"),
        )

    def __str__(self) -> str:
        """Return its place in the session."""
        return f"trial {self.position}"


class Response(models.Model):
    """The side chosen as taken by a camera; one for each trial, the first one given."""

    trial = models.OneToOneField(Trial, models.PROTECT, primary_key=True, related_name="response")
    chosen_side = models.CharField(
        max_length=6,
        choices=Side,
        help_text="The side taken for the photo: the one pressed, or the other if the question asked for the sample.",
    )
    asked_for = models.CharField(max_length=6, choices=AsksFor, default=AsksFor.PHOTO)
    rt_ms = models.PositiveIntegerField(help_text="From the moment the buttons could be used.")
    exposure_asked_ms = models.PositiveIntegerField(
        null=True, help_text="Exposure asked for; 0 for until the answer. Empty before it was kept: the study's then."
    )
    exposure_first_ms = models.FloatField(null=True, help_text="As achieved by the browser.")
    exposure_second_ms = models.FloatField(null=True, help_text="As achieved by the browser.")
    frames_first = models.PositiveIntegerField(null=True, help_text="Frames on which it was seen.")
    frames_second = models.PositiveIntegerField(null=True, help_text="Frames on which it was seen.")
    frame_interval_ms = models.FloatField(null=True, help_text="Median time between two frames of the trial.")
    exposure_missed = models.BooleanField(
        default=False, help_text="A picture showed for more than two frames too long or too short."
    )
    is_set_aside = models.BooleanField(
        default=False, help_text="It missed its exposure, and by the study's rule counts for nothing."
    )
    device_scale = models.PositiveSmallIntegerField(
        null=True, help_text="Device pixels that showed one image pixel, along each axis."
    )
    pixel_ratio = models.FloatField(null=True, help_text="Device pixels for one CSS pixel, as the browser said.")
    was_hidden = models.BooleanField(default=False, help_text="The page was hidden while images showed.")
    lost_focus = models.BooleanField(default=False, help_text="The page had no focus while images showed.")
    focus_losses = models.PositiveSmallIntegerField(
        default=0, help_text="How often the rater left the page, from the start of the trial to the answer."
    )
    automation = models.CharField(
        max_length=40, blank=True, help_text="Signs that a program drove the browser, parted by spaces."
    )
    answered_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Rules and order."""

        ordering = ("trial",)
        constraints = (
            models.CheckConstraint(condition=Q(chosen_side__in=Side.values), name="response_side_known"),
            models.CheckConstraint(condition=Q(asked_for__in=AsksFor.values), name="response_asked_for_known"),
            models.CheckConstraint(
                condition=Q(is_set_aside=False) | Q(exposure_missed=True), name="response_set_aside_missed"
            ),
        )

    @property
    def pressed_side(self) -> Side:
        """Return the side that the rater pointed at."""
        chosen = Side(self.chosen_side)
        return chosen if self.asked_for == AsksFor.PHOTO else chosen.other

    def __str__(self) -> str:
        """Return the trial and the side."""
        return f"{self.trial}: {self.chosen_side}"
