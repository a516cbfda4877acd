"""Which interval of a study may be printed, from its stopping rule and from who looked when."""

from datetime import timedelta

from django.utils import timezone

from studies.models import (
    NO_ACCOUNTS,
    Assignment,
    Origin,
    RatingSession,
    ResultsLook,
    Role,
    Saw,
    SessionState,
    Study,
    StudyState,
)
from studies.statistics.stopping import InterimLook, PrintableInterval, printable_interval

LOOK_LASTS = timedelta(minutes=10)
"""For how long a page may show live results for one look that was recorded."""


def is_under_way(study: Study) -> bool:
    """Return whether looks at results can have a say in when the study stops."""
    return study.state in (StudyState.OPEN, StudyState.PAUSED)


def interval_get(study: Study, *, hides_names: bool = False) -> PrintableInterval | None:
    """Return which interval of people's votes a report may print, and why; None before the study was opened.

    Args:
        study: The study.
        hides_names: Number the accounts of those who looked instead of naming them.
    """
    if not study.is_frozen:
        return None
    tested = study.conditions.filter(role=Role.TEST).count()
    each = tested if study.assignment == Assignment.ONE_CONDITION else 1
    complete = RatingSession.objects.filter(study=study, rater__origin=Origin.PERSON, state=SessionState.COMPLETE)
    looks = list(study.looks.all())
    names = {who: who for who in dict.fromkeys(look.who for look in looks)}
    if hides_names:
        accounts = [who for who in names if who not in NO_ACCOUNTS]
        names |= {who: f"account-{number}" for number, who in enumerate(accounts, start=1)}
    return printable_interval(
        rule=study.stopping_rule,  # type: ignore[arg-type] # a constraint holds the rules
        n_planned=study.raters_wanted * max(1, each),
        n_completed=complete.count(),
        looks=[
            InterimLook(at=look.at, who=names[look.who], saw="rates" if look.saw == Saw.RATES else "sequence")
            for look in looks
        ],
        closed_at=study.closed_at,
    )


def look_open(study: Study, *, who: str) -> ResultsLook | None:
    """Return the recorded look under which somebody may see live results now, or None."""
    since = timezone.now() - LOOK_LASTS
    return study.looks.filter(who=who, saw=Saw.SEQUENCE, at__gte=since).last()
