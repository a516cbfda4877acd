"""Practice that has to be passed: a second try for who misses, and after that the way back."""

from collections import Counter

import numpy as np
from django.db.models import F

from studies import planning
from studies.models import Kind, Origin, RatingSession, Role, SessionState, Side, Trial
from studies.selectors.studies import pair_options
from studies.services.sessions import session_end
from studies.statistics.quality import PRACTICE_TRIES

_OUT_OF_THE_WAY = 10_000
"""Beyond every position of a session: trials are moved in two steps, since no two may share a place at any time."""


def practice_judge(*, session: RatingSession) -> None:
    """After the last practice pair of a try, let a rater go on, try once more, or end; nothing where none is asked for.

    The caller holds the session's row.
    """
    study = session.study
    practice = Trial.objects.filter(session=session, kind=Kind.PRACTICE)
    if not study.practice_pass or practice.filter(response=None).exists():
        return
    tries = practice.count() // study.practice_count
    last = practice.order_by("-position")[: study.practice_count]
    right = Counter(
        trial.photo_side for trial in last.select_related("response") if trial.response.chosen_side == trial.photo_side
    )
    if study.is_single:  # real and fake apart, since whoever calls all of them real has one half right
        has_passed = min(right[side] for side in Side.values) >= study.practice_pass_alone
    else:
        has_passed = right.total() >= study.practice_pass
    if has_passed:
        return
    if tries < PRACTICE_TRIES:
        _practice_repeat(session)
    else:
        session_end(session, state=SessionState.FAILED)


def _practice_repeat(session: RatingSession) -> None:
    """Put a second try of practice before the main part."""
    study = session.study
    first = {trial.pair_id: trial for trial in Trial.objects.filter(session=session, kind=Kind.PRACTICE)}
    of_all = study.conditions.filter(role=Role.TEST).values_list("pk", flat=True)
    tested = [session.condition_id] if session.condition_id else list(of_all)
    options = [
        option
        for option in pair_options(study, conditions=tested, origin=Origin(session.rater.origin))
        if option.kind == Kind.PRACTICE
    ]
    planned = planning.plan_practice(
        options,
        shown=[option for option in options if option.pair in first],
        rng=np.random.default_rng((session.seed, PRACTICE_TRIES)),
    )
    later = Trial.objects.filter(session=session, position__gte=len(first))
    later.update(position=F("position") + _OUT_OF_THE_WAY)
    Trial.objects.filter(session=session, position__gte=_OUT_OF_THE_WAY).update(
        position=F("position") - _OUT_OF_THE_WAY + len(planned)
    )
    Trial.objects.bulk_create(
        Trial(
            session=session,
            position=position,
            pair_id=trial.option.pair,
            photo_id=trial.option.photo,
            kind=Kind.PRACTICE,
            photo_side=trial.photo_side,
            repeat_of=first.get(trial.option.pair),
        )
        for position, trial in enumerate(planned, start=len(first))
    )
