"""What browsers reported of raters' sittings: exposures that were missed, raters who left the page, programs."""

from dataclasses import dataclass

from django.db.models import Count, Q, Sum

from studies.models import FINISHED, Origin, Study, Trial
from studies.selectors.responses import responses_of, sessions_of


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
    """Count what the browsers of a study's raters reported. It excludes nobody: rules do, fixed before opening.

    In a finished session every trial is answered, so trials tell how many answers it has. Of the answers themselves
    only those of other sessions are counted, far fewer as a rule, and those that a browser reported something of.
    Each session is summed up first: to count sessions among many answers, PostgreSQL would sort these, on one core.
    """
    finished = sessions_of(study, origin=origin).filter(state__in=FINISHED)
    answered = Trial.objects.filter(
        session__study=study, session__rater__origin=origin, session__state__in=FINISHED
    ).count()
    responses = responses_of(study, origin=origin).order_by()
    others = (
        responses.exclude(trial__session__state__in=FINISHED)
        .values("trial__session")
        .annotate(n=Count("pk"))
        .aggregate(responses=Sum("n", default=0), sessions=Count("n"))
    )
    is_unseen, is_away, is_automated = Q(was_hidden=True) | Q(lost_focus=True), Q(focus_losses__gt=0), ~Q(automation="")
    reported = (
        responses.filter(Q(exposure_missed=True) | is_unseen | is_away | is_automated)
        .values("trial__session")
        .annotate(
            missed=Count("pk", filter=Q(exposure_missed=True)),
            aside=Count("pk", filter=Q(is_set_aside=True)),  # a constraint: it missed its exposure
            unseen=Count("pk", filter=is_unseen),
            away=Count("pk", filter=is_away),
            automated=Count("pk", filter=is_automated),
        )
        .aggregate(
            exposures_missed=Sum("missed", default=0),
            set_aside=Sum("aside", default=0),
            hidden=Sum("unseen", default=0),
            sessions_away=Count("away", filter=Q(away__gt=0)),
            sessions_automated=Count("automated", filter=Q(automated__gt=0)),
        )
    )
    return Conduct(responses=answered + others["responses"], sessions=finished.count() + others["sessions"], **reported)
