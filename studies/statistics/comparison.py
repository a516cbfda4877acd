"""Comparisons: each condition with another, in a family fixed beforehand, and with 50 %.

The difference of two fool rates has a two-way variance of its own. Raters and photos that both conditions share cancel
in it, so that it is often known better than either rate, and neither two separate intervals nor a test for independent
votes can stand in for it. Differences come in families that are fixed before the study opens, and pay for their number:
p-values by Holm, intervals at the Bonferroni level.

References:
    Cameron, Gelbach and Miller (2011), "Robust inference with multiway clustering".
    Holm (1979), "A simple sequentially rejective multiple test procedure".
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from studies.statistics.equivalence import AgainstHalf, Equivalence, against_half, equivalence
from studies.statistics.fool_rate import (
    ESTIMANDS,
    MIN_CLUSTERS,
    Estimand,
    Interval,
    cell_codes,
    cluster_codes,
    cluster_note,
    t_quantile,
)
from studies.statistics.phrases import label, level, p_value, percent, points, scope
from studies.statistics.results import (
    REAL,
    CompletedVotes,
    Origin,
    ResultCondition,
    Votes,
    completed_votes,
    fool_rates,
)

Family = Literal["reference", "all_pairs"]

FAMILIES: dict[Family, str] = {
    "reference": "every condition against the reference",
    "all_pairs": "all pairs of conditions",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceParts:
    """Counts and variances of the difference of two fool rates, by what the votes share.

    Attributes:
        n_votes_a: N_A, votes on A.
        n_fooled_a: K_A, those in which the rater was fooled.
        n_votes_b: N_B, votes on B.
        n_fooled_b: K_B.
        n_raters: R, raters with a vote on A or B.
        n_raters_both: Raters with votes on both.
        n_photos: I, photos with a vote on A or B.
        n_photos_both: Photos with votes on both.
        raters: V_R, variance of the difference when votes of one rater go together; NaN with fewer than 2 raters.
        photos: V_I, the same for photos.
        cells: V_E, the same for combinations of rater and photo, which V_R and V_I both contain.
    """

    n_votes_a: int
    n_fooled_a: int
    n_votes_b: int
    n_fooled_b: int
    n_raters: int
    n_raters_both: int
    n_photos: int
    n_photos_both: int
    raters: float
    photos: float
    cells: float

    @property
    def difference(self) -> float:
        """Difference of the rates D = K_A / N_A - K_B / N_B, in [-1, 1]."""
        return (self.n_fooled_a * self.n_votes_b - self.n_fooled_b * self.n_votes_a) / (self.n_votes_a * self.n_votes_b)

    def variance(self, estimand: Estimand = "new") -> float:
        """Return the variance of the difference: max(V_R + V_I - V_E, V_R, V_I), or V_R for these photos only.

        It is not kept above the variance of independent votes: shared raters and photos make a difference more precise.
        """
        if estimand == "these":
            return self.raters
        return max(self.raters + self.photos - self.cells, self.raters, self.photos)

    def df(self, estimand: Estimand = "new") -> int:
        """Return the degrees of freedom of the t quantile: R - 1, or min(R, I) - 1 for new photos."""
        return (self.n_raters if estimand == "these" else min(self.n_raters, self.n_photos)) - 1

    def interval(self, alpha: float = 0.05, *, estimand: Estimand = "new") -> Interval:
        """Return D -+ t sqrt(V), which may reach beyond -1 and 1."""
        half = t_quantile(self.df(estimand), alpha) * math.sqrt(self.variance(estimand))
        return Interval(self.difference - half, self.difference + half)

    def p_value(self, estimand: Estimand = "new") -> float:
        """Return the two-sided p-value of "no difference": 2 P(T > |D| / sqrt V)."""
        t = abs(self.difference) / math.sqrt(self.variance(estimand))
        return float(2 * special.stdtr(self.df(estimand), -t))


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Fool rate of condition A less that of condition B, with all that is needed to judge it.

    Attributes:
        condition_a: Name of A.
        condition_b: Name of B: the reference, in a family that has one.
        rate_a: Fool rate of A in [0, 1]; None without a vote.
        rate_b: Fool rate of B.
        difference: rate_a - rate_b, in [-1, 1].
        ci_low: Lower end of the interval, cut at -1; None where the votes give none.
        ci_high: Upper end, cut at 1.
        alpha: One minus the level that holds for the whole family.
        ci_alpha: One minus the level of this interval: alpha / n_tests.
        standard_error: Square root of the two-way variance.
        t: difference / standard_error.
        df: Degrees of freedom of t.
        p: Two-sided p-value of this difference alone.
        p_holm: The same, adjusted for the family; below alpha the difference is shown.
        n_tests: Number of comparisons in the family, those without votes included.
        n_responses_a: Votes on A.
        n_responses_b: Votes on B.
        n_raters: Raters with a vote on A or B.
        n_raters_both: Raters with votes on both.
        n_photos: Photos with a vote on A or B.
        n_photos_both: Photos with votes on both.
        n_scenes: Scenes with a vote on A or B: the clusters of images.
        estimand: What the interval and the test speak about.
        notes: Sentences that belong beside the numbers.
    """

    condition_a: str
    condition_b: str
    rate_a: float | None
    rate_b: float | None
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    alpha: float
    ci_alpha: float
    standard_error: float | None
    t: float | None
    df: int | None
    p: float | None
    p_holm: float | None
    n_tests: int
    n_responses_a: int
    n_responses_b: int
    n_raters: int
    n_raters_both: int
    n_photos: int
    n_photos_both: int
    n_scenes: int
    estimand: Estimand
    notes: tuple[str, ...]

    @property
    def is_shown(self) -> bool:
        """Whether the votes show that A and B differ, the whole family considered."""
        return self.p_holm is not None and self.p_holm <= self.alpha

    def wording(self, labels: Mapping[str, str] | None = None) -> str:
        """Return the conclusion in sentences, with no claim that the votes do not carry.

        Args:
            labels: What people read, by name of the condition; the name itself where there is none.
        """
        a, b = (label(name, labels) for name in (self.condition_a, self.condition_b))
        if self.difference is None or self.rate_a is None or self.rate_b is None:
            return f"{a} and {b} cannot be compared. {' '.join(self.notes)}"
        found = f"{percent(self.rate_a)} against {percent(self.rate_b)} %"
        if self.p_holm is None or self.ci_low is None or self.ci_high is None:
            return f"{a} and {b}: {found}, without a test. {' '.join(self.notes)}"
        family = f", adjusted for {self.n_tests} comparisons" if self.n_tests > 1 else ""
        evidence = (
            f"a difference of {points(self.difference)} points ({level(self.alpha)} interval {points(self.ci_low)} "
            f"to {points(self.ci_high)}, {p_value(self.p_holm)}{family})"
        )
        about = scope(self.estimand)
        if not self.is_shown:
            return (
                f"The votes do not decide which of {a} and {b} fools raters more often: {found}, {evidence}, {about}. "
                "That does not show that the two are alike: any difference inside the interval remains possible."
            )
        verb = "more" if self.difference > 0 else "less"
        words = f"{a} fools raters {verb} often than {b}: {found}, {evidence}, {about}."
        if self.ci_low <= 0 <= self.ci_high:
            words += " The interval holds 0 because it is adjusted more strictly than the test, which decides."
        return words


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparisons:
    """All comparisons of a study.

    Attributes:
        family: Which differences were fixed to be tested.
        reference: Name of the condition that the others are compared with; None for all pairs.
        origin: Whose votes these are.
        everyone: Whether sessions that a rule left out are counted too.
        alpha: Error rate of the family of differences, and of each statement about 50 %.
        estimand: What all of it speaks about.
        differences: One for each comparison of the family.
        against_half: One for each condition with a vote, but for those whose pictures were shown alone.
        equivalence: The same; none without a margin.
    """

    family: Family
    reference: str | None
    origin: Origin
    everyone: bool
    alpha: float
    estimand: Estimand
    differences: tuple[Difference, ...]
    against_half: tuple[AgainstHalf, ...]
    equivalence: tuple[Equivalence, ...]


