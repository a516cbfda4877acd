import math

import numpy as np
import pytest

from studies.statistics.reaction_time import reaction_times


def test_a_rater_counts_once_however_often_they_answer() -> None:
    rater = np.repeat([0, 1, 2], [50, 5, 5])
    rt_ms = np.repeat([400.0, 900.0, 1000.0], [50, 5, 5])
    found = reaction_times(rt_ms, fooled=np.zeros(60, dtype=bool), rater=rater, photo=np.arange(60)).overall
    assert found is not None
    assert (found.median_ms, found.n_raters, found.n_answers) == (900, 3, 60)
    assert found.ci_low_ms is None  # three raters
    assert found.geometric_mean_ms == pytest.approx(math.exp((50 * math.log(400) + 5 * math.log(900 * 1000)) / 60))


def test_medians_and_quantiles_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    rater = rng.integers(0, 31, 700)
    rt_ms = rng.lognormal(7, 0.5, 700)
    found = reaction_times(rt_ms, fooled=rng.random(700) < 0.2, rater=rater, photo=rng.integers(0, 40, 700)).overall
    medians = [np.median(rt_ms[(rater == r) & (rt_ms <= 10_000)]) for r in range(31)]
    assert found is not None
    assert (found.q05_ms, found.q25_ms, found.median_ms, found.q75_ms, found.q95_ms) == pytest.approx(
        tuple(np.quantile(medians, [0.05, 0.25, 0.5, 0.75, 0.95]))
    )


def test_long_and_unknown_times_are_left_out_and_counted() -> None:
    rt_ms = [500.0, 10_000.0, 10_001.0, math.nan, 0.0]
    found = reaction_times(rt_ms, fooled=[True, False, True, True, False], rater=range(5), photo=range(5))
    assert found.overall is not None
    assert (found.overall.n_answers, found.n_too_long, found.n_unknown) == (3, 1, 1)
    assert found.fooled is not None
    assert found.fooled.n_answers == 1
    assert found.notes[1:] == (
        "Answers of more than 10 s, left out of the times and of nothing else: 1.",
        "Answers whose time was not recorded: 1.",
    )


def test_no_times_and_no_fooled_answers_leave_gaps() -> None:
    found = reaction_times([math.nan], fooled=[True], rater=[1], photo=[1])
    assert (found.overall, found.fooled, found.not_fooled, found.ratio) == (None, None, None, None)
    found = reaction_times([800.0], fooled=[False], rater=[1], photo=[1])
    assert (found.fooled, found.ratio) == (None, None)


@pytest.mark.parametrize("has_scenes", [False, True])
def test_intervals_hold_the_truth_for_new_raters_and_new_images(has_scenes: bool) -> None:
    rng = np.random.default_rng(8)
    held_mean, held_ratio = [], []
    for _ in range(200):
        rater, photo = np.divmod(np.arange(30 * 40), 40)
        scene = photo // 2 if has_scenes else photo
        fooled = rng.random(photo.size) < 0.3
        y = 7 + 0.4 * rng.normal(size=30)[rater] + 0.3 * rng.normal(size=40)[scene] + 0.3 * rng.normal(size=photo.size)
        found = reaction_times(
            np.exp(np.where(fooled, y + math.log(1.2), y)), fooled=fooled, rater=rater, photo=photo, scene=scene
        )
        part = found.not_fooled
        assert part is not None
        assert part.ci_low_ms is not None
        assert part.ci_high_ms is not None
        assert found.ratio_low is not None
        assert found.ratio_high is not None
        held_mean.append(part.ci_low_ms <= math.exp(7) <= part.ci_high_ms)
        held_ratio.append(found.ratio_low <= 1.2 <= found.ratio_high)
    assert 0.91 <= np.mean(held_mean) <= 0.985
    assert 0.91 <= np.mean(held_ratio) <= 0.985


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="must be aligned"):
        reaction_times([1.0], fooled=[True, False], rater=[1, 2], photo=[1, 2])
    with pytest.raises(ValueError, match="estimand must be one of new, these, got 'all'"):
        reaction_times([1.0], fooled=[True], rater=[1], photo=[1], estimand="all")  # type: ignore[arg-type]  # the point
