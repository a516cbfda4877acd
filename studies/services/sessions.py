"""Raters arrive and finish."""

import secrets

from django.conf import settings
from django.core import signing
from django.db import IntegrityError, transaction
from django.utils import timezone

from studies.errors import TokenInvalid
from studies.models import Origin, PanelEntry, RatingSession, Response, SessionState, Study, Withdrawal
from studies.models.choices import token_make
from studies.recruitment import Arrival
from studies.selectors.behaviour import behaviour_get
from studies.selectors.recruitment import entry_find, recruitment_get
from studies.selectors.sessions import token_is_used
from studies.services.admissions import Admission, admission_get, study_lock
from studies.services.places import place_check, session_check
from studies.services.trials import trials_complete
from studies.statistics.quality import judge

ORIGIN_TOKEN_AGE_S = 24 * 60 * 60
"""For how long a link that marks a preview or a simulated rater can be used."""

_COMPLETION_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def origin_sign(*, study: Study, origin: Origin) -> str:
    """Return a token that marks whoever brings it to this study as a preview or a simulated rater."""
    return signing.dumps([study.code, origin.value], salt="studies.origin")


def origin_verify(*, study: Study, token: str) -> Origin:
    """Return what a token marks its bearer as.

    Raises:
        TokenInvalid: If it was changed, is too old or was made for another study.
    """
    try:
        code, origin = signing.loads(token, salt="studies.origin", max_age=ORIGIN_TOKEN_AGE_S)
    except signing.BadSignature as error:
        raise TokenInvalid("This link is no longer valid; open a new preview from the study's page.") from error
    if code != study.code:
        raise TokenInvalid("This link was made for another study; open a preview from this study's page.")
    return Origin(origin)


def session_start(
    *,
    study: Study,
    origin: Origin = Origin.PERSON,
    entry_token: str = "",
    arrival: Arrival | None = None,
    language: str = settings.LANGUAGE_CODE,
) -> RatingSession:
    """Plan a session for a new rater who has consented, and keep it; a consent that comes again starts nothing.

    Args:
        study: The study.
        origin: What the rater is.
        entry_token: The word of the consent form: a form that is sent twice gets the session that it got first. A new
            one if empty, or if it was used for another study or origin.
        arrival: Who came, if a panel says so: a participant gets the session that they got first.
        language: In which the rater has read what they agree to, and goes on.

    Raises:
        ParticipantElsewhere: If the participant has a session in another study of the same group.
        StudyNotOpen: If the study takes no raters of this origin now.
        StudyFull: If every place is taken by a finished or running session.
        PlanImpossible: If the study has too few photos.
    """
    for is_last in (False, True):
        is_used = bool(entry_token) and token_is_used(entry_token)
        known = _session_find(study, origin=origin, used_token=entry_token if is_used else "", arrival=arrival)
        if known is not None:
            return known
        token = token_make() if is_used or not entry_token else entry_token
        asked = Admission(study=study, origin=origin, entry_token=token, arrival=arrival, language=language)
        try:
            return admission_get(asked)
        except IntegrityError:  # the same form or participant, twice at once: the second look finds the other
            if is_last:
                raise
    raise AssertionError("unreachable")


def _session_find(study: Study, *, origin: Origin, used_token: str, arrival: Arrival | None) -> RatingSession | None:
    """Return the session that the participant, or else the form, has started already."""
    session: RatingSession | None = None
    if arrival is not None:
        entry = entry_find(study=study, panel=recruitment_get(study).panel, participant=arrival.participant)
        session = entry.session if entry is not None else None
        if session is not None and session.state == SessionState.RETURNED:
            return _session_reopen(session)
    elif used_token:
        started = RatingSession.objects.filter(entry_token=used_token, study=study, rater__origin=origin)
        session = started.select_related("rater", "study").first()
    if session is not None:
        trials_complete(session=session)
    return session


def _session_reopen(session: RatingSession) -> RatingSession:
    """Let a participant who gave the study back, and has come again, go on; if there still is a place."""
    with transaction.atomic():
        study_lock(session.study, group=recruitment_get(session.study).group)
        session.study.refresh_from_db(fields=["state", "raters_wanted"])
        session_check(study=session.study, origin=Origin(session.rater.origin))
        place_check(study=session.study, origin=Origin(session.rater.origin))
        session.state, session.started_at, session.finished_at = SessionState.ACTIVE, timezone.now(), None
        session.save(update_fields=["state", "started_at", "finished_at"])
    return session


def session_withdraw(*, session: RatingSession) -> None:
    """End a session because its rater wishes it: it counts for nothing, the panel's id goes, answers by the policy."""
    with transaction.atomic():
        locked = RatingSession.objects.select_for_update().get(pk=session.pk)
        if locked.state != SessionState.WITHDRAWN:
            if recruitment_get(session.study).withdrawal == Withdrawal.DELETE:
                Response.objects.filter(trial__session=session).delete()
            PanelEntry.objects.filter(session=session).delete()
            session_end(locked, state=SessionState.WITHDRAWN)


def session_return(*, session: RatingSession) -> None:
    """Free the place of a session under way that its panel took back; what it has answered is kept, and not counted."""
    with transaction.atomic():
        locked = RatingSession.objects.select_for_update().get(pk=session.pk)
        if locked.state == SessionState.ACTIVE:
            session_end(locked, state=SessionState.RETURNED)


def session_end(session: RatingSession, *, state: SessionState) -> None:
    """End a session before or after its last pair, in one of the states `ENDED`: it counts for nothing."""
    session.state = state
    session.exclusion_reason = session.broken_rules = session.completion_code = ""
    session.finished_at = timezone.now()
    session.save(update_fields=["state", "exclusion_reason", "broken_rules", "finished_at", "completion_code"])


def session_finish(*, session: RatingSession) -> None:
    """End a session whose trials are all answered: judge it by the study's rules and give it a completion code."""
    verdict = judge(behaviour_get(session), session.study.quality_rules)
    session.state = SessionState.EXCLUDED if verdict.reason else SessionState.COMPLETE
    session.exclusion_reason = verdict.reason
    session.broken_rules = " ".join(verdict.broken)
    session.finished_at = timezone.now()
    session.completion_code = "".join(secrets.choice(_COMPLETION_LETTERS) for _ in range(8))
    session.save(update_fields=["state", "exclusion_reason", "broken_rules", "finished_at", "completion_code"])
