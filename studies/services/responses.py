"""Answers are kept: when given, once, the first one."""

from dataclasses import dataclass
from functools import cache
from typing import Final, Required, TypedDict, Unpack

from django.db import IntegrityError, connection, transaction
from django.db.models import Max

from studies.errors import SessionEnded, StudyNotOpen, TrialNotCurrent, TrialUnknown
from studies.models import (
    ENDED,
    AsksFor,
    Feedback,
    Kind,
    MissedExposure,
    RatingSession,
    Response,
    SessionState,
    Side,
    Study,
    StudyState,
    Trial,
)
from studies.protocols import exposure_missed
from studies.selectors.ballots import Ballot
from studies.selectors.compiled import planned_cursor
from studies.selectors.sessions import AHEAD, Passage, exposure_get, passage_finished, passage_get, passage_make
from studies.services.practice import practice_judge
from studies.services.sessions import session_finish

_PLAIN: Final = frozenset({bool, float, int, str, type(None)})


@dataclass(frozen=True)
class Told:
    """What a rater is told after a practice pair, or after every answer.

    Attributes:
        correct: The photo was chosen.
        photo_side: Where the photo was.
    """

    correct: bool
    photo_side: Side


@dataclass(frozen=True)
class Recorded:
    """The reply to an answer.

    Attributes:
        feedback: For practice pairs, or for all where the study tells after every answer.
        passage: Where the session stands now.
    """

    feedback: Told | None
    passage: Passage


class Measured(TypedDict, total=False):
    """What the browser measured of a trial.

    Attributes:
        exposure_first_ms: For how long the first image really showed, if the browser could tell.
        exposure_second_ms: The same for the second.
        was_hidden: Whether the page was hidden while images showed.
        device_scale: Device pixels that showed one image pixel along each axis, if the browser told.
        pixel_ratio: Device pixels for one CSS pixel, likewise.
        frames_first: Frames on which the first image was seen, likewise.
        frames_second: The same for the second.
        frame_interval_ms: Median time between two frames while the trial was shown, likewise.
        lost_focus: Whether the page was without focus while images showed.
        focus_losses: How often the rater left the page, from the start of the trial to the answer.
        automation: Signs that a program drove the browser, parted by spaces.
    """

    exposure_first_ms: Required[float | None]
    exposure_second_ms: Required[float | None]
    was_hidden: Required[bool]
    device_scale: int | None
    pixel_ratio: float | None
    frames_first: int | None
    frames_second: int | None
    frame_interval_ms: float | None
    lost_focus: bool
    focus_losses: int
    automation: str


def ballot_cast(
    *, ballot: Ballot, trial_code: str, chosen_side: Side, rt_ms: int, **measured: Unpack[Measured]
) -> Recorded | None:
    """Keep the answer to the current trial where nothing else follows from it but the next one: most answers.

    One statement keeps it, if the session is still under way and the study not closed, and locks nothing that another
    session waits for. The end of a session is `last_ballot_cast`'s to keep. Whatever else may be the matter is
    `response_record`'s to tell: the end of practice, a trial that is shown again, an answer sent twice, a staircase,
    feedback on every answer.

    Args:
        ballot: Where the session stands.
        trial_code: Code of the trial.
        chosen_side: See `response_record`.
        rt_ms: See `response_record`.
        measured: See `Measured`.

    Returns:
        The reply; None if nothing was kept.
    """
    if ballot.is_last:
        return None
    response = _ballot_keep(ballot, trial_code, chosen_side, rt_ms, measured, lock="FOR SHARE")
    if response is None:
        return None
    passage = passage_make(
        ballot.ahead[1 : 2 + AHEAD],
        practice_count=ballot.practice_count,
        practised=ballot.practice_count,
        main_count=ballot.main_count,
        exposure_ms=ballot.exposure_ms,
    )
    return Recorded(_told(ballot, response), passage)


