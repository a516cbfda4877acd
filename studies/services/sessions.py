"""Raters arrive and finish."""

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from django.conf import settings
from django.core import signing
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.utils import timezone

from studies import planning
from studies.errors import ParticipantElsewhere, PlanImpossible, StudyFull, StudyNotOpen, TokenInvalid, gettext_noop
from studies.models import (
    Assignment,
    Condition,
    Origin,
    PanelEntry,
    Rater,
    RatingSession,
    Recruitment,
    Response,
    Role,
    SessionState,
    Study,
    StudyState,
    Trial,
    Withdrawal,
)
from studies.models.choices import token_make
from studies.recruitment import Arrival
from studies.selectors.balance import balance_get
from studies.selectors.behaviour import behaviour_get
from studies.selectors.recruitment import entry_find, recruitment_get, taken_elsewhere
from studies.selectors.sessions import still_running
from studies.selectors.studies import pair_options
from studies.selectors.wording import texts_get
from studies.statistics.quality import judge

ORIGIN_TOKEN_AGE_S = 24 * 60 * 60
"""For how long a link that marks a preview or a simulated rater can be used."""

_COMPLETION_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_STATES_FOR = {
    Origin.PERSON: (StudyState.OPEN,),
    Origin.SIMULATED: (StudyState.OPEN,),
    Origin.PREVIEW: (StudyState.READY, StudyState.OPEN, StudyState.PAUSED),
}


_NOT_OPEN = {
    StudyState.PAUSED: gettext_noop(
        "It is paused and takes no new participants for now. Come back later with the same link."
    ),
    StudyState.CLOSED: gettext_noop("It is closed and takes no more answers. Thank you for your interest."),
}
_NOT_YET = gettext_noop("It has not opened yet. Come back later.")


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


def session_check(*, study: Study, origin: Origin) -> None:
    """Raise `StudyNotOpen`, with what to do now, if the study takes no new rater of this origin in its state."""
    if study.state not in _STATES_FOR[origin]:
        raise StudyNotOpen(_NOT_OPEN.get(StudyState(study.state), _NOT_YET))


def place_check(*, study: Study, origin: Origin) -> None:
    """Raise `StudyFull` if every place of the study is taken by a finished or running session."""
    if origin == Origin.PERSON and min(_places_taken(study, origin=origin).values()) >= study.raters_wanted:
        raise StudyFull("This study has all the participants it needs. Thank you for coming.")


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
    token = entry_token or token_make()
    try:
        return _session_create(study, origin=origin, token=token, arrival=arrival, language=language)
    except IntegrityError:
        if not RatingSession.objects.filter(entry_token=token).exists():
            raise
        # The same form, sent twice at once, finds the other.
        return _session_create(study, origin=origin, token=token, arrival=arrival, language=language)


def _session_create(
    study: Study, *, origin: Origin, token: str, arrival: Arrival | None, language: str
) -> RatingSession:
    """Return the session that the token or the participant started, or a new one."""
    seed = secrets.randbits(62)
    rng = np.random.default_rng(seed)
    with transaction.atomic():
        study = _study_lock(study)  # places and balance are counted one rater at a time
        recruitment = recruitment_get(study)
        if arrival is not None:
            entry = entry_find(study=study, panel=recruitment.panel, participant=arrival.participant)
            if entry is not None:
                return _session_reopen(entry.session) if entry.session.state == SessionState.RETURNED else entry.session
            if taken_elsewhere(recruitment=recruitment, participant=arrival.participant):
                raise ParticipantElsewhere("You have taken part in another study of this series, and one is enough.")
        used = RatingSession.objects.filter(entry_token=token).select_related("rater").first()
        if used is not None and (used.study_id, used.rater.origin) == (study.pk, origin) and arrival is None:
            return used
        session_check(study=study, origin=origin)
        tested = list(study.conditions.filter(role=Role.TEST).order_by("position"))
        condition = _condition_choose(study, tested, origin=origin, rng=rng)
        planned = _session_plan(study, [condition] if condition else tested, origin=origin, rng=rng)
        session = RatingSession.objects.create(
            study=study,
            rater=Rater.objects.create(origin=origin),
            condition=condition,
            seed=seed,
            consent_sha256=hashlib.sha256(texts_get(study, language=language).consent_text.encode()).hexdigest(),
            language=language,
            entry_token=token if used is None else token_make(),
        )
        if arrival is not None:
            PanelEntry.objects.create(
                study=study,
                panel=recruitment.panel,
                participant=arrival.participant,
                panel_session=arrival.session,
                panel_study=arrival.study,
                submit_to=arrival.submit_to,
                session=session,
            )
        Trial.objects.bulk_create(
            [
                Trial(
                    session=session,
                    position=position,
                    pair_id=trial.option.pair,
                    photo_id=trial.option.photo,
                    kind=trial.option.kind,
                    photo_side=trial.photo_side,
                    block=trial.block,
                )
                for position, trial in enumerate(planned)
            ]
        )
    return session


