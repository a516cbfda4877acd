"""How far a study is."""

from dataclasses import dataclass

from django.db.models import Count

from studies.models import Condition, RatingSession, Sample, SampleStatus, Study


@dataclass(frozen=True)
class ConditionProgress:
    """Samples of one condition.

    Attributes:
        condition: The condition.
        pending: Not made yet.
        ready: Made.
        failed: Could not be made.
        reasons: Why, each reason once.
    """

    condition: Condition
    pending: int
    ready: int
    failed: int
    reasons: tuple[str, ...]

    @property
    def total(self) -> int:
        """Return the number of samples planned."""
        return self.pending + self.ready + self.failed


@dataclass(frozen=True)
class SessionCount:
    """Sessions of one origin in one state.

    Attributes:
        origin: Of the raters.
        state: Of the sessions.
        condition: Label, or "" when sessions are mixed.
        count: How many.
    """

    origin: str
    state: str
    condition: str
    count: int


@dataclass(frozen=True)
class StudyProgress:
    """How far a study is.

    Attributes:
        conditions: Samples of each condition, in order.
        sessions: Sessions by origin, state and condition.
    """

    conditions: tuple[ConditionProgress, ...]
    sessions: tuple[SessionCount, ...]

    @property
    def samples_ready(self) -> int:
        """Return the number of samples made."""
        return sum(condition.ready for condition in self.conditions)

    @property
    def samples_total(self) -> int:
        """Return the number of samples planned."""
        return sum(condition.total for condition in self.conditions)


def progress_get(study: Study) -> StudyProgress:
    """Count samples and sessions of a study; no vote is read, of which there may be millions."""
    samples = Sample.objects.filter(condition__study=study)
    counts = {
        (condition, status): n
        for condition, status, n in samples.values_list("condition", "status").annotate(n=Count("pk")).order_by()
    }
    reasons: dict[int, list[str]] = {}
    failures = samples.filter(status=SampleStatus.FAILED).order_by("condition", "reason")
    for condition, reason in failures.values_list("condition", "reason").distinct():
        reasons.setdefault(condition, []).append(reason)
    sessions = (
        RatingSession.objects.filter(study=study)
        .values_list("rater__origin", "state", "condition__label")
        .annotate(n=Count("pk"))
        .order_by("rater__origin", "state", "condition__position")
    )
    return StudyProgress(
        conditions=tuple(
            ConditionProgress(
                condition,
                pending=counts.get((condition.pk, SampleStatus.PENDING), 0),
                ready=counts.get((condition.pk, SampleStatus.READY), 0),
                failed=counts.get((condition.pk, SampleStatus.FAILED), 0),
                reasons=tuple(reasons.get(condition.pk, ())),
            )
            for condition in study.conditions.order_by("position")
        ),
        sessions=tuple(SessionCount(origin, state, label or "", n) for origin, state, label, n in sessions),
    )
