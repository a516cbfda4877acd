"""How well raters tell photos from samples, as a sensitivity: d' of two-alternative forced choice.

The fool rate ends at 50 % for a perfect method; d' is its distance from that end on a scale on which equal steps are
equally hard to see. d' = 0: cannot tell; 1 and 2: told in 76 % and 92 % of pairs; below 0: samples look more like
photos than the photos do.

What is given here is the "group d'": that of the pooled fool rate. It lies below the mean of the raters' own d'.

References:
    Macmillan and Creelman (2005), "Detection Theory: A User's Guide", chapter 7.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from studies.statistics.fool_rate import FoolRate


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """d' of one condition.

    Attributes:
        d_prime: Group d'; 0 means "cannot tell".
        ci_low: Lower end; None where there is no interval, or no end (everybody fooled).
        ci_high: Upper end; None where there is no interval, or no end (nobody fooled).
        is_corrected: Whether half a vote was added, since nobody or everybody was fooled.
        alpha: One minus the level of the interval, which is the fool rate's own.
        notes: Sentences that belong beside the numbers.
    """

    d_prime: float
    ci_low: float | None
    ci_high: float | None
    is_corrected: bool
    alpha: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SidedDetection:
    """d' with the preference for a side taken out of it.

    Attributes:
        d_prime: d' as if no side had been preferred.
        bias: c = -(z(H) + z(F)) / 2; below 0 if the first picture was preferred, above 0 if the second.
        hits: H, share of choices of the first picture where it was the photo, in [0, 1].
        false_alarms: F, share of choices of the first picture where it was the sample.
        is_corrected: Whether half a vote was added, since H or F is 0 or 1.
    """

    d_prime: float
    bias: float
    hits: float
    false_alarms: float
    is_corrected: bool


def d_prime(fool_rate: float) -> float:
    """Return d' = sqrt(2) * inverse Phi(1 - f) of a fool rate f.

    Args:
        fool_rate: In [0, 1]; 0 gives infinity, above 0.5 gives negative values.

    Example:
        >>> [round(d_prime(f), 3) for f in (0.5, 0.45, 0.28, 0.1, 0.04, 0.02)]
        [0.0, 0.178, 0.824, 1.812, 2.476, 2.904]
    """
    if not 0 <= fool_rate <= 1:
        raise ValueError(f"fool_rate must lie in [0, 1], got {fool_rate}")
    return 0.0 if fool_rate == 0.5 else -math.sqrt(2) * float(special.ndtri(fool_rate))


def detection(rate: FoolRate) -> Detection:
    """Turn a fool rate into d', and its interval into that of d': the ends change places.

    If nobody was fooled, d' is taken at (K + 1/2) / (N + 1) and has a lower end only; if everybody was, an upper only.

    Args:
        rate: The fool rate with its interval.

    Example:
        >>> from studies.statistics.fool_rate import fool_rate
        >>> rater, photo = np.divmod(np.arange(100), 10)
        >>> found = detection(fool_rate((rater + photo) % 10 == 0, rater=rater, photo=photo))
        >>> f"{found.d_prime:.2f} [{found.ci_low:.2f}, {found.ci_high:.2f}]"
        '1.81 [1.25, 2.32]'
    """
    is_uniform = rate.n_fooled in (0, rate.n_responses)
    share = (rate.n_fooled + 0.5) / (rate.n_responses + 1) if is_uniform else rate.rate
    notes = ["Group d': that of the pooled fool rate, below the mean of the raters' own."]
    if is_uniform:
        who, end = ("Nobody", "lower") if rate.n_fooled == 0 else ("Everybody", "upper")
        notes.append(
            f"{who} was fooled: d' is taken at {rate.n_fooled + 0.5:g} of {rate.n_responses + 1}, "
            f"and its interval has a{'n' if end == 'upper' else ''} {end} end only."
        )
    return Detection(
        d_prime=d_prime(share),
        ci_low=d_prime(rate.ci_high) if rate.ci_high is not None and rate.ci_high < 1 else None,
        ci_high=d_prime(rate.ci_low) if rate.ci_low is not None and rate.ci_low > 0 else None,
        is_corrected=is_uniform,
        alpha=rate.alpha,
        notes=tuple(notes),
    )


def sided_detection(fooled: ArrayLike, *, photo_first: ArrayLike) -> SidedDetection | None:
    """Return d' = (z(H) - z(F)) / sqrt(2), which a preference for one side does not lower.

    H is the share of choices of the first picture where it was the photo, F where it was the sample. Where one of them
    is 0 or 1, half a vote is added to both (log-linear correction).

    Args:
        fooled: (n,) bool: the sample was taken for the photo.
        photo_first: (n,) bool: the photo was the first picture.

    Returns:
        d' and the preference; None if the photo was always on one side.

    Example:
        Raters who take the first picture when in doubt: wrong in 10 % where it is the photo, in 40 % where it is not.

        >>> fooled = np.repeat([True, False, True, False], [10, 90, 40, 60])
        >>> found = sided_detection(fooled, photo_first=np.arange(200) < 100)
        >>> round(found.d_prime, 3), round(found.bias, 3), round(d_prime(0.25), 3)
        (1.085, -0.514, 0.954)
    """
    votes, first = np.asarray(fooled, dtype=np.bool_), np.asarray(photo_first, dtype=np.bool_)
    if votes.ndim != 1 or votes.shape != first.shape:
        raise ValueError(f"fooled and photo_first must be aligned, got shapes {votes.shape} and {first.shape}")
    n_first, n_second = int(first.sum()), int((~first).sum())
    if not n_first or not n_second:
        return None
    k_hits, k_alarms = int((first & ~votes).sum()), int((~first & votes).sum())
    is_corrected = k_hits in (0, n_first) or k_alarms in (0, n_second)
    add = 0.5 if is_corrected else 0.0
    z_hits, z_alarms = (
        float(special.ndtri((k + add) / (n + 2 * add))) for k, n in ((k_hits, n_first), (k_alarms, n_second))
    )
    return SidedDetection(
        d_prime=(z_hits - z_alarms) / math.sqrt(2),
        bias=-(z_hits + z_alarms) / 2,
        hits=k_hits / n_first,
        false_alarms=k_alarms / n_second,
        is_corrected=is_corrected,
    )
