"""How sessions went, as far as the rules of exclusion may know, and how many break each rule."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from studies.models import FINISHED, Kind, Origin, RatingSession, Response, SessionState, Side, Study
from studies.selectors.sessions import still_running
from studies.statistics.quality import FLAGS, INCOMPLETE, RULES, Behaviour, judge


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


def behaviour_get(session: RatingSession) -> Behaviour:
    """Return golden and practice answers, times and sides of a session whose trials are all answered."""
    return _behaviours([session.pk], are_complete=True)[session.pk]


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
    """Return each session's behaviour; answers that were set aside are no part of it."""
    answers: dict[int, list[tuple[str, str, str, int]]] = {pk: [] for pk in sessions}
    rows = Response.objects.filter(trial__session__in=answers, is_set_aside=False).order_by("trial__position")
    columns = ("trial__session", "trial__kind", "trial__photo_side", "chosen_side", "rt_ms")
    for session, kind, photo_side, chosen_side, rt_ms in rows.values_list(*columns):
        answers[session].append((kind, photo_side, chosen_side, rt_ms))
    return {
        session: Behaviour(
            golden_correct=_bools(chosen == side for kind, side, chosen, _ in given if kind == Kind.GOLDEN),
            practice_correct=_bools(chosen == side for kind, side, chosen, _ in given if kind == Kind.PRACTICE),
            rt_ms=np.array([rt_ms for kind, _, _, rt_ms in given if kind != Kind.PRACTICE], dtype=np.int64),
            chosen_first=_bools(chosen == Side.FIRST for kind, _, chosen, _ in given if kind != Kind.PRACTICE),
            is_complete=are_complete,
        )
        for session, given in answers.items()
    }


def _bools(values: Iterable[bool]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.fromiter(values, dtype=np.bool_)
