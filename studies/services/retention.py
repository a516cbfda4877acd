"""What need not be kept is deleted: one rater with all answers, or what visitors left unfinished."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from studies.errors import RaterUnknown
from studies.models import About, Bundle, Origin, PanelEntry, Rater, RatingSession, Response, SessionState, Trial
from studies.services.events import event_record

BATCH = 200
"""Sessions that are deleted in one transaction, so that nobody waits for long."""


@dataclass(frozen=True)
class Leftovers:
    """What was deleted.

    Attributes:
        previews: Sessions of researchers who looked at their own study.
        unanswered: Sessions of people who agreed and answered nothing.
        sign_ins: Expired sign-ins of researchers.
    """

    previews: int
    unanswered: int
    sign_ins: int


def rater_find(*, word: str) -> Rater:
    """Return the rater that a word names: `rater-7` or `session-7`, as exports say, or a session's or completion code.

    Raises:
        RaterUnknown: If it names none, or more than one.
    """
    kind, _, number = word.partition("-")
    raters = Rater.objects.none()
    if kind == "rater" and number.isdecimal():
        raters = Rater.objects.filter(pk=number)
    elif kind == "session" and number.isdecimal():
        raters = Rater.objects.filter(sessions__pk=number)
    elif word:
        found = RatingSession.objects.filter(code=word) | RatingSession.objects.filter(completion_code=word)
        raters = Rater.objects.filter(sessions__in=found)
    matches = list(raters.distinct()[:2])
    if len(matches) != 1:
        how_many = "more than one rater" if matches else "no rater"
        raise RaterUnknown(
            f"{word!r} names {how_many}; give rater-NUMBER or session-NUMBER as exports do, or a completion code."
        )
    return matches[0]


def rater_of_participant(*, participant: str) -> list[Rater]:
    """Return the raters who came under a panel's id.

    Raises:
        RaterUnknown: If nobody did, or if the panel's ids were deleted since.
    """
    raters = list(Rater.objects.filter(sessions__panel_entry__participant=participant).distinct())
    if not raters:
        raise RaterUnknown("Nobody came under this id, or it was deleted since; ask for the completion code.")
    return raters


def rater_erase(*, rater: Rater) -> int:
    """Delete a rater with every session, plan and answer and the panel's ids; studies' logs tell that, not who it was.

    Bundles that are kept of those studies hold the answers as well: they go too, and can be ordered again.

    Returns:
        The number of answers that are gone.
    """
    with transaction.atomic():
        sessions = list(RatingSession.objects.select_for_update(of=("self",)).filter(rater=rater))
        erased = 0
        for session in sessions:
            answers = Response.objects.filter(trial__session=session).count()
            erased += answers
            sentence = f"Erased a rater with {answers} answer{'' if answers == 1 else 's'}, as asked for."
            event_record(study=session.study, about=About.OTHER, sentence=sentence)
        Bundle.objects.filter(study__in=[session.study_id for session in sessions]).delete()
        _sessions_delete([session.pk for session in sessions])
        Rater.objects.filter(pk=rater.pk).delete()
    return erased


def leftovers_delete(*, before: datetime) -> Leftovers:
    """Delete previews and unanswered sessions that began before a time, and sign-ins that have expired."""
    answers = Response.objects.filter(trial__session=OuterRef("pk"))
    old = RatingSession.objects.filter(started_at__lt=before)
    unanswered = old.filter(rater__origin=Origin.PERSON, state=SessionState.ACTIVE).exclude(Exists(answers))
    expired, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
    return Leftovers(
        previews=_with_raters_delete(list(old.filter(rater__origin=Origin.PREVIEW).values_list("pk", "rater"))),
        unanswered=_with_raters_delete(list(unanswered.values_list("pk", "rater"))),
        sign_ins=expired,
    )


def _with_raters_delete(found: Sequence[tuple[int, int]]) -> int:
    for start in range(0, len(found), BATCH):
        batch = found[start : start + BATCH]
        with transaction.atomic():
            _sessions_delete([session for session, _ in batch])
            Rater.objects.filter(pk__in=[rater for _, rater in batch], sessions=None).delete()
    return len(found)


def _sessions_delete(keys: Sequence[int]) -> None:
    Response.objects.filter(trial__session__in=keys).delete()
    PanelEntry.objects.filter(session__in=keys).delete()
    Trial.objects.filter(session__in=keys).delete()
    RatingSession.objects.filter(pk__in=keys).delete()
