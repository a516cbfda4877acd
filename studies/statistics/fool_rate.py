"""The fool rate and an interval that knows who voted on what.

A vote is 1 if the rater took the method's picture for the photo ("fooled"), 0 otherwise. Votes of one rater resemble
each other, and so do votes on one photo; an interval that treats them as independent is far too short. The default
here is the "two-way Wilson" interval: a Wilson score interval whose effective number of votes comes from the two-way
(rater x photo) cluster-robust variance, with a t quantile.

A photo is one cluster however many draws or methods were made from it: its samples share what is easy or hard in it.
Photos that were cut from one photograph, its scene, share that too, and form one cluster together.

References:
    Cameron, Gelbach and Miller (2011), "Robust inference with multiway clustering".
    Korn and Graubard (1998), "Confidence intervals for proportions with small expected number of positive counts".
    Wilson (1927), "Probable inference, the law of succession, and statistical inference".
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Estimand = Literal["new", "these"]
IntervalMethod = Literal["two_way_wilson", "korn_graubard"]

ESTIMANDS: dict[Estimand, str] = {
    "new": "new raters and new images",
    "these": "these images only",
}
INTERVAL_METHODS: dict[IntervalMethod, str] = {
    "two_way_wilson": "two-way Wilson",
    "korn_graubard": "two-way Korn-Graubard",
}

MIN_CLUSTERS = 10
"""Fewer raters or scenes than this: a rate, but no interval."""
FEW_CLUSTERS = 30
"""Fewer raters or scenes than this: an interval with a note."""


class Interval(NamedTuple):
    """Two ends of an interval for a rate, both in [0, 1]."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceParts:
    """Counts and variances of one fool rate, by what the votes share.

    Attributes:
        n_votes: N, number of votes.
        n_fooled: K, number of votes in which the rater was fooled.
        n_raters: R, raters with at least one vote.
        n_photos: I, photos with at least one vote.
        n_cells: G_c, combinations of rater and photo with at least one vote.
        raters: V_R, variance of the rate when votes of one rater go together; NaN with fewer than 2 raters.
        photos: V_I, the same for photos.
        cells: V_E, the same for combinations of rater and photo, which V_R and V_I both contain.
        binomial: vb = p (1 - p) / N, variance as if all votes were independent.
    """

    n_votes: int
    n_fooled: int
    n_raters: int
    n_photos: int
    n_cells: int
    raters: float
    photos: float
    cells: float
    binomial: float

    @property
    def rate(self) -> float:
        """Fool rate p = K / N, in [0, 1]."""
        return self.n_fooled / self.n_votes

    def variance(self, estimand: Estimand = "new") -> float:
        """Return the variance of the rate, guarded from below.

        New raters and new photos: max(V_R + V_I - V_E, V_R, V_I, vb): not negative, not below either one-way
        variance, not below the binomial one. These photos only: max(V_R, vb).
        """
        if estimand == "these":
            return max(self.raters, self.binomial)
        return max(self.raters + self.photos - self.cells, self.raters, self.photos, self.binomial)

    def deff(self, estimand: Estimand = "new") -> float | None:
        """Return the design effect V / vb (at least 1), or None where the votes cannot tell it."""
        if self.binomial == 0 or self.n_raters < 2 or (estimand == "new" and self.n_photos < 2):
            return None
        return self.variance(estimand) / self.binomial

    def df(self, estimand: Estimand = "new") -> int:
        """Return the degrees of freedom of the t quantile: R - 1, or min(R, I) - 1 for new photos."""
        return (self.n_raters if estimand == "these" else min(self.n_raters, self.n_photos)) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FoolRate:
    """One fool rate with its interval and all that is needed to judge it.

    Attributes:
        rate: Share of votes in which the rater was fooled, in [0, 1]; 0.5 means "cannot tell".
        ci_low: Lower end of the interval in [0, 1]; None when there are too few raters or scenes.
        ci_high: Upper end.
        ci_method: Which interval; None when there is none.
        alpha: One minus the level of the interval: 0.05 for 95 %.
        estimand: What the interval speaks about: "new" raters and photos, or new raters on "these" photos.
        n_responses: Number of votes.
        n_fooled: Number of votes in which the rater was fooled.
        n_raters: Raters with at least one vote.
        n_photos: Photos with at least one vote.
        n_scenes: Scenes with at least one vote: the clusters of images.
        deff: Design effect: how many times larger the variance is than with independent votes.
        deff_raters: Part of it due to raters, V_R / vb. The whole is about raters + photos - 1.
        deff_photos: Part of it due to photos, V_I / vb, those of one scene taken together.
        is_deff_assumed: Whether `deff` was taken from the study's other methods, the votes being all alike.
        independent_low: Lower end of the plain Wilson interval, as if all votes were independent. A contrast only: it
            covers the truth in 60 to 85 % of studies, not in 95 %.
        independent_high: Its upper end.
        rater_bound: If nobody was fooled: the largest share of raters that could ever be fooled, one-sided at level
            1 - alpha. None otherwise.
        notes: Sentences that belong beside the numbers.
    """

    rate: float
    ci_low: float | None
    ci_high: float | None
    ci_method: IntervalMethod | None
    alpha: float
    estimand: Estimand
    n_responses: int
    n_fooled: int
    n_raters: int
    n_photos: int
    n_scenes: int
    deff: float | None
    deff_raters: float | None
    deff_photos: float | None
    is_deff_assumed: bool
    independent_low: float
    independent_high: float
    rater_bound: float | None
    notes: tuple[str, ...]

    @property
    def df(self) -> int:
        """Return the degrees of freedom of the t quantile: R - 1, or min(R, I) - 1 for new images."""
        return (self.n_raters if self.estimand == "these" else min(self.n_raters, self.n_scenes)) - 1

    def interval(self, alpha: float) -> Interval | None:
        """Return the interval at another level: of the same method, or None where there is none."""
        if self.ci_method is None or self.deff is None:
            return None
        shape = two_way_wilson if self.ci_method == "two_way_wilson" else korn_graubard
        return shape(rate=self.rate, n_votes=self.n_responses, deff=self.deff, df=self.df, alpha=alpha)


