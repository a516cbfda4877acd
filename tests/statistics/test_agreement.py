import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from studies.statistics.agreement import agreement, krippendorff_alpha

RATER = np.array([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4])
PHOTO = np.array([1, 2, 3, 2, 3, 4, 1, 3, 4, 1, 2, 4])
FOOLED = np.array([1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0], dtype=bool)


def oracle(table: NDArray[np.float64]) -> float | None:
    """Return alpha of (raters, images) with NaN for no vote, by the krippendorff package; None where not defined."""
    paired = table[:, (~np.isnan(table)).sum(axis=0) >= 2]
    if np.unique(paired[~np.isnan(paired)]).size < 2:
        return None
    return float(krippendorff.alpha(reliability_data=table, level_of_measurement="nominal"))


def test_twelve_votes_by_hand() -> None:
    table = np.full((4, 4), np.nan)
    table[RATER - 1, PHOTO - 1] = FOOLED
    assert krippendorff_alpha([2, 2, 0, 0], [3, 3, 3, 3]) == 5 / 16 == pytest.approx(oracle(table))
    found = agreement(FOOLED, photo=PHOTO, rng=np.random.default_rng(0))
    assert (found.krippendorff, found.n_images, found.n_votes) == (5 / 16, 4, 12)
    assert (found.ci_low, found.ci_high) == (None, None)
    assert found.notes == ("No interval: 4 images; it takes at least 10.",)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.integers(1, 8), st.floats(0, 0.9), st.floats(0, 1))
def test_agrees_with_the_krippendorff_package(
    seed: int, n_raters: int, n_photos: int, missing: float, rate: float
) -> None:
    rng = np.random.default_rng(seed)
    table = (rng.random((n_raters, n_photos)) < rate).astype(np.float64)
    table[rng.random(table.shape) < missing] = np.nan
    seen = ~np.isnan(table)
    expected = oracle(table) if seen.any() else None
    found = krippendorff_alpha(np.nansum(table, axis=0), seen.sum(axis=0))
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_images_that_decide_everything_and_images_that_decide_nothing() -> None:
    rng = np.random.default_rng(1)
    rater, photo = np.divmod(np.arange(3_000), 60)
    certain = agreement(photo % 3 == 0, photo=photo, rng=rng)
    assert (certain.krippendorff, certain.ci_low, certain.ci_high) == (1, 1, 1)
    chance = agreement(rng.random(3_000) < 0.3, photo=photo, rng=rng)
    assert chance.ci_low is not None
    assert chance.ci_high is not None
    assert chance.ci_low < 0 < chance.ci_high < 0.05
    against = agreement((rater + photo) % 2 == 0, photo=photo, rng=rng)
    assert against.krippendorff is not None
    assert against.krippendorff < 0


def test_interval_holds_the_value_of_the_images_that_were_drawn_from() -> None:
    """With rates from Beta(1, 3), alpha of endlessly many images is 1 / (a + b + 1) = 0.2."""
    rng = np.random.default_rng(7)
    held = []
    for _ in range(120):
        rates = rng.beta(1, 3, 80)
        photo = np.arange(80 * 25) % 80
        found = agreement(rng.random(photo.size) < rates[photo], photo=photo, rng=rng, draws=300)
        assert found.ci_low is not None
        assert found.ci_high is not None
        held.append(found.ci_low <= 0.2 <= found.ci_high)
    assert 0.88 <= np.mean(held) <= 0.99


def test_tiles_of_one_photograph_are_drawn_together() -> None:
    rng = np.random.default_rng(4)
    photo = np.arange(20 * 60) % 60
    fooled = rng.random(photo.size) < np.where(photo // 5 % 2, 0.7, 0.1)
    apart = agreement(fooled, photo=photo, rng=rng)
    together = agreement(fooled, photo=photo, scene=photo // 5, rng=rng)
    assert together.krippendorff == apart.krippendorff
    assert together.ci_low is not None
    assert apart.ci_low is not None
    assert together.ci_low != apart.ci_low
    few = agreement(fooled, photo=photo, scene=photo // 10, rng=rng)
    assert few.ci_low is None
    assert "6 images" in few.notes[0]


def test_nothing_to_agree_on_is_said() -> None:
    rng = np.random.default_rng(0)
    alone = agreement([True, False], photo=["a", "b"], rng=rng)
    assert (alone.krippendorff, alone.n_images) == (None, 0)
    assert "no image has two votes" in alone.notes[0]
    alike = agreement([False] * 4, photo=["a", "a", "b", "b"], rng=rng)
    assert alike.krippendorff is None
    assert "all votes are alike" in alike.notes[0]
    with pytest.raises(ValueError, match="must be aligned"):
        agreement([True], photo=["a", "b"], rng=rng)
