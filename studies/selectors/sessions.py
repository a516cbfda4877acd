"""Where a rater stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Final, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.utils import timezone
from structlog.contextvars import bind_contextvars

from studies.errors import SessionUnknown
from studies.models import Kind, MissedExposure, Rater, RatingSession, Response, SessionState, Study, Trial
from studies.selectors.compiled import CompiledQuery, columns_of
from studies.selectors.entrances import study_columns, study_kept

AHEAD = 2
"""Trials after the current one that a browser may load beforehand."""


@dataclass(frozen=True)
class Passage:
    """Where a session stands, as its rater's browser may know it: nothing here tells truth from sample.

    Attributes:
        phase: "practice", "main", "finished", or "failed" if practice was not passed.
        position: Place of the current trial in its phase, and in its try of practice, from 1; 0 when all is over.
        count: Trials of the phase, or of a try of practice; 0 when all is over.
        trials: Codes of the current trial and of up to `AHEAD` after it.
        completion_code: What the rater hands in; "" until finished.
        is_first: Nothing was answered yet.
        is_phase_start: The current trial is the first of its phase.
        exposure_ms: For how long the current trial shows its pictures; 0 for until the answer, or when all is over.
        block: Which block of the staircase the current trial belongs to, from 1; 0 for none.
        is_block_start: It is the first of its block.
    """

    phase: str
    position: int
    count: int
    trials: tuple[str, ...]
    completion_code: str
    is_first: bool
    is_phase_start: bool
    exposure_ms: int = 0
    block: int = 0
    is_block_start: bool = False


class TrialAhead(NamedTuple):
    """A trial that waits for its answer."""

    code: str
    position: int
    kind: str
    block: int


@cache
def _session_columns() -> tuple[str, ...]:
    """Return what is read of a session at once: what drivers give as it is. Times and plan are read if asked for."""
    return columns_of(RatingSession, but=["plan", "started_at", "finished_at"])


@cache
def _rater_columns(prefix: str = "") -> tuple[str, ...]:
    """Return the same of a rater; see `columns_of`."""
    return columns_of(Rater, prefix=prefix, but=["created_at"])


_OF_CODE: Final = CompiledQuery(
    lambda session_code: (
        RatingSession.objects.filter(code=session_code)
        .order_by()
        .values_list(*_session_columns(), *_rater_columns("rater__"), *study_columns("study__"))
    ),
    "session_code",
)


def session_get(*, code: str) -> RatingSession:
    """Return a session with its study and rater; log lines name study and session from here on.

    The study is shared by requests, and nobody may change it (`study_kept`).

    Raises:
        SessionUnknown: If no session has this code.
    """
    rows = _OF_CODE.rows(session_code=code)
    if not rows:
        raise SessionUnknown("This address belongs to no session; open the link to the study once more.")
    of_rater = len(_session_columns())
    of_study = of_rater + len(_rater_columns())
    found = RatingSession.from_db(connection.alias, _session_columns(), rows[0][:of_rater])
    found.rater = Rater.from_db(connection.alias, _rater_columns(), rows[0][of_rater:of_study])
    found.study = study_kept(rows[0][of_study:])
    bind_contextvars(study=found.study_id, session=found.pk)
    return found


_OF_TOKEN: Final = CompiledQuery(
    lambda entry_token: RatingSession.objects.filter(entry_token=entry_token).order_by().values_list("pk"),
    "entry_token",
)


def token_is_used(entry_token: str) -> bool:
    """Return whether a consent form has started a session, of whatever study."""
    return bool(_OF_TOKEN.rows(entry_token=entry_token))


def still_running(prefix: str = "") -> Q:
    """Return the condition that a session is under way and may be finished yet.

    One without any answer is waited for `SESSION_UNANSWERED_MINUTES`, so that forms sent for nothing hold no places;
    one with an answer for `SESSION_ALIVE_MINUTES`. Trials are answered in their order, so the first one tells.

    Args:
        prefix: The way to the session from the model that is filtered, with its last `__`.
    """
    now = timezone.now()
    unanswered_since = now - timedelta(minutes=settings.SESSION_UNANSWERED_MINUTES)
    answered_since = now - timedelta(minutes=settings.SESSION_ALIVE_MINUTES)
    answered = Response.objects.filter(
        trial__position=0, trial__session__state=SessionState.ACTIVE, trial__session__started_at__gt=answered_since
    )
    is_young = Q(**{f"{prefix}state": SessionState.ACTIVE, f"{prefix}started_at__gt": unanswered_since})
    return is_young | Q(**{f"{prefix}pk__in": answered.values("trial__session")})


def exposure_get(study: Study, *, session: int, block: int) -> int:
    """Return the exposure in ms of a session's current trial: the study's, or what the answers of its block made of it.

    Answers that are left out since they missed their exposure do not move a staircase.

    Args:
        study: The study.
        session: Primary key of the session.
        block: Block of the trial; 0 for none.
    """
    staircase = study.staircase
    if staircase is None or not block:
        return study.exposure_ms
    answers = Response.objects.filter(trial__session=session, trial__block=block, is_set_aside=False)
    sides = answers.order_by("trial__position").values_list("chosen_side", "trial__photo_side")
    return staircase.after([chosen == photo for chosen, photo in sides])


_AHEAD: Final = CompiledQuery(
    lambda session_code: (
        Trial.objects.filter(session__code=session_code, response=None)
        .order_by("position")
        .values_list(*TrialAhead._fields)[: 1 + AHEAD]
    ),
    "session_code",
)


def passage_get(session: RatingSession) -> Passage:
    """Return where a session stands."""
    study = session.study
    ahead = [TrialAhead(*row) for row in _AHEAD.rows(session_code=session.code)]
    if session.state == SessionState.FAILED:
        return Passage("failed", 0, 0, (), "", is_first=False, is_phase_start=False)
    if not ahead:
        return passage_finished(session)
    practised = study.practice_count
    if study.practice_pass and ahead[0].kind != Kind.PRACTICE:
        practised = Trial.objects.filter(session=session, kind=Kind.PRACTICE).count()
    main_count = study.main_count
    if study.missed_exposure == MissedExposure.REPEAT:
        repeated = Trial.objects.filter(session=session, repeat_of__isnull=False)
        main_count += repeated.exclude(kind=Kind.PRACTICE).count()
    return passage_make(
        ahead,
        practice_count=study.practice_count,
        practised=practised,
        main_count=main_count,
        exposure_ms=exposure_get(study, session=session.pk, block=ahead[0].block),
        block_count=study.block_count,
    )


def passage_finished(session: RatingSession) -> Passage:
    """Return where a session stands whose trials are all answered."""
    return Passage("finished", 0, 0, (), session.completion_code, is_first=False, is_phase_start=False)


def passage_make(
    ahead: Sequence[TrialAhead],
    *,
    practice_count: int,
    practised: int,
    main_count: int,
    exposure_ms: int,
    block_count: int = 0,
) -> Passage:
    """Return where a session stands that waits for an answer.

    Args:
        ahead: The current trial and those that a browser may load beforehand.
        practice_count: Trials of a try of practice.
        practised: Trials of practice before the main part, in all tries.
        main_count: Trials of the main part, those shown again among them.
        exposure_ms: Of the current trial; 0 for until the answer.
        block_count: Trials of a block of the staircase; 0 without one.
    """
    current = ahead[0]
    is_practice = current.kind == Kind.PRACTICE
    position = current.position % practice_count + 1 if is_practice else current.position + 1 - practised
    return Passage(
        phase="practice" if is_practice else "main",
        position=position,
        count=practice_count if is_practice else main_count,
        trials=tuple(trial.code for trial in ahead),
        completion_code="",
        is_first=current.position == 0,
        is_phase_start=position == 1,
        exposure_ms=exposure_ms,
        block=current.block,
        is_block_start=current.block > 0 and (position - 1) % block_count == 0,
    )
