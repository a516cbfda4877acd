"""Whether raters are fooled by the same images: Krippendorff's alpha for yes or no.

1: each image fools everybody or nobody. 0: images do not matter, who is fooled is chance. Below 0: raters differ on an
image more than chance makes them. Values near 0 are to be expected when images are alike or rates are near 50 %, and
are no sign of poor raters: agreement is a finding about images, never a gate of quality.

References:
    Krippendorff (2004), "Content Analysis", chapter 11.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studies.statistics.fool_rate import MIN_CLUSTERS, cluster_codes

DRAWS = 1_000
"""Draws of the bootstrap of images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Krippendorff's alpha of one condition.

    Attributes:
        krippendorff: At most 1; None if all votes are alike, or no image has two.
        ci_low: Lower end of the interval over images; None if there are too few images, or no value.
        ci_high: Upper end.
        alpha: One minus the level of the interval.
        n_images: Images with two votes or more: only they can show agreement.
        n_votes: Votes on them.
        notes: Sentences that belong beside the number.
    """

    krippendorff: float | None
    ci_low: float | None
    ci_high: float | None
    alpha: float
    n_images: int
    n_votes: int
    notes: tuple[str, ...]


def krippendorff_alpha(n_fooled: ArrayLike, n_votes: ArrayLike) -> float | None:
    """Return Krippendorff's alpha (nominal) from the counts of each image.

    Over images with n >= 2 votes, k of them fooled,

        o = sum of k (n - k) / (n - 1),   n1 = sum of k,   n0 = sum of (n - k),
        alpha = 1 - (n0 + n1 - 1) o / (n0 n1).

    Args:
        n_fooled: (i,) int, k of each image.
        n_votes: (i,) int, n of each image; images with fewer than 2 are left aside.

    Returns:
        Alpha; None if it is not defined, since all votes are alike or there are none.

    Example:
        >>> krippendorff_alpha([2, 2, 0, 0], [3, 3, 3, 3])
        0.3125
    """
    counts = np.stack([np.asarray(n_fooled), np.asarray(n_votes)]).astype(np.float64)
    value = float(_alphas(_terms(counts[:, counts[1] >= 2]).sum(axis=1, keepdims=True))[0])
    return None if np.isnan(value) else value


def agreement(
    fooled: ArrayLike,
    *,
    photo: ArrayLike,
    scene: ArrayLike | None = None,
    rng: np.random.Generator,
    alpha: float = 0.05,
    draws: int = DRAWS,
) -> Agreement:
    """Return Krippendorff's alpha with an interval from drawing images again and again.

    The interval is the percentile one over draws of images (of whole scenes, where photos were cut from photographs)
    with all their votes; it speaks of new images before raters like these.

    Args:
        fooled: (n,) bool: counted votes of one condition, at most one of each rater on an image.
        photo: (n,) identifiers of photos.
        scene: (n,) identifiers of the photographs that they were cut from; None if each is one of its own.
        rng: Source of the draws.
        alpha: One minus the level.
        draws: Number of draws.

    Example:
        Each of five images fools all but one of twelve raters, each of fifteen others one alone:

        >>> rater, photo = np.divmod(np.arange(240), 20)
        >>> found = agreement((photo < 5) ^ (rater == photo % 12), photo=photo, rng=np.random.default_rng(0))
        >>> f"{found.krippendorff:.2f} [{found.ci_low:.1f}, {found.ci_high:.1f}], {found.n_images} images"
        '0.60 [0.4, 0.7], 20 images'
    """
    votes = np.asarray(fooled, dtype=np.bool_)
    photos = np.unique(cluster_codes(photo), return_inverse=True)[1]
    scenes = photos if scene is None else np.unique(cluster_codes(scene), return_inverse=True)[1]
    if votes.ndim != 1 or votes.shape != photos.shape or votes.shape != scenes.shape:
        raise ValueError(f"fooled, photo and scene must be aligned, got {votes.shape}, {photos.shape}, {scenes.shape}")
    n = np.bincount(photos)
    k = np.bincount(photos[votes], minlength=n.size)
    is_used = n >= 2
    n_images = int(is_used.sum())
    value = krippendorff_alpha(k, n)
    notes: list[str] = []
    if not n_images:
        notes.append("No agreement to measure: no image has two votes.")
    elif value is None:
        notes.append("No agreement to measure: all votes are alike.")
    scene_of_photo = np.zeros(n.size, dtype=np.int64)
    scene_of_photo[photos] = scenes
    _, cluster = np.unique(scene_of_photo[is_used], return_inverse=True)
    n_clusters = int(cluster.max()) + 1 if n_images else 0
    low = high = None
    if value is not None and n_clusters < MIN_CLUSTERS:
        notes.append(f"No interval: {n_clusters} images; it takes at least {MIN_CLUSTERS}.")
    elif value is not None:
        sums = _terms(np.stack([k[is_used], n[is_used]]).astype(np.float64))
        of_clusters = np.stack([np.bincount(cluster, weights=row) for row in sums])
        of_clusters = of_clusters[:, np.lexsort(of_clusters)]  # the same draws whatever the images are called
        times = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=draws)
        drawn = _alphas((of_clusters @ times.T).astype(np.float64))
        low, high = (float(end) for end in np.nanquantile(drawn, (alpha / 2, 1 - alpha / 2)))
    return Agreement(
        krippendorff=value,
        ci_low=low,
        ci_high=high,
        alpha=alpha,
        n_images=n_images,
        n_votes=int(n[is_used].sum()),
        notes=tuple(notes),
    )


def _terms(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each image adds to the three sums: (2, i) counts k and n -> (3, i) of o, n1 and n0."""
    k, n = counts
    return np.stack([k * (n - k) / (n - 1), k, n - k])


def _alphas(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return alpha of each set of images from its sums o, n1 and n0: (3, s) -> (s,), NaN where it is not defined."""
    disagreement, n_fooled, n_unfooled = sums
    chance = n_fooled * n_unfooled
    values = np.full(chance.shape, np.nan)
    np.divide((n_fooled + n_unfooled - 1) * disagreement, chance, out=values, where=chance > 0)
    return 1 - values
