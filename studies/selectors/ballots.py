"""What the answer to a trial is kept by, in one query."""

from typing import Final, NamedTuple

from structlog.contextvars import bind_contextvars

from studies.errors import PictureMissing
from studies.models import Layout, Trial
from studies.selectors.compiled import CompiledQuery
from studies.selectors.sessions import AHEAD, TrialAhead
from studies.selectors.stimuli import SHOWN, Shown, picture_kept, stimulus_make

BROUGHT_BYTES: Final = 16_384
"""The most that the pictures of a trial may have to come with a reply, which a rater waits for."""


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
        size: Side of a picture, in pixels.
        ahead: The current trial and those after it, at most `AHEAD` + 2.
        last_shown: What the last of these shows.
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
    size: int
    ahead: tuple[TrialAhead, ...]
    last_shown: Shown

    @property
    def is_last(self) -> bool:
        """No trial comes after the current one."""
        return len(self.ahead) == 1


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
            *SHOWN,
            *("session__language", "session__study__photo_set__high_res_size"),
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
    shown = len(TrialAhead._fields)
    settings = shown + len(Shown._fields)
    current = Shown(*rows[0][shown:settings])
    language, size, *values, test_count, golden_count = rows[0][settings:]
    exposure_ms, asks_for, missed_exposure, feedback, staircase_blocks, practice_count, practice_pass = values
    bind_contextvars(study=current.study, session=current.session)
    return Ballot(
        trial=current.trial,
        kind=rows[0][TrialAhead._fields.index("kind")],
        photo_side=current.photo_side,
        session=current.session,
        language=language,
        exposure_ms=exposure_ms,
        asks_for=asks_for,
        missed_exposure=missed_exposure,
        feedback=feedback,
        staircase_blocks=staircase_blocks,
        practice_count=practice_count,
        practice_pass=practice_pass,
        main_count=test_count + golden_count,
        size=size,
        ahead=tuple(TrialAhead(*row[:shown]) for row in rows),
        last_shown=Shown(*rows[-1][shown:settings]),
    )


def stimulus_ahead(ballot: Ballot) -> tuple[str, bytes] | None:
    """Return the code and the images of the trial that a browser may load once the current one is answered.

    Brought with the reply they spare a request a vote. None if no trial is left, if they are larger than
    `BROUGHT_BYTES`, or if a file is missing: the browser asks for that trial by itself when it does, and is told then.
    """
    *_, last = ballot.ahead
    pictures = {Layout.SINGLE: 1, Layout.INPUT_BETWEEN: 3}.get(Layout(ballot.last_shown.layout), 2)
    if len(ballot.ahead) < AHEAD + 2 or pictures * 3 * ballot.size**2 > BROUGHT_BYTES:
        return None
    try:
        return last.code, stimulus_make(ballot.last_shown, read=picture_kept)
    except PictureMissing:
        return None
