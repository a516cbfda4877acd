"""How often each pair of an open study was planned, kept up from one session's start to the next."""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from threading import Lock
from typing import NamedTuple

import numpy as np
from django.db import connection
from django.db.models import Q
from django.utils import timezone
from numpy.typing import ArrayLike, NDArray

from studies.models import Condition, Origin, Rater, RatingSession, Role, SessionState, Study, Trial
from studies.planning import PairTable, PlannedTrial, plan_pairs
from studies.selectors.sessions import still_running
from studies.selectors.studies import pair_options

_COUNTING = (SessionState.ACTIVE, SessionState.COMPLETE)
"""States of sessions that count, unless they were given up."""
_AT_ONCE = 500
"""Sessions whose trials are asked for in one question."""
FEW = 200
"""Up to so many sessions of a study, whatever became of them, are all looked at whenever one starts."""
RECOUNT_S = 1.0
"""For how long the states of more sessions are taken as they were found."""
RECOUNT_SHARE = 50
"""They are looked at again after so many times as long as looking took, if that is longer."""


class Counted(NamedTuple):
    """A session that counts, or did when it was last looked at.

    Attributes:
        condition: Primary key of its condition; None if it is mixed.
        places: (trials,) where its pairs stand in the table.
    """

    condition: int | None
    places: NDArray[np.int64]


@dataclass
class Draft:
    """How often pairs are planned and places taken, while sessions are being added that others do not know of yet.

    Attributes:
        table: The pairs of the study.
        seen: (n,) how often each pair of the table was planned.
        places: Condition -> sessions that count; under None all that are mixed.
    """

    table: PairTable
    seen: NDArray[np.int64]
    places: Counter[int | None]

    def plan(
        self,
        conditions: Collection[Condition],
        *,
        practice_count: int,
        test_count: int,
        golden_count: int,
        block_count: int,
        rng: np.random.Generator,
    ) -> list[PlannedTrial]:
        """Plan a session from the pairs that were seen least; see `PairTable.plan`."""
        return self.table.plan(
            self.seen,
            conditions={condition.position for condition in conditions},
            practice_count=practice_count,
            test_count=test_count,
            golden_count=golden_count,
            block_count=block_count,
            rng=rng,
        )

    def add(self, planned: Sequence[PlannedTrial], *, condition: int | None) -> None:
        """Count a session that was planned by this draft."""
        self.places[condition] += 1
        self.seen[self.table.places([trial.option.pair for trial in planned])] += 1


