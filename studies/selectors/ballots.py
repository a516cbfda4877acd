"""What the answer to a trial is kept by, in one query."""

from typing import Final, NamedTuple

from structlog.contextvars import bind_contextvars

from studies.models import Trial
from studies.selectors.compiled import CompiledQuery
from studies.selectors.sessions import AHEAD, TrialAhead


class Ballot(NamedTuple):
    """The current trial of a session, what its answer is kept by, and what comes then.

    Attributes:
        trial: Primary key of the current trial.
        kind: Of the current trial.
        photo_side: Of the current trial: never for a browser, unless it is practice and answered.
        session: Primary key of the session.
        language: Of the session.
        exposure_ms: Setting of the study, as are those that follow.
        asks_for: See `Study`.
        missed_exposure: See `Study`.
        feedback: See `Study`.
        staircase_blocks: See `Study`.
        practice_count: See `Study`.
        practice_pass: See `Study`.
        main_count: See `Study`.
        ahead: The current trial and those after it, at most `AHEAD` + 2.
    """

    trial: int
    kind: str
    photo_side: str
    session: int
    language: str
    exposure_ms: int
    asks_for: str
    missed_exposure: str
    feedback: str
    staircase_blocks: int
    practice_count: int
    practice_pass: int
    main_count: int
    ahead: tuple[TrialAhead, ...]


_SETTINGS: Final = (
    *("exposure_ms", "asks_for", "missed_exposure", "feedback", "staircase_blocks"),
    *("practice_count", "practice_pass"),
)
_UNANSWERED: Final = CompiledQuery(
    lambda session_code: (
        Trial.objects.filter(session__code=session_code, response=None)
        .order_by("position")
        .values_list(
            *("code", "position", "kind", "block"),
            *("pk", "photo_side", "session_id", "session__language", "session__study_id"),
            *(f"session__study__{name}" for name in (*_SETTINGS, "test_count", "golden_count")),
        )[: AHEAD + 2]
    ),
    "session_code",
)


def ballot_get(*, session_code: str) -> Ballot | None:
    """Return what the next answer of a session is kept by, or None if it waits for none; log lines name the session."""
    rows = _UNANSWERED.rows(session_code=session_code)
    if not rows:
        return None
    (_, _, kind, _, trial, photo_side, session, language, study, *values, test_count, golden_count), *_ = rows
    exposure_ms, asks_for, missed_exposure, feedback, staircase_blocks, practice_count, practice_pass = values
    bind_contextvars(study=study, session=session)
    return Ballot(
        trial=trial,
        kind=kind,
        photo_side=photo_side,
        session=session,
        language=language,
        exposure_ms=exposure_ms,
        asks_for=asks_for,
        missed_exposure=missed_exposure,
        feedback=feedback,
        staircase_blocks=staircase_blocks,
        practice_count=practice_count,
        practice_pass=practice_pass,
        main_count=test_count + golden_count,
        ahead=tuple(TrialAhead(*row[:4]) for row in rows),
    )
