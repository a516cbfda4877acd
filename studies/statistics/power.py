"""How many raters and photos a study needs, and what a given number of them can tell.

The variance of a fool rate, and of a difference, is one part for each rater and one for each photo:

    V = per_rater / R + per_photo / I

Whatever the number of raters, the photos' part stays: past about a hundred raters more photos beat more raters.

References:
    Cochran (1977), "Sampling Techniques", on the design effect of clusters.
    Schuirmann (1987), on the power of two one-sided tests.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from studies.statistics.fool_rate import MIN_CLUSTERS, VarianceParts, cluster_codes, variance_parts
from studies.statistics.simulation import logit_centre

Array = NDArray[np.float64]

TYPICAL_SPREAD = 0.8
"""Standard deviation between raters, and between photos, on the logit scale: to plan with where there is no pilot."""
EFFECT_CORRELATION = 0.5
"""Correlation between what a rater, or a photo, does to one condition and to another: to plan with, likewise."""
MANY_CLUSTERS = 60
"""Fewer raters or photos than this: the normal quantile is too small, and Student's takes its place."""


class Correlations(NamedTuple):
    """What share of the variance p (1 - p) of a vote is due to its rater and to its photo.

    Attributes:
        raters: rho_r, in [0, 1].
        photos: rho_i, in [0, 1].
    """

    raters: float
    photos: float


class VarianceModel(NamedTuple):
    """Variance of an estimate: per_rater / R + per_photo / I.

    Attributes:
        per_rater: What R divides; the votes' own variance is in it, R times so many votes.
        per_photo: What I divides.
    """

    per_rater: float
    per_photo: float

    def variance(self, n_raters: ArrayLike, n_photos: ArrayLike) -> Array:
        """Return the variance for numbers of raters and photos, which are broadcast."""
        result: Array = self.per_rater / np.asarray(n_raters) + self.per_photo / np.asarray(n_photos)
        return result

    def raters(self, variance: float, n_photos: ArrayLike) -> Array:
        """Return how many raters bring the variance down to this, as a fraction; infinity if none do."""
        left = variance - self.per_photo / np.asarray(n_photos, dtype=np.float64)
        result: Array = np.divide(self.per_rater, left, out=np.full(left.shape, np.inf), where=left > 0)
        return result

    def photos_floor(self, variance: float) -> float:
        """Return how many photos must be exceeded before any number of raters brings the variance down to this."""
        return self.per_photo / variance


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a goal takes.

    Attributes:
        variance: The variance that the goal allows.
        model: Where variance comes from.
        n_photos: Photos (scenes, where photos are cut from photographs) that are at hand.
        votes_per_rater: Counted votes of each rater on each condition.
        n_raters: Raters to be counted; for one condition each where raters see one only. None if no number suffices.
        n_recruits: Raters to recruit, exclusions allowed for; None likewise.
        photos_floor: No number of raters suffices unless there are more photos than this.
    """

    variance: float
    model: VarianceModel
    n_photos: int
    votes_per_rater: int
    n_raters: int | None
    n_recruits: int | None
    photos_floor: float


def typical_correlations(
    rate: float, *, rater_spread: float = TYPICAL_SPREAD, photo_spread: float = TYPICAL_SPREAD
) -> Correlations:
    """Return what spreads on the logit scale mean for votes: the variance of raters' expected means over p (1 - p).

    Args:
        rate: Mean fool rate p, in (0, 1).
        rater_spread: Standard deviation between raters, in logits.
        photo_spread: Standard deviation between photos, in logits.

    Example:
        >>> raters, photos = typical_correlations(0.28)
        >>> f"{raters:.3f} {photos:.3f}"
        '0.089 0.089'
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    mu = logit_centre(rate, spread=math.hypot(rater_spread, photo_spread))
    chance = special.expit(mu + rater_spread * nodes[:, None] + photo_spread * nodes)  # (raters, photos)
    spread = rate * (1 - rate)
    of_raters, of_photos = chance @ weights, weights @ chance
    return Correlations(
        float(weights @ (of_raters - rate) ** 2) / spread, float(weights @ (of_photos - rate) ** 2) / spread
    )


