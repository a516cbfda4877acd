"""Raters come from panels: their arrival is signed, remembered once they consent, counted, and at last forgotten."""

from datetime import datetime
from typing import Literal

from django.core import signing
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from studies.errors import StudyStateWrong, TokenInvalid
from studies.models import FINISHED, About, ArrivalCount, PanelEntry, RatingSession, Recruitment, Study, StudyState
from studies.recruitment import Arrival
from studies.selectors.recruitment import recruitment_get
from studies.services.events import changes_between, event_record, fields_named

TICKET_AGE_S = 24 * 60 * 60
"""For how long a consent form from a panel can be sent."""

_SALT = "studies.arrival"


def ticket_sign(*, study: Study, arrival: Arrival) -> str:
    """Return a word for the consent form that says who came, so that its address need not say so again."""
    return signing.dumps([study.code, *arrival], salt=_SALT)


def ticket_read(*, study: Study, ticket: str) -> Arrival:
    """Return who came.

    Raises:
        TokenInvalid: If the ticket was changed, is too old or was made for another study.
    """
    try:
        code, *ids = signing.loads(ticket, salt=_SALT, max_age=TICKET_AGE_S)
    except signing.SignatureExpired as error:
        raise TokenInvalid("This page has been open for too long; open the study from its panel once more.") from error
    except signing.BadSignature as error:
        raise TokenInvalid("This form has been changed on its way; open the study from its panel once more.") from error
    if code != study.code:
        raise TokenInvalid("This form belongs to another study; open this one from its panel once more.")
    return Arrival(*ids)


def arrival_count(*, study: Study, what: Literal["arrived", "declined", "turned_away", "wrong_device"]) -> None:
    """Count one visit to a study's first page, by its day alone."""
    today = timezone.now().date()
    if not ArrivalCount.objects.filter(study=study, day=today).update(**{what: F(what) + 1}):
        count, is_new = ArrivalCount.objects.get_or_create(study=study, day=today, defaults={what: 1})
        if not is_new:  # another visit made the day's row in between
            ArrivalCount.objects.filter(pk=count.pk).update(**{what: F(what) + 1})


def entry_refresh(*, entry: PanelEntry, arrival: Arrival) -> None:
    """Note the ids of a new visit by a participant who was here before: an assignment given back gets another id."""
    if entry.arrival != arrival:
        if entry.panel_session != arrival.session:
            entry.submit_attempted_at = None  # of the assignment before
        entry.panel_session, entry.panel_study, entry.submit_to = arrival[1:]
        entry.save(update_fields=["panel_session", "panel_study", "submit_to", "submit_attempted_at"])


def submit_note(*, session: RatingSession) -> None:
    """Note that a rater pressed to hand in a finished assignment; the first time counts."""
    finished = PanelEntry.objects.filter(session=session, session__state__in=FINISHED)
    finished.filter(submit_attempted_at=None).update(submit_attempted_at=timezone.now())


def panel_ids_delete(*, before: datetime, study: Study | None = None) -> int:
    """Forget who came before a time, in one study or in all; answers stay. Return how many were forgotten."""
    entries = PanelEntry.objects.filter(created_at__lt=before)
    if study is not None:
        entries = entries.filter(study=study)
    with transaction.atomic():
        for of in Study.objects.filter(panel_entries__in=entries).distinct():
            count = entries.filter(study=of).count()
            ids = f"ids of {count} participant{'' if count == 1 else 's'} who came before {before:%Y-%m-%d}"
            event_record(study=of, about=About.RECRUITMENT, sentence=f"Forgot the panel's {ids}.")
        deleted, _ = entries.delete()
    return deleted


def recruitment_change(*, recruitment: Recruitment) -> None:
    """Keep how raters come to a study and where they go, as it stands in the object, and what changed in the log.

    Raises:
        StudyStateWrong: If the study is closed: nobody comes any more, and what was true then stays on record.
    """
    study = recruitment.study
    with transaction.atomic():
        locked = Study.objects.select_for_update().get(pk=study.pk)
        if locked.state == StudyState.CLOSED:
            raise StudyStateWrong(f"“{study.title}” is closed; its recruitment can no longer change.")
        before = recruitment_get(locked)
        recruitment.save()
        changes = changes_between(_named(before), _named(recruitment))
        if changes:
            event_record(study=study, about=About.RECRUITMENT, sentence="Changed the recruitment.", changes=changes)


def _named(recruitment: Recruitment) -> dict[str, object]:
    """Return every setting under the name that people read; each outcome is one of its own."""
    fields = [field.name for field in Recruitment._meta.concrete_fields]  # noqa: SLF001 -- the documented way to them
    settings = fields_named(recruitment, [name for name in fields if name not in ("id", "study", "exits")])
    return settings | {f"Exit {outcome.replace('_', ' ')}": way for outcome, way in recruitment.exits.items()}
