import math
import time
from dataclasses import asdict

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special
from statsmodels.stats.proportion import proportion_confint

from studies.statistics.fool_rate import (
    Estimand,
    IntervalMethod,
    VarianceParts,
    binomial_wilson,
    cluster_codes,
    fool_rate,
    korn_graubard,
    rater_level_bound,
    two_way_wilson,
    variance_parts,
)
from studies.statistics.simulation import fooled_probabilities

JUDGED_AGAIN = (
    "In {} votes a rater judged a photo again (several draws, or several sessions): "
    "all votes on a photo stay one cluster."
)


def f1() -> VarianceParts:
    rater = [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    photo = [1, 2, 3, 2, 3, 4, 1, 3, 4, 1, 2, 4]
    return variance_parts([1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0], rater=rater, photo=photo)


def checkerboard() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rater, photo = np.divmod(np.arange(80), 8)
    voted = (rater + photo) % 2 == 0
    return rater[voted], photo[voted]


def f2() -> VarianceParts:
    rater, photo = checkerboard()
    return variance_parts((3 * rater + 5 * photo) % 7 < 2, rater=rater, photo=photo)


def f3() -> VarianceParts:
    rater, photo = checkerboard()
    return variance_parts(rater + 2 * photo >= 16, rater=rater, photo=photo)


def test_twelve_votes_by_hand() -> None:
    parts = f1()
    assert (parts.n_votes, parts.n_fooled, parts.n_raters, parts.n_photos, parts.n_cells) == (12, 4, 4, 4, 12)
    assert parts.raters == pytest.approx(1 / 54, rel=1e-15)
    assert parts.photos == pytest.approx(1 / 27, rel=1e-15)
    assert parts.cells == pytest.approx(2 / 99, rel=1e-15)
    assert parts.binomial == pytest.approx(1 / 54, rel=1e-15)
    assert parts.variance() == parts.photos  # 7/198 is smaller: the guard picks V_I
    assert parts.deff() == pytest.approx(2)
    assert parts.df() == 3


@pytest.mark.parametrize(
    ("parts", "deff", "df", "wilson", "conservative"),
    [
        (f1(), 2, 3, (0.0500470, 0.8259448), (0.002892, 0.945382)),
        (f2(), 1, 7, (0.1621814, 0.4868755), (0.1414432, 0.5036386)),
        (f3(), 8 / 3, 7, (0.0822532, 0.5535179), (0.0457999, 0.6000333)),
    ],
    ids=["by hand", "negative variance", "clustered"],
)
def test_intervals_of_small_studies(
    parts: VarianceParts, deff: float, df: int, wilson: tuple[float, float], conservative: tuple[float, float]
) -> None:
    found = parts.deff()
    assert found == pytest.approx(deff, rel=1e-12)
    assert parts.df() == df
    assert found is not None
    for shape, expected, tolerance in ((two_way_wilson, wilson, 5e-8), (korn_graubard, conservative, 5e-7)):
        interval = shape(rate=parts.rate, n_votes=parts.n_votes, deff=found, df=parts.df())
        assert interval == pytest.approx(expected, abs=tolerance)


def test_negative_two_way_variance_falls_back_to_the_binomial_one() -> None:
    parts = f2()
    assert parts.raters + parts.photos - parts.cells == pytest.approx(-0.0000274725, abs=1e-10)
    assert parts.variance() == parts.binomial == pytest.approx(0.00525)


def test_these_images_only_uses_raters_alone() -> None:
    parts = f3()
    assert parts.raters == pytest.approx(0.00416667, abs=1e-8)
    assert parts.variance("these") == max(parts.raters, parts.binomial)
    assert parts.df("these") == 9
    assert parts.variance("new") == parts.photos == pytest.approx(0.0125)


@pytest.mark.parametrize(
    ("rate", "n_votes", "deff", "df", "wilson", "conservative"),
    [
        (0.279, 1000, 4, 99, (0.226475, 0.338378), (0.223662, 0.339798)),
        (0.04, 100, 1.5, 49, (0.012575, 0.119972), (0.006834, 0.121712)),
        (0.0, 50, 1, 49, (0.0, 0.074732), (0.0, 0.074628)),
    ],
)
def test_intervals_given_the_design_effect(
    rate: float, n_votes: int, deff: float, df: int, wilson: tuple[float, float], conservative: tuple[float, float]
) -> None:
    assert two_way_wilson(rate=rate, n_votes=n_votes, deff=deff, df=df) == pytest.approx(wilson, abs=5e-7)
    assert korn_graubard(rate=rate, n_votes=n_votes, deff=deff, df=df) == pytest.approx(conservative, abs=5e-7)


@pytest.mark.parametrize(
    ("k", "n", "wilson", "clopper_pearson"),
    [
        (279, 1000, (0.2520877933, 0.3076036340), (0.2513862310, 0.3079213874)),
        (4, 100, (0.0156633040, 0.0983707144), (0.0110044940, 0.0992571567)),
        (0, 50, (0, 0.0713475991), (0, 0.0711217365)),
        (50, 50, (0.9286524009, 1), (0.9288782635, 1)),
        (1, 40, (0.0044268315, 0.1288136896), (0.0006327449, 0.1315858585)),
        (110, 1000, (0.0920793727, 0.1309054989), (0.0912777745, 0.1310524636)),
        (22, 1600, (0.0090976862, 0.0207316080), (0.0086365739, 0.0207440336)),
    ],
)
def test_binomial_limits(k: int, n: int, wilson: tuple[float, float], clopper_pearson: tuple[float, float]) -> None:
    # Tolerance: half a unit of the tenth printed digit.
    assert binomial_wilson(n_fooled=k, n_votes=n) == pytest.approx(wilson, abs=1e-10)
    assert korn_graubard(rate=k / n, n_votes=n, deff=1, df=math.inf) == pytest.approx(clopper_pearson, abs=1e-10)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
@pytest.mark.parametrize(("k", "n"), [(0, 7), (3, 19), (450, 1000), (12, 12)])
def test_independent_votes_agree_with_statsmodels(k: int, n: int, alpha: float) -> None:
    exact = korn_graubard(rate=k / n, n_votes=n, deff=1, df=math.inf, alpha=alpha)
    assert binomial_wilson(n_fooled=k, n_votes=n, alpha=alpha) == pytest.approx(
        proportion_confint(k, n, alpha, "wilson"), abs=1e-12
    )
    assert exact == pytest.approx(proportion_confint(k, n, alpha, "beta"), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_two_way_variance_is_that_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rater, photo = rng.integers(0, 30, 600), rng.integers(0, 25, 600)  # several votes in some cells
    effect = rng.normal(size=30)[rater] + rng.normal(size=25)[photo]
    fooled = rng.random(600) < special.expit(effect - 1)
    parts = variance_parts(fooled, rater=rater, photo=photo)
    fit = sm.OLS(fooled.astype(float), np.ones(600)).fit(
        cov_type="cluster", cov_kwds={"groups": np.column_stack([rater, photo])}
    )
    one_way = sm.OLS(fooled.astype(float), np.ones(600)).fit(cov_type="cluster", cov_kwds={"groups": rater})
    assert parts.raters + parts.photos - parts.cells == pytest.approx(float(fit.bse[0]) ** 2, rel=1e-10)
    assert parts.raters == pytest.approx(float(one_way.bse[0]) ** 2, rel=1e-10)


votes = st.lists(st.tuples(st.booleans(), st.integers(0, 14), st.integers(0, 14)), min_size=1, max_size=150)


@given(
    votes=votes,
    alpha=st.floats(0.001, 0.5),
    estimand=st.sampled_from(["new", "these"]),
    method=st.sampled_from(["two_way_wilson", "korn_graubard"]),
)
def test_interval_lies_in_the_unit_range_around_the_rate(
    votes: list[tuple[bool, int, int]], alpha: float, estimand: Estimand, method: IntervalMethod
) -> None:
    fooled, rater, photo = map(np.array, zip(*votes, strict=True))
    result = fool_rate(fooled, rater=rater, photo=photo, alpha=alpha, estimand=estimand, method=method)
    assert result.deff is None or result.deff >= 1
    assert 0 <= result.independent_low <= result.rate <= result.independent_high <= 1
    if min(result.n_raters, result.n_photos) < 10:
        assert (result.ci_low, result.ci_high, result.ci_method) == (None, None, None)
    else:
        assert result.ci_low is not None
        assert result.ci_high is not None
        assert 0 <= result.ci_low <= result.rate <= result.ci_high <= 1
        assert result.ci_low <= result.independent_low + 1e-9 or method == "korn_graubard"


@given(votes=votes, seed=st.integers(0, 2**32 - 1))
def test_names_and_order_change_no_digit(votes: list[tuple[bool, int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    fooled, rater, photo = map(np.array, zip(*votes, strict=True))
    result = fool_rate(fooled, rater=rater, photo=photo)
    order = rng.permutation(len(votes))
    raters = np.array([f"rater {code}" for code in rng.permutation(15)])[rater]
    photos = rng.integers(10**12, 10**13, 15, endpoint=True)[photo]
    renamed = fool_rate(fooled[order], rater=raters[order], photo=photos[order])
    assert repr(asdict(renamed)) == repr(asdict(result))


def test_higher_level_gives_a_wider_interval() -> None:
    parts = f3()
    widths = [
        high - low
        for low, high in (
            two_way_wilson(rate=parts.rate, n_votes=parts.n_votes, deff=2.5, df=7, alpha=alpha)
            for alpha in (0.5, 0.1, 0.05, 0.01)
        )
    ]
    assert widths == sorted(widths)


def grid(n_raters: int, n_photos: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rater, photo = np.divmod(np.arange(n_raters * n_photos), n_photos)
    return rater, photo


@pytest.mark.parametrize(("n_raters", "n_photos"), [(9, 40), (40, 9), (1, 1)])
def test_no_interval_below_ten_raters_or_photos(n_raters: int, n_photos: int) -> None:
    rater, photo = grid(n_raters, n_photos)
    result = fool_rate((rater + photo) % 2 == 0, rater=rater, photo=photo)
    assert result.rate > 0
    assert result.ci_low is None
    assert result.notes[0].startswith("No interval: ")


@pytest.mark.parametrize(("n_raters", "n_photos", "is_noted"), [(29, 40, True), (40, 10, True), (30, 30, False)])
def test_few_clusters_are_noted(n_raters: int, n_photos: int, is_noted: bool) -> None:
    rater, photo = grid(n_raters, n_photos)
    result = fool_rate((rater * 7 + photo) % 3 == 0, rater=rater, photo=photo)
    assert result.ci_low is not None
    assert any("Few clusters" in note for note in result.notes) is is_noted


def test_nobody_fooled_takes_the_assumed_design_effect_and_bounds_the_raters() -> None:
    rater, photo = grid(50, 30)
    result = fool_rate(np.zeros(1500, dtype=bool), rater=rater, photo=photo, assumed_deff=3.0)
    assert (result.rate, result.ci_low) == (0, 0)
    assert result.ci_high == pytest.approx(two_way_wilson(rate=0, n_votes=1500, deff=3, df=29).high)
    assert result.is_deff_assumed
    assert result.deff == 3
    assert result.deff_raters is result.deff_photos is None
    assert result.rater_bound == rater_level_bound(n_raters=50) == pytest.approx(1 - 0.05 ** (1 / 50))
    assert any("5.8 % of raters" in note for note in result.notes)


def test_everybody_fooled_mirrors_nobody_fooled() -> None:
    rater, photo = grid(20, 20)
    none = fool_rate(np.zeros(400, dtype=bool), rater=rater, photo=photo)
    everybody = fool_rate(np.ones(400, dtype=bool), rater=rater, photo=photo)
    assert none.ci_high is not None
    assert everybody.ci_low == pytest.approx(1 - none.ci_high)
    assert everybody.ci_high == 1
    assert everybody.rater_bound is None


def test_several_draws_of_one_photo_are_one_cluster() -> None:
    rater, photo = grid(20, 20)
    fooled = (rater * 3 + photo * 5) % 7 < 2
    once = variance_parts(fooled, rater=rater, photo=photo)
    twice = variance_parts(np.tile(fooled, 2), rater=np.tile(rater, 2), photo=np.tile(photo, 2))
    assert twice.n_cells == once.n_cells
    for name in ("raters", "photos", "cells"):
        assert getattr(twice, name) == pytest.approx(getattr(once, name), rel=1e-12)
    assert twice.binomial == pytest.approx(once.binomial / 2)


def test_photos_of_one_scene_are_one_cluster() -> None:
    rater, photo = grid(40, 64)
    scene = photo // 4
    fooled = (rater + scene) % 4 == 0
    by_scene = fool_rate(fooled, rater=rater, photo=photo, scene=scene)
    as_photos = fool_rate(fooled, rater=rater, photo=scene)
    assert (by_scene.n_photos, by_scene.n_scenes) == (64, 16)
    assert (as_photos.n_photos, as_photos.n_scenes) == (16, 16)
    assert (by_scene.ci_low, by_scene.ci_high, by_scene.deff) == (as_photos.ci_low, as_photos.ci_high, as_photos.deff)
    assert by_scene.notes == ("Few clusters: 40 raters and 16 scenes; below 30 of either the interval is approximate.",)
    assert as_photos.notes == (
        by_scene.notes[0].replace("scenes", "photos"),
        JUDGED_AGAIN.format(1920),
    )


def test_several_draws_that_a_rater_judged_of_one_photo_are_said_to_be_one_cluster() -> None:
    rater, photo = grid(30, 30)
    fooled = (rater * 3 + photo * 5) % 7 < 2
    again = fool_rate(np.tile(fooled, 2), rater=np.tile(rater, 2), photo=np.tile(photo, 2))
    once = fool_rate(fooled, rater=rater, photo=photo)
    assert (once.notes, again.n_responses) == ((), 1800)
    assert again.notes == (JUDGED_AGAIN.format(900),)


def test_raters_with_many_more_votes_than_others_are_said_to_weigh_more() -> None:
    rater, photo = grid(40, 40)
    kept = (rater >= 5) | (photo < 10)
    fooled = (rater * 3 + photo * 5) % 7 < 2
    uneven = fool_rate(fooled[kept], rater=rater[kept], photo=photo[kept])
    assert uneven.notes == ("Raters gave 10 to 40 votes each: every vote counts once, so that some raters weigh more.",)
    assert uneven.rate == fooled[kept].mean()


def test_tiles_of_fewer_than_ten_scenes_give_no_interval() -> None:
    rater, photo = grid(40, 64)
    result = fool_rate((rater + photo) % 3 == 0, rater=rater, photo=photo, scene=photo // 8)
    assert (result.n_photos, result.n_scenes, result.ci_low) == (64, 8, None)
    assert result.notes == ("No interval: 40 raters and 8 scenes; it takes at least 10 of each.",)


@given(votes=votes, estimand=st.sampled_from(["new", "these"]))
def test_photos_that_are_scenes_of_their_own_change_no_digit(
    votes: list[tuple[bool, int, int]], estimand: Estimand
) -> None:
    fooled, rater, photo = map(np.array, zip(*votes, strict=True))
    named = fool_rate(
        fooled, rater=rater, photo=photo, scene=[f"scene {14 - code}" for code in photo], estimand=estimand
    )
    assert repr(asdict(named)) == repr(asdict(fool_rate(fooled, rater=rater, photo=photo, estimand=estimand)))


def test_sparse_cells_agree_with_dense_ones() -> None:
    rng = np.random.default_rng(5)
    rater, photo = rng.integers(0, 3000, 4000), rng.integers(0, 3000, 4000)
    fooled = rng.random(4000) < 0.3
    parts = variance_parts(fooled, rater=rater, photo=photo)
    deviation = fooled - fooled.mean()
    _, cell = np.unique(rater * 3000 + photo, return_inverse=True)
    expected = np.sum(np.bincount(cell, weights=deviation) ** 2) / 4000**2
    assert parts.cells == pytest.approx(parts.n_cells / (parts.n_cells - 1) * expected, rel=1e-10)


@pytest.mark.parametrize(
    ("fooled", "rater", "message"),
    [
        ([], [], "at least one vote"),
        ([0, 2], [1, 2], "0 and 1 only, got 2"),
        ([0, 1, 1], [1, 2], "aligned"),
    ],
)
def test_wrong_votes_are_refused(fooled: list[int], rater: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fool_rate(fooled, rater=rater, photo=rater)


def test_wrong_level_and_design_effect_are_refused() -> None:
    with pytest.raises(ValueError, match=r"alpha must lie between 0 and 1, got 95"):
        fool_rate([1], rater=[1], photo=[1], alpha=95)
    with pytest.raises(ValueError, match=r"assumed_deff must be at least 1, got 0\.5"):
        fool_rate([1], rater=[1], photo=[1], assumed_deff=0.5)


def test_large_identifiers_become_small_codes() -> None:
    codes = cluster_codes(np.array([10**15, 5, 10**15]))
    assert codes[0] == codes[2] != codes[1]
    assert codes.max() < 3


def test_hundred_thousand_votes_take_milliseconds() -> None:
    rng = np.random.default_rng(0)
    rater, photo = rng.integers(0, 2500, 100_000), rng.integers(0, 400, 100_000)
    fooled = rng.random(100_000) < 0.2

    def seconds() -> float:
        start = time.perf_counter()
        fool_rate(fooled, rater=rater, photo=photo)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.05


@pytest.mark.parametrize("rate", [0.1, 0.28])
def test_interval_covers_the_truth_where_the_independent_one_does_not(rate: float) -> None:
    """60 raters, 60 photos, 30 votes a rater, logit SDs 0.8: one small cell of what docs/statistics.md tells."""
    n_studies, n_clusters, n_votes = 300, 60, 30
    rng = np.random.default_rng(20)
    rater = np.repeat(np.arange(n_clusters), n_votes)
    covered = covered_independent = 0
    for _ in range(n_studies):
        photo = rng.permuted(np.tile(np.arange(n_clusters), (n_clusters, 1)), axis=1)[:, :n_votes].ravel()
        chance = fooled_probabilities(
            rate,
            rater_effects=rng.normal(size=n_clusters)[rater],
            photo_effects=rng.normal(size=n_clusters)[photo],
            spread=0.8,
        )
        fooled = rng.random(rater.size) < chance
        result = fool_rate(fooled, rater=rater, photo=photo)
        assert result.ci_low is not None
        assert result.ci_high is not None
        covered += result.ci_low <= rate <= result.ci_high
        covered_independent += result.independent_low <= rate <= result.independent_high
    assert 0.92 <= covered / n_studies <= 0.98
    assert covered_independent / n_studies < 0.8


def test_interval_by_scenes_covers_the_truth_where_the_one_by_tiles_does_not() -> None:
    """30 scenes of 5 tiles, 150 raters, 20 votes a rater, logit SDs 0.8: a new image is a new photograph."""
    n_studies, n_scenes, n_tiles, n_raters, n_votes, rate = 300, 30, 5, 150, 20, 0.3
    rng = np.random.default_rng(21)
    rater = np.repeat(np.arange(n_raters), n_votes)
    covered = {"scenes": 0, "tiles": 0}
    for _ in range(n_studies):
        tiles = np.tile(np.arange(n_scenes * n_tiles), (n_raters, 1))
        photo = rng.permuted(tiles, axis=1)[:, :n_votes].ravel()
        scene = photo // n_tiles
        chance = fooled_probabilities(
            rate,
            rater_effects=rng.normal(size=n_raters)[rater],
            photo_effects=rng.normal(size=n_scenes)[scene],
            spread=0.8,
        )
        fooled = rng.random(rater.size) < chance
        for name, clusters in (("scenes", scene), ("tiles", photo)):
            result = fool_rate(fooled, rater=rater, photo=photo, scene=clusters)
            assert result.ci_low is not None
            assert result.ci_high is not None
            covered[name] += result.ci_low <= rate <= result.ci_high
    assert covered["scenes"] / n_studies >= 0.9
    assert covered["tiles"] / n_studies < 0.85