def pilot_correlations(
    fooled: ArrayLike, *, rater: ArrayLike, photo: ArrayLike, scene: ArrayLike | None = None
) -> Correlations:
    """Estimate the correlations from a pilot's votes on one condition.

        rho_r = (V_R / vb - 1) / (m - 1),  m = sum of m_r^2 / N;   rho_i likewise by photos; not below 0

    Args:
        fooled: (n,) bool, or 0 and 1: counted votes.
        rater: (n,) identifiers of raters.
        photo: (n,) identifiers of photos.
        scene: (n,) identifiers of the photographs that the photos were cut from; None if each is one of its own.

    Raises:
        ValueError: If the votes cannot tell: all alike, fewer than two raters or photos, or one vote each.

    Example:
        >>> rater, photo = np.divmod(np.arange(900), 30)
        >>> raters, photos = pilot_correlations((rater * 7 + photo) % 11 < 4, rater=rater, photo=photo)
        >>> f"{raters:.3f} {photos:.3f}"
        '0.000 0.000'
    """
    image = photo if scene is None else scene
    parts = variance_parts(fooled, rater=rater, photo=image)
    sizes = [np.bincount(cluster_codes(codes)) for codes in (rater, image)]
    return correlations_of(
        parts, votes_per_rater=_votes_met(sizes[0], parts.n_votes), votes_per_photo=_votes_met(sizes[1], parts.n_votes)
    )


def correlations_of(parts: VarianceParts, *, votes_per_rater: float, votes_per_photo: float) -> Correlations:
    """Return the correlations behind the variances of a fool rate.

    Args:
        parts: From `variance_parts`.
        votes_per_rater: sum of m_r^2 / N; with equal numbers of votes just that number.
        votes_per_photo: The same for photos.

    Raises:
        ValueError: If the votes cannot tell: all alike, fewer than two raters or photos, or one vote each.

    Example:
        Twice the variance of independent votes, with 11 votes a rater:

        >>> parts = VarianceParts(
        ...     n_votes=1100, n_fooled=550, n_raters=100, n_photos=100, n_cells=1100,
        ...     raters=2 / 4400, photos=1 / 4400, cells=1 / 4400, binomial=1 / 4400,
        ... )
        >>> correlations_of(parts, votes_per_rater=11, votes_per_photo=11)
        Correlations(raters=0.1, photos=0.0)
    """
    if parts.binomial == 0 or min(parts.n_raters, parts.n_photos) < 2 or min(votes_per_rater, votes_per_photo) <= 1:
        raise ValueError(
            f"{parts.n_votes} votes of {parts.n_raters} raters on {parts.n_photos} photos, {parts.n_fooled} fooled, "
            "cannot tell how alike votes are; take a pilot with more of each, and several votes a rater and a photo"
        )
    raters = max(0.0, (parts.raters / parts.binomial - 1) / (votes_per_rater - 1))
    photos = max(0.0, (parts.photos / parts.binomial - 1) / (votes_per_photo - 1))
    total = max(1.0, raters + photos)
    return Correlations(raters / total, photos / total)


def rate_model(rate: float, *, correlations: Correlations, votes_per_rater: float) -> VarianceModel:
    """Return where the variance of a fool rate comes from.

        V = p (1 - p) [rho_r / R + rho_i / I + (1 - rho_r - rho_i) / (R m)]

    Args:
        rate: p, in (0, 1).
        correlations: rho_r and rho_i.
        votes_per_rater: m, counted votes of a rater on this condition.

    Example:
        >>> model = rate_model(0.28, correlations=Correlations(0.09, 0.09), votes_per_rater=40)
        >>> f"{1.959964 * math.sqrt(model.variance(100, 100)):.6f}"
        '0.039405'
    """
    raters, photos = correlations
    spread = rate * (1 - rate)
    return VarianceModel(spread * (raters + (1 - raters - photos) / votes_per_rater), spread * photos)