def difference_parts(fooled: ArrayLike, is_a: ArrayLike, *, rater: ArrayLike, photo: ArrayLike) -> DifferenceParts:
    """Split the variance of a difference of two fool rates into what raters, photos and their combinations share.

    A vote on A moves the difference by u = (y - p_A) / N_A, one on B by u = -(y - p_B) / N_B. With U the sum of u over
    a cluster,

        V_R = R / (R - 1) * sum of U_r^2,   V_I and V_E alike for photos and for (rater, photo) cells,

    where R, I and the number of cells count votes on A or B. Sums are taken in whole numbers, as for one fool rate.

    Args:
        fooled: (n,) bool, or 0 and 1.
        is_a: (n,) bool: a vote on A, else on B.
        rater: (n,) identifiers of raters.
        photo: (n,) identifiers of photos.

    Returns:
        The counts and the variances.

    Raises:
        ValueError: If A or B has no vote, the lengths differ, or a vote is neither 0 nor 1.

    Example:
        >>> parts = difference_parts(
        ...     [0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0],
        ...     np.array(list("AABBBAABABBA")) == "A",
        ...     rater=np.repeat([1, 2, 3], 4),
        ...     photo=np.tile([1, 2, 3, 4], 3),
        ... )
        >>> f"D {parts.difference:.4f}, V {parts.variance():.7f}, p {parts.p_value():.7f}"
        'D 0.1667, V 0.1380471, p 0.6976546'
    """
    votes, side = np.asarray(fooled), np.asarray(is_a, dtype=np.bool_)
    raters, photos = cluster_codes(rater), cluster_codes(photo)
    if votes.ndim != 1 or not votes.shape == side.shape == raters.shape == photos.shape:
        raise ValueError(
            "fooled, is_a, rater and photo must be aligned, "
            f"got shapes {votes.shape}, {side.shape}, {raters.shape}, {photos.shape}"
        )
    if votes.dtype != np.bool_ and not np.isin(votes, (0, 1)).all():
        raise ValueError(f"fooled must hold 0 and 1 only, got {votes[~np.isin(votes, (0, 1))][0]}")
    is_fooled = votes.astype(np.bool_)
    n_a, k_a = int(np.count_nonzero(side)), int(np.count_nonzero(side & is_fooled))
    n_b, k_b = votes.size - n_a, int(np.count_nonzero(~side & is_fooled))
    if min(n_a, n_b) == 0:
        raise ValueError(f"a difference needs votes on both conditions, got {n_a} on A and {n_b} on B")

    def clustered(codes: NDArray[np.int64]) -> tuple[int, int, float]:
        size = int(codes.max()) + 1
        sizes_a, sizes_b = (np.bincount(codes[chosen], minlength=size) for chosen in (side, ~side))
        hits_a, hits_b = (np.bincount(codes[chosen & is_fooled], minlength=size) for chosen in (side, ~side))
        n_clusters = int(np.count_nonzero(sizes_a + sizes_b))
        n_both = int(np.count_nonzero((sizes_a > 0) & (sizes_b > 0)))
        if n_clusters < 2:
            return n_clusters, n_both, math.nan
        # Sums over clusters of a^2, b^2 and a b, where a = N_A k - K_A n of the cluster's votes on A, and b alike.
        aa = n_a**2 * int(hits_a @ hits_a) - 2 * n_a * k_a * int(hits_a @ sizes_a) + k_a**2 * int(sizes_a @ sizes_a)
        bb = n_b**2 * int(hits_b @ hits_b) - 2 * n_b * k_b * int(hits_b @ sizes_b) + k_b**2 * int(sizes_b @ sizes_b)
        ab = (
            n_a * n_b * int(hits_a @ hits_b)
            - n_a * k_b * int(hits_a @ sizes_b)
            - n_b * k_a * int(sizes_a @ hits_b)
            + k_a * k_b * int(sizes_a @ sizes_b)
        )
        squares = n_b**4 * aa - 2 * n_a**2 * n_b**2 * ab + n_a**4 * bb
        return n_clusters, n_both, n_clusters * squares / ((n_clusters - 1) * n_a**4 * n_b**4)

    n_raters, n_raters_both, rater_variance = clustered(raters)
    n_photos, n_photos_both, photo_variance = clustered(photos)
    return DifferenceParts(
        n_votes_a=n_a,
        n_fooled_a=k_a,
        n_votes_b=n_b,
        n_fooled_b=k_b,
        n_raters=n_raters,
        n_raters_both=n_raters_both,
        n_photos=n_photos,
        n_photos_both=n_photos_both,
        raters=rater_variance,
        photos=photo_variance,
        cells=clustered(cell_codes(raters, photos))[2],
    )