def _session_plan(
    study: Study, conditions: Sequence[Condition], *, origin: Origin, rng: np.random.Generator
) -> list[planning.PlannedTrial]:
    """Plan a session from the pairs that were seen least; from all of them where these do not suffice."""
    counts = {name: getattr(study, name) for name in ("practice_count", "test_count", "golden_count")}
    blocks = study.staircase_blocks
    balance = balance_get(study, origin=origin)
    if balance is not None:
        options = balance.options(conditions, most=2 * sum(counts.values()), rng=rng)
        with suppress(PlanImpossible):
            planned = planning.plan_session(options, **counts, block_count=blocks, rng=rng)
            if len({trial.option.picture for trial in planned}) == len(planned):
                return planned
    options = pair_options(study, conditions=[condition.pk for condition in conditions], origin=origin)
    return planning.plan_session(options, **counts, block_count=blocks, rng=rng)


def _session_reopen(session: RatingSession) -> RatingSession:
    """Let a participant who gave the study back, and has come again, go on; if there still is a place."""
    session_check(study=session.study, origin=Origin(session.rater.origin))
    place_check(study=session.study, origin=Origin(session.rater.origin))
    session.state, session.started_at, session.finished_at = SessionState.ACTIVE, timezone.now(), None
    session.save(update_fields=["state", "started_at", "finished_at"])
    return session


def _study_lock(study: Study) -> Study:
    """Return the study as it stands, and let nobody else start a session in it, or in its group, before we have."""
    group = recruitment_get(study).group
    studies = Study.objects.filter(pk=study.pk)
    if group:
        studies |= Study.objects.filter(
            owner=study.owner_id, pk__in=Recruitment.objects.filter(group=group).values("study")
        )
    locked = {each.pk: each for each in studies.defer("design").select_for_update().order_by("pk")}
    return locked[study.pk]


def _condition_choose(
    study: Study, tested: list[Condition], *, origin: Origin, rng: np.random.Generator
) -> Condition | None:
    """Return the condition with the fewest finished and running sessions, or None if sessions are mixed."""
    place_check(study=study, origin=origin)
    if study.assignment == Assignment.MIXED:
        return None
    counts = _places_taken(study, origin=origin)
    least = min(counts.values())
    fewest = [condition for condition in tested if counts[condition.pk] == least]
    return fewest[int(rng.integers(len(fewest)))]


def _places_taken(study: Study, *, origin: Origin) -> dict[int | None, int]:
    """Return how many places are taken by each tested condition, or under None by all when sessions are mixed."""
    places = Q(rater__origin=origin) & (Q(state=SessionState.COMPLETE) | still_running())
    sessions = RatingSession.objects.filter(places, study=study)
    is_mixed = study.assignment == Assignment.MIXED
    tested = study.conditions.filter(role=Role.TEST).values_list("pk", flat=True)
    taken: dict[int | None, int] = dict.fromkeys((None,) if is_mixed else tested, 0)
    return taken | dict(sessions.values_list("condition").annotate(n=Count("pk")).order_by())


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
