"""How a rater did, told at the end if the study allows it."""

import base64
from typing import Any, NamedTuple

from django.db.models import Count, F, FloatField, Q
from django.db.models.fields.files import FieldFile
from django.db.models.functions import Cast

from studies.models import FINISHED, Kind, Origin, RatingSession, Response

TOLD = 3
"""Pairs shown of each group."""


class Score(NamedTuple):
    """Test pairs that a rater had right, and all that they judged."""

    right: int
    judged: int


class PairTold(NamedTuple):
    """A pair as a rater is shown it afterwards.

    Attributes:
        photo: The photo, as an address that holds the picture itself.
        sample: What a method made of it, likewise.
        was_right: Whether this rater had chosen the photo.
        n_right: Of all who judged this pair and finished, how many chose the photo.
        judged: How many they are.
    """

    photo: str
    sample: str
    was_right: bool
    n_right: int
    judged: int


class Group(NamedTuple):
    """Pairs under a heading: the hardest or the easiest."""

    is_hardest: bool
    pairs: list[PairTold]


def score_get(session: RatingSession) -> Score:
    """Return how many test pairs a rater had right; those set aside do not count."""
    given = Response.objects.filter(trial__session=session, trial__kind=Kind.TEST, is_set_aside=False)
    right = given.filter(chosen_side=F("trial__photo_side")).count()
    return Score(right, given.count())


def pairs_told(session: RatingSession) -> list[Group]:
    """Return, of the test pairs that a rater judged, those that most raters had wrong and those that most had right."""
    counted = Q(
        pair__trials__session__state__in=FINISHED,
        pair__trials__session__rater__origin=Origin(session.rater.origin),
        pair__trials__response__is_set_aside=False,
    )
    right = counted & Q(pair__trials__response__chosen_side=F("pair__trials__photo_side"))
    trials = (
        session.trials.filter(kind=Kind.TEST, response__is_set_aside=False)
        .annotate(judged=Count("pair__trials", filter=counted), n_right=Count("pair__trials", filter=right))
        .annotate(share=Cast("n_right", FloatField()) / F("judged"))
        .select_related("response", "photo", "pair__sample")
        .order_by("share", "position")
    )
    told: list[Any] = list(trials)  # with the counts beside the fields
    groups = [(True, told[:TOLD]), (False, told[TOLD:][::-1][:TOLD])]
    return [
        Group(
            is_hardest,
            [
                PairTold(
                    photo=_address(trial.photo.high_res),
                    sample=_address(trial.pair.sample.picture),
                    was_right=trial.response.chosen_side == trial.photo_side,
                    n_right=trial.n_right,
                    judged=trial.judged,
                )
                for trial in group
            ],
        )
        for is_hardest, group in groups
        if group
    ]


def _address(file: FieldFile) -> str:
    """Return a picture as an address that holds it, for it has none of its own."""
    with file.open("rb") as opened:
        return f"data:image/png;base64,{base64.b64encode(opened.read()).decode('ascii')}"
