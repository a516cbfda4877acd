"""A question about the size of a study, and its answer: what it takes, and what so many raters can tell.

The formulas are those of `studies.statistics.power`; the words for them are in `studies.reports.plan_text`.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from studies.statistics.fool_rate import MIN_CLUSTERS
from studies.statistics.plan_check import Simulated, simulate_difference, simulate_rate
from studies.statistics.power import (
    TYPICAL_SPREAD,
    Array,
    Correlations,
    Plan,
    VarianceModel,
    difference_model,
    difference_powers,
    difference_variance,
    equivalence_powers,
    equivalence_variance,
    half_width_variance,
    half_widths,
    plan,
    rate_model,
    smallest_difference,
    typical_correlations,
    widening,
)

Goal = Literal["half_width", "difference", "equivalence"]

WIDEST_SPREAD = 4.0
MANY_RATERS = 10**12
"""So many that only the photos are left to chance."""


class PlanInvalid(ValueError):
    """A number makes no plan.

    Attributes:
        field: Which field of the question it is in.
    """

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanQuestion:
    """What a study is to find out, and what is assumed.

    Attributes:
        goal: An interval of a given half-width, a difference from another rate, or an equivalence with 1/2.
        target: Half-width, the other rate, or margin; a share.
        rate: Fool rate that is expected, in (0, 1).
        n_photos: Photos at hand; scenes, where photos are cut from photographs.
        votes_per_rater: Counted votes of a rater on each condition that he sees.
        rater_spread: Standard deviation between raters, in logits.
        photo_spread: The same between photos.
        is_within: Whether each rater sees all conditions; else raters are counted for each.
        exclusion_rate: Share of raters expected to be left out, in [0, 1).
        power: Chance to show what is there, in (0, 1).
        comparisons: Differences in the family.
        alpha: One minus the level.
    """

    goal: Goal
    target: float
    rate: float
    n_photos: int
    votes_per_rater: int = 40
    rater_spread: float = TYPICAL_SPREAD
    photo_spread: float = TYPICAL_SPREAD
    is_within: bool = True
    exclusion_rate: float = 0.0
    power: float = 0.8
    comparisons: int = 1
    alpha: float = 0.05

    @property
    def test_alpha(self) -> float:
        """Level of one test of the family."""
        return self.alpha / self.comparisons

    @property
    def is_of_each(self) -> bool:
        """Whether raters are counted for each condition of a difference."""
        return self.goal == "difference" and not self.is_within

    @property
    def votes_seen(self) -> int:
        """Photos that a rater sees for the goal: of both conditions of a difference, if each rater sees both."""
        return self.votes_per_rater * (2 if self.goal == "difference" and self.is_within else 1)

    def correlations(self, rate: float) -> Correlations:
        """Return how alike votes are at a rate."""
        return typical_correlations(rate, rater_spread=self.rater_spread, photo_spread=self.photo_spread)

    def as_json(self) -> dict[str, Any]:
        """Return the fields by name, as they can be stored; `PlanQuestion(**…)` reads them."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class PlanAnswer:
    """What a question takes.

    Attributes:
        question: The question.
        model: Where the variance of the goal's estimate comes from.
        plan: Raters, recruits and the floor of photos.
    """

    question: PlanQuestion
    model: VarianceModel
    plan: Plan

    @cached_property
    def rate_model(self) -> VarianceModel:
        """Where the variance of one condition's fool rate comes from."""
        asked = self.question
        return rate_model(
            asked.rate, correlations=asked.correlations(asked.rate), votes_per_rater=asked.votes_per_rater
        )

    @property
    def photos_least(self) -> int:
        """Photos below which no number of raters suffices."""
        return max(math.floor(self.plan.photos_floor) + 1, MIN_CLUSTERS)

    def raters_with(self, n_photos: int) -> int | None:
        """Return how many raters it takes with another number of photos; None if none suffices."""
        return _plan(dataclasses.replace(self.question, n_photos=n_photos), self.model).n_raters

    def half_widths(self, n_raters: Any, *, n_photos: int | None = None) -> Array:
        """Return the half-width of the fool rate's interval, as a share, for numbers of raters of any shape."""
        return half_widths(
            self.rate_model,
            n_raters=n_raters,
            n_photos=self.question.n_photos if n_photos is None else n_photos,
            alpha=self.question.alpha,
        )

    def powers(self, n_raters: Any, *, n_photos: int | None = None) -> Array:
        """Return the chance to show the difference or the equivalence, for numbers of raters of any shape."""
        asked = self.question
        photos = asked.n_photos if n_photos is None else n_photos
        is_difference = asked.goal == "difference"
        level = asked.test_alpha if is_difference else 2 * asked.alpha
        variance = self.model.variance(n_raters, photos) * widening(n_raters, photos, alpha=level) ** 2
        if is_difference:
            return difference_powers(asked.target - asked.rate, variance=variance, alpha=level)
        return equivalence_powers(asked.target, variance=variance, rate=asked.rate, alpha=asked.alpha)

    @property
    def width_floor(self) -> float:
        """Half-width that these photos leave however many raters come."""
        return float(self.half_widths(MANY_RATERS))

    def smallest_difference(self, n_raters: int) -> float | None:
        """Return the smallest difference upwards from the rate that so many raters show; None if none is."""
        asked = self.question
        return smallest_difference(
            asked.rate,
            n_raters=n_raters,
            n_photos=asked.n_photos,
            votes_per_rater=asked.votes_per_rater,
            alpha=asked.test_alpha,
            power=asked.power,
            correlations=asked.correlations,
            is_within=asked.is_within,
        )

    def smallest_margin(self, n_raters: int) -> float:
        """Return the smallest margin around 1/2 within which so many raters show a true 1/2 to lie."""
        asked = self.question
        at_half = rate_model(0.5, correlations=asked.correlations(0.5), votes_per_rater=asked.votes_per_rater)
        variance = float(at_half.variance(n_raters, asked.n_photos))
        return math.sqrt(variance / equivalence_variance(0.1, power=asked.power)) * 0.1

    def simulate(
        self, n_studies: int, *, rng: np.random.Generator, progress: Callable[[], object] = lambda: None
    ) -> Simulated:
        """Simulate so many studies of the plan.

        Raises:
            ValueError: If no number of raters suffices, or votes would be too much alike to be simulated.
        """
        asked = self.question
        if self.plan.n_raters is None:
            raise ValueError("no number of raters suffices, so that there is no plan to simulate; take more photos")
        common: dict[str, Any] = {
            "n_raters": self.plan.n_raters,
            "n_photos": asked.n_photos,
            "votes_per_rater": asked.votes_per_rater,
            "n_studies": n_studies,
            "rng": rng,
            "progress": progress,
        }
        if asked.goal == "difference":
            return simulate_difference(
                asked.rate,
                asked.target,
                correlations_a=asked.correlations(asked.rate),
                correlations_b=asked.correlations(asked.target),
                is_within=asked.is_within,
                alpha=asked.test_alpha,
                **common,
            )
        return simulate_rate(
            asked.rate,
            correlations=asked.correlations(asked.rate),
            half_width=asked.target if asked.goal == "half_width" else None,
            margin=asked.target if asked.goal == "equivalence" else None,
            alpha=asked.alpha,
            **common,
        )


