"""Best and worst pictures of one condition, by rates that are shrunk as far as their few votes ask.

A picture with 3 of 4 raters fooled is not better than one with 30 of 50: its rate is mostly luck. Rates of pictures are
taken to come from a beta distribution, fitted to all of them (empirical Bayes), and each picture's rate is drawn
towards the mean, the more so the fewer votes it has. The best are sorted by the *lower* bound of their rate and the
worst by the *upper* bound, never by raw share.

The order explores, it proves nothing: extremes that were picked for being extreme fall back when asked again, and the
differences between raters are left aside.

References:
    Kleinman (1973), "Proportions with extraneous variance: single and independent samples" (moments).
    Griffiths (1973), "Maximum likelihood estimation for the beta-binomial distribution".
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from studies.statistics.fool_rate import cluster_codes

PriorMethod = Literal["ml", "moments"]
MIN_VOTES = 5
"""Pictures with fewer votes are not listed; they still help to fit the prior."""
TAIL = 0.05
"""Probability below the lower and above the upper bound."""


class BetaPrior(NamedTuple):
    """Distribution of the pictures' rates: Beta(a, b), with mean a / (a + b)."""

    a: float
    b: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedPicture:
    """One picture: how often it fooled, and what that says of its rate.

    Attributes:
        picture: Its identifier, as in the votes.
        n_fooled: k, votes in which it was taken for a photo.
        n_votes: n, votes on it.
        rate: Posterior mean (k + a) / (n + a + b), in [0, 1].
        low: 5 % point of the posterior.
        high: 95 % point.
    """

    picture: object
    n_fooled: int
    n_votes: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Pictures of one condition in the order of how well they fool.

    Attributes:
        best: Pictures with enough votes, highest lower bound first; empty if pictures are not separable.
        worst: The same pictures, lowest upper bound first.
        prior: What was fitted; None if the pictures' rates differ no more than chance makes them.
        method: How it was fitted.
        mean_rate: Pooled fool rate of all pictures, in [0, 1].
        n_pictures: Pictures with at least one vote.
        n_hidden: Pictures with too few votes to be listed.
        notes: Sentences that belong beside the pictures.
    """

    best: tuple[RankedPicture, ...]
    worst: tuple[RankedPicture, ...]
    prior: BetaPrior | None
    method: PriorMethod
    mean_rate: float
    n_pictures: int
    n_hidden: int
    notes: tuple[str, ...]

    @property
    def is_separable(self) -> bool:
        """Whether the votes can tell pictures from each other at all."""
        return self.prior is not None


def beta_prior(n_fooled: ArrayLike, n_votes: ArrayLike, *, method: PriorMethod = "ml") -> BetaPrior | None:
    """Fit the beta distribution of the pictures' rates.

    Maximum likelihood maximises the sum over pictures of ln B(k + a, n - k + b) - ln B(a, b). Moments:

        p = sum of k / N,   S = sum of n (k/n - p)^2,
        rho = (S - p (1-p) (I-1)) / (p (1-p) (N - sum of n^2 / N - (I-1))),   a = p (1/rho - 1),   b = (1-p) (1/rho - 1)

    Args:
        n_fooled: (i,) int, k of each picture.
        n_votes: (i,) int, n of each picture, at least 1.
        method: "ml" or "moments".

    Returns:
        The prior; None if the rates vary no more than chance makes them vary.

    Raises:
        ValueError: If the counts do not fit.

    Example:
        >>> k = [0, 1, 2, 3, 5, 8, 1, 0, 4, 6]
        >>> n = [10, 10, 10, 10, 10, 10, 4, 20, 20, 20]
        >>> a, b = beta_prior(k, n)
        >>> f"{a:.4f} {b:.4f}"
        '0.9824 2.7871'
        >>> a, b = beta_prior(k, n, method="moments")
        >>> f"{a:.4f} {b:.4f}"
        '0.8080 2.5316'
    """
    k, n = np.asarray(n_fooled, dtype=np.int64), np.asarray(n_votes, dtype=np.int64)
    if k.ndim != 1 or k.shape != n.shape or (n < 1).any() or (k < 0).any() or (k > n).any():
        raise ValueError("n_fooled and n_votes must be aligned counts with 0 <= n_fooled <= n_votes and n_votes >= 1")
    total = int(n.sum())
    p = int(k.sum()) / total if total else 0.0
    if k.size < 2 or p in (0.0, 1.0):
        return None
    return _prior_ml(k, n, p) if method == "ml" else _prior_moments(k, n, p)


def ranking(fooled: ArrayLike, *, picture: ArrayLike, method: PriorMethod = "ml") -> Ranking:
    """Rank the pictures of one condition.

    Args:
        fooled: (n,) bool: counted votes of one condition.
        picture: (n,) identifiers of the pictures: of the photos that the samples were made from.
        method: How to fit the prior.

    Returns:
        The pictures in both orders; none if they are not separable.

    Example:
        Two pictures fool 9 of 10 raters, eight fool nobody:

        >>> rater, picture = np.divmod(np.arange(100), 10)
        >>> found = ranking((picture < 2) & (rater > 0), picture=picture)
        >>> best = found.best[0]
        >>> f"picture {best.picture}: {best.n_fooled}/{best.n_votes}, {best.rate:.2f} [{best.low:.2f}, {best.high:.2f}]"
        'picture 0: 9/10, 0.88 [0.68, 0.99]'
    """
    votes, names = np.asarray(fooled, dtype=np.bool_), np.asarray(picture)
    if votes.ndim != 1 or votes.shape != names.shape or votes.size == 0:
        raise ValueError(f"fooled and picture must be aligned votes, got shapes {votes.shape} and {names.shape}")
    _, first, place = np.unique(cluster_codes(names), return_index=True, return_inverse=True)
    n = np.bincount(place)
    k = np.bincount(place[votes], minlength=n.size)
    mean_rate = float(votes.mean())
    prior = beta_prior(k, n, method=method)
    is_listed = n >= MIN_VOTES
    notes = []
    if n_hidden := int((~is_listed).sum()):
        notes.append(f"{n_hidden} of {n.size} pictures have fewer than {MIN_VOTES} votes and are not listed.")
    best: tuple[RankedPicture, ...] = ()
    worst: tuple[RankedPicture, ...] = ()
    if prior is None:
        notes.append(
            "Pictures are not separable: their rates differ no more than chance makes them, so none is called best "
            f"or worst; each one's estimate is the mean, {100 * mean_rate:.1f} %."
        )
    else:
        listed = _posterior(names[first[is_listed]], k[is_listed], n[is_listed], prior)
        best = tuple(sorted(listed, key=lambda picture: (-picture.low, -picture.rate)))
        worst = tuple(sorted(listed, key=lambda picture: (picture.high, picture.rate)))
        notes.append(
            "Exploratory: extremes picked for being extreme fall back when asked again, "
            "and differences between raters are left aside."
        )
    return Ranking(
        best=best,
        worst=worst,
        prior=prior,
        method=method,
        mean_rate=mean_rate,
        n_pictures=n.size,
        n_hidden=n_hidden,
        notes=tuple(notes),
    )


def _prior_ml(k: NDArray[np.int64], n: NDArray[np.int64], p: float) -> BetaPrior | None:
    # Slope of the log-likelihood in 1 / (a + b) where that is 0, at a common rate p, twice over.
    slope = (k * (k - 1) / p + (n - k) * (n - k - 1) / (1 - p) - n * (n - 1)).sum()
    if slope <= 0:
        return None

    def loss(point: NDArray[np.float64]) -> float:
        a, b = np.exp(point)
        return -float((special.betaln(k + a, n - k + b) - special.betaln(a, b)).sum())

    start = _prior_moments(k, n, p) or BetaPrior(10 * p, 10 * (1 - p))
    found = optimize.minimize(
        loss, np.log(start), method="L-BFGS-B", bounds=[(-12, 16)] * 2, options={"ftol": 1e-15, "gtol": 1e-9}
    )
    a, b = np.exp(found.x)
    return BetaPrior(float(a), float(b))


def _prior_moments(k: NDArray[np.int64], n: NDArray[np.int64], p: float) -> BetaPrior | None:
    total, more = int(n.sum()), n.size - 1
    spread = float((n * (k / n - p) ** 2).sum())
    room = total - float(n @ n) / total - more
    if room <= 0:  # one vote a picture: nothing tells pictures from chance
        return None
    rho = (spread - p * (1 - p) * more) / (p * (1 - p) * room)
    if rho <= 0:
        return None
    weight = 1 / min(rho, 0.999) - 1
    return BetaPrior(p * weight, (1 - p) * weight)


def _posterior(
    names: NDArray[np.generic], k: NDArray[np.int64], n: NDArray[np.int64], prior: BetaPrior
) -> list[RankedPicture]:
    a, b = k + prior.a, n - k + prior.b
    low, high = special.betaincinv(a, b, TAIL), special.betaincinv(a, b, 1 - TAIL)
    columns = zip(
        names.tolist(), k.tolist(), n.tolist(), (a / (a + b)).tolist(), low.tolist(), high.tolist(), strict=True
    )
    return [
        RankedPicture(picture=picture, n_fooled=fooled, n_votes=votes, rate=rate, low=lower, high=upper)
        for picture, fooled, votes, rate, lower, upper in columns
    ]
