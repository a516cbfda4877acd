"""Whether a session was attentive, judged by its golden pairs alone.

A golden pair sets a photo against something that nobody takes for one (a bicubic enlargement). These functions are
given the golden answers and nothing else: a rule that saw the fool votes could choose the result it likes.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

GOLDEN_MISSED = "golden_missed"
"""Reason kept with a session that missed too many golden pairs."""


def exclusion_reason(golden_correct: ArrayLike, *, allowed_misses: int) -> str | None:
    """Judge one finished session by its golden answers.

    Args:
        golden_correct: (g,) bool: for each golden pair, whether the photo was chosen.
        allowed_misses: Largest number of misses that is still accepted; 0 excludes at any miss.

    Returns:
        `"golden_missed"` if more golden pairs were missed than allowed, else None. A session without golden pairs is
        never excluded.

    Raises:
        ValueError: If an answer is not a bool, or `allowed_misses` is negative.

    Example:
        >>> exclusion_reason([True, True, False, True, True], allowed_misses=0)
        'golden_missed'
        >>> exclusion_reason([True, True, False, True, True], allowed_misses=1)
    """
    if allowed_misses < 0:
        raise ValueError(f"allowed_misses must be 0 or more, got {allowed_misses}")
    correct = np.asarray(golden_correct)
    if correct.ndim != 1 or (correct.size and correct.dtype != np.bool_):
        raise ValueError(f"golden_correct must be a row of bools, got {correct.dtype} of shape {correct.shape}")
    n_missed = correct.size - int(np.count_nonzero(correct))
    return GOLDEN_MISSED if n_missed > allowed_misses else None


def guesser_pass_probability(*, n_golden: int, allowed_misses: int) -> float:
    """Return the chance that somebody who guesses passes: P(Binomial(g, 1/2) <= allowed misses).

    Example:
        The founding protocol: five golden pairs, out at any miss.

        >>> round(guesser_pass_probability(n_golden=5, allowed_misses=0), 4)
        0.0312
    """
    return _at_most(allowed_misses, n_golden=n_golden, miss_probability=0.5)


def attentive_fail_probability(*, n_golden: int, allowed_misses: int, accuracy: float = 0.98) -> float:
    """Return the chance that an attentive rater is excluded by mistake.

    Args:
        n_golden: Golden pairs in a session.
        allowed_misses: Largest number of misses that is still accepted.
        accuracy: Chance in [0, 1] that an attentive rater gets one golden pair right.

    Example:
        >>> round(attentive_fail_probability(n_golden=5, allowed_misses=0), 3)
        0.096
    """
    if not 0 <= accuracy <= 1:
        raise ValueError(f"accuracy must lie in [0, 1], got {accuracy}")
    return 1 - _at_most(allowed_misses, n_golden=n_golden, miss_probability=1 - accuracy)


def _at_most(allowed_misses: int, *, n_golden: int, miss_probability: float) -> float:
    if n_golden < 0 or allowed_misses < 0:
        raise ValueError(f"n_golden and allowed_misses must be 0 or more, got {n_golden} and {allowed_misses}")
    if allowed_misses >= n_golden:
        return 1.0
    return float(special.bdtr(allowed_misses, n_golden, miss_probability))
