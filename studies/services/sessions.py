"""Raters arrive and finish."""

import hashlib
import secrets

import numpy as np
from django.core import signing
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.utils import timezone

from studies import planning
from studies.errors import StudyFull, StudyNotOpen, TokenInvalid
from studies.models import (
    Assignment,
    Condition,
    Kind,
    Origin,
    Rater,
    RatingSession,
    Response,
    Role,
    SessionState,
    Study,
    StudyState,
    Trial,
)
from studies.models.choices import token_make
from studies.selectors.sessions import still_running
from studies.selectors.studies import pair_options
from studies.statistics import attention

ORIGIN_TOKEN_AGE_S = 24 * 60 * 60
"""For how long a link that marks a preview or a simulated rater can be used."""

_COMPLETION_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_STATES_FOR = {
    Origin.PERSON: (StudyState.OPEN,),
    Origin.SIMULATED: (StudyState.OPEN,),
    Origin.PREVIEW: (StudyState.READY, StudyState.OPEN, StudyState.PAUSED),
}


_NOT_OPEN = {
    StudyState.PAUSED: "It is paused and takes no new participants for now. Come back later with the same link.",
    StudyState.CLOSED: "It is closed and takes no more answers. Thank you for your interest.",
}


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
        raise StudyNotOpen(_NOT_OPEN.get(StudyState(study.state), "It has not opened yet. Come back later."))


def session_start(*, study: Study, origin: Origin = Origin.PERSON, entry_token: str = "") -> RatingSession:
    """Plan a session for a new rater who has consented, and keep it; a consent that comes again starts nothing.

    Args:
        study: The study.
        origin: What the rater is.
        entry_token: The word of the consent form: a form that is sent twice gets the session that it got first. A new
            one if empty, or if it was used for another study or origin.

    Raises:
        StudyNotOpen: If the study takes no raters of this origin now.
        StudyFull: If every place is taken by a finished or running session.
        PlanImpossible: If the study has too few photos.
    """
    token = entry_token or token_make()
    try:
        return _session_create(study, origin=origin, token=token)
    except IntegrityError:
        if not RatingSession.objects.filter(entry_token=token).exists():
            raise
        return _session_create(study, origin=origin, token=token)  # the same form, sent twice at once, finds the other


def _session_create(study: Study, *, origin: Origin, token: str) -> RatingSession:
    """Return the session that the token started, or a new one."""
    seed = secrets.randbits(62)
    rng = np.random.default_rng(seed)
    with transaction.atomic():
        study = Study.objects.select_for_update().get(pk=study.pk)  # places and balance are counted one rater at a time
        used = RatingSession.objects.filter(entry_token=token).select_related("rater").first()
        if used is not None and (used.study_id, used.rater.origin) == (study.pk, origin):
            return used
        session_check(study=study, origin=origin)
        tested = list(study.conditions.filter(role=Role.TEST).order_by("position"))
        condition = _condition_choose(study, tested, origin=origin, rng=rng)
        planned = planning.plan_session(
            pair_options(study, conditions=[c.pk for c in ([condition] if condition else tested)], origin=origin),
            practice_count=study.practice_count,
            test_count=study.test_count,
            golden_count=study.golden_count,
            rng=rng,
        )
        session = RatingSession.objects.create(
            study=study,
            rater=Rater.objects.create(origin=origin),
            condition=condition,
            seed=seed,
            consent_sha256=hashlib.sha256(study.consent_text.encode()).hexdigest(),
            entry_token=token if used is None else token_make(),
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
                )
                for position, trial in enumerate(planned)
            ]
        )
    return session


def _condition_choose(
    study: Study, tested: list[Condition], *, origin: Origin, rng: np.random.Generator
) -> Condition | None:
    """Return the condition with the fewest finished and running sessions, or None if sessions are mixed."""
    places = Q(rater__origin=origin) & (Q(state=SessionState.COMPLETE) | still_running())
    sessions = RatingSession.objects.filter(places, study=study)
    is_mixed = study.assignment == Assignment.MIXED
    counts = dict.fromkeys((None,) if is_mixed else (condition.pk for condition in tested), 0)
    counts |= dict(sessions.values_list("condition").annotate(n=Count("pk")).order_by())
    least = min(counts.values())
    if origin == Origin.PERSON and least >= study.raters_wanted:
        raise StudyFull("This study has all the participants it needs. Thank you for coming.")
    if is_mixed:
        return None
    fewest = [condition for condition in tested if counts[condition.pk] == least]
    return fewest[int(rng.integers(len(fewest)))]


def session_finish(*, session: RatingSession) -> None:
    """End a session whose trials are all answered: judge its golden answers and give it a completion code."""
    golden = Response.objects.filter(trial__session=session, trial__kind=Kind.GOLDEN, is_set_aside=False)
    correct = [chosen == side for chosen, side in golden.values_list("chosen_side", "trial__photo_side")]
    reason = attention.exclusion_reason(correct, allowed_misses=session.study.golden_misses_allowed)
    session.state = SessionState.EXCLUDED if reason else SessionState.COMPLETE
    session.exclusion_reason = reason or ""
    session.finished_at = timezone.now()
    session.completion_code = "".join(secrets.choice(_COMPLETION_LETTERS) for _ in range(8))
    session.save(update_fields=["state", "exclusion_reason", "finished_at", "completion_code"])
