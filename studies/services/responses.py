"""Answers are kept: when given, once, the first one."""

from dataclasses import dataclass

from django.db import IntegrityError, transaction

from studies.errors import StudyNotOpen, TrialNotCurrent, TrialUnknown
from studies.models import Kind, RatingSession, Response, Side, Study, StudyState, Trial
from studies.selectors.sessions import Passage, passage_get
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
) -> Recorded:
    """Keep the answer to the current trial; an answer to an earlier trial changes nothing and gets the same reply.

    Args:
        session: The session that answers.
        trial_code: Code of the trial.
        chosen_side: The side that the rater takes for the photo.
        rt_ms: Reaction time from the moment the buttons could be used.
        exposure_first_ms: For how long the first image really showed, if the browser could tell.
        exposure_second_ms: The same for the second.
        was_hidden: Whether the page was hidden while images showed.
        device_scale: Device pixels that showed one image pixel along each axis, if the browser told.
        pixel_ratio: Device pixels for one CSS pixel, likewise.

    Raises:
        TrialUnknown: If the session has no such trial.
        TrialNotCurrent: If another trial must be answered first.
        StudyNotOpen: If the study was closed.
    """
    try:
        trial = Trial.objects.select_related("response").get(session=session, code=trial_code)
    except Trial.DoesNotExist as error:
        raise TrialUnknown("This pair does not belong to your session; reload the page.") from error
    if not hasattr(trial, "response"):
        _response_create(
            session,
            trial,
            Response(
                trial=trial,
                chosen_side=chosen_side,
                rt_ms=rt_ms,
                exposure_first_ms=exposure_first_ms,
                exposure_second_ms=exposure_second_ms,
                was_hidden=was_hidden,
                device_scale=device_scale,
                pixel_ratio=pixel_ratio,
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
        if Study.objects.values_list("state", flat=True).get(pk=session.study_id) == StudyState.CLOSED:
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
        if not Trial.objects.filter(session=session, response=None).exists():
            session_finish(session=session)
