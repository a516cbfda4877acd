"""Whether a study takes raters, and how many of its places are left."""

from django.db.models import Count, Q

from studies.errors import StudyFull, StudyNotOpen, gettext_noop
from studies.models import Assignment, Origin, RatingSession, Role, SessionState, Study, StudyState
from studies.selectors.sessions import still_running

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


def session_check(*, study: Study, origin: Origin) -> None:
    """Raise `StudyNotOpen`, with what to do now, if the study takes no new rater of this origin in its state."""
    state_check(state=StudyState(study.state), origin=origin)


def state_check(*, state: StudyState, origin: Origin) -> None:
    """Raise `StudyNotOpen`, with what to do now, if no new rater of this origin is taken in this state."""
    if state not in _STATES_FOR[origin]:
        raise StudyNotOpen(_NOT_OPEN.get(state, _NOT_YET))


def place_check(*, study: Study, origin: Origin) -> None:
    """Raise `StudyFull` if every place of the study is taken by a finished or running session."""
    wanted_check(taken=min(places_taken(study, origin=origin).values()), wanted=study.raters_wanted, origin=origin)


def wanted_check(*, taken: int, wanted: int, origin: Origin) -> None:
    """Raise `StudyFull` if as many sessions as are wanted are finished or running; of people alone there are enough."""
    if origin == Origin.PERSON and taken >= wanted:
        raise StudyFull("This study has all the participants it needs. Thank you for coming.")


def places_taken(study: Study, *, origin: Origin) -> dict[int | None, int]:
    """Return how many places are taken by each tested condition, or under None by all when sessions are mixed."""
    places = Q(rater__origin=origin) & (Q(state=SessionState.COMPLETE) | still_running())
    sessions = RatingSession.objects.filter(places, study=study)
    is_mixed = study.assignment == Assignment.MIXED
    tested = study.conditions.filter(role=Role.TEST).values_list("pk", flat=True)
    taken: dict[int | None, int] = dict.fromkeys((None,) if is_mixed else tested, 0)
    return taken | dict(sessions.values_list("condition").annotate(n=Count("pk")).order_by())