def difference_model(
    rate_a: float,
    rate_b: float,
    *,
    correlations_a: Correlations,
    correlations_b: Correlations,
    votes_per_rater: float,
    effect_correlation: float = EFFECT_CORRELATION,
    is_within: bool = True,
) -> VarianceModel:
    """Return where the variance of a difference of two fool rates on the same photos comes from.

        v_x = rho_xA q_A + rho_xB q_B - 2 c_x sqrt(rho_xA q_A rho_xB q_B),   q = p (1 - p),   x = r or i
        v_e = sum over A and B of (1 - rho_r - rho_i) q;   V = (v_r + v_e / m) / R + v_i / I

    Args:
        rate_a: p_A, in (0, 1).
        rate_b: p_B.
        correlations_a: rho_r and rho_i of A.
        correlations_b: Those of B.
        votes_per_rater: m, counted votes of a rater on each condition that he sees.
        effect_correlation: c, between the effects on A and on B.
        is_within: Whether each rater sees both; else c_r is 0, and R counts the raters of each condition.

    Example:
        >>> typical = typical_correlations
        >>> model = difference_model(
        ...     0.28, 0.22, correlations_a=typical(0.28), correlations_b=typical(0.22), votes_per_rater=40
        ... )
        >>> math.ceil(model.raters(difference_variance(0.06), 100))
        80
    """
    q_a, q_b = rate_a * (1 - rate_a), rate_b * (1 - rate_b)

    def part(rho_a: float, rho_b: float, correlation: float) -> float:
        return rho_a * q_a + rho_b * q_b - 2 * correlation * math.sqrt(rho_a * q_a * rho_b * q_b)

    v_e = (1 - sum(correlations_a)) * q_a + (1 - sum(correlations_b)) * q_b
    v_r = part(correlations_a.raters, correlations_b.raters, effect_correlation if is_within else 0.0)
    v_i = part(correlations_a.photos, correlations_b.photos, effect_correlation)
    return VarianceModel(v_r + v_e / votes_per_rater, v_i)


def half_width_variance(half_width: float, *, alpha: float = 0.05) -> float:
    """Return the variance that an interval of this half-width allows: (h / z)^2.

    Example:
        >>> model = rate_model(0.28, correlations=Correlations(0.09, 0.09), votes_per_rater=40)
        >>> [f"{model.raters(half_width_variance(0.03), n):.3f}" for n in (200, 100)]
        ['155.168', '421.542']
        >>> narrow = half_width_variance(0.02)
        >>> f"{model.raters(narrow, 100)}; more than {model.photos_floor(narrow):.2f} photos"
        'inf; more than 174.25 photos'
    """
    return (half_width / _z(1 - alpha / 2)) ** 2


