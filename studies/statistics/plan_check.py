"""Whether a plan holds: studies simulated as planned, analysed as real ones are.

Raters and photos have normal effects on the logit scale, of such spreads that votes are as alike as the plan assumes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from studies.statistics.comparison import difference
from studies.statistics.equivalence import equivalence
from studies.statistics.fool_rate import MIN_CLUSTERS, fool_rate
from studies.statistics.power import EFFECT_CORRELATION, Correlations, typical_correlations
from studies.statistics.simulation import logit_centre

LARGEST_SPREAD = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What simulated studies of a plan found.

    Attributes:
        n_studies: How many.
        coverage: Share of intervals that held the truth.
        half_width: Mean half-width of the intervals, as a share.
        success: Share of studies that reached the goal: a half-width no greater than asked, a difference shown, an
            equivalence shown.
    """

    n_studies: int
    coverage: float
    half_width: float
    success: float

    @property
    def monte_carlo_error(self) -> float:
        """Standard error of `coverage` near 95 %, as a share."""
        return math.sqrt(0.95 * 0.05 / self.n_studies)

    def joined(self, other: "Simulated") -> "Simulated":
        """Return what these studies and others of the same plan found together.

        Example:
            >>> one = Simulated(n_studies=10, coverage=0.9, half_width=0.05, success=0.5)
            >>> one.joined(Simulated(n_studies=30, coverage=1.0, half_width=0.03, success=0.9))
            Simulated(n_studies=40, coverage=0.975, half_width=0.035, success=0.8)
        """
        total = self.n_studies + other.n_studies
        own, theirs = self.n_studies / total, other.n_studies / total
        return Simulated(
            n_studies=total,
            coverage=own * self.coverage + theirs * other.coverage,
            half_width=own * self.half_width + theirs * other.half_width,
            success=own * self.success + theirs * other.success,
        )


