import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from studies.statistics.ranking import MIN_VOTES, beta_prior, ranking

K = [0, 1, 2, 3, 5, 8, 1, 0, 4, 6]
N = [10, 10, 10, 10, 10, 10, 4, 20, 20, 20]


def votes_of(k: list[int], n: list[int]) -> tuple[NDArray[np.bool_], NDArray[np.str_]]:
    """Return votes in which picture i fools k[i] of n[i] raters."""
    fooled = np.concatenate([np.arange(total) < hits for hits, total in zip(k, n, strict=True)])
    return fooled, np.repeat([f"p{i}" for i in range(len(n))], n)


def test_maximum_likelihood_agrees_with_known_values_and_with_scipy() -> None:
    prior = beta_prior(K, N)
    assert prior == pytest.approx((0.982428, 2.787125), abs=1e-4)

    def loss(point: NDArray[np.float64]) -> float:
        return -float(stats.betabinom.logpmf(K, N, *np.exp(point)).sum())

    oracle = np.exp(optimize.minimize(loss, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8}).x)
    assert prior == pytest.approx(tuple(oracle), rel=1e-4)


def test_moments_agree_with_known_values() -> None:
    assert beta_prior(K, N, method="moments") == pytest.approx((0.8079538, 2.5315885), abs=1e-6)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (
            "ml",
            {"p5": (0.652340, 0.435622, 0.843039), "p7": (0.041331, 0.002113, 0.121920)},
        ),
        (
            "moments",
            {"p5": (0.660289, 0.440650, 0.851649), "p7": (0.034617, 0.001016, 0.109879)},
        ),
    ],
)
def test_posteriors_agree_with_known_values(method: str, expected: dict[str, tuple[float, float, float]]) -> None:
    fooled, picture = votes_of(K, N)
    found = ranking(fooled, picture=picture, method="ml" if method == "ml" else "moments")
    by_name = {ranked.picture: ranked for ranked in found.best}
    for name, values in expected.items():
        assert (by_name[name].rate, by_name[name].low, by_name[name].high) == pytest.approx(values, abs=1e-4)
    assert found.best[0].picture == "p5"
    assert found.worst[0].picture == "p7"


def test_few_votes_are_hidden_and_named() -> None:
    fooled, picture = votes_of(K, N)
    found = ranking(fooled, picture=picture)
    assert N[6] < MIN_VOTES
    assert "p6" not in {ranked.picture for ranked in found.best}
    assert {ranked.picture for ranked in found.best} == {ranked.picture for ranked in found.worst}
    assert (found.n_pictures, found.n_hidden) == (10, 1)
    assert found.notes[0] == "1 of 10 pictures have fewer than 5 votes and are not listed."


def test_a_lucky_picture_stands_below_one_that_has_proved_itself() -> None:
    """5 of 6 is a higher share than 38 of 50, but says less."""
    fooled, picture = votes_of([5, 38, 2, 3, 1, 2, 30, 1], [6, 50, 50, 50, 50, 50, 50, 50])
    best = ranking(fooled, picture=picture).best
    assert best[0].picture == "p1"
    lucky = next(ranked for ranked in best if ranked.picture == "p0")
    assert (lucky.n_fooled, lucky.n_votes) == (5, 6)
    assert lucky.low < best[0].low
    assert lucky.rate < 5 / 6


@pytest.mark.parametrize("method", ["ml", "moments"])
def test_pictures_that_differ_by_chance_alone_are_not_ranked(method: str) -> None:
    fooled, picture = votes_of([3, 3, 3, 3, 2, 4], [10] * 6)
    found = ranking(fooled, picture=picture, method="ml" if method == "ml" else "moments")
    assert not found.is_separable
    assert (found.best, found.worst, found.mean_rate) == ((), (), 0.3)
    assert "not separable" in found.notes[0]


@pytest.mark.parametrize(("k", "n"), [([0, 0, 0], [9, 9, 9]), ([9, 9], [9, 9]), ([4], [9]), ([1, 0, 1], [1, 1, 1])])
@pytest.mark.parametrize("method", ["ml", "moments"])
def test_nothing_to_tell_pictures_by(k: list[int], n: list[int], method: str) -> None:
    assert beta_prior(k, n, method="ml" if method == "ml" else "moments") is None


def test_pictures_that_fool_everybody_or_nobody_keep_a_finite_prior() -> None:
    for method in ("ml", "moments"):
        prior = beta_prior([10, 10, 0, 0, 0], [10] * 5, method="ml" if method == "ml" else "moments")
        assert prior is not None
        assert min(prior) > 0


def test_fit_finds_the_distribution_that_the_pictures_came_from() -> None:
    rng = np.random.default_rng(2)
    n = rng.integers(5, 60, 4_000)
    k = rng.binomial(n, rng.beta(2, 6, n.size))
    assert beta_prior(k, n) == pytest.approx((2, 6), rel=0.1)
    assert beta_prior(k, n, method="moments") == pytest.approx((2, 6), rel=0.15)


def test_bounds_hold_the_pictures_rates_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    rates, n = rng.beta(1, 3, 2_000), np.full(2_000, 12)
    k = rng.binomial(n, rates)
    fooled, picture = votes_of(k.tolist(), n.tolist())
    found = {str(ranked.picture): ranked for ranked in ranking(fooled, picture=picture).best}
    held = [found[f"p{i}"].low <= rate <= found[f"p{i}"].high for i, rate in enumerate(rates)]
    assert 0.88 < np.mean(held) < 0.92


def test_counts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="0 <= n_fooled <= n_votes"):
        beta_prior([3], [2])
    with pytest.raises(ValueError, match="must be aligned votes"):
        ranking([], picture=[])
