"""Looks at results are recorded while a study is under way."""

from studies.models import About, Origin, RatingSession, ResultsLook, Saw, SessionState, Study, StudyState
from studies.services.events import event_record


def look_record(*, study: Study, who: str, saw: Saw, shown: str, origin: Origin) -> ResultsLook | None:
    """Record that somebody sees results, if that can have a say in when the study stops.

    Args:
        study: The study.
        who: Name of the account, or "command line".
        saw: What the look shows.
        shown: The page or the file.
        origin: Whose votes are seen.

    Returns:
        The look; None where none is recorded: of simulated raters' votes, before the opening and after the closing.
    """
    if origin != Origin.PERSON or study.state not in (StudyState.OPEN, StudyState.PAUSED):
        return None
    counted = RatingSession.objects.filter(study=study, rater__origin=Origin.PERSON, state=SessionState.COMPLETE)
    event_record(study=study, about=About.RESULTS, sentence=f"Saw results before the end: {shown}.")
    return ResultsLook.objects.create(study=study, who=who, saw=saw, shown=shown, sessions=counted.count())
