"""Which interval of a study may be printed, from its stopping rule and from who looked when."""

from datetime import timedelta

from django.utils import timezone

from studies.models import Assignment, Origin, RatingSession, ResultsLook, Role, Saw, SessionState, Study, StudyState
from studies.statistics.stopping import InterimLook, PrintableInterval, printable_interval

LOOK_LASTS = timedelta(minutes=10)
"""For how long a page may show live results for one look that was recorded."""


def is_under_way(study: Study) -> bool:
    """Return whether looks at results can have a say in when the study stops."""
    return study.state in (StudyState.OPEN, StudyState.PAUSED)


def interval_get(study: Study) -> PrintableInterval | None:
    """Return which interval of people's votes a report may print, and why; None before the study was opened."""
    if not study.is_frozen:
        return None
    tested = study.conditions.filter(role=Role.TEST).count()
    each = tested if study.assignment == Assignment.ONE_CONDITION else 1
    complete = RatingSession.objects.filter(study=study, rater__origin=Origin.PERSON, state=SessionState.COMPLETE)
    return printable_interval(
        rule=study.stopping_rule,  # type: ignore[arg-type] # a constraint holds the rules
        n_planned=study.raters_wanted * max(1, each),
        n_completed=complete.count(),
        looks=[
            InterimLook(at=look.at, who=look.who, saw="rates" if look.saw == Saw.RATES else "sequence")
            for look in study.looks.all()
        ],
        closed_at=study.closed_at,
    )


def look_open(study: Study, *, who: str) -> ResultsLook | None:
    """Return the recorded look under which somebody may see live results now, or None."""
    since = timezone.now() - LOOK_LASTS
    return study.looks.filter(who=who, saw=Saw.SEQUENCE, at__gte=since).last()
