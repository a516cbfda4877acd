"""Pictures shown alone, real or fake: errors on samples and on photos, and HYPE's score, the share over both.

HYPE-infinity is of Zhou et al. 2019 (arXiv 1904.01121): half of the pictures are real and raters know it, so that 0.5
means "cannot tell", and more means that samples look more real than photos.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from studies.statistics.fool_rate import FoolRate, fool_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleErrors:
    """Errors on single pictures. The `rate` of each part is a share of errors in [0, 1].

    Attributes:
        samples: Samples taken for photos: the fool rate.
        photos: Photos taken for samples.
        both: Errors over both: HYPE's score.
        d_prime: Distance of samples from photos, z(right on photos) - z(errors on samples); 0 for "cannot tell",
            whatever raters prefer to say.
        is_corrected: Half an error was added to both kinds, since one of them was always or never right.
    """

    samples: FoolRate
    photos: FoolRate
    both: FoolRate
    d_prime: float
    is_corrected: bool


def single_errors(
    samples: FoolRate,
    error: ArrayLike,
    *,
    is_photo: ArrayLike,
    rater: ArrayLike,
    photo: ArrayLike,
    scene: ArrayLike,
) -> SingleErrors | None:
    """Sum up the errors on single pictures of one condition.

    A photo and the sample of it are two pictures, but of one scene, which stays one cluster of the intervals.

    Args:
        samples: The fool rate, of the samples alone. Its level and estimand hold for the other parts, and its design
            effect where all their answers are alike.
        error: (n,) bool, of samples and photos: the picture was taken for the other kind.
        is_photo: (n,) bool: the picture shown was the photo.
        rater: (n,) codes of raters.
        photo: (n,) codes of the photos shown, or that the samples shown were made from.
        scene: (n,) codes of scenes.

    Returns:
        The errors; None if only one kind was shown.

    Example:
        Ten raters take 3 of 10 samples for photos, and 1 of 10 photos for a sample.

        >>> rater, picture = np.divmod(np.arange(200), 20)
        >>> is_photo = picture >= 10
        >>> error = np.where(is_photo, picture == 10 + rater, (rater + picture) % 10 < 3)
        >>> columns = {"rater": rater, "photo": picture, "scene": picture}
        >>> samples = fool_rate(error[~is_photo], **{name: column[~is_photo] for name, column in columns.items()})
        >>> found = single_errors(samples, error, is_photo=is_photo, **columns)
        >>> found.samples.rate, found.photos.rate, found.both.rate, round(found.d_prime, 2)
        (0.3, 0.1, 0.2, 1.81)
    """
    wrong, shown_photo = np.asarray(error, dtype=np.bool_), np.asarray(is_photo, dtype=np.bool_)
    columns = {"rater": np.asarray(rater), "photo": np.asarray(photo), "scene": np.asarray(scene)}
    if wrong.ndim != 1 or any(column.shape != wrong.shape for column in (shown_photo, *columns.values())):
        raise ValueError(f"the columns of single pictures must be aligned with the {wrong.shape} errors")
    if not shown_photo.any() or shown_photo.all():
        return None

    def rate(chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> FoolRate:
        return fool_rate(
            wrong[chosen],
            rater=columns["rater"][chosen],
            photo=columns["photo"][chosen],
            scene=columns["scene"][chosen],
            alpha=samples.alpha,
            estimand=samples.estimand,
            assumed_deff=max(1.0, samples.deff or 1.0),
        )

    kinds = [(int(wrong[of].sum()), int(of.sum())) for of in (~shown_photo, shown_photo)]
    is_corrected = any(k in (0, n) for k, n in kinds)
    add = 0.5 if is_corrected else 0.0
    z_samples, z_photos = (float(special.ndtri((k + add) / (n + 2 * add))) for k, n in kinds)
    return SingleErrors(
        samples=samples,
        photos=rate(shown_photo),
        both=rate(np.ones_like(shown_photo)),
        d_prime=-z_photos - z_samples,
        is_corrected=is_corrected,
    )
