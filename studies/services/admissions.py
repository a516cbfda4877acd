"""Raters are let in: each gets a place, a condition and a plan, in view of all who were let in before.

What has to be decided for one rater after the other is kept short. Those who come to a process at the same moment go in
together, by one lock, one look at what others have planned, and one commit; and what is decided is kept in one row, the
session with its plan. Its trials are made of the plan afterwards, where the database has room for several writers.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from threading import Event, Lock
from typing import Final

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from studies import planning
from studies.errors import EvalsiteError, ParticipantElsewhere
from studies.models import (
    Assignment,
    Condition,
    Origin,
    PanelEntry,
    Rater,
    RatingSession,
    Recruitment,
    Role,
    Study,
    StudyState,
)
from studies.models.choices import token_make
from studies.planning import PlannedTrial, plan_text
from studies.recruitment import Arrival
from studies.selectors.balance import Draft, balance_get
from studies.selectors.compiled import planned_cursor
from studies.selectors.recruitment import recruitment_get, taken_elsewhere
from studies.selectors.studies import pair_options
from studies.selectors.wording import texts_get
from studies.services.inserts import rows_insert
from studies.services.places import places_taken, state_check, wanted_check
from studies.services.trials import trials_keep

NEARLY_FULL = 50
"""With so many places left or fewer, sessions are counted anew for each rater, however many there are."""

_COUNTS: Final = ("practice_count", "test_count", "golden_count")
_RATER: Final = ("code", "origin", "created_at")
_SESSION: Final = (
    *("code", "study_id", "rater_id", "condition_id", "state", "exclusion_reason", "broken_rules", "seed", "plan"),
    *("consent_sha256", "entry_token", "language", "completion_code", "started_at"),
)
_ENTRY: Final = (
    *("study_id", "panel", "participant", "panel_session", "panel_study", "submit_to", "session_id", "created_at"),
)


@dataclass(eq=False, slots=True)
class Admission:
    """A rater who has agreed, and what comes of it.

    Attributes:
        study: The study.
        origin: What the rater is.
        entry_token: Of the form, used by no other session.
        arrival: Who came, if a panel says so.
        language: In which the rater has read what they agreed to.
        seed: Of every random choice.
        planned: The plan, once it is made.
        session: The session, once it is kept.
        refusal: Why there is none, if the rater cannot be let in.
        is_left: The raters who were to go in together could not; each has to try alone.
        turn: Set when something was decided, or when it is this rater's turn to lead the next ones in.
    """

    study: Study
    origin: Origin
    entry_token: str
    arrival: Arrival | None
    language: str
    seed: int = field(default_factory=lambda: secrets.randbits(62))
    condition: Condition | None = None
    planned: Sequence[PlannedTrial] = ()
    session: RatingSession | None = None
    refusal: EvalsiteError | None = None
    is_left: bool = False
    turn: Event = field(default_factory=Event)

    @property
    def is_decided(self) -> bool:
        """Return whether nothing more has to be waited for."""
        return self.is_left or self.session is not None or self.refusal is not None


def admission_get(asked: Admission) -> RatingSession:
    """Let a rater in; return the session with its trials.

    Raises:
        EvalsiteError: See `session_start`.
        IntegrityError: If the form or the participant has started a session meanwhile.
    """
    may_gather = not connection.in_atomic_block and balance_get(asked.study, origin=asked.origin) is not None
    if may_gather:
        _gate_of(asked.study.pk, asked.origin).enter(asked)
    if not may_gather or asked.is_left:
        raters_admit([asked])
    if asked.refusal is not None:
        raise asked.refusal
    if asked.session is None:
        raise AssertionError("a rater was neither let in nor refused")
    if _has_many_writers():
        trials_keep(session=asked.session.pk, planned=asked.planned)
    return asked.session


class Gate:
    """Where the raters of a study wait who come to this process at the same moment, so that they go in together.

    The first one leads: it lets in all who wait, itself among them. Who came meanwhile is led by the first of them.
    """

    def __init__(self, admit: Callable[[Sequence[Admission]], None]) -> None:
        """Remember how raters are let in."""
        self._admit = admit
        self._waiting: list[Admission] = []
        self._is_led = False
        self._lock = Lock()

    def enter(self, asked: Admission) -> None:
        """Return when it is decided what comes of it."""
        with self._lock:
            self._waiting.append(asked)
            must_wait, self._is_led = self._is_led, True
        if must_wait:
            asked.turn.wait()
        if not asked.is_decided:
            self._lead()

    @property
    def waiting(self) -> int:
        """Return how many wait to be led in."""
        with self._lock:
            return len(self._waiting)

    def _lead(self) -> None:
        with self._lock:
            together, self._waiting = self._waiting, []
        try:
            self._admit(together)
        except Exception:  # noqa: BLE001 -- whatever it is, each is to meet it alone, in a transaction of its own
            for each in together:
                each.session = each.refusal = None
        finally:
            for each in together:
                each.is_left = each.session is None and each.refusal is None
            with self._lock:
                following = self._waiting[:1]
                self._is_led = bool(following)
            for each in (*together, *following):
                each.turn.set()


@lru_cache(maxsize=256)
def _gate_of(_study: int, _origin: Origin) -> Gate:
    return Gate(raters_admit)


def raters_admit(together: Sequence[Admission]) -> None:
    """Let in raters of one study and origin, or refuse them, in one transaction; each admission then says which.

    Raises:
        IntegrityError: If a form or a participant has started a session meanwhile; then nobody was let in.
    """
    study, origin = together[0].study, together[0].origin
    recruitment = recruitment_get(study)
    balance = balance_get(study, origin=origin)
    if balance is not None:
        balance.refresh()
    is_durable_later = (
        not connection.in_atomic_block
    )  # trials are kept right after, by a commit that waits for the disk
    with _only_writer(), transaction.atomic():
        state, wanted = study_lock(study, group=recruitment.group, waits_for_disk=not is_durable_later)
        draft = None
        if balance is not None:
            draft = balance.draft()
            if wanted - _least(draft, study, balance.conditions) <= NEARLY_FULL:
                draft = balance.draft(is_exact=True)
            conditions: Sequence[Condition] = balance.conditions
        else:
            conditions = list(study.conditions.filter(role=Role.TEST).order_by("position"))
        for each in together:
            try:
                _elsewhere_check(each, recruitment)
                state_check(state=state, origin=origin)
                _place_give(each, conditions, draft, wanted=wanted)
            except EvalsiteError as error:
                each.refusal = error
        admitted = [each for each in together if each.refusal is None]
        if admitted:
            _sessions_keep(admitted, recruitment)
    if balance is not None:
        for each in admitted:
            if each.session is not None:
                balance.add(each.session.pk, condition=each.session.condition_id, planned=each.planned)


def study_lock(study: Study, *, group: str, waits_for_disk: bool = True) -> tuple[StudyState, int]:
    """Let nobody else start a session in a study, or in its group, before the transaction ends.

    Args:
        study: The study.
        group: Its group; "" for none.
        waits_for_disk: Whether the commit returns, and frees the lock, only once it is on disk; as it is without it as
            soon as a later commit is.

    Returns:
        The study's state now, and how many sessions it wants.
    """
    if group:
        studies = Study.objects.filter(pk=study.pk) | Study.objects.filter(
            owner=study.owner_id, pk__in=Recruitment.objects.filter(group=group).values("study")
        )
        list(studies.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    with planned_cursor() as cursor:
        cursor.execute(_lock_sql(connection.vendor, waits_for_disk), [study.pk])
        state, wanted, *_ = cursor.fetchone()
    return StudyState(state), wanted


@cache
def _lock_sql(vendor: str, waits_for_disk: bool) -> str:
    table = Study._meta.db_table  # noqa: SLF001 -- Django documents it, underscore and all
    at_once = ", set_config('synchronous_commit', 'off', true)"
    columns = f"state, raters_wanted{at_once if vendor == 'postgresql' and not waits_for_disk else ''}"
    lock = " FOR NO KEY UPDATE" if connection.features.has_select_for_update else ""
    return f"SELECT {columns} FROM {table} WHERE id = %s{lock}"  # noqa: S608 -- names of ours


def _has_many_writers() -> bool:
    """Return whether trials can be made after the transaction without keeping others waiting."""
    return connection.features.has_select_for_update


@contextmanager
def _only_writer() -> Iterator[None]:
    """Wait for other processes of this machine that let raters in, where the database has each ask again and again.

    SQLite has one writer, and whoever finds it busy sleeps for longer and longer. A file's lock is handed on at once.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    handle = os.open(settings.DATA_DIR / "admissions.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _elsewhere_check(asked: Admission, recruitment: Recruitment) -> None:
    if asked.arrival is not None and taken_elsewhere(recruitment=recruitment, participant=asked.arrival.participant):
        raise ParticipantElsewhere("You have taken part in another study of this series, and one is enough.")