def last_ballot_cast(
    *,
    ballot: Ballot,
    session: RatingSession,
    trial_code: str,
    chosen_side: Side,
    rt_ms: int,
    **measured: Unpack[Measured],
) -> Recorded | None:
    """Keep the answer to the last trial of a session, as `ballot_cast` does, and end the session.

    Args:
        ballot: Where the session stands.
        session: The session; it is changed.
        trial_code: Code of the trial.
        chosen_side: See `response_record`.
        rt_ms: See `response_record`.
        measured: See `Measured`.

    Returns:
        The reply; None if nothing was kept, or if `response_record` has to tell what follows.
    """
    if not ballot.is_last:
        return None
    with transaction.atomic():
        response = _ballot_keep(ballot, trial_code, chosen_side, rt_ms, measured, lock="FOR NO KEY UPDATE")
        if response is None:
            return None
        session_finish(session=session)
    return Recorded(_told(ballot, response), passage_finished(session))


def _ballot_keep(
    ballot: Ballot, trial_code: str, chosen_side: Side, rt_ms: int, measured: Measured, *, lock: str
) -> Response | None:
    """Keep an answer by one statement that locks its session; None if it kept nothing, or more follows from it."""
    may_judge = ballot.kind == Kind.PRACTICE and ballot.practice_pass
    counts_anew = ballot.practice_pass or ballot.missed_exposure == MissedExposure.REPEAT
    follows = ballot.staircase_blocks or ballot.feedback == Feedback.EVERY
    if trial_code != ballot.ahead[0].code or may_judge or counts_anew or follows:
        return None
    response = _response_make(
        trial=ballot.trial,
        kind=ballot.kind,
        exposure_ms=ballot.exposure_ms,
        asks_for=ballot.asks_for,
        missed_exposure=ballot.missed_exposure,
        chosen_side=chosen_side,
        rt_ms=rt_ms,
        measured=measured,
    )
    fields = Response._meta.concrete_fields  # noqa: SLF001 -- Django documents it, underscore and all
    given = [field.pre_save(response, add=True) for field in fields]
    # Django's way to the database takes longer than the statement, and does nothing with what is plain already.
    values = [
        value if type(value) in _PLAIN else field.get_db_prep_save(value, connection)
        for field, value in zip(fields, given, strict=True)
    ]
    with planned_cursor() as cursor:
        cursor.execute(_keep_sql(lock), [*values, ballot.session])
        return response if cursor.rowcount == 1 else None


def _told(ballot: Ballot, response: Response) -> Told | None:
    if ballot.kind != Kind.PRACTICE:
        return None
    return Told(response.chosen_side == ballot.photo_side, Side(ballot.photo_side))


@cache
def _keep_sql(lock: str) -> str:
    """Return the statement that keeps a response, once, while its session is under way.

    The lock on the session makes it wait for a rater who withdraws at the same moment, and look again.

    Args:
        lock: "FOR SHARE", or "FOR NO KEY UPDATE" where the session is changed next.
    """
    models = (Response, RatingSession, Study)
    response, session, study = (model._meta.db_table for model in models)  # noqa: SLF001 -- as above
    columns = [str(field.column) for field in Response._meta.concrete_fields]  # noqa: SLF001 -- as above
    locked = f"{lock} OF session" if connection.features.has_select_for_update_of else ""
    return (
        f"INSERT INTO {response} ({', '.join(columns)}) SELECT {', '.join(['%s'] * len(columns))} "  # noqa: S608 -- names of ours
        f"FROM {session} AS session INNER JOIN {study} AS study ON study.id = session.study_id "
        f"WHERE session.id = %s AND session.state = '{SessionState.ACTIVE}' AND study.state <> '{StudyState.CLOSED}' "
        f"{locked} ON CONFLICT DO NOTHING"
    )


