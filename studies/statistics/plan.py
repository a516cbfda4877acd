"""What of the analysis was fixed before the study opened, so that nothing can be chosen after the votes are seen."""

from collections.abc import Sequence
from dataclasses import dataclass

from studies.statistics.comparison import Comparisons, Family, comparisons
from studies.statistics.fool_rate import Estimand
from studies.statistics.results import TEST, Origin, ResultCondition, Votes


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisPlan:
    """Which differences are tested, and what counts as "cannot tell".

    Attributes:
        family: Every condition against the reference, or all pairs.
        reference: Name of the reference; None for all pairs.
        margin: Largest distance of a fool rate from 1/2 that still counts as "cannot tell", in (0, 0.5); None for no
            test of equivalence.
    """

    family: Family
    reference: str | None
    margin: float | None

    def problem(self, conditions: Sequence[ResultCondition]) -> str | None:
        """Return why these conditions cannot be compared by the plan, or None.

        Example:
            >>> rows = [ResultCondition(name="smooth", label="Smooth")]
            >>> AnalysisPlan(family="reference", reference="sharp", margin=None).problem(rows)
            "the reference 'sharp' is no tested condition; there is smooth"
        """
        tested = [condition.name for condition in conditions if condition.role == TEST]
        if self.reference is not None and self.reference not in tested:
            return f"the reference {self.reference!r} is no tested condition; there is {', '.join(tested) or 'none'}"
        if self.margin is not None and not 0 < self.margin < 0.5:
            return f"the margin of equivalence must lie between 0 and 0.5, got {self.margin:g}"
        return None

    def carry_out(
        self,
        votes: Votes,
        *,
        conditions: Sequence[ResultCondition],
        origin: Origin = "person",
        alpha: float = 0.05,
        estimand: Estimand = "new",
    ) -> Comparisons:
        """Compare the conditions as planned; the arguments are those of `comparisons`."""
        return comparisons(
            votes,
            conditions=conditions,
            family=self.family,
            reference=self.reference,
            margin=self.margin if alpha < 0.5 else None,  # two one-sided tests need a level above one half
            origin=origin,
            alpha=alpha,
            estimand=estimand,
        )
