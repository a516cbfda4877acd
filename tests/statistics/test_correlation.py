from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats

from studies.statistics.correlation import rank_correlation


def study(rng: np.random.Generator, *, n_pictures: int, n_votes: int, shared: float) -> tuple[NDArray[Any], ...]:
    """Return votes, pictures and figures of pictures whose figure and rate share a part of their variance."""
    ease = rng.normal(size=n_pictures)
    figures = 25 + shared * ease + (1 - shared**2) ** 0.5 * rng.normal(size=n_pictures)
    picture = np.repeat(np.arange(n_pictures), n_votes)
    return rng.random(picture.size) < special.expit(0.8 * ease - 1)[picture], picture, figures[picture]


def test_value_is_that_of_scipy_on_shares() -> None:
    rng = np.random.default_rng(0)
    fooled, picture, figure = study(rng, n_pictures=50, n_votes=12, shared=0.6)
    order = rng.permutation(fooled.size)
    found = rank_correlation(fooled[order], picture=picture[order], figure=figure[order], metric="psnr")
    shares = fooled.reshape(50, 12).mean(axis=1)
    assert found.rho == pytest.approx(stats.spearmanr(shares, figure[::12]).statistic)
    assert found.pictures.tolist() == list(range(50))
    assert found.rates == pytest.approx(shares)
    assert (found.figures == figure[::12]).all()
    assert (found.n_votes == 12).all()
    assert (found.n_pictures, found.n_scenes, found.votes_per_picture) == (50, 50, 12)
    assert "12 votes a picture" in found.notes[-1]


@pytest.mark.parametrize("shared", [0.0, 0.5, 0.9])
def test_interval_holds_the_value_of_endlessly_many_pictures(shared: float) -> None:
    rng = np.random.default_rng(2)
    many, _, figures = study(rng, n_pictures=100_000, n_votes=10, shared=shared)
    truth = stats.spearmanr(many.reshape(-1, 10).mean(axis=1), figures[::10]).statistic
    held = []
    for _ in range(200):
        fooled, picture, figure = study(rng, n_pictures=40, n_votes=10, shared=shared)
        found = rank_correlation(fooled, picture=picture, figure=figure, metric="ssim")
        assert found.ci_low is not None
        assert found.ci_high is not None
        held.append(found.ci_low <= truth <= found.ci_high)
    assert 0.91 <= np.mean(held) <= 0.99


def test_interval_counts_photographs_and_not_their_tiles() -> None:
    rng = np.random.default_rng(3)
    fooled, picture, figure = study(rng, n_pictures=60, n_votes=10, shared=0.5)
    apart = rank_correlation(fooled, picture=picture, figure=figure, metric="psnr")
    tiles = rank_correlation(fooled, picture=picture, figure=figure, metric="psnr", scene=picture // 3)
    assert tiles.rho == apart.rho
    assert (tiles.n_pictures, tiles.n_scenes) == (60, 20)
    assert tiles.ci_low is not None
    assert apart.ci_low is not None
    assert tiles.ci_low < apart.ci_low


def test_pictures_without_a_figure_are_left_out_and_counted() -> None:
    rng = np.random.default_rng(4)
    fooled, picture, figure = study(rng, n_pictures=14, n_votes=10, shared=0.5)
    some = np.where(picture < 3, np.nan, figure)
    found = rank_correlation(fooled, picture=picture, figure=some, metric="psnr")
    assert found.n_pictures == 11
    assert found.notes[0] == "Pictures left out, since their psnr was not measured: 3."
    none = rank_correlation(fooled, picture=picture, figure=np.full(140, np.nan), metric="psnr")
    assert (none.n_pictures, none.rho) == (0, None)


def test_order_reversed_is_minus_one_without_a_spread_and_few_pictures_have_no_interval() -> None:
    rater, picture = np.divmod(np.arange(200), 10)
    found = rank_correlation(rater < picture, picture=picture, figure=-1.0 * picture, metric="psnr")
    assert found.rho == pytest.approx(-1)
    assert found.ci_low is None
    assert "the two orders are the same" in found.notes[0]
    few = rank_correlation([True, False, True], picture=[1, 2, 3], figure=[1, 2, 3], metric="psnr")
    assert few.rho is not None
    assert few.ci_low is None
    assert "No interval: 3 pictures" in few.notes[0]


def test_figures_that_do_not_vary_or_contradict_each_other() -> None:
    flat = rank_correlation([True, False], picture=[1, 2], figure=[5, 5], metric="ssim")
    assert flat.rho is None
    assert flat.notes == ("No correlation: all fool rates or all figures are alike.",)
    with pytest.raises(ValueError, match="picture 1 has two figures of ssim"):
        rank_correlation([True, False], picture=[1, 1], figure=[5, 6], metric="ssim")
    with pytest.raises(ValueError, match="must be aligned"):
        rank_correlation([True], picture=[1, 1], figure=[5], metric="ssim")
