"""Answers are kept: when given, once, the first one."""

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Max

from studies.errors import SessionEnded, StudyNotOpen, TrialNotCurrent, TrialUnknown
from studies.models import ENDED, AsksFor, Kind, MissedExposure, RatingSession, Response, Side, StudyState, Trial
from studies.protocols import exposure_missed
from studies.selectors.sessions import Passage, passage_get
from studies.services.practice import practice_judge
from studies.services.sessions import session_finish


@dataclass(frozen=True)
class Feedback:
    """What a rater is told after a practice pair.

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
        feedback: For practice pairs only.
        passage: Where the session stands now.
    """

    feedback: Feedback | None
    passage: Passage


def response_record(
    *,
    session: RatingSession,
    trial_code: str,
    chosen_side: Side,
    rt_ms: int,
    exposure_first_ms: float | None,
    exposure_second_ms: float | None,
    was_hidden: bool,
    device_scale: int | None = None,
    pixel_ratio: float | None = None,
    frames_first: int | None = None,
    frames_second: int | None = None,
    frame_interval_ms: float | None = None,
    lost_focus: bool = False,
    focus_losses: int = 0,
    automation: str = "",
) -> Recorded:
    """Keep the answer to the current trial; an answer to an earlier trial changes nothing and gets the same reply.

    Args:
        session: The session that answers.
        trial_code: Code of the trial.
        chosen_side: The side that the rater pressed in answer to the study's question: the one taken for the photo, or
            for the sample if the question asks for that.
        rt_ms: Reaction time from the moment the buttons could be used.
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
        is_missed = exposure_missed(
            study.exposure_ms, exposure_first_ms, exposure_second_ms, frame_interval_ms=frame_interval_ms
        )
        is_photo_asked = study.asks_for == AsksFor.PHOTO
        is_judged = trial.kind != Kind.PRACTICE
        _response_create(
            session,
            trial,
            Response(
                trial=trial,
                chosen_side=chosen_side if is_photo_asked else chosen_side.other,
                asked_for=study.asks_for,
                rt_ms=rt_ms,
                exposure_first_ms=exposure_first_ms,
                exposure_second_ms=exposure_second_ms,
                was_hidden=was_hidden,
                device_scale=device_scale,
                pixel_ratio=pixel_ratio,
                frames_first=frames_first,
                frames_second=frames_second,
                frame_interval_ms=frame_interval_ms,
                exposure_missed=is_missed,
                is_set_aside=is_missed and is_judged and study.missed_exposure != MissedExposure.KEEP,
                lost_focus=lost_focus,
                focus_losses=focus_losses,
                automation=automation,
            ),
        )
    kept = Response.objects.get(trial=trial)
    feedback = None
    if trial.kind == Kind.PRACTICE:
        feedback = Feedback(kept.chosen_side == trial.photo_side, Side(trial.photo_side))
    session.refresh_from_db(fields=["state", "completion_code"])  # another copy of the last answer may have ended it
    return Recorded(feedback, passage_get(session))


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
