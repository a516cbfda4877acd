"""Intervals that may be looked at at any time: betting confidence sequences over raters' means.

A fixed interval is meant to be looked at once. Who looks after every rater, and stops when it pleases, sees the truth
outside at some time in 40 to 99 % of studies. A confidence sequence holds the truth at all times together with
probability 1 - alpha, whatever made somebody stop. The price is width, and the unit: votes of one rater resemble each
other, so that the sequence is over raters, one mean each, in the order in which they finished.

For every share m it follows two gamblers, one who bets that the raters' mean is above m and one that it is below. If m
is true, neither is expected to win; a share at which one of them has multiplied the stake by 2 / alpha is out for good.

References:
    Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting".
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from studies.statistics.comparison import DifferenceParts, difference_parts
from studies.statistics.fool_rate import (
    ESTIMANDS,
    MIN_CLUSTERS,
    Estimand,
    Interval,
    VarianceParts,
    cluster_codes,
    counted,
    t_quantile,
    variance_parts,
)

Array = NDArray[np.float64]


class Betting(NamedTuple):
    """How the stakes are chosen, fixed before the first rater: any values keep the sequence valid, good ones narrow.

    Attributes:
        mean: mu0, the guess of the mean, in [0, 1].
        variance: v0, the guess of the variance of raters' means, above 0.
        cap: c in (0, 1), the largest share of the capital that can be lost on one rater.
    """

    mean: float
    variance: float
    cap: float


RATES = Betting(mean=0.2, variance=0.03, cap=0.9)
DIFFERENCES = Betting(mean=0.5, variance=0.01, cap=0.9)


class ConfidenceSequence(NamedTuple):
    """An interval after each rater; once a share is out, it stays out.

    Attributes:
        low: (n,) lower ends, which never fall.
        high: (n,) upper ends, which never rise.
    """

    low: Array
    high: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEstimate:
    """What may be shown of a rate or a difference while raters are still coming, and after a stop on results.

    Attributes:
        estimate: Mean over raters of their shares, in [0, 1], or of their differences, in [-1, 1]; None without one.
        ci_low: Lower end of the sequence now; None where there is none.
        ci_high: Upper end.
        alpha: One minus the level that holds for all times and all `n_shown` figures together.
        n_shown: How many figures share alpha.
        n_raters: Raters that the sequence has met.
        estimand: What the interval speaks about.
        notes: Sentences that belong beside the numbers.
    """

    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    alpha: float
    n_shown: int
    n_raters: int
    estimand: Estimand
    notes: tuple[str, ...]


def bets(means: ArrayLike, *, alpha: float = 0.05, betting: Betting = RATES) -> Array:
    """Return the stake on each rater, which depends on the raters before alone.

        mu_t = (mu0 + sum of x_i) / (t + 1)      s2_t = (v0 + sum of (x_i - mu_i)^2) / (t + 1)      i = 1..t
        lambda_t = sqrt(2 ln(2 / alpha) / (s2_{t-1} t ln(1 + t)))

    Args:
        means: (n,) raters' means in [0, 1], in the order of finishing.
        alpha: One minus the level.
        betting: The constants.

    Returns:
        (n,) stakes before they are capped.

    Example:
        >>> bets([0.1, 0.3, 0.0]).round(6).tolist()
        [18.836008, 14.374685, 11.190256]
    """
    x = np.asarray(means, dtype=np.float64)
    t = np.arange(1, x.size + 1)
    mu = (betting.mean + np.cumsum(x)) / (t + 1)
    variance = (betting.variance + np.cumsum((x - mu) ** 2)) / (t + 1)
    before = np.concatenate([[betting.variance], variance])[: x.size]
    stakes: Array = np.sqrt(2 * math.log(2 / alpha) / (before * t * np.log1p(t)))
    return stakes


def log_capital(means: ArrayLike, share: float, *, stakes: ArrayLike, cap: float) -> float:
    """Return the log of what the gambler who bets on "above `share`" has made of 1 after all raters.

        ln K+(m) = sum of ln(1 + min(lambda_i, c / m) (x_i - m))

    The other gambler's is that of 1 - x at 1 - m.

    Args:
        means: (n,) raters' means in [0, 1].
        share: m in [0, 1].
        stakes: (n,) from `bets`.
        cap: c.

    Example:
        >>> x = [0.1, 0.3, 0.0, 0.2, 0.25, 0.15, 0.05, 0.4, 0.1, 0.2]
        >>> f"{log_capital(x, 0.1, stakes=bets(x), cap=0.9):.6f}"
        '1.447283'
    """
    x = np.asarray(means, dtype=np.float64)
    capped = np.minimum(stakes, cap / share) if share > 0 else np.asarray(stakes)
    return float(np.log1p(capped * (x - share)).sum())


def confidence_sequence(means: ArrayLike, *, alpha: float = 0.05, betting: Betting = RATES) -> ConfidenceSequence:
    """Return the interval for the raters' mean after each rater, valid at all times together.

        lower_t = largest m up to the mean so far with K+_t(m) >= 2 / alpha, 0 if none;  upper_t likewise from above;
        the running intersection of these.

    It holds for any rule of stopping if each rater's expected mean, given the raters before, is the same: raters of one
    kind, judging the same set of photos, all completed and accepted by rules that do not see the votes.

    Args:
        means: (n,) raters' means in [0, 1], in the order of finishing.
        alpha: One minus the level.
        betting: The constants, fixed before the first rater.

    Returns:
        (n,) lower and upper ends. A lower end above its upper end means that the raters' mean has drifted.

    Raises:
        ValueError: If a mean lies outside [0, 1] or alpha outside (0, 1).

    Example:
        >>> x = [0.1, 0.3, 0.0, 0.2, 0.25, 0.15, 0.05, 0.4, 0.1, 0.2]
        >>> low, high = confidence_sequence(x * 10)
        >>> [f"{low[t - 1]:.4f} {high[t - 1]:.4f}" for t in (1, 10, 100)]
        ['0.0000 1.0000', '0.0714 0.4536', '0.1349 0.2144']
    """
    x = np.asarray(means, dtype=np.float64)
    if x.ndim != 1 or not ((x >= 0) & (x <= 1)).all():
        raise ValueError(f"means must be a row of numbers in [0, 1], got {means!r}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    stakes = bets(x, alpha=alpha, betting=betting)
    goal = math.log(2 / alpha)
    return ConfidenceSequence(
        _lower_ends(x, stakes=stakes, cap=betting.cap, goal=goal),
        1 - _lower_ends(1 - x, stakes=stakes, cap=betting.cap, goal=goal),
    )


def difference_sequence(differences: ArrayLike, *, alpha: float = 0.05) -> ConfidenceSequence:
    """Return the sequence for a difference of two conditions that each rater judges both of.

    Args:
        differences: (n,) each rater's mean on A less that on B, in [-1, 1], in the order of finishing.
        alpha: One minus the level.

    Returns:
        (n,) lower and upper ends in [-1, 1]: those for (d + 1) / 2 with the constants `DIFFERENCES`, mapped back.

    Example:
        >>> low, high = difference_sequence([0.1, 0, 0.2, 0.3, -0.1, 0.2, 0.1, 0, 0.3, 0.15] * 10)
        >>> f"{low[-1]:.6f} {high[-1]:.6f}"
        '0.073756 0.166624'
    """
    halved = (np.asarray(differences, dtype=np.float64) + 1) / 2
    low, high = confidence_sequence(halved, alpha=alpha, betting=DIFFERENCES)
    return ConfidenceSequence(2 * low - 1, 2 * high - 1)


def live_fool_rate(
    fooled: ArrayLike,
    *,
    rater: ArrayLike,
    photo: ArrayLike,
    finished: ArrayLike,
    scene: ArrayLike | None = None,
    alpha: float = 0.05,
    n_shown: int = 1,
    estimand: Estimand = "new",
) -> LiveEstimate:
    """Estimate a fool rate that somebody looks at before the study is over.

    For these images only, the sequence at the level alpha / n_shown. For new images it is run at half of that, and each
    end moved out by z sqrt(max(V_I - V_E, 0)), z for the other half: what images add, true for many images only.

    Args:
        fooled: (n,) bool, or 0 and 1. Counted votes of one condition.
        rater: (n,) identifiers of raters. Raters are met by their first session; a later one is left out.
        photo: (n,) identifiers of photos.
        finished: (n,) when the session of each vote was finished: numbers, or times of numpy.
        scene: (n,) identifiers of the photographs that the photos were cut from; None if each is one of its own.
        alpha: One minus the level for all figures that are shown.
        n_shown: How many figures (conditions, differences) are looked at.
        estimand: "new" raters and new images, or "these" images only.

    Returns:
        The mean of raters' means, with its interval now.

    Raises:
        ValueError: If the arrays do not fit, or an argument has no meaning.

    Example:
        >>> rater, photo = np.divmod(np.arange(2000), 40)
        >>> live = live_fool_rate((rater + photo) % 5 == 0, rater=rater, photo=photo, finished=rater, estimand="these")
        >>> f"{live.estimate:.2f} [{live.ci_low:.3f}, {live.ci_high:.3f}] after {live.n_raters} raters"
        '0.20 [0.184, 0.263] after 50 raters'
    """
    votes = _first_sessions(fooled, rater=rater, image=photo if scene is None else scene, finished=finished)
    level = _level(alpha=alpha, n_shown=n_shown, estimand=estimand)
    means, sizes = votes.means(np.ones(votes.fooled.size, dtype=np.bool_)), np.bincount(votes.rater)
    notes = list(votes.notes)
    if means.size and sizes.min() != sizes.max():
        notes.append(
            f"Raters gave {sizes.min()} to {sizes.max()} votes: each rater counts once here "
            f"({100 * means.mean():.1f} %), each vote once in the final table ({100 * votes.fooled.mean():.1f} %)."
        )
    ends = None
    if means.size:
        ends = _now(means, confidence_sequence(means, alpha=level), notes=notes)
        if ends and estimand == "new":
            parts = variance_parts(votes.fooled, rater=votes.rater, photo=votes.image)
            ends = _widened(ends, parts, alpha=level, least=0.0, notes=notes)
    return LiveEstimate(
        estimate=float(means.mean()) if means.size else None,
        ci_low=ends.low if ends else None,
        ci_high=ends.high if ends else None,
        alpha=alpha,
        n_shown=n_shown,
        n_raters=means.size,
        estimand=estimand,
        notes=tuple(notes),
    )


def live_difference(
    fooled: ArrayLike,
    is_a: ArrayLike,
    *,
    rater: ArrayLike,
    photo: ArrayLike,
    finished: ArrayLike,
    scene: ArrayLike | None = None,
    alpha: float = 0.05,
    n_shown: int = 1,
    estimand: Estimand = "new",
) -> LiveEstimate:
    """Estimate the difference of two conditions that somebody looks at before the study is over.

    Where raters judge both, the sequence runs over each one's own difference; raters of one condition only are then set
    aside. Where nobody does, each condition has a sequence at half of alpha, and the difference lies between the
    lower end of A less the upper end of B and the reverse.

    Args:
        fooled: (n,) bool, or 0 and 1. Counted votes of both conditions.
        is_a: (n,) bool: a vote on A, else on B.
        rater: (n,) identifiers of raters, as for `live_fool_rate`.
        photo: (n,) identifiers of photos.
        finished: (n,) when the session of each vote was finished.
        scene: (n,) identifiers of the photographs that the photos were cut from; None if each is one of its own.
        alpha: One minus the level for all figures that are shown.
        n_shown: How many figures are looked at.
        estimand: "new" raters and new images, or "these" images only.

    Returns:
        The mean difference, with its interval now.

    Raises:
        ValueError: If the arrays do not fit, or an argument has no meaning.

    Example:
        >>> rater, photo = np.divmod(np.arange(4000), 40)
        >>> is_a = (rater + photo) % 2 == 0
        >>> fooled = (rater * 3 + photo) % np.where(is_a, 2, 5) == 0
        >>> live = live_difference(fooled, is_a, rater=rater, photo=photo, finished=rater, estimand="these")
        >>> f"{live.estimate:.2f} [{live.ci_low:.2f}, {live.ci_high:.2f}]"
        '0.80 [0.73, 0.82]'
    """
    votes = _first_sessions(fooled, is_a=is_a, rater=rater, image=photo if scene is None else scene, finished=finished)
    level = _level(alpha=alpha, n_shown=n_shown, estimand=estimand)
    notes = list(votes.notes)
    met = np.isin(votes.rater, np.intersect1d(votes.rater[votes.is_a], votes.rater[~votes.is_a]))
    has_both = bool(met.any())
    if has_both and not met.all():
        notes.append(f"Raters who judged one of the two only are set aside: {np.unique(votes.rater[~met]).size}.")
    if not has_both:
        met = np.ones_like(met)
    on_a, on_b = met & votes.is_a, met & ~votes.is_a
    estimate: float | None = None
    ends: Interval | None = None
    if has_both:
        differences = votes.means(on_a) - votes.means(on_b)
        estimate, ends = (
            float(differences.mean()),
            _now(differences, difference_sequence(differences, alpha=level), notes=notes),
        )
    elif on_a.any() and on_b.any():
        notes.append("No rater judged both: each condition has a sequence of its own, at half of alpha.")
        of_a, of_b = votes.means(on_a), votes.means(on_b)
        a, b = (_now(of_one, confidence_sequence(of_one, alpha=level / 2), notes=notes) for of_one in (of_a, of_b))
        estimate = float(of_a.mean() - of_b.mean())
        ends = Interval(a.low - b.high, a.high - b.low) if a and b else None
    else:
        notes.append("No difference yet: one of the two has no vote.")
    if ends and estimand == "new":
        parts = difference_parts(votes.fooled[met], votes.is_a[met], rater=votes.rater[met], photo=votes.image[met])
        ends = _widened(ends, parts, alpha=level, least=-1.0, notes=notes)
    return LiveEstimate(
        estimate=estimate,
        ci_low=ends.low if ends else None,
        ci_high=ends.high if ends else None,
        alpha=alpha,
        n_shown=n_shown,
        n_raters=np.unique(votes.rater[met]).size,
        estimand=estimand,
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _FirstSessions:
    """Votes of each rater's first session; raters are numbered in the order of finishing."""

    fooled: NDArray[np.bool_]
    is_a: NDArray[np.bool_]
    rater: NDArray[np.int64]
    image: NDArray[np.int64]
    notes: tuple[str, ...]

    def means(self, chosen: NDArray[np.bool_]) -> Array:
        """Return (k,) the means of the k raters with chosen votes, in the order of finishing."""
        sizes = np.bincount(self.rater[chosen])
        hits = np.bincount(self.rater[chosen & self.fooled], minlength=sizes.size)
        return hits[sizes > 0] / sizes[sizes > 0]