def response_record(
    *, session: RatingSession, trial_code: str, chosen_side: Side, rt_ms: int, **measured: Unpack[Measured]
) -> Recorded:
    """Keep the answer to the current trial; an answer to an earlier trial changes nothing and gets the same reply.

    Args:
        session: The session that answers.
        trial_code: Code of the trial.
        chosen_side: The side that the rater pressed in answer to the study's question: the one taken for the photo, or
            for the sample if the question asks for that.
        rt_ms: Reaction time from the moment the buttons could be used.
        measured: See `Measured`.

    Raises:
        TrialUnknown: If the session has no such trial.
        TrialNotCurrent: If another trial must be answered first.
        StudyNotOpen: If the study was closed.
        SessionEnded: If the rater has withdrawn, or the session was given back.
    """
    try:
        trial = Trial.objects.select_related("response").get(session=session, code=trial_code)
    except Trial.DoesNotExist as error:
        raise TrialUnknown("This pair does not belong to your session; reload the page.") from error
    if not hasattr(trial, "response"):
        study = session.study
        response = _response_make(
            trial=trial.pk,
            kind=trial.kind,
            exposure_ms=exposure_get(study, session=session.pk, block=trial.block),
            asks_for=study.asks_for,
            missed_exposure=study.missed_exposure,
            chosen_side=chosen_side,
            rt_ms=rt_ms,
            measured=measured,
        )
        _response_create(session, trial, response)
    kept = Response.objects.get(trial=trial)
    feedback = None
    if trial.kind == Kind.PRACTICE or session.study.feedback == Feedback.EVERY:
        feedback = Told(kept.chosen_side == trial.photo_side, Side(trial.photo_side))
    session.refresh_from_db(fields=["state", "completion_code"])  # another copy of the last answer may have ended it
    return Recorded(feedback, passage_get(session))


def _response_make(
    *,
    trial: int,
    kind: str,
    exposure_ms: int,
    asks_for: str,
    missed_exposure: str,
    chosen_side: Side,
    rt_ms: int,
    measured: Measured,
) -> Response:
    """Return the response to a trial by the settings of its study, not saved."""
    is_missed = exposure_missed(
        exposure_ms,
        measured["exposure_first_ms"],
        measured["exposure_second_ms"],
        frame_interval_ms=measured.get("frame_interval_ms"),
    )
    is_judged = kind != Kind.PRACTICE
    return Response(
        trial_id=trial,
        chosen_side=chosen_side if asks_for == AsksFor.PHOTO else chosen_side.other,
        asked_for=asks_for,
        rt_ms=rt_ms,
        exposure_asked_ms=exposure_ms,
        exposure_missed=is_missed,
        is_set_aside=is_missed and is_judged and missed_exposure != MissedExposure.KEEP,
        **measured,
    )


def _response_create(session: RatingSession, trial: Trial, response: Response) -> None:
    with transaction.atomic():
        rows = RatingSession.objects.select_for_update(of=("self",)).values_list("state", "study__state")
        session_state, study_state = rows.get(pk=session.pk)
        if session_state in ENDED:
            if Response.objects.filter(trial=trial).exists():
                return  # the answer that ended it, sent twice at once
            raise SessionEnded("This session has ended and takes no more answers.")
        if study_state == StudyState.CLOSED:
            raise StudyNotOpen("This study has been closed; your earlier answers are kept, this one came too late.")
        current = Trial.objects.filter(session=session, response=None).order_by("position").first()
        if current is None or current.pk != trial.pk:
            if Response.objects.filter(trial=trial).exists():
                return  # the same answer, sent twice at once: the other copy was kept
            raise TrialNotCurrent(position=trial.position, expected=current.position if current else trial.position)
        try:
            with transaction.atomic():
                response.save(force_insert=True)
        except IntegrityError:  # the other copy was kept in between
            return
        if trial.kind == Kind.PRACTICE:
            practice_judge(session=session)
        if response.is_set_aside and session.study.missed_exposure == MissedExposure.REPEAT:
            _trial_repeat(trial)
        if not Trial.objects.filter(session=session, response=None).exists():
            session_finish(session=session)


def _trial_repeat(trial: Trial) -> None:
    """Show a pair once more at the end of the session, on the same sides; nothing comes a third time."""
    if trial.repeat_of_id is not None:
        return
    last = Trial.objects.filter(session=trial.session_id).aggregate(last=Max("position"))["last"]
    Trial.objects.create(
        session_id=trial.session_id,
        position=last + 1,
        pair_id=trial.pair_id,
        photo_id=trial.photo_id,
        kind=trial.kind,
        photo_side=trial.photo_side,
        repeat_of=trial,
    )