def difference(
    fooled: ArrayLike,
    is_a: ArrayLike,
    *,
    rater: ArrayLike,
    photo: ArrayLike,
    scene: ArrayLike | None = None,
    condition_a: str = "A",
    condition_b: str = "B",
    alpha: float = 0.05,
    n_tests: int = 1,
    estimand: Estimand = "new",
) -> Difference:
    """Compare two conditions that were shown on the same photos.

    The interval is D -+ t sqrt(V) at the level 1 - alpha / n_tests, with the variance of `difference_parts` and
    min(R, I) - 1 degrees of freedom (R - 1 for these images only). Neither interval nor p-value below 10 raters or 10
    scenes, nor where the votes do not vary.

    Args:
        fooled: (n,) bool, or 0 and 1. Counted votes of both conditions.
        is_a: (n,) bool: a vote on A, else on B.
        rater: (n,) identifiers of raters.
        photo: (n,) identifiers of photos.
        scene: (n,) identifiers of the photographs that the photos were cut from: the clusters of images. None if each
            photo is a photograph of its own.
        condition_a: Name of A.
        condition_b: Name of B.
        alpha: One minus the level that is to hold for the family.
        n_tests: Number of comparisons in the family.
        estimand: "new" raters and new photos, or new raters on "these" photos only.

    Returns:
        The difference; `p_holm` is the Bonferroni value n_tests p until `comparisons` knows the family.

    Raises:
        ValueError: If A or B has no vote, the arrays do not fit, or `alpha` or `n_tests` has no meaning.

    Example:
        Ten raters judge twenty photos, A on the even ones and B on the odd ones in turn; A fools raters 0 to 4 always:

        >>> rater, photo = np.divmod(np.arange(200), 20)
        >>> is_a = (rater + photo) % 2 == 0
        >>> found = difference((rater < 5) & is_a | (photo == 3) & ~is_a, is_a, rater=rater, photo=photo)
        >>> f"{found.difference:.2f} [{found.ci_low:.2f}, {found.ci_high:.2f}], p {found.p:.3f}"
        '0.45 [0.07, 0.83], p 0.024'
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    if n_tests < 1:
        raise ValueError(f"n_tests must be at least 1, got {n_tests}")
    if estimand not in ESTIMANDS:
        raise ValueError(f"estimand must be one of {', '.join(ESTIMANDS)}, got {estimand!r}")
    parts = difference_parts(fooled, is_a, rater=rater, photo=photo if scene is None else scene)
    n_photos, n_photos_both = parts.n_photos, parts.n_photos_both
    if scene is not None:
        side, photos = np.asarray(is_a, dtype=np.bool_), cluster_codes(photo)
        n_photos, n_photos_both = np.unique(photos).size, np.intersect1d(photos[side], photos[~side]).size
    image = "photo" if n_photos == parts.n_photos else "scene"
    note = cluster_note(n_raters=parts.n_raters, n_images=parts.n_photos, image=image)
    notes = [note] if note else []
    is_alike = parts.n_fooled_a in (0, parts.n_votes_a) and parts.n_fooled_b in (0, parts.n_votes_b)
    if is_alike:
        notes.append(
            "No difference measurable: nobody was fooled by either."
            if parts.n_fooled_a == parts.n_fooled_b == 0
            else "No test: all votes on each condition are alike, so that their variance cannot be estimated."
        )
    else:
        alike = [
            name
            for name, k, n in (
                (condition_a, parts.n_fooled_a, parts.n_votes_a),
                (condition_b, parts.n_fooled_b, parts.n_votes_b),
            )
            if k in (0, n)
        ]
        notes += [
            f"All votes on {name} are alike: the interval allows for the other's variance only." for name in alike
        ]
        if parts.variance(estimand) == 0:
            notes.append("No test: the votes are spread too evenly for their variance to be estimated.")
    if n_photos_both < n_photos:
        notes.append(
            f"{n_photos_both} of {n_photos} photos have votes on both: "
            "part of the difference may be one between photos."
        )
    if parts.n_raters_both == 0:
        notes.append("No rater judged both: a comparison between raters, less precise than one within raters.")
    is_tested = not is_alike and min(parts.n_raters, parts.n_photos) >= MIN_CLUSTERS and parts.variance(estimand) > 0
    ends = parts.interval(alpha / n_tests, estimand=estimand) if is_tested else None
    error = math.sqrt(parts.variance(estimand)) if is_tested else None
    p = parts.p_value(estimand) if is_tested else None
    return Difference(
        condition_a=condition_a,
        condition_b=condition_b,
        rate_a=parts.n_fooled_a / parts.n_votes_a,
        rate_b=parts.n_fooled_b / parts.n_votes_b,
        difference=parts.difference,
        ci_low=max(-1.0, ends.low) if ends else None,
        ci_high=min(1.0, ends.high) if ends else None,
        alpha=alpha,
        ci_alpha=alpha / n_tests,
        standard_error=error,
        t=parts.difference / error if error else None,
        df=parts.df(estimand) if is_tested else None,
        p=p,
        p_holm=None if p is None else min(1.0, n_tests * p),
        n_tests=n_tests,
        n_responses_a=parts.n_votes_a,
        n_responses_b=parts.n_votes_b,
        n_raters=parts.n_raters,
        n_raters_both=parts.n_raters_both,
        n_photos=n_photos,
        n_photos_both=n_photos_both,
        n_scenes=parts.n_photos,
        estimand=estimand,
        notes=tuple(notes),
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values for their number, by Holm: sorted, adj_(j) = max over l <= j of min(1, (m - l + 1) p_(l)).

    Args:
        p_values: m of them, in any order; None for a comparison of the family that could not be tested. It counts in m
            all the same, as the family was fixed before.

    Returns:
        The adjusted values in the same order; None stays None.

    Example:
        >>> holm([0.04, 0.001, 0.03, 0.02])
        [0.06, 0.004, 0.06, 0.06]
    """
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p))
        adjusted[place] = largest
    return adjusted


