"""How long raters take, and whether they take longer when they are fooled.

A rater is the unit: the middle is the median of the raters' medians, so that nobody counts for more by answering more
often. The interval is for the geometric mean, two-way over raters and images, on the logarithm of the times: they are
skewed, and ratios are what repeats. Answers of more than ten seconds are left out of this summary, and of nothing else:
a vote is never dropped for its speed but by a rule fixed before opening.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studies.statistics.fool_rate import ESTIMANDS, Estimand, cluster_codes, cluster_note
from studies.statistics.two_way import two_way_variance

LONGEST_MS = 10_000
"""Answers that took longer are left out of the summary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionTime:
    """Reaction times of some of the answers, in ms.

    Attributes:
        n_answers: Answers in the summary.
        n_raters: Raters with at least one of them.
        median_ms: Median of the raters' medians.
        q05_ms: 5 % point of the raters' medians.
        q25_ms: 25 % point.
        q75_ms: 75 % point.
        q95_ms: 95 % point.
        geometric_mean_ms: exp of the mean of the logarithms of all answers.
        ci_low_ms: Lower end of the interval of the geometric mean; None with too few raters or images.
        ci_high_ms: Upper end.
    """

    n_answers: int
    n_raters: int
    median_ms: float
    q05_ms: float
    q25_ms: float
    q75_ms: float
    q95_ms: float
    geometric_mean_ms: float
    ci_low_ms: float | None
    ci_high_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionTimes:
    """Reaction times of one condition: of all answers, and apart for those that were fooled.

    Attributes:
        overall: Of all answers; None if no time is known.
        fooled: Of answers in which the rater was fooled; None if there are none.
        not_fooled: Of the others.
        ratio: Geometric mean of the fooled answers over that of the others; None unless there are both.
        ratio_low: Lower end of its interval; None with too few raters or images.
        ratio_high: Upper end.
        n_too_long: Answers of more than ten seconds, left out here.
        n_unknown: Answers whose time was not recorded.
        alpha: One minus the level of the intervals.
        estimand: What the intervals speak about.
        notes: Sentences that belong beside the numbers.
    """

    overall: ReactionTime | None
    fooled: ReactionTime | None
    not_fooled: ReactionTime | None
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    n_too_long: int
    n_unknown: int
    alpha: float
    estimand: Estimand
    notes: tuple[str, ...]


def reaction_times(
    rt_ms: ArrayLike,
    *,
    fooled: ArrayLike,
    rater: ArrayLike,
    photo: ArrayLike,
    scene: ArrayLike | None = None,
    alpha: float = 0.05,
    estimand: Estimand = "new",
) -> ReactionTimes:
    """Sum up the reaction times of one condition.

    With y = ln(rt), the geometric mean is exp(mean of y), its interval exp(mean -+ t sqrt(V)), V the two-way variance
    of the mean. The ratio of fooled to other answers is taken alike, from the difference of the means of y.

    Args:
        rt_ms: (n,) float, ms from the moment the buttons could be used; NaN where not known. Below 1 ms counts as 1 ms.
        fooled: (n,) bool: the sample was taken for the photo.
        rater: (n,) identifiers of raters.
        photo: (n,) identifiers of photos.
        scene: (n,) identifiers of the photographs that they were cut from; None if each is one of its own.
        alpha: One minus the level.
        estimand: "new" raters and new images, or "these" images only.

    Example:
        Rater 3 answers after 600 ms, rater 4 after 700 ms, and so on; whoever is fooled needs half as long again:

        >>> rater, photo = np.divmod(np.arange(400), 20)
        >>> fooled = (rater + photo) % 4 == 0
        >>> rt_ms = (300 + 100 * rater) * np.where(fooled, 1.5, 1)
        >>> found = reaction_times(rt_ms, fooled=fooled, rater=rater, photo=photo)
        >>> found.overall.median_ms, round(found.ratio, 2)
        (1250.0, 1.5)
    """
    times, votes = np.asarray(rt_ms, dtype=np.float64), np.asarray(fooled, dtype=np.bool_)
    raters, images = cluster_codes(rater), cluster_codes(photo if scene is None else scene)
    if times.ndim != 1 or not times.shape == votes.shape == raters.shape == images.shape:
        raise ValueError(
            f"rt_ms, fooled, rater and photo must be aligned, got shapes {times.shape}, {votes.shape}, {raters.shape}, "
            f"{images.shape}"
        )
    if estimand not in ESTIMANDS:
        raise ValueError(f"estimand must be one of {', '.join(ESTIMANDS)}, got {estimand!r}")
    is_known = ~np.isnan(times)
    is_used = is_known & (times <= LONGEST_MS)
    times, votes, raters, images = times[is_used], votes[is_used], raters[is_used], images[is_used]
    log_times = np.log(np.maximum(times, 1.0))

    def of(chosen: NDArray[np.bool_]) -> ReactionTime | None:
        if not chosen.any():
            return None
        medians = _medians(times[chosen], raters[chosen])
        y = log_times[chosen]
        mean = float(y.mean())
        half = two_way_variance((y - mean) / y.size, rater=raters[chosen], photo=images[chosen]).half_width(
            alpha=alpha, estimand=estimand
        )
        q05, q25, median, q75, q95 = (float(q) for q in np.quantile(medians, (0.05, 0.25, 0.5, 0.75, 0.95)))
        return ReactionTime(
            n_answers=y.size,
            n_raters=medians.size,
            median_ms=median,
            q05_ms=q05,
            q25_ms=q25,
            q75_ms=q75,
            q95_ms=q95,
            geometric_mean_ms=math.exp(mean),
            ci_low_ms=None if half is None else math.exp(mean - half),
            ci_high_ms=None if half is None else math.exp(mean + half),
        )

    ratio = low = high = None
    if votes.any() and not votes.all():
        difference = float(log_times[votes].mean() - log_times[~votes].mean())
        influence = np.where(
            votes,
            (log_times - log_times[votes].mean()) / votes.sum(),
            (log_times[~votes].mean() - log_times) / (~votes).sum(),
        )
        half = two_way_variance(influence, rater=raters, photo=images).half_width(alpha=alpha, estimand=estimand)
        ratio = math.exp(difference)
        if half is not None:
            low, high = math.exp(difference - half), math.exp(difference + half)
    n_too_long, n_unknown = int((is_known & ~is_used).sum()), int((~is_known).sum())
    notes = []
    image = "photo" if scene is None else "scene"
    few = cluster_note(n_raters=np.unique(raters).size, n_images=np.unique(images).size, image=image)
    if few and times.size:
        notes.append(few)
    if n_too_long:
        notes.append(
            f"Answers of more than {LONGEST_MS // 1000} s, left out of the times and of nothing else: {n_too_long}."
        )
    if n_unknown:
        notes.append(f"Answers whose time was not recorded: {n_unknown}.")
    return ReactionTimes(
        overall=of(np.ones(times.size, dtype=np.bool_)),
        fooled=of(votes),
        not_fooled=of(~votes),
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        n_too_long=n_too_long,
        n_unknown=n_unknown,
        alpha=alpha,
        estimand=estimand,
        notes=tuple(notes),
    )


def _medians(times: NDArray[np.float64], raters: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each rater's median: (n,) times and (n,) raters -> (r,)."""
    order = np.lexsort((times, raters))
    ordered = times[order]
    _, start, count = np.unique(raters[order], return_index=True, return_counts=True)
    medians: NDArray[np.float64] = (ordered[start + (count - 1) // 2] + ordered[start + count // 2]) / 2
    return medians