def _first_sessions(
    fooled: ArrayLike,
    *,
    rater: ArrayLike,
    image: ArrayLike,
    finished: ArrayLike,
    is_a: ArrayLike | None = None,
) -> _FirstSessions:
    votes, times = np.asarray(fooled), np.asarray(finished)
    raters, images = cluster_codes(rater), cluster_codes(image)
    side = np.zeros(votes.shape, dtype=np.bool_) if is_a is None else np.asarray(is_a, dtype=np.bool_)
    if votes.ndim != 1 or not votes.shape == side.shape == raters.shape == images.shape == times.shape:
        raise ValueError(
            f"fooled, is_a, rater, photo and finished must be aligned, got shapes {votes.shape}, {side.shape}, "
            f"{raters.shape}, {images.shape}, {times.shape}"
        )
    if votes.dtype != np.bool_ and not np.isin(votes, (0, 1)).all():
        raise ValueError(f"fooled must hold 0 and 1 only, got {votes[~np.isin(votes, (0, 1))][0]}")
    moment = np.unique(times, return_inverse=True)[1]
    raters = np.unique(raters, return_inverse=True)[1]
    first = np.full(int(raters.max(initial=-1)) + 1, moment.size)
    np.minimum.at(first, raters, moment)
    place = np.empty_like(first)
    place[np.argsort(first, kind="stable")] = np.arange(first.size)
    kept = moment == first[raters]
    notes = []
    if not kept.all():
        notes.append(f"{counted(np.unique(raters[~kept]).size, 'rater')} came again: only first sessions are met.")
    return _FirstSessions(
        fooled=votes.astype(np.bool_)[kept],
        is_a=side[kept],
        rater=place[raters][kept],
        image=images[kept],
        notes=tuple(notes),
    )