def comparisons(
    votes: Votes,
    *,
    conditions: Sequence[ResultCondition],
    family: Family = "reference",
    reference: str | None = None,
    margin: float | None = None,
    origin: Origin = "person",
    alpha: float = 0.05,
    estimand: Estimand = "new",
    everyone: bool = False,
) -> Comparisons:
    """Compare the conditions of a study with each other and with 50 %, from the votes that the results table counts.

    Args:
        votes: All responses of the study; those of another origin, practice and golden pairs are set aside.
        conditions: All conditions of the study, in its order; those with the role "test" are compared.
        family: Every condition against the reference, or all pairs: fixed before the study opened.
        reference: Name of the condition that the others are compared with; for the family "reference" only.
        margin: Margin of equivalence with 50 %, fixed before the study opened; None for no such test.
        origin: Whose votes to count: of "person" or of "simulated" raters.
        alpha: Error rate of the family of differences, and of each statement about 50 %.
        estimand: "new" raters and new images, or "these" images only.
        everyone: Whether sessions that a rule left out count too.

    Returns:
        Differences in the order of the conditions, each condition against 50 %, and the tests of equivalence.

    Raises:
        ValueError: If an argument has no meaning, the reference is no test condition, or the votes do not fit.

    Example:
        >>> rater, photo = np.divmod(np.arange(1600), 40)
        >>> words = lambda word: np.full(1600, word)
        >>> is_new = (rater + photo) % 2 == 0
        >>> votes = Votes(
        ...     session=rater, rater=rater, photo=photo, scene=photo, condition=np.where(is_new, "new", "old"),
        ...     kind=words("test"), completed=rater >= 0, excluded=rater < 0, origin=words("person"),
        ...     exclusion_reason=words(""), fooled=np.random.default_rng(1).random(1600) < np.where(is_new, 0.5, 0.1),
        ... )
        >>> rows = [ResultCondition(name=name, label=name.title()) for name in ("old", "new")]
        >>> found = comparisons(votes, conditions=rows, reference="old")
        >>> [(d.condition_a, d.condition_b, d.is_shown) for d in found.differences]
        [('new', 'old', True)]
        >>> [(half.condition, half.side) for half in found.against_half]
        [('old', 'below'), ('new', 'undecided')]
    """
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {family!r}")
    completed = completed_votes(votes, conditions=conditions, origin=origin)
    names = completed.conditions
    if family == "reference":
        if reference not in names:
            raise ValueError(f"reference must be a test condition, one of {', '.join(names)}; got {reference!r}")
        pairs = [(name, reference) for name in names if name != reference]
    else:
        if reference is not None:
            raise ValueError(f"a family of all pairs has no reference, got {reference!r}; leave it out")
        pairs = [(b, a) for a, b in itertools.combinations(names, 2)]
    rates = fool_rates(completed, everyone=everyone, alpha=alpha, estimand=estimand)
    found = [
        _compared(completed, *pair, everyone=everyone, alpha=alpha, n_tests=len(pairs), estimand=estimand)
        for pair in pairs
    ]
    adjusted = holm([one.p for one in found])
    # Of a picture alone, 50 % is no "cannot tell": who calls everything real is fooled by every sample.
    alone = completed_votes(votes, conditions=conditions, origin=origin, kind=REAL)
    in_pairs = {name: rate for name, rate in rates.items() if not alone.of(name, everyone=True).any()}
    return Comparisons(
        family=family,
        reference=reference,
        origin=origin,
        everyone=everyone,
        alpha=alpha,
        estimand=estimand,
        differences=tuple(replace(one, p_holm=p) for one, p in zip(found, adjusted, strict=True)),
        against_half=tuple(against_half(rate, condition=name) for name, rate in in_pairs.items()),
        equivalence=tuple(
            equivalence(rate, condition=name, margin=margin) for name, rate in in_pairs.items() if margin is not None
        ),
    )