def difference_variance(difference: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the variance at which a difference is shown with this power: (D / (z_{1 - alpha/2} + z_power))^2.

    For m comparisons alpha is divided by m.

    Example:
        >>> f"{difference_variance(0.06):.8f}"
        '0.00045866'
    """
    return (difference / (_z(1 - alpha / 2) + _z(power))) ** 2


def equivalence_variance(margin: float, *, rate: float = 0.5, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the variance at which a rate is shown to be 50 % to within a margin, with this power.

        power = Phi((1/2 + margin - p) / s - z_{1 - alpha}) + Phi((p - 1/2 + margin) / s - z_{1 - alpha}) - 1

    Args:
        margin: In (0, 0.5).
        rate: The true rate p, nearer to 1/2 than the margin.
        alpha: Level of each of the two one-sided tests.
        power: Chance that both succeed.

    Raises:
        ValueError: If the true rate is not nearer to 1/2 than the margin.

    Example:
        >>> f"{math.sqrt(equivalence_variance(0.05)):.6f}"
        '0.017086'
    """
    above, below = 0.5 + margin - rate, rate - 0.5 + margin
    if min(above, below) <= 0:
        raise ValueError(f"a true rate of {rate} is not within {margin} of 0.5, so that no study can show that it is")

    def excess(inverse: float) -> float:
        z = _z(1 - alpha)
        return float(special.ndtr(above * inverse - z) + special.ndtr(below * inverse - z)) - 1 - power

    largest = (_z(1 - alpha) + _z(1 - (1 - power) / 4)) / min(above, below)
    return float(optimize.brentq(excess, 0.0, largest)) ** -2


def difference_powers(difference: float, *, variance: ArrayLike, alpha: float = 0.05) -> Array:
    """Return the chance to show a difference: Phi(|D| / s - z_{1 - alpha/2}), the inverse of `difference_variance`.

    Args:
        difference: The true difference, a share.
        variance: Of its estimate; any shape.
        alpha: Level of the test.

    Example:
        >>> difference_powers(0.06, variance=[difference_variance(0.06), 0.01]).round(3).tolist()
        [0.8, 0.087]
    """
    result: Array = special.ndtr(abs(difference) / np.sqrt(np.asarray(variance)) - _z(1 - alpha / 2))
    return result


def equivalence_powers(margin: float, *, variance: ArrayLike, rate: float = 0.5, alpha: float = 0.05) -> Array:
    """Return the chance to show that a rate is 1/2 to within a margin: the inverse of `equivalence_variance`.

    Args:
        margin: In (0, 0.5).
        variance: Of the rate's estimate; any shape.
        rate: The true rate.
        alpha: Level of each of the two one-sided tests.

    Example:
        >>> equivalence_powers(0.05, variance=[equivalence_variance(0.05), 0.01]).round(3).tolist()
        [0.8, 0.0]
    """
    spread, z = np.sqrt(np.asarray(variance)), _z(1 - alpha)
    both = special.ndtr((0.5 + margin - rate) / spread - z) + special.ndtr((rate - 0.5 + margin) / spread - z) - 1
    result: Array = np.maximum(0.0, both)
    return result


def plan(
    model: VarianceModel,
    *,
    variance: float,
    n_photos: int,
    votes_per_rater: int,
    alpha: float = 0.05,
    exclusion_rate: float = 0.0,
) -> Plan:
    """Find how many raters bring the variance down to what a goal allows.

    Below 60 raters or photos the variance must be smaller by (z / t)^2, since the interval takes Student's quantile.

    Args:
        model: Where variance comes from: `rate_model` or `difference_model`.
        variance: What the goal allows.
        n_photos: Photos at hand.
        votes_per_rater: Counted votes of each rater on each condition, at most `n_photos`.
        alpha: One minus the level of the interval.
        exclusion_rate: Expected share of raters that the rules will leave out, in [0, 1).

    Raises:
        ValueError: If the numbers make no study.

    Example:
        >>> model = rate_model(0.28, correlations=Correlations(0.09, 0.09), votes_per_rater=40)
        >>> found = plan(
        ...     model, variance=half_width_variance(0.03), n_photos=200, votes_per_rater=40, exclusion_rate=0.1
        ... )
        >>> found.n_raters, found.n_recruits, math.ceil(found.photos_floor)
        (156, 174, 78)
    """
    if n_photos < MIN_CLUSTERS:
        raise ValueError(f"{n_photos} photos are too few for an interval; take at least {MIN_CLUSTERS}")
    if not 1 <= votes_per_rater <= n_photos:
        raise ValueError(f"a rater sees each photo once: votes must be 1 to {n_photos}, got {votes_per_rater}")
    if not 0 <= exclusion_rate < 1:
        raise ValueError(f"the share of exclusions must be at least 0 and below 1, got {exclusion_rate}")

    def suffices(n_raters: int) -> bool:
        widened = model.variance(n_raters, n_photos) * widening(n_raters, n_photos, alpha=alpha) ** 2
        return bool(widened <= variance)

    high = MIN_CLUSTERS
    while not suffices(high) and high < 10**9:
        high *= 2
    n_raters = None
    if suffices(high):
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if suffices(middle) else (middle, high)
        n_raters = max(high, MIN_CLUSTERS)
    floor = model.photos_floor(variance)
    return Plan(
        variance=variance,
        model=model,
        n_photos=n_photos,
        votes_per_rater=votes_per_rater,
        n_raters=n_raters,
        n_recruits=None if n_raters is None else recruits(n_raters, exclusion_rate=exclusion_rate),
        photos_floor=floor,
    )


def recruits(n_raters: int, *, exclusion_rate: float) -> int:
    """Return how many raters to recruit so that so many are left: R / (1 - rate), rounded up.

    Example:
        >>> recruits(156, exclusion_rate=0.1)
        174
    """
    return math.ceil(n_raters / (1 - exclusion_rate) - 1e-9)


def half_widths(model: VarianceModel, *, n_raters: ArrayLike, n_photos: ArrayLike, alpha: float = 0.05) -> Array:
    """Return the half-width of the interval for numbers of raters and photos: the curve to look at.

    Args:
        model: Where variance comes from.
        n_raters: Any shape.
        n_photos: Any shape that is broadcast with it.
        alpha: One minus the level.

    Returns:
        Half-widths as shares, of the common shape: z sqrt(V), or t sqrt(V) below 60 raters or photos.

    Example:
        >>> model = rate_model(0.28, correlations=Correlations(0.09, 0.09), votes_per_rater=40)
        >>> half_widths(model, n_raters=[100, 1000, 10000], n_photos=100).round(4).tolist()
        [0.0394, 0.028, 0.0266]
    """
    variance = model.variance(n_raters, n_photos)
    result: Array = _z(1 - alpha / 2) * widening(n_raters, n_photos, alpha=alpha) * np.sqrt(variance)
    return result


def widening(n_raters: ArrayLike, n_photos: ArrayLike, *, alpha: float = 0.05) -> Array:
    """Return how much wider an interval is for having few raters or photos: t / z below 60 of either, else 1.

    Example:
        >>> widening([20, 59, 60], 200).round(3).tolist()
        [1.068, 1.021, 1.0]
    """
    smaller = np.asarray(np.minimum(n_raters, n_photos), dtype=np.float64)
    few = special.stdtrit(np.minimum(smaller, MANY_CLUSTERS) - 1, 1 - alpha / 2) / _z(1 - alpha / 2)
    result: Array = np.where(smaller < MANY_CLUSTERS, few, 1.0)
    return result


def smallest_difference(
    rate: float,
    *,
    n_raters: int,
    n_photos: int,
    votes_per_rater: float,
    alpha: float = 0.05,
    power: float = 0.8,
    correlations: Callable[[float], Correlations] = typical_correlations,
    effect_correlation: float = EFFECT_CORRELATION,
    is_within: bool = True,
) -> float | None:
    """Return the smallest difference upwards from a rate that is shown with this power, as a share; None if none is.

    Args:
        rate: The lower of the two fool rates, in (0, 1).
        n_raters: Raters, or raters of each condition.
        n_photos: Photos.
        votes_per_rater: Counted votes of a rater on each condition.
        alpha: Level of the test; divided by the number of comparisons of the family.
        power: Chance to show it.
        correlations: Correlations by rate.
        effect_correlation: As for `difference_model`.
        is_within: As for `difference_model`.

    Example:
        >>> f"{smallest_difference(0.22, n_raters=80, n_photos=100, votes_per_rater=40):.3f}"
        '0.060'
    """
    of_lower = correlations(rate)

    def lacks(difference: float) -> float:
        model = difference_model(
            rate + difference,
            rate,
            correlations_a=correlations(rate + difference),
            correlations_b=of_lower,
            votes_per_rater=votes_per_rater,
            effect_correlation=effect_correlation,
            is_within=is_within,
        )
        found = float(model.variance(n_raters, n_photos) * widening(n_raters, n_photos, alpha=alpha) ** 2)
        return found - difference_variance(difference, alpha=alpha, power=power)

    largest = 0.999 - rate
    return float(optimize.brentq(lacks, 1e-6, largest, xtol=1e-6)) if largest > 1e-6 and lacks(largest) < 0 else None


def _z(probability: float) -> float:
    return float(special.ndtri(probability))


def _votes_met(sizes: NDArray[np.int64], n_votes: int) -> float:
    """Return how many votes the cluster of a vote has on average: sum of m_r^2 / N."""
    return float(sizes @ sizes) / n_votes
