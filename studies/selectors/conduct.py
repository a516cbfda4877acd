"""What browsers reported of raters' sittings: exposures that were missed, raters who left the page, programs."""

from dataclasses import dataclass

from django.db.models import Count, Q

from studies.models import Origin, Study
from studies.selectors.responses import responses_of


@dataclass(frozen=True)
class Conduct:
    """Counts over the responses of one origin.

    Attributes:
        responses: All of them, practice included.
        exposures_missed: Those with a picture that stood over two frames too long or too short.
        set_aside: Those of them that count for nothing, by the study's rule.
        hidden: Those with the page hidden or without focus while pictures were up.
        sessions: Sessions with a response.
        sessions_away: Those whose rater left the page at least once during a trial.
        sessions_automated: Those with a sign that a program drove the browser.
    """

    responses: int
    exposures_missed: int
    set_aside: int
    hidden: int
    sessions: int
    sessions_away: int
    sessions_automated: int


def conduct_get(study: Study, *, origin: Origin) -> Conduct:
    """Count what the browsers of a study's raters reported. It excludes nobody: rules do, fixed before opening."""
    session = "trial__session"
    counts = responses_of(study, origin=origin).aggregate(
        responses=Count("pk"),
        exposures_missed=Count("pk", filter=Q(exposure_missed=True)),
        set_aside=Count("pk", filter=Q(is_set_aside=True)),
        hidden=Count("pk", filter=Q(was_hidden=True) | Q(lost_focus=True)),
        sessions=Count(session, distinct=True),
        sessions_away=Count(session, distinct=True, filter=Q(focus_losses__gt=0)),
        sessions_automated=Count(session, distinct=True, filter=~Q(automation="")),
    )
    return Conduct(**counts)
