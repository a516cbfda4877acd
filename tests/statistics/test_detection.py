import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from studies.statistics.detection import d_prime, detection, sided_detection
from studies.statistics.fool_rate import fool_rate


@given(st.floats(-4, 4))
def test_fool_rate_of_an_ideal_observer_gives_the_observer_s_d_prime(true: float) -> None:
    """Choosing the larger of N(d', 1) and N(0, 1) goes wrong with the chance that their difference is negative."""
    wrong = stats.norm.cdf(0, loc=true, scale=math.sqrt(2))
    assert d_prime(float(wrong)) == pytest.approx(true, abs=1e-6)


@pytest.mark.parametrize(
    ("rate", "expected"), [(0.5, 0), (0.45, 0.178), (0.28, 0.824), (0.1, 1.812), (0.04, 2.476), (0.02, 2.904)]
)
def test_known_values(rate: float, expected: float) -> None:
    assert d_prime(rate) == pytest.approx(expected, abs=5e-4)
    assert d_prime(1 - rate) == pytest.approx(-expected, abs=5e-4)


def test_interval_is_that_of_the_rate_with_its_ends_changed() -> None:
    rater, photo = np.divmod(np.arange(600), 20)
    rate = fool_rate((rater * 3 + photo) % 7 < 2, rater=rater, photo=photo)
    found = detection(rate)
    assert rate.ci_low is not None
    assert rate.ci_high is not None
    assert (found.ci_low, found.ci_high) == (d_prime(rate.ci_high), d_prime(rate.ci_low))
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low < found.d_prime < found.ci_high
    assert not found.is_corrected


@pytest.mark.parametrize(("is_fooled", "sign"), [(False, 1), (True, -1)])
def test_where_all_votes_are_alike_half_a_vote_is_added_and_one_end_is_open(is_fooled: bool, sign: int) -> None:
    rater, photo = np.divmod(np.arange(100), 10)
    small = detection(fool_rate(np.full(50, is_fooled), rater=np.arange(50) // 5, photo=np.arange(50) % 5))
    assert small.d_prime == pytest.approx(sign * 3.300, abs=1e-3)
    assert (small.ci_low, small.ci_high) == (None, None)  # five photos: no interval at all
    found = detection(fool_rate(np.full(100, is_fooled), rater=rater, photo=photo))
    closed, opened = (found.ci_low, found.ci_high) if sign > 0 else (found.ci_high, found.ci_low)
    assert opened is None
    assert closed is not None
    assert 0 < sign * closed < sign * found.d_prime
    assert found.is_corrected
    assert "fooled: d' is taken at" in found.notes[-1]


def test_a_preference_for_a_side_lowers_the_plain_value_and_not_the_other() -> None:
    """An observer with d' = 1.5 who answers "first" too readily, by simulation."""
    rng = np.random.default_rng(5)
    photo_first = np.arange(200_000) % 2 == 0
    evidence = rng.normal(np.where(photo_first, 1.5, -1.5), math.sqrt(2))  # first minus second
    fooled = (evidence > -0.8) != photo_first
    sided = sided_detection(fooled, photo_first=photo_first)
    assert sided is not None
    assert sided.d_prime == pytest.approx(1.5, abs=0.02)
    assert sided.bias == pytest.approx(-0.8 / math.sqrt(2), abs=0.02)
    assert d_prime(float(fooled.mean())) < 1.4


def test_sides_that_never_vary_tell_nothing_and_perfect_ones_are_corrected() -> None:
    assert sided_detection([True, False], photo_first=[True, True]) is None
    perfect = sided_detection(np.zeros(40, dtype=bool), photo_first=np.arange(40) < 20)
    assert perfect is not None
    assert perfect.is_corrected
    assert perfect.d_prime == pytest.approx(math.sqrt(2) * stats.norm.ppf(20.5 / 21))
    assert perfect.bias == pytest.approx(0)


def test_impossible_rates_and_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got 28"):
        d_prime(28)
    with pytest.raises(ValueError, match="must be aligned"):
        sided_detection([True], photo_first=[True, False])