def _lower_ends(x: Array, *, stakes: Array, cap: float, goal: float) -> Array:
    """Return (n,) the running lower end: the capital at it is carried along, and the end moves when that is reached."""
    ends = np.zeros(x.size)
    low = log_low = total = 0.0
    for place, mean in enumerate(x):
        total += mean
        log_low += math.log1p(min(stakes[place], cap / low if low > 0 else math.inf) * (mean - low))
        highest = total / (place + 1)
        if log_low >= goal and highest > low:
            met, staked = x[: place + 1], stakes[: place + 1]

            def excess(share: float, met: Array = met, staked: Array = staked) -> float:
                return log_capital(met, share, stakes=staked, cap=cap) - goal

            if excess(highest) >= 0:
                low = highest
            elif excess(low) > 0:
                low = float(optimize.brentq(excess, low, highest, xtol=1e-14))
            log_low = excess(low) + goal
        ends[place] = low
    return ends


def _level(*, alpha: float, n_shown: int, estimand: Estimand) -> float:
    """Return the alpha of one sequence: shared among the figures, and for new images with what images add."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    if n_shown < 1:
        raise ValueError(f"n_shown must be at least 1, got {n_shown}")
    if estimand not in ESTIMANDS:
        raise ValueError(f"estimand must be one of {', '.join(ESTIMANDS)}, got {estimand!r}")
    return alpha / n_shown / (2 if estimand == "new" else 1)


def _now(means: Array, sequence: ConfidenceSequence, *, notes: list[str]) -> Interval | None:
    """Return the last interval of the sequence of (n,) means; None, with a note, if it has lost them."""
    low, high = float(sequence.low[-1]), float(sequence.high[-1])
    if not low - 1e-9 <= means.mean() <= high + 1e-9:
        notes.append("No interval: raters' means have drifted, so that no single share fits all of them.")
        return None
    return Interval(low, high)


def _widened(
    ends: Interval, parts: VarianceParts | DifferenceParts, *, alpha: float, least: float, notes: list[str]
) -> Interval | None:
    """Return the interval moved out by what images add, within [least, 1]; None with too few images to know it."""
    if min(parts.n_raters, parts.n_photos) < MIN_CLUSTERS:
        notes.append(
            f"No interval for new images: {counted(parts.n_raters, 'rater')} and {counted(parts.n_photos, 'image')}; "
            f"it takes at least {MIN_CLUSTERS} of each."
        )
        return None
    more = t_quantile(math.inf, alpha) * math.sqrt(max(parts.photos - parts.cells, 0.0))
    return Interval(max(least, ends.low - more), min(1.0, ends.high + more))
