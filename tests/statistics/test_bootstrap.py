import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics import bootstrap
from studies.statistics.bootstrap import crossed_bootstrap, percentile_interval
from studies.statistics.fool_rate import fool_rate
from studies.statistics.simulation import fooled_probabilities


def clustered(n_raters: int = 40, n_photos: int = 40, *, spread: float = 0.8, seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    rater, photo = np.divmod(np.arange(n_raters * n_photos), n_photos)
    chance = fooled_probabilities(
        0.3,
        rater_effects=rng.normal(size=n_raters)[rater],
        photo_effects=rng.normal(size=n_photos)[photo],
        spread=spread,
    )
    return rng.random(rater.size) < chance, rater, photo


ballots = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 6), st.integers(0, 2)), min_size=1, max_size=80
)


@given(ballots=ballots, seed=st.integers(0, 2**32 - 1))
def test_replicates_are_weighted_means_vote_by_vote(ballots: list[tuple[bool, int, int, int]], seed: int) -> None:
    fooled, rater, photo, condition = map(np.array, zip(*ballots, strict=True))
    rates = crossed_bootstrap(
        fooled, rater=rater, photo=photo, condition=condition, rng=np.random.default_rng(seed), n_replicates=5
    )
    raters, rater = np.unique(rater, return_inverse=True)
    photos, photo = np.unique(photo, return_inverse=True)
    rng = np.random.default_rng(seed)
    of_raters, of_photos = (bootstrap._drawn(rng, ids.size, 5) for ids in (raters, photos))
    assert (of_raters.sum(axis=0) == raters.size).all()
    for replicate in range(5):
        weight = of_raters[rater, replicate].astype(float) * of_photos[photo, replicate]
        for place in range(condition.max() + 1):
            chosen = condition == place
            total = weight[chosen].sum()
            expected = (weight * fooled)[chosen].sum() / total if total else math.nan
            assert rates[replicate, place] == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_counts_too_large_for_narrow_integers_are_added_in_wider_ones() -> None:
    fooled = np.tile([True, False, False, False], 20_000)
    rater, photo = np.repeat([0, 1], 40_000), np.zeros(80_000, dtype=int)
    assert (crossed_bootstrap(fooled, rater=rater, photo=photo, rng=np.random.default_rng(0)) == 0.25).all()


def test_interval_holds_the_default_one_without_being_twice_as_wide() -> None:
    for seed in range(5):
        fooled, rater, photo = clustered(seed=seed)
        rates = crossed_bootstrap(fooled, rater=rater, photo=photo, rng=np.random.default_rng(seed))
        low, high = percentile_interval(rates[:, 0])
        default = fool_rate(fooled, rater=rater, photo=photo)
        assert default.ci_high is not None
        assert default.ci_low is not None
        width = default.ci_high - default.ci_low
        assert 0.95 * width < high - low < 1.6 * width


def test_variance_without_clustering_is_three_times_that_of_independent_votes() -> None:
    fooled, rater, photo = clustered(60, 60, spread=0.0)
    rates = crossed_bootstrap(fooled, rater=rater, photo=photo, rng=np.random.default_rng(1))
    independent = fooled.mean() * (1 - fooled.mean()) / fooled.size
    assert rates.var() / independent == pytest.approx(3, rel=0.15)


def test_conditions_that_share_raters_and_photos_move_together() -> None:
    fooled, rater, photo = clustered()
    condition = (rater + photo) % 2
    rates = crossed_bootstrap(fooled, rater=rater, photo=photo, condition=condition, rng=np.random.default_rng(1))
    assert np.corrcoef(rates[:, 0], rates[:, 1]).min() > 0.4


def test_tiles_of_one_scene_are_drawn_together() -> None:
    fooled, rater, photo = clustered(40, 60)
    fooled = (photo // 6) % 2 == 0
    by_scene, by_photo = (
        crossed_bootstrap(fooled, rater=rater, photo=photo, scene=scene, rng=np.random.default_rng(1)).std()
        for scene in (photo // 6, None)
    )
    assert by_scene > 2 * by_photo


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fooled": [], "rater": [], "photo": [], "condition": []}, "at least one vote"),
        ({"fooled": [0, 5]}, "0 and 1 only, got 5"),
        ({"rater": [1]}, "must be aligned"),
        ({"condition": [-1, 0]}, "places 0 and up, got int64 from -1"),
        ({"n_replicates": 0}, "n_replicates must be at least 1, got 0"),
    ],
)
def test_meaningless_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    given_: dict[str, Any] = {"fooled": [0, 1], "rater": [1, 2], "photo": [1, 2], "condition": [0, 0]}
    with pytest.raises(ValueError, match=message):
        crossed_bootstrap(**given_ | options, rng=np.random.default_rng(0))


def test_meaningless_level_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha must lie between 0 and 1, got 2"):
        percentile_interval([0.1], alpha=2)
