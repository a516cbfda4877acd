"""How often each pair of an open study was planned, kept up from one session's start to the next."""

from collections.abc import Sequence
from functools import lru_cache
from threading import Lock

import numpy as np
from django.db.models import Q
from numpy.typing import NDArray

from studies.models import Condition, Origin, RatingSession, Role, SessionState, Study, Trial
from studies.planning import PairOption, PairTable
from studies.selectors.sessions import still_running
from studies.selectors.studies import pair_options

_AT_ONCE = 500
"""Sessions whose trials are asked for in one question."""


class Balance:
    """How often the pairs of a study were planned in sessions that count; the same as `pair_options` would count.

    The trials of a session never change, so each process reads them once and remembers which sessions it has counted:
    what is asked anew each time is only which sessions count now.
    """

    def __init__(self, study: Study, origin: Origin) -> None:
        """Read the pairs of a study whose design is frozen."""
        tested = study.conditions.filter(role=Role.TEST).values_list("pk", flat=True)
        self._table = PairTable.of(pair_options(study, conditions=list(tested), origin=origin))
        self._study, self._origin = study.pk, origin
        self._seen = np.zeros(len(self._table.pair), np.int64)
        self._of_session: dict[int, NDArray[np.int64]] = {}
        self._lock = Lock()

    def options(self, conditions: Sequence[Condition], *, most: int, rng: np.random.Generator) -> list[PairOption]:
        """Return what a session may show: of each condition and kind at most so many pairs, those seen least."""
        with self._lock:
            self._count()
            seen = self._seen.copy()
        positions = {condition.position for condition in conditions}
        return self._table.least_seen(seen, conditions=positions, most=most, rng=rng)

    def _count(self) -> None:
        """Count sessions that count since the last time, and no more those that do not."""
        counted = Q(state=SessionState.COMPLETE) | still_running()
        sessions = RatingSession.objects.filter(counted, study=self._study, rater__origin=self._origin)
        now = set(sessions.order_by().values_list("pk", flat=True))
        known = self._of_session.keys()
        for session in known - now:
            np.subtract.at(self._seen, self._of_session.pop(session), 1)
        new = sorted(now - known)
        for first in range(0, len(new), _AT_ONCE):
            self._trials_count(new[first : first + _AT_ONCE])

    def _trials_count(self, sessions: list[int]) -> None:
        trials = Trial.objects.filter(session__in=sessions, repeat_of=None).order_by("session_id")
        rows = np.array(list(trials.values_list("session_id", "pair_id")), np.int64).reshape(-1, 2)
        places = np.searchsorted(self._table.pair, rows[:, 1])
        np.add.at(self._seen, places, 1)
        of_session = np.split(places, np.searchsorted(rows[:, 0], sessions[1:]))
        self._of_session.update(zip(sessions, of_session, strict=True))


@lru_cache(maxsize=32)
def _balance_of(study: int, _design_sha256: str, origin: Origin) -> Balance:
    return Balance(Study.objects.get(pk=study), origin)


def balance_get(study: Study, *, origin: Origin) -> Balance | None:
    """Return the balance of a study; None where trials are added to sessions later, or pairs may still change."""
    if not study.is_frozen or study.practice_pass:
        return None
    return _balance_of(study.pk, study.design_sha256, origin)
