"""How sessions went, as far as the rules of exclusion may know, and how many break each rule."""

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from studies.models import FINISHED, Kind, Origin, RatingSession, Response, SessionState, Side, Study
from studies.selectors.compiled import CompiledQuery
from studies.selectors.sessions import still_running
from studies.statistics.quality import (
    AUTOMATED,
    EXPOSURES_MISSED,
    FLAGS,
    INCOMPLETE,
    LEFT_PAGE,
    NOT_IN_FRONT,
    RULES,
    Behaviour,
    judge,
)


class RuleCount(NamedTuple):
    """How many sessions of one origin a rule concerns.

    Attributes:
        label: What people read for the rule.
        left_out: Finished sessions that are left out under it.
        broken: Finished sessions that break it, under whatever rule they are left out.
        unfinished: Sessions that were given up, and break it by what they answered.
        is_flag: Whether it only marks.
    """

    label: str
    left_out: int
    broken: int
    unfinished: int
    is_flag: bool


class _Answer(NamedTuple):
    """What a rule may know of an answer, and where its photo was, for golden and practice pairs.

    Its truths are 0 and 1 on SQLite.
    """

    kind: str
    photo_side: str
    chosen_side: str
    rt_ms: int
    is_set_aside: bool
    focus_losses: int
    was_hidden: bool
    lost_focus: bool
    automation: str
    exposure_missed: bool


_COLUMNS: Final = ("trial__kind", "trial__photo_side", *_Answer._fields[2:])
_OF_SESSION: Final = CompiledQuery(
    lambda session_code: (
        Response.objects.filter(trial__session__code=session_code).order_by("trial__position").values_list(*_COLUMNS)
    ),
    "session_code",
)


def behaviour_get(session: RatingSession) -> Behaviour:
    """Return what the rules may know of a session whose trials are all answered."""
    rows = _OF_SESSION.rows(session_code=session.code)
    return _behaviour([_Answer(*row) for row in rows], is_complete=True)


def rule_counts(study: Study, *, origin: Origin) -> list[RuleCount]:
    """Count the sessions that break each rule of a study; only rules that some session breaks.

    Sessions that were given up are judged by what they answered. They are not counted in any case.
    """
    sessions = RatingSession.objects.filter(study=study, rater__origin=origin)
    finished = sessions.filter(state__in=FINISHED).values_list("exclusion_reason", "broken_rules")
    left_out = Counter(reason for reason, _ in finished if reason)
    broken = Counter(rule for _, rules in finished for rule in rules.split())
    given_up = sessions.filter(state=SessionState.ACTIVE).exclude(still_running()).values_list("pk", flat=True)
    behaviours = _behaviours(given_up, are_complete=False).values()
    unfinished = Counter(
        rule for behaviour in behaviours for rule in judge(behaviour, study.quality_rules).broken if rule != INCOMPLETE
    )
    return [
        RuleCount(label, left_out[rule], broken[rule], unfinished[rule], rule in FLAGS)
        for rule, label in RULES.items()
        if left_out[rule] or broken[rule] or unfinished[rule]
    ]


def _behaviours(sessions: Iterable[int], *, are_complete: bool) -> dict[int, Behaviour]:
    """Return each session's behaviour; of answers that were set aside, only what the browser reported."""
    answers: dict[int, list[_Answer]] = {pk: [] for pk in sessions}
    rows = Response.objects.filter(trial__session__in=answers).order_by("trial__position")
    for session, *answer in rows.values_list("trial__session", *_COLUMNS):
        answers[session].append(_Answer(*answer))
    return {session: _behaviour(given, is_complete=are_complete) for session, given in answers.items()}


def _behaviour(given: list[_Answer], *, is_complete: bool) -> Behaviour:
    main = [one for one in given if one.kind != Kind.PRACTICE]
    judged = [one for one in main if not one.is_set_aside]
    return Behaviour(
        golden_correct=_bools(one.chosen_side == one.photo_side for one in judged if one.kind == Kind.GOLDEN),
        practice_correct=_bools(one.chosen_side == one.photo_side for one in given if one.kind == Kind.PRACTICE),
        rt_ms=np.array([one.rt_ms for one in judged], dtype=np.int64),
        chosen_first=_bools(one.chosen_side == Side.FIRST for one in judged),
        noticed={
            LEFT_PAGE: sum(one.focus_losses for one in main),
            NOT_IN_FRONT: sum(one.was_hidden or one.lost_focus for one in main),
            AUTOMATED: sum(one.automation != "" for one in main),
            EXPOSURES_MISSED: sum(one.exposure_missed for one in main),
        },
        is_complete=is_complete,
    )


def _bools(values: Iterable[bool]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.fromiter(values, dtype=np.bool_)
