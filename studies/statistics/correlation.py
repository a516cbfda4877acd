"""Whether pixel metrics predict realism: the rank correlation of fool rate and fidelity over pictures.

Each picture of one condition has a fidelity (pSNR or SSIM against its photo) and a share of raters whom it fooled. If
fidelity measured realism, the two would rise together.

Shares of few votes are noisy, and noise draws a correlation towards 0: with 10 votes a picture, a strong relation may
show as a middling one. The value is that of the observed shares, and its interval speaks of new pictures with as many
votes, not of the pictures' true rates.

References:
    Spearman (1904), "The proof and measurement of association between two things".
    Bonett and Wright (2000), "Sample size requirements for estimating Pearson, Kendall and Spearman correlations".
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from studies.statistics.fool_rate import MIN_CLUSTERS, cluster_codes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankCorrelation:
    """Spearman's rank correlation over the pictures of one condition, and the points that it is made of.

    Attributes:
        metric: What was measured, such as "psnr".
        rho: In [-1, 1]; None if all rates or all figures are alike.
        ci_low: Lower end of its interval; None with too few pictures, or no value.
        ci_high: Upper end.
        alpha: One minus the level of the interval.
        n_pictures: Pictures with a figure and at least one vote.
        n_scenes: Photographs that they were made from.
        votes_per_picture: Mean number of votes on them.
        pictures: (i,) identifiers of the pictures.
        figures: (i,) float, the metric of each.
        rates: (i,) float in [0, 1], the share of votes that it fooled.
        n_votes: (i,) int, votes on each.
        notes: Sentences that belong beside the number.
    """

    metric: str
    rho: float | None
    ci_low: float | None
    ci_high: float | None
    alpha: float
    n_pictures: int
    n_scenes: int
    votes_per_picture: float
    pictures: NDArray[np.generic]
    figures: NDArray[np.float64]
    rates: NDArray[np.float64]
    n_votes: NDArray[np.int64]
    notes: tuple[str, ...]


def rank_correlation(
    fooled: ArrayLike,
    *,
    picture: ArrayLike,
    figure: ArrayLike,
    metric: str,
    scene: ArrayLike | None = None,
    alpha: float = 0.05,
) -> RankCorrelation:
    """Correlate the pictures' fool rates with a metric of theirs, by ranks.

    Spearman's rho, with the interval tanh(artanh(rho) -+ z sqrt((1 + rho^2 / 2) / (n - 3))). n is the number of scenes,
    which is that of the pictures unless several were cut from one photograph; then the interval is on the wide side.

    Args:
        fooled: (n,) bool: counted votes of one condition.
        picture: (n,) identifiers of the pictures: of the photos that the samples were made from.
        figure: (n,) float, the metric of the picture voted on, the same in all votes on it; NaN if not measured.
        metric: Name of the metric.
        scene: (n,) identifiers of the photographs that the photos were cut from; None if each is one of its own.
        alpha: One minus the level.

    Returns:
        The correlation, and the points.

    Raises:
        ValueError: If columns are not aligned, or a picture has two figures.

    Example:
        Thirty pictures, whose figures have little to do with how many raters they fool:

        >>> rater, picture = np.divmod(np.arange(600), 30)
        >>> found = rank_correlation(rater < picture // 3, picture=picture, figure=20 + picture % 11, metric="psnr")
        >>> f"{found.rho:.2f} [{found.ci_low:.2f}, {found.ci_high:.2f}], {found.n_pictures} pictures"
        '0.17 [-0.20, 0.51], 30 pictures'
    """
    votes, names = np.asarray(fooled, dtype=np.bool_), np.asarray(picture)
    values, scenes = np.asarray(figure, dtype=np.float64), np.asarray(names if scene is None else scene)
    if votes.ndim != 1 or not votes.shape == names.shape == values.shape == scenes.shape:
        raise ValueError(
            f"fooled, picture, figure and scene must be aligned, got shapes {votes.shape}, {names.shape}, "
            f"{values.shape}, {scenes.shape}"
        )
    is_known = ~np.isnan(values)
    n_unknown = np.unique(names[~is_known]).size
    votes, names, values, scenes = votes[is_known], names[is_known], values[is_known], scenes[is_known]
    _, first, place = np.unique(cluster_codes(names), return_index=True, return_inverse=True)
    figures = values[first]
    if (values != figures[place]).any():
        raise ValueError(f"picture {names[values != figures[place]][0]} has two figures of {metric}; give it one")
    n_votes = np.bincount(place, minlength=first.size).astype(np.int64)
    rates = np.bincount(place, weights=votes, minlength=first.size) / np.maximum(n_votes, 1)
    n_scenes = np.unique(cluster_codes(scenes)).size
    notes = []
    if n_unknown:
        notes.append(f"Pictures left out, since their {metric} was not measured: {n_unknown}.")
    rho = low = high = None
    if np.unique(rates).size > 1 and np.unique(figures).size > 1:
        rho = float(stats.spearmanr(rates, figures).statistic)
        if n_scenes < MIN_CLUSTERS:
            notes.append(f"No interval: {n_scenes} pictures; it takes at least {MIN_CLUSTERS}.")
        elif math.isclose(abs(rho), 1):
            notes.append("No interval: the two orders are the same, and their spread cannot be estimated.")
        else:
            half = float(special.ndtri(1 - alpha / 2)) * math.sqrt((1 + rho**2 / 2) / (n_scenes - 3))
            low, high = math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)
    else:
        notes.append("No correlation: all fool rates or all figures are alike.")
    votes_per_picture = float(n_votes.mean()) if n_votes.size else 0.0
    if rho is not None:
        notes.append(
            f"Of shares observed with {votes_per_picture:.3g} votes a picture: the fewer votes, the nearer to 0. "
            "The interval is for new pictures with as many votes."
        )
    return RankCorrelation(
        metric=metric,
        rho=rho,
        ci_low=low,
        ci_high=high,
        alpha=alpha,
        n_pictures=first.size,
        n_scenes=n_scenes,
        votes_per_picture=votes_per_picture,
        pictures=names[first],
        figures=figures,
        rates=rates,
        n_votes=n_votes,
        notes=tuple(notes),
    )