def _compared(
    votes: CompletedVotes, a: str, b: str, *, everyone: bool, alpha: float, n_tests: int, estimand: Estimand
) -> Difference:
    of_a, of_b = votes.of(a, everyone=everyone), votes.of(b, everyone=everyone)
    chosen = of_a | of_b
    if of_a.any() and of_b.any():
        return difference(
            votes.fooled[chosen],
            of_a[chosen],
            rater=votes.rater[chosen],
            photo=votes.photo[chosen],
            scene=votes.scene[chosen],
            condition_a=a,
            condition_b=b,
            alpha=alpha,
            n_tests=n_tests,
            estimand=estimand,
        )
    without = " and ".join(name for name, of_name in ((a, of_a), (b, of_b)) if not of_name.any())
    return Difference(
        condition_a=a,
        condition_b=b,
        rate_a=float(votes.fooled[of_a].mean()) if of_a.any() else None,
        rate_b=float(votes.fooled[of_b].mean()) if of_b.any() else None,
        difference=None,
        ci_low=None,
        ci_high=None,
        alpha=alpha,
        ci_alpha=alpha / n_tests,
        standard_error=None,
        t=None,
        df=None,
        p=None,
        p_holm=None,
        n_tests=n_tests,
        n_responses_a=int(of_a.sum()),
        n_responses_b=int(of_b.sum()),
        n_raters=np.unique(votes.rater[chosen]).size,
        n_raters_both=0,
        n_photos=np.unique(votes.photo[chosen]).size,
        n_photos_both=0,
        n_scenes=np.unique(votes.scene[chosen]).size,
        estimand=estimand,
        notes=(f"No counted vote on {without}.",),
    )