class Balance:
    """How often the pairs of a study were planned in sessions that count, and how many these are of each condition.

    What a session shows was planned at its start and never changes, so each process reads it once. Sessions that are
    new since have larger keys, for one starts after the other in a study: a start reads those alone. Which of the known
    ones have ended, lapsed or come back is looked at each time while they are few, and at most once a second when there
    are many; until then it is taken as it was. Asked for are those that do not count, which are fewer.
    """

    def __init__(self, study: Study, origin: Origin) -> None:
        """Read the pairs of a study whose design is frozen."""
        self.conditions = tuple(study.conditions.filter(role=Role.TEST).order_by("position"))
        tested = [condition.pk for condition in self.conditions]
        self._table = PairTable.of(pair_options(study, conditions=tested, origin=origin))
        self._study, self._origin = study.pk, origin
        self._seen = np.zeros(len(self._table.pair), np.int64)
        self._of_session: dict[int, Counted] = {}
        self._places: Counter[int | None] = Counter()
        self._out: set[int] = set()
        self._last = 0
        self._recounted_at, self._valid_s = 0.0, 0.0
        self._lock = Lock()

    def draft(self, *, is_exact: bool = False) -> Draft:
        """Return the balance as it stands. Whoever plans by it holds the study's row, so that nobody else does.

        Args:
            is_exact: Whether to look at all sessions, however many there are.
        """
        with self._lock:
            if is_exact or len(self._of_session) + len(self._out) <= FEW or self._is_due():
                self._recount()
            else:
                self._catch_up()
            return Draft(self._table, self._seen.copy(), self._places.copy())

    def refresh(self) -> None:
        """Look at all sessions if that is due: before the study's row is locked, so that nobody waits for it."""
        with self._lock:
            if self._is_due():
                self._recount()

    def add(self, session: int, *, condition: int | None, planned: Sequence[PlannedTrial]) -> None:
        """Count a session that this process has started and kept."""
        with self._lock:
            self._add(session, condition, [trial.option.pair for trial in planned])

    def _is_due(self) -> bool:
        age_s = timezone.now().timestamp() - self._recounted_at
        return not 0 <= age_s <= self._valid_s  # clocks are set back, too

    def _recount(self) -> None:
        """Count sessions that count since the last time, and no more those that do not."""
        began = time.perf_counter()
        self._catch_up()
        sessions = RatingSession.objects.filter(study=self._study, rater__origin=self._origin).order_by()
        counted = Q(state=SessionState.COMPLETE) | still_running()
        out = set(sessions.exclude(counted).values_list("pk", flat=True))
        erased: set[int] = set()
        if sessions.filter(pk__lte=self._last).count() != len(self._of_session.keys() | out):
            erased = self._of_session.keys() - set(sessions.values_list("pk", flat=True))
        for session in self._of_session.keys() & (out | erased):
            gone = self._of_session.pop(session)
            self._places[gone.condition] -= 1
            self._seen[gone.places] -= 1
        back = sorted(self._out - out)
        for first in range(0, len(back), _AT_ONCE):
            rows = RatingSession.objects.filter(pk__in=back[first : first + _AT_ONCE]).order_by()
            self._count(rows.values_list("pk", "condition_id", "plan"))
        self._out = out
        self._recounted_at = timezone.now().timestamp()
        self._valid_s = max(RECOUNT_S, RECOUNT_SHARE * (time.perf_counter() - began))

    def _catch_up(self) -> None:
        """Count the sessions that others have started meanwhile."""
        with connection.cursor() as cursor:  # planned each time: how many are new hangs on the key
            cursor.execute(_new_sql(), [self._study, self._last, self._origin.value])
            rows = cursor.fetchall()
        self._count([row[:3] for row in rows if row[3] in _COUNTING])
        self._out.update(row[0] for row in rows if row[3] not in _COUNTING)
        self._last = max((self._last, *(row[0] for row in rows)))

    def _count(self, rows: Iterable[tuple[int, int | None, str]]) -> None:
        unplanned: dict[int, int | None] = {}
        for session, condition, plan in rows:
            if plan:
                self._add(session, condition, plan_pairs(plan))
            else:
                unplanned[session] = condition
        if unplanned:  # those of before plans were kept
            pairs: dict[int, list[int]] = {session: [] for session in unplanned}
            trials = Trial.objects.filter(session__in=unplanned, repeat_of=None)
            for session, pair in trials.values_list("session_id", "pair_id"):
                pairs[session].append(pair)
            for session, condition in unplanned.items():
                self._add(session, condition, pairs[session])

    def _add(self, session: int, condition: int | None, pairs: ArrayLike) -> None:
        self._last = max(self._last, session)
        if session not in self._of_session:
            counted = Counted(condition, self._table.places(pairs))
            self._of_session[session] = counted
            self._places[condition] += 1
            self._seen[counted.places] += 1  # no pair comes twice in a session


@cache
def _new_sql() -> str:
    """Return the question for the sessions of a study and origin that are newer than a key."""
    session, rater = (model._meta.db_table for model in (RatingSession, Rater))  # noqa: SLF001 -- Django documents it
    return (
        "SELECT session.id, session.condition_id, session.plan, session.state "  # noqa: S608 -- names of ours
        f"FROM {session} AS session INNER JOIN {rater} AS rater ON rater.id = session.rater_id "
        "WHERE session.study_id = %s AND session.id > %s AND rater.origin = %s ORDER BY session.id"
    )


@lru_cache(maxsize=32)
def _balance_of(study: int, _code: str, _design_sha256: str, origin: Origin) -> Balance:
    return Balance(Study.objects.get(pk=study), origin)


def balance_get(study: Study, *, origin: Origin) -> Balance | None:
    """Return the balance of a study; None where trials are added to sessions later, or pairs may still change."""
    if not study.is_frozen or study.practice_pass:
        return None
    return _balance_of(study.pk, study.code, study.design_sha256, origin)
