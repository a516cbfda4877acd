import numpy as np
import pytest
from scipy import stats

from studies.statistics.fool_rate import fool_rate
from studies.statistics.order import learning, side_effect


def test_slope_is_that_of_least_squares_and_blocks_part_the_votes() -> None:
    rng = np.random.default_rng(0)
    rater, position = np.divmod(np.arange(40 * 30), 30)
    photo = np.concatenate([rng.permutation(30) for _ in range(40)])
    fooled = rng.random(rater.size) < 0.4 - 0.008 * position
    found = learning(fooled, position=position + 12, rater=rater, photo=photo)
    assert found is not None
    assert found.change == pytest.approx(10 * stats.linregress(position, fooled).slope)
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low < -0.08 < found.ci_high < 0
    assert [(block.first, block.last) for block in found.blocks] == [(12, 19), (20, 26), (27, 34), (35, 41)]
    chosen = position + 12 <= 19
    assert found.blocks[0].rate == fool_rate(fooled[chosen], rater=rater[chosen], photo=photo[chosen])
    assert sum(block.rate.n_responses for block in found.blocks) == fooled.size


def test_interval_of_the_slope_holds_no_learning_where_there_is_none() -> None:
    rng = np.random.default_rng(3)
    held = []
    for _ in range(200):
        rater, position = np.divmod(np.arange(30 * 24), 24)
        photo = np.concatenate([rng.permutation(24) for _ in range(30)])
        chance = 1 / (1 + np.exp(1 - 0.8 * rng.normal(size=30)[rater] - 0.8 * rng.normal(size=24)[photo]))
        found = learning(rng.random(rater.size) < chance, position=position, rater=rater, photo=photo)
        assert found is not None
        assert found.ci_low is not None
        assert found.ci_high is not None
        held.append(found.ci_low <= 0 <= found.ci_high)
    assert 0.91 <= np.mean(held) <= 0.99


def test_learning_needs_two_positions_and_an_interval_ten_raters() -> None:
    assert learning([True, False], position=[3, 3], rater=[1, 2], photo=[1, 2]) is None
    few = learning([True, False, False], position=[1, 2, 3], rater=[1, 2, 3], photo=[1, 2, 3])
    assert few is not None
    assert few.change == pytest.approx(-5)
    assert few.ci_low is None
    assert few.notes == ("No interval: 3 raters and 3 photos; it takes at least 10 of each.",)


def test_tiles_of_one_photograph_are_one_image_in_the_blocks() -> None:
    rater, position = np.divmod(np.arange(12 * 20), 20)
    found = learning(rater % 3 == 0, position=position, rater=rater, photo=position, scene=position // 2)
    assert found is not None
    assert {(block.rate.n_photos, block.rate.n_scenes) for block in found.blocks} <= {(5, 3), (6, 3), (5, 2), (4, 2)}


def test_favouring_the_second_picture_shows_as_a_difference() -> None:
    rng = np.random.default_rng(1)
    rater, photo = np.divmod(np.arange(40 * 40), 40)
    first = rng.random(rater.size) < 0.5
    fooled = rng.random(rater.size) < np.where(first, 0.4, 0.2)
    found = side_effect(fooled, photo_first=first, rater=rater, photo=photo)
    assert found is not None
    assert found.difference == pytest.approx(fooled[first].mean() - fooled[~first].mean())
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert 0 < found.ci_low < 0.2 < found.ci_high
    assert found.first_chosen == pytest.approx(((first & ~fooled) | (~first & fooled)).mean())
    assert found.first_chosen < 0.5
    turned = side_effect(fooled, photo_first=~first, rater=rater, photo=photo)
    assert turned is not None
    assert turned.difference == pytest.approx(-found.difference)
    assert turned.ci_high == pytest.approx(-found.ci_low)


def test_one_side_alone_tells_nothing() -> None:
    assert side_effect([True], photo_first=[True], rater=[1], photo=[1]) is None


def test_settings_and_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="alpha must lie between 0 and 1, got 5"):
        side_effect([True], photo_first=[True], rater=[1], photo=[1], alpha=5)
    with pytest.raises(ValueError, match="fooled and photo_first must be aligned"):
        side_effect([True], photo_first=[True, False], rater=[1], photo=[1])
    with pytest.raises(ValueError, match="position, rater and photo must be aligned"):
        learning([True], position=[1, 2], rater=[1], photo=[1])
    with pytest.raises(ValueError, match="estimand must be one of"):
        learning([True], position=[1], rater=[1], photo=[1], estimand="all")  # type: ignore[arg-type]  # the point