def spreads(rate: float, correlations: Correlations) -> tuple[float, float]:
    """Return the spreads of raters and of photos on the logit scale that make votes so alike.

    Args:
        rate: Mean fool rate, in (0, 1).
        correlations: rho_r and rho_i.

    Returns:
        Standard deviations in logits: the inverse of `typical_correlations`.

    Raises:
        ValueError: If the votes would be too much alike for that.

    Example:
        >>> raters, photos = spreads(0.28, typical_correlations(0.28, rater_spread=0.5, photo_spread=1.0))
        >>> f"{raters:.3f} {photos:.3f}"
        '0.500 1.000'
    """
    wanted = np.array(correlations)
    is_sought = wanted > 0

    def spread_at(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.zeros(2)
        found[is_sought] = np.exp(logs)
        return found

    def excess(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        raters, photos = spread_at(logs)
        found = typical_correlations(rate, rater_spread=raters, photo_spread=photos)
        ratio: NDArray[np.float64] = np.array(found)[is_sought] / wanted[is_sought]
        return np.log(ratio)

    if not is_sought.any():
        return 0.0, 0.0
    # A spread s adds about s^2 p (1 - p) to the correlation as long as it is small.
    start = np.log(np.sqrt(wanted[is_sought] / (rate * (1 - rate)))).clip(max=1.0)
    logs = optimize.least_squares(excess, start, bounds=(-12.0, math.log(LARGEST_SPREAD)), xtol=1e-12, ftol=1e-12).x
    if np.abs(excess(logs)).max() > 1e-4:
        raise ValueError(
            f"correlations of {correlations.raters:.2f} and {correlations.photos:.2f} at a rate of {rate} are too "
            f"large to be simulated; they would take a spread above {LARGEST_SPREAD:g} logits"
        )
    raters, photos = spread_at(logs)
    return float(raters), float(photos)


def simulate_rate(
    rate: float,
    *,
    correlations: Correlations,
    n_raters: int,
    n_photos: int,
    votes_per_rater: int,
    n_studies: int,
    rng: np.random.Generator,
    half_width: float | None = None,
    margin: float | None = None,
    alpha: float = 0.05,
    progress: Callable[[], object] = lambda: None,
) -> Simulated:
    """Simulate studies of one condition and see what their intervals do.

    Args:
        rate: True fool rate, in (0, 1).
        correlations: How alike votes of a rater, and on a photo, are.
        n_raters: Raters, at least 10.
        n_photos: Photos, at least 10.
        votes_per_rater: Photos that each rater sees, drawn anew for each.
        n_studies: How many studies, at least 1.
        rng: Source of chance.
        half_width: Success is an interval with no greater half-width.
        margin: If given, success is to show the rate to be 50 % to within this margin.
        alpha: One minus the level.
        progress: Called after each study.

    Raises:
        ValueError: If the numbers make no study.

    Example:
        >>> found = simulate_rate(
        ...     0.28, correlations=Correlations(0.09, 0.09), n_raters=40, n_photos=40, votes_per_rater=20,
        ...     n_studies=50, rng=np.random.default_rng(1), half_width=0.07,
        ... )
        >>> found.coverage > 0.85, round(found.half_width, 2)
        (True, 0.07)
    """
    _check(n_raters=n_raters, n_photos=n_photos, n_shown=votes_per_rater, n_studies=n_studies)
    rater_spread, photo_spread = spreads(rate, correlations)
    mu = logit_centre(rate, spread=math.hypot(rater_spread, photo_spread))
    rater = np.repeat(np.arange(n_raters), votes_per_rater)
    n_covered = n_reached = 0
    widths = 0.0
    for _ in range(n_studies):
        photo = _shown(rng, n_raters, n_photos, votes_per_rater)
        chance = special.expit(
            mu + rater_spread * rng.normal(size=n_raters)[rater] + photo_spread * rng.normal(size=n_photos)[photo]
        )
        found = fool_rate(rng.random(rater.size) < chance, rater=rater, photo=photo, alpha=alpha)
        low, high = found.interval(alpha) or (0.0, 1.0)
        n_covered += low <= rate <= high
        widths += (high - low) / 2
        if margin is not None:
            n_reached += bool(equivalence(found, condition="", margin=margin).is_equivalent)
        elif half_width is not None:
            n_reached += (high - low) / 2 <= half_width
        progress()
    return Simulated(
        n_studies=n_studies,
        coverage=n_covered / n_studies,
        half_width=widths / n_studies,
        success=n_reached / n_studies,
    )


def simulate_difference(
    rate_a: float,
    rate_b: float,
    *,
    correlations_a: Correlations,
    correlations_b: Correlations,
    n_raters: int,
    n_photos: int,
    votes_per_rater: int,
    n_studies: int,
    rng: np.random.Generator,
    effect_correlation: float = EFFECT_CORRELATION,
    is_within: bool = True,
    alpha: float = 0.05,
    progress: Callable[[], object] = lambda: None,
) -> Simulated:
    """Simulate studies of two conditions and see how often the difference is shown.

    Args:
        rate_a: True fool rate of A, in (0, 1).
        rate_b: That of B.
        correlations_a: How alike votes on A are.
        correlations_b: The same for B.
        n_raters: Raters who see both; or of each condition.
        n_photos: Photos, at least 10; where raters see both, at least twice the votes.
        votes_per_rater: Votes of a rater on each condition that he sees.
        n_studies: How many studies.
        rng: Source of chance.
        effect_correlation: Between what a rater, or a photo, does to A and to B.
        is_within: Whether each rater sees both.
        alpha: Level of the test.
        progress: Called after each study.

    Raises:
        ValueError: If the numbers make no study.

    Example:
        >>> found = simulate_difference(
        ...     0.4, 0.1, correlations_a=Correlations(0.1, 0.1), correlations_b=Correlations(0.05, 0.05),
        ...     n_raters=40, n_photos=40, votes_per_rater=20, n_studies=40, rng=np.random.default_rng(1),
        ... )
        >>> found.success
        1.0
    """
    n_shown = votes_per_rater * (2 if is_within else 1)
    _check(n_raters=n_raters, n_photos=n_photos, n_shown=n_shown, n_studies=n_studies)
    rates, spread_of = (rate_a, rate_b), [spreads(rate_a, correlations_a), spreads(rate_b, correlations_b)]
    mu = np.array(
        [logit_centre(rate, spread=math.hypot(*spread)) for rate, spread in zip(rates, spread_of, strict=True)]
    )
    n_people = n_raters if is_within else 2 * n_raters
    rater = np.repeat(np.arange(n_people), n_shown)
    is_b = np.tile(np.arange(n_shown) >= votes_per_rater, n_people) if is_within else rater >= n_raters
    side = is_b.astype(np.int64)
    n_covered = n_shown_to_differ = 0
    widths = 0.0
    for _ in range(n_studies):
        photo = _shown(rng, n_people, n_photos, n_shown)
        raters, photos = (
            _effects(rng, count, [spread[kind] for spread in spread_of], effect_correlation)
            for kind, count in enumerate((n_people, n_photos))
        )
        chance = special.expit(mu[side] + raters[rater, side] + photos[photo, side])
        found = difference(rng.random(rater.size) < chance, ~is_b, rater=rater, photo=photo, alpha=alpha)
        low = -1.0 if found.ci_low is None else found.ci_low
        high = 1.0 if found.ci_high is None else found.ci_high
        n_covered += low <= rate_a - rate_b <= high
        n_shown_to_differ += found.is_shown
        widths += (high - low) / 2
        progress()
    return Simulated(
        n_studies=n_studies,
        coverage=n_covered / n_studies,
        half_width=widths / n_studies,
        success=n_shown_to_differ / n_studies,
    )


def _check(*, n_raters: int, n_photos: int, n_shown: int, n_studies: int) -> None:
    if min(n_raters, n_photos) < MIN_CLUSTERS:
        raise ValueError(f"{n_raters} raters and {n_photos} photos give no interval; take at least {MIN_CLUSTERS}")
    if not 1 <= n_shown <= n_photos:
        raise ValueError(
            f"a rater sees each photo once: {n_shown} pairs of a rater need as many photos, got {n_photos}"
        )
    if n_studies < 1:
        raise ValueError(f"n_studies must be at least 1, got {n_studies}")


def _shown(rng: np.random.Generator, n_raters: int, n_photos: int, n_shown: int) -> NDArray[np.int64]:
    """Return (n_raters * n_shown,) photos, drawn for each rater without repetition and in random order."""
    return rng.random((n_raters, n_photos)).argsort(axis=1)[:, :n_shown].ravel()


def _effects(rng: np.random.Generator, count: int, spread: list[float], correlation: float) -> NDArray[np.float64]:
    """Return (count, 2) effects in logits on A and on B, so correlated."""
    shared, own = rng.normal(size=(count, 1)), rng.normal(size=(count, 2))
    effects: NDArray[np.float64] = np.array(spread) * (
        math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own
    )
    return effects