def _least(draft: Draft, study: Study, conditions: Sequence[Condition]) -> int:
    """Return how many places are taken of the condition that has the fewest, or of all where sessions are mixed."""
    if study.assignment == Assignment.MIXED:
        return draft.places[None]
    return min(draft.places[condition.pk] for condition in conditions)


def _place_give(asked: Admission, conditions: Sequence[Condition], draft: Draft | None, *, wanted: int) -> None:
    """Choose a condition, if sessions have one, and plan the session."""
    study, origin = asked.study, asked.origin
    rng = np.random.default_rng(asked.seed)
    is_mixed = study.assignment == Assignment.MIXED
    taken = places_taken(study, origin=origin) if draft is None else draft.places
    counted: list[int | None] = [None] if is_mixed else [condition.pk for condition in conditions]
    counts = {key: taken[key] for key in counted}
    least = min(counts.values())
    wanted_check(taken=least, wanted=wanted, origin=origin)
    if not is_mixed:
        fewest = [condition for condition in conditions if counts[condition.pk] == least]
        asked.condition = fewest[int(rng.integers(len(fewest)))]
    shown = [asked.condition] if asked.condition else conditions
    of_each = {name: getattr(study, name) for name in _COUNTS}
    if draft is not None:
        asked.planned = draft.plan(shown, **of_each, block_count=study.staircase_blocks, rng=rng)
        draft.add(asked.planned, condition=asked.condition.pk if asked.condition else None)
    else:
        options = pair_options(study, conditions=[condition.pk for condition in shown], origin=origin)
        asked.planned = planning.plan_session(options, **of_each, block_count=study.staircase_blocks, rng=rng)


