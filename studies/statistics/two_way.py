"""The variance of an estimate whose votes share raters and images: the general form behind every interval here.

Many estimates (a mean, a difference, a slope) are, near enough, sums over votes of an "influence": what one vote adds
to the error of the estimate. Votes of one rater go together and so do votes on one image, hence the sums are taken over
raters, over images and over their combinations.

References:
    Cameron, Gelbach and Miller (2011), "Robust inference with multiway clustering".
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studies.statistics.fool_rate import MIN_CLUSTERS, Estimand, cell_codes, cluster_codes, cluster_note, t_quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoWayVariance:
    """Variance of an estimate in its parts, and how many clusters they rest on.

    Attributes:
        raters: V_R, when votes of one rater go together; 0 with fewer than 2 raters.
        photos: V_I, the same for images.
        cells: V_E, the same for combinations of rater and image, which V_R and V_I both contain.
        n_raters: R, raters with at least one vote.
        n_photos: I, images with at least one vote.
    """

    raters: float
    photos: float
    cells: float
    n_raters: int
    n_photos: int

    def variance(self, estimand: Estimand = "new") -> float:
        """Return max(V_R + V_I - V_E, V_R, V_I) for new raters and images, or V_R for these images only."""
        if estimand == "these":
            return self.raters
        return max(self.raters + self.photos - self.cells, self.raters, self.photos)

    def half_width(self, *, alpha: float, estimand: Estimand = "new") -> float | None:
        """Return t * sqrt(V) with R - 1, or min(R, I) - 1, degrees of freedom; None with too few clusters."""
        clusters = self.n_raters if estimand == "these" else min(self.n_raters, self.n_photos)
        if min(self.n_raters, self.n_photos) < MIN_CLUSTERS:
            return None
        return t_quantile(clusters - 1, alpha) * math.sqrt(self.variance(estimand))

    def notes(self, *, image: str = "photo") -> tuple[str, ...]:
        """Return what must be said of an interval that rests on so few raters or images; nothing if they are many."""
        note = cluster_note(n_raters=self.n_raters, n_images=self.n_photos, image=image)
        return (note,) if note else ()


def two_way_variance(influence: ArrayLike, *, rater: ArrayLike, photo: ArrayLike) -> TwoWayVariance:
    """Return the variance of an estimate from the influences of its votes.

    With U the sum of the influence u over a cluster,

        V_R = R / (R - 1) * sum of U_r^2,   V_I and V_E alike for images and for (rater, image) cells.

    Args:
        influence: (n,) float: of a mean, (y - mean) / n; of a least-squares slope, (x - mean of x) e / sum of squares.
        rater: (n,) identifiers of raters.
        photo: (n,) identifiers of images: of photos, or of their scenes.

    Raises:
        ValueError: If the lengths differ or there is no vote.

    Example:
        The mean of twelve votes, as in `variance_parts`:

        >>> votes = np.array([1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0])
        >>> parts = two_way_variance(
        ...     (votes - votes.mean()) / 12,
        ...     rater=[1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4],
        ...     photo=[1, 2, 3, 2, 3, 4, 1, 3, 4, 1, 2, 4],
        ... )
        >>> f"{parts.raters:.6f} {parts.photos:.6f} {parts.cells:.6f}"
        '0.018519 0.037037 0.020202'
    """
    values = np.asarray(influence, dtype=np.float64)
    raters, photos = cluster_codes(rater), cluster_codes(photo)
    if values.ndim != 1 or values.shape != raters.shape or values.shape != photos.shape:
        raise ValueError(
            f"influence, rater and photo must be aligned, got shapes {values.shape}, {raters.shape}, {photos.shape}"
        )
    if values.size == 0:
        raise ValueError("a variance needs at least one vote, got none")
    n_raters, of_raters = _clustered(values, raters)
    n_photos, of_photos = _clustered(values, photos)
    return TwoWayVariance(
        raters=of_raters,
        photos=of_photos,
        cells=_clustered(values, cell_codes(raters, photos))[1],
        n_raters=n_raters,
        n_photos=n_photos,
    )


def _clustered(values: NDArray[np.float64], codes: NDArray[np.int64]) -> tuple[int, float]:
    n_clusters = int(np.count_nonzero(np.bincount(codes)))
    sums = np.bincount(codes, weights=values)
    return n_clusters, n_clusters / (n_clusters - 1) * float(sums @ sums) if n_clusters > 1 else 0.0