def cluster_codes(ids: ArrayLike) -> NDArray[np.int64]:
    """Turn identifiers into small non-negative integers, the same identifier into the same integer.

    Args:
        ids: (n,) identifiers: integers, or strings.

    Returns:
        (n,) int64 codes. Small non-negative integers are returned as they are; codes need not be dense.

    Example:
        >>> cluster_codes(["r7", "r2", "r7"]).tolist()
        [0, 1, 0]
    """
    array = np.asarray(ids)
    if array.dtype.kind not in "iu":
        # Votes of a rater mostly stand together: each run of equal identifiers is looked up once.
        is_start = np.ones(array.shape, dtype=np.bool_)
        is_start[1:] = array[1:] != array[:-1]
        starts = array[is_start].tolist()
        known = {identifier: code for code, identifier in enumerate(dict.fromkeys(starts))}
        codes = np.fromiter(map(known.__getitem__, starts), dtype=np.int64, count=len(starts))
        return np.repeat(codes, np.diff(np.append(np.flatnonzero(is_start), array.size)))
    if array.size and (array.min() < 0 or array.max() > 8 * array.size + 1024):
        return np.unique(array, return_inverse=True)[1].astype(np.int64)
    return array.astype(np.int64)


def cell_codes(rater: NDArray[np.int64], photo: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (n,) int64 codes of the combinations of rater and photo, given (n,) codes of each; n at least 1.

    Example:
        >>> cell_codes(np.array([0, 0, 1]), np.array([0, 1, 1])).tolist()
        [0, 1, 3]
    """
    cells: NDArray[np.int64] = rater * (int(photo.max()) + 1) + photo
    if int(cells.max()) > 8 * cells.size + 1_000_000:
        return np.unique(cells, return_inverse=True)[1].astype(np.int64)
    return cells


def variance_parts(fooled: ArrayLike, *, rater: ArrayLike, photo: ArrayLike) -> VarianceParts:
    """Split the variance of a fool rate into what raters, photos and their combinations share.

    With e = y - p and S the sum of e over a cluster,

        V_R = R / (R - 1) * sum of S_r^2 / N^2,   V_I and V_E alike for photos and for (rater, photo) cells.

    The sums are taken in whole numbers, so neither the order of the votes nor the names of raters and photos can
    change a digit of the result.

    Args:
        fooled: (n,) bool, or 0 and 1.
        rater: (n,) identifiers of raters.
        photo: (n,) identifiers of photos.

    Returns:
        The counts and the variances.

    Raises:
        ValueError: If there is no vote, the lengths differ, or a vote is neither 0 nor 1.

    Example:
        Four raters, four photos, twelve votes:

        >>> parts = variance_parts(
        ...     [1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0],
        ...     rater=[1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4],
        ...     photo=[1, 2, 3, 2, 3, 4, 1, 3, 4, 1, 2, 4],
        ... )
        >>> f"{parts.raters:.6f} {parts.photos:.6f} {parts.cells:.6f}, DEFF {parts.deff():.1f}"
        '0.018519 0.037037 0.020202, DEFF 2.0'
    """
    votes = np.asarray(fooled)
    raters, photos = cluster_codes(rater), cluster_codes(photo)
    if votes.ndim != 1 or votes.shape != raters.shape or votes.shape != photos.shape:
        raise ValueError(
            f"fooled, rater and photo must be aligned, got shapes {votes.shape}, {raters.shape}, {photos.shape}"
        )
    if votes.size == 0:
        raise ValueError("a fool rate needs at least one vote, got none")
    if votes.dtype != np.bool_ and not np.isin(votes, (0, 1)).all():
        raise ValueError(f"fooled must hold 0 and 1 only, got {votes[~np.isin(votes, (0, 1))][0]}")
    is_fooled = votes.astype(np.bool_)
    n_votes, n_fooled = votes.size, int(np.count_nonzero(is_fooled))

    def clustered(codes: NDArray[np.int64]) -> tuple[int, float]:
        sizes = np.bincount(codes)
        n_clusters = int(np.count_nonzero(sizes))
        if n_clusters < 2:
            return n_clusters, math.nan
        if n_clusters == n_votes:  # one vote each: the sums below, known without adding
            return n_clusters, n_fooled * (n_votes - n_fooled) / ((n_votes - 1) * n_votes**2)
        hits = np.bincount(codes[is_fooled], minlength=sizes.size)
        # N^2 times the sum of (k - n p)^2, exactly.
        squares = (
            n_votes**2 * int(hits @ hits)
            - 2 * n_votes * n_fooled * int(hits @ sizes)
            + n_fooled**2 * int(sizes @ sizes)
        )
        return n_clusters, n_clusters * squares / ((n_clusters - 1) * n_votes**4)

    n_raters, rater_variance = clustered(raters)
    n_photos, photo_variance = clustered(photos)
    n_cells, cell_variance = clustered(cell_codes(raters, photos))
    return VarianceParts(
        n_votes=n_votes,
        n_fooled=n_fooled,
        n_raters=n_raters,
        n_photos=n_photos,
        n_cells=n_cells,
        raters=rater_variance,
        photos=photo_variance,
        cells=cell_variance,
        binomial=n_fooled * (n_votes - n_fooled) / n_votes**3,
    )


def t_quantile(df: float, alpha: float) -> float:
    """Return the two-sided quantile t_df(1 - alpha / 2); the normal one for df = infinity.

    Example:
        >>> f"{t_quantile(99, 0.05):.6f} {t_quantile(math.inf, 0.05):.6f}"
        '1.984217 1.959964'
    """
    if math.isinf(df):
        return float(special.ndtri(1 - alpha / 2))
    return float(special.stdtrit(df, 1 - alpha / 2))


def binomial_wilson(*, n_fooled: int, n_votes: int, alpha: float = 0.05) -> Interval:
    """Return the plain Wilson interval, as if all votes were independent.

    For contrast only: votes share raters and photos, so this interval is too short.

    Example:
        >>> low, high = binomial_wilson(n_fooled=279, n_votes=1000)
        >>> f"{low:.6f} {high:.6f}"
        '0.252088 0.307604'
    """
    return _wilson(n_fooled / n_votes, n_votes, t_quantile(math.inf, alpha))


def two_way_wilson(*, rate: float, n_votes: int, deff: float, df: float, alpha: float = 0.05) -> Interval:
    """Return the Wilson interval with n = N / DEFF effective votes and a t quantile.

        centre = (p + t^2 / 2n) / (1 + t^2 / n),   half = t / (1 + t^2 / n) * sqrt(p (1 - p) / n + t^2 / 4n^2)

    Args:
        rate: Fool rate p in [0, 1].
        n_votes: N, number of votes.
        deff: Design effect, at least 1.
        df: Degrees of freedom of the t quantile; `math.inf` for the normal one.
        alpha: One minus the level.

    Example:
        >>> low, high = two_way_wilson(rate=0.279, n_votes=1000, deff=4, df=99)
        >>> f"{low:.6f} {high:.6f}"
        '0.226475 0.338378'
    """
    return _wilson(rate, n_votes / deff, t_quantile(df, alpha))


def korn_graubard(*, rate: float, n_votes: int, deff: float, df: float, alpha: float = 0.05) -> Interval:
    """Return the conservative interval: Clopper-Pearson with n* = min(N, n (z / t)^2) effective votes, n = N / DEFF.

    Args and example as for `two_way_wilson`; with `deff=1, df=math.inf` it is the exact (Clopper-Pearson) interval.

    Example:
        >>> low, high = korn_graubard(rate=0.279, n_votes=1000, deff=4, df=99)
        >>> f"{low:.6f} {high:.6f}"
        '0.223662 0.339798'
    """
    shrink = (t_quantile(math.inf, alpha) / t_quantile(df, alpha)) ** 2
    votes = min(n_votes, n_votes / deff * shrink)
    hits = rate * votes
    low = 0.0 if rate == 0 else float(special.betaincinv(hits, votes - hits + 1, alpha / 2))
    high = 1.0 if rate == 1 else float(special.betaincinv(hits + 1, votes - hits, 1 - alpha / 2))
    return Interval(min(low, rate), max(high, rate))


def rater_level_bound(*, n_raters: int, alpha: float = 0.05) -> float:
    """Return the largest share of raters that could ever be fooled when none of `n_raters` was (one-sided).

    1 - alpha^(1/R), about 3 / R at 95 %.

    Example:
        >>> round(rater_level_bound(n_raters=60), 4)
        0.0487
    """
    return float(1 - alpha ** (1 / n_raters))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    Example:
        >>> counted(1, "rater"), counted(2, "rater")
        ('1 rater', '2 raters')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def cluster_note(*, n_raters: int, n_images: int, image: str) -> str | None:
    """Return the sentence about too few raters or images; None where there are enough of both.

    Args:
        n_raters: Raters with at least one vote.
        n_images: Clusters of images with at least one vote.
        image: What a cluster of images is: "photo" or "scene".

    Example:
        >>> cluster_note(n_raters=40, n_images=9, image="scene")
        'No interval: 40 raters and 9 scenes; it takes at least 10 of each.'
        >>> cluster_note(n_raters=30, n_images=30, image="photo") is None
        True
    """
    if min(n_raters, n_images) < MIN_CLUSTERS:
        return (
            f"No interval: {counted(n_raters, 'rater')} and {counted(n_images, image)}; "
            f"it takes at least {MIN_CLUSTERS} of each."
        )
    if min(n_raters, n_images) < FEW_CLUSTERS:
        return (
            f"Few clusters: {n_raters} raters and {n_images} {image}s; "
            f"below {FEW_CLUSTERS} of either the interval is approximate."
        )
    return None


def fool_rate(
    fooled: ArrayLike,
    *,
    rater: ArrayLike,
    photo: ArrayLike,
    scene: ArrayLike | None = None,
    alpha: float = 0.05,
    estimand: Estimand = "new",
    method: IntervalMethod = "two_way_wilson",
    assumed_deff: float = 1.0,
) -> FoolRate:
    """Estimate the share of votes that fooled the rater, with an interval for other raters and other photos.

    No interval is given below 10 raters or 10 scenes. If all votes are alike (nobody or everybody fooled) the design
    effect cannot be estimated, and `assumed_deff` stands in for it.

    Args:
        fooled: (n,) bool, or 0 and 1. Counted votes of one condition: no practice, no golden pairs.
        rater: (n,) identifiers of raters.
        photo: (n,) identifiers of photos.
        scene: (n,) identifiers of the photographs that the photos were cut from: the clusters of images. None if each
            photo is a photograph of its own.
        alpha: One minus the level of the interval.
        estimand: "new" raters and new photos, or new raters on "these" photos only.
        method: Default interval, or the conservative one.
        assumed_deff: The largest design effect among the study's other conditions, at least 1.

    Returns:
        The rate and what belongs beside it.

    Raises:
        ValueError: If there is no vote, the arrays do not fit, or `alpha` is not between 0 and 1.

    Example:
        Ten raters see the same ten photos; the first five photos fool everybody:

        >>> rater, photo = np.divmod(np.arange(100), 10)
        >>> result = fool_rate(photo < 5, rater=rater, photo=photo)
        >>> f"{result.rate} [{result.ci_low:.3f}, {result.ci_high:.3f}], DEFF {result.deff:.1f}"
        '0.5 [0.199, 0.801], DEFF 11.1'
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    if assumed_deff < 1:
        raise ValueError(f"assumed_deff must be at least 1, got {assumed_deff}")
    if scene is not None and np.array_equal(photo, scene):
        scene = None
    parts = variance_parts(fooled, rater=rater, photo=photo if scene is None else scene)
    n_scenes = parts.n_photos
    n_photos = n_scenes if scene is None else np.unique(cluster_codes(photo)).size
    raters = cluster_codes(rater)
    n_cells = parts.n_cells if scene is None else np.unique(cell_codes(raters, cluster_codes(photo))).size
    image = "photo" if n_photos == n_scenes else "scene"
    is_uniform = parts.n_fooled in (0, parts.n_votes)
    deff = assumed_deff if is_uniform else parts.deff(estimand)
    note = cluster_note(n_raters=parts.n_raters, n_images=n_scenes, image=image)
    notes = [note] if note else []
    interval: Interval | None = None
    if deff is not None and min(parts.n_raters, n_scenes) >= MIN_CLUSTERS:
        shape = two_way_wilson if method == "two_way_wilson" else korn_graubard
        interval = shape(rate=parts.rate, n_votes=parts.n_votes, deff=deff, df=parts.df(estimand), alpha=alpha)
    notes += _uneven_notes(sizes=np.bincount(raters), n_again=parts.n_votes - n_cells)
    bound = rater_level_bound(n_raters=parts.n_raters, alpha=alpha) if parts.n_fooled == 0 else None
    if bound is not None:
        notes.append(
            f"None of {counted(parts.n_raters, 'rater')} was ever fooled: at most {100 * bound:.1f} % of raters "
            f"ever are (one-sided {100 * (1 - alpha):g} %)."
        )
    if is_uniform and interval is not None:
        notes.append(f"All votes are alike: DEFF {deff:.2f} is assumed, the largest of the study's other conditions.")
    independent = binomial_wilson(n_fooled=parts.n_fooled, n_votes=parts.n_votes, alpha=alpha)
    has_parts = not is_uniform and deff is not None
    return FoolRate(
        rate=parts.rate,
        ci_low=interval.low if interval else None,
        ci_high=interval.high if interval else None,
        ci_method=method if interval else None,
        alpha=alpha,
        estimand=estimand,
        n_responses=parts.n_votes,
        n_fooled=parts.n_fooled,
        n_raters=parts.n_raters,
        n_photos=n_photos,
        n_scenes=n_scenes,
        deff=deff,
        deff_raters=parts.raters / parts.binomial if has_parts else None,
        deff_photos=parts.photos / parts.binomial if has_parts and n_scenes > 1 else None,
        is_deff_assumed=is_uniform,
        independent_low=independent.low,
        independent_high=independent.high,
        rater_bound=bound,
        notes=tuple(notes),
    )


def _uneven_notes(*, sizes: NDArray[np.int64], n_again: int) -> list[str]:
    """Return sentences about raters who weigh more than others, and about photos that a rater judged again.

    Args:
        sizes: (raters,) number of votes of each; 0 is nobody.
        n_again: Votes of a rater on a photo that he had judged already.
    """
    notes = []
    least, most = int(sizes[sizes > 0].min()), int(sizes.max())
    if most >= 2 * least + 2:
        notes.append(
            f"Raters gave {least} to {most} votes each: every vote counts once, so that some raters weigh more."
        )
    if n_again:
        notes.append(
            f"In {counted(n_again, 'vote')} a rater judged a photo again (several draws, or several sessions): "
            "all votes on a photo stay one cluster."
        )
    return notes


def _wilson(rate: float, n: float, quantile: float) -> Interval:
    square = quantile**2 / n
    centre = (rate + square / 2) / (1 + square)
    half = math.sqrt(rate * (1 - rate) * square + square**2 / 4) / (1 + square)
    low = 0.0 if rate == 0 else max(0.0, centre - half)
    high = 1.0 if rate == 1 else min(1.0, centre + half)
    return Interval(min(low, rate), max(high, rate))