def _sessions_keep(admitted: Sequence[Admission], recruitment: Recruitment) -> None:
    """Keep raters and sessions with their plans; where there is one writer, the trials too."""
    study = recruitment.study
    now = timezone.now()
    moment = connection.ops.adapt_datetimefield_value(now)
    raters = rows_insert(Rater, _RATER, [(token_make(), each.origin.value, moment) for each in admitted])
    sessions = [
        RatingSession(
            study=each.study,
            rater_id=rater,
            condition=each.condition,
            seed=each.seed,
            plan=plan_text(each.planned),
            consent_sha256=_consent_sha256(texts_get(each.study, language=each.language).consent_text),
            language=each.language,
            entry_token=each.entry_token,
            started_at=now,
        )
        for each, rater in zip(admitted, raters, strict=True)
    ]
    rows = [tuple(moment if name == "started_at" else getattr(one, name) for name in _SESSION) for one in sessions]
    for session, key in zip(sessions, rows_insert(RatingSession, _SESSION, rows), strict=True):
        session.pk = key
        session._state.adding, session._state.db = False, connection.alias  # noqa: SLF001 -- as Django does after a save
    arrivals = [
        (study.pk, recruitment.panel, *each.arrival[:3], each.arrival.submit_to, session.pk, moment)
        for each, session in zip(admitted, sessions, strict=True)
        if each.arrival is not None
    ]
    if arrivals:
        rows_insert(PanelEntry, _ENTRY, arrivals)
    for each, session in zip(admitted, sessions, strict=True):
        if not _has_many_writers():
            trials_keep(session=session.pk, planned=each.planned)
        each.session = session


@lru_cache(maxsize=64)
def _consent_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
