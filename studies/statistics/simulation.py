"""Raters who are fooled at known rates, for demos, tests and planning."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special


def logit_centre(rate: float, *, spread: float) -> float:
    """Return the centre of a logistic-normal whose mean is `rate`: mu with E[expit(mu + spread Z)] = rate.

    Args:
        rate: Mean probability, in (0, 1).
        spread: Standard deviation on the logit scale, 0 or more.

    Returns:
        mu, by Gauss-Hermite quadrature of 60 points.

    Raises:
        ValueError: If the rate or the spread is out of range.

    Example:
        >>> round(float(special.expit(logit_centre(0.28, spread=0.0))), 12)
        0.28
        >>> bool(special.expit(logit_centre(0.1, spread=1.1)) < 0.1)
        True
    """
    if not 0 < rate < 1 or spread < 0:
        raise ValueError(f"rate must lie in (0, 1) and spread be at least 0, got {rate} and {spread}")
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    return float(optimize.brentq(lambda mu: float(weights @ special.expit(mu + spread * nodes)) - rate, -40, 40))


def fooled_probabilities(
    rate: float, *, rater_effects: NDArray[np.float64], photo_effects: NDArray[np.float64], spread: float
) -> NDArray[np.float64]:
    """Return each vote's probability of being fooled: expit(mu + spread_half (rater + photo)), with mean `rate`.

    Args:
        rate: Mean over new raters and new photos, in (0, 1).
        rater_effects: (n,) standard normal effect of each vote's rater.
        photo_effects: (n,) standard normal effect of each vote's photo.
        spread: Standard deviation on the logit scale of each of the two.

    Returns:
        (n,) float64 in (0, 1).
    """
    mu = logit_centre(rate, spread=math.hypot(spread, spread))
    probabilities: NDArray[np.float64] = special.expit(mu + spread * (rater_effects + photo_effects))
    return probabilities


SLOPE = 2.0
"""How steeply a simulated rater gets better with time; made up."""


def right_probability(exposure_ms: float, *, threshold_ms: float, slope: float = SLOPE) -> float:
    """Return how likely a picture is told for what it is after a time: Weibull's curve from a guess to certainty.

    Args:
        exposure_ms: How long it stood.
        threshold_ms: The time after which three of four are told.
        slope: Steepness; the larger, the narrower the times between guessing and knowing.

    Example:
        >>> [round(right_probability(ms, threshold_ms=300), 3) for ms in (0, 300, 900)]
        [0.5, 0.75, 0.999]
    """
    if exposure_ms < 0 or threshold_ms <= 0 or slope <= 0:
        raise ValueError(
            f"times and slope must be positive, got {exposure_ms} of {threshold_ms} ms with the slope {slope}"
        )
    return float(1 - 0.5 * 0.5 ** ((exposure_ms / threshold_ms) ** slope))