def plan_answer(question: PlanQuestion) -> PlanAnswer:
    """Find what a question takes.

    Raises:
        PlanInvalid: If a number makes no plan; it names the field.

    Example:
        >>> question = PlanQuestion(goal="half_width", target=0.03, rate=0.28, n_photos=200, exclusion_rate=0.1)
        >>> found = plan_answer(question)
        >>> found.plan.n_raters, found.plan.n_recruits, found.photos_least
        (153, 170, 77)
        >>> found.raters_with(100), f"{found.width_floor:.3f}"
        (398, '0.019')
    """
    _check(question)
    model = _goal_model(question)
    return PlanAnswer(question, model, _plan(question, model))


def _check(question: PlanQuestion) -> None:
    if not 0 < question.rate < 1:
        raise PlanInvalid("rate", "the fool rate that is expected must lie between 0 and 100 %, such as 28")
    for field in ("rater_spread", "photo_spread"):
        if not 0 <= (spread := getattr(question, field)) <= WIDEST_SPREAD:
            raise PlanInvalid(field, f"the spread must lie between 0 and {WIDEST_SPREAD:g} logits, got {spread:g}")
    if not 0 < question.power < 1:
        raise PlanInvalid("power", f"the chance must lie between 0 and 100 %, got {100 * question.power:g}")
    if question.comparisons < 1:
        raise PlanInvalid("comparisons", f"there must be at least 1 comparison, got {question.comparisons}")
    if not 0 <= question.exclusion_rate < 1:
        raise PlanInvalid(
            "exclusion_rate", f"the share left out must be below 100 %, got {100 * question.exclusion_rate:g}"
        )
    _target_check(question)
    if question.n_photos < MIN_CLUSTERS:
        raise PlanInvalid(
            "n_photos", f"{question.n_photos} photos are too few for an interval; take at least {MIN_CLUSTERS}"
        )
    if question.votes_per_rater < 1 or question.votes_seen > question.n_photos:
        raise PlanInvalid(
            "votes_per_rater",
            f"a rater sees each photo once, and {question.votes_seen} pairs a rater need as many photos, got "
            f"{question.n_photos}; take fewer votes, at least 1, or more photos",
        )


def _target_check(question: PlanQuestion) -> None:
    target, rate = question.target, question.rate
    if question.goal == "half_width" and not 0 < target < 0.5:
        raise PlanInvalid("target", f"the half-width must lie between 0 and 50 points, got {100 * target:g}")
    if question.goal == "difference" and (target == rate or not 0 < target < 1):
        raise PlanInvalid("target", f"it must be another rate between 0 and 100 %, got {100 * target:g}")
    if question.goal == "equivalence" and not abs(rate - 0.5) < target < 0.5:
        raise PlanInvalid(
            "target",
            f"a true rate of {100 * rate:g} % is not within {100 * target:g} points of 50 %, so that no study can show "
            "that it is",
        )


def _goal_model(question: PlanQuestion) -> VarianceModel:
    rate, votes = question.rate, question.votes_per_rater
    if question.goal != "difference":
        return rate_model(rate, correlations=question.correlations(rate), votes_per_rater=votes)
    return difference_model(
        rate,
        question.target,
        correlations_a=question.correlations(rate),
        correlations_b=question.correlations(question.target),
        votes_per_rater=votes,
        is_within=question.is_within,
    )


def _plan(question: PlanQuestion, model: VarianceModel) -> Plan:
    target, power = question.target, question.power
    if question.goal == "half_width":
        variance, alpha = half_width_variance(target, alpha=question.alpha), question.alpha
    elif question.goal == "difference":
        alpha = question.test_alpha
        variance = difference_variance(abs(question.rate - target), alpha=alpha, power=power)
    else:
        variance = equivalence_variance(target, rate=question.rate, alpha=question.alpha, power=power)
        alpha = 2 * question.alpha
    return plan(
        model,
        variance=variance,
        n_photos=question.n_photos,
        votes_per_rater=question.votes_per_rater,
        alpha=alpha,
        exclusion_rate=question.exclusion_rate,
    )
