import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from studies.statistics.fool_rate import variance_parts
from studies.statistics.two_way import two_way_variance


def test_mean_of_votes_has_the_variance_of_the_fool_rate() -> None:
    rng = np.random.default_rng(0)
    rater, photo = rng.integers(0, 30, 500), rng.integers(0, 25, 500)
    votes = rng.random(500) < 0.3
    exact = variance_parts(votes, rater=rater, photo=photo)
    found = two_way_variance((votes - votes.mean()) / 500, rater=rater, photo=photo)
    assert (found.raters, found.photos, found.cells) == pytest.approx((exact.raters, exact.photos, exact.cells))
    assert (found.n_raters, found.n_photos) == (exact.n_raters, exact.n_photos)


def test_slope_has_the_two_way_variance_of_statsmodels() -> None:
    rng = np.random.default_rng(1)
    rater, photo = rng.integers(0, 40, 800), rng.integers(0, 35, 800)
    x = rng.normal(size=800)
    y = 0.3 * x + rng.normal(size=40)[rater] + rng.normal(size=35)[photo] + rng.normal(size=800)
    fitted = sm.OLS(y, sm.add_constant(x)).fit(
        cov_type="cluster", cov_kwds={"groups": np.column_stack([rater, photo]), "use_correction": True}
    )
    centred = x - x.mean()
    influence = centred * fitted.resid / (centred @ centred)
    found = two_way_variance(influence, rater=rater, photo=photo)
    small_sample = (800 - 1) / (800 - 2)  # statsmodels' factor for the coefficients
    assert (found.raters + found.photos - found.cells) * small_sample == pytest.approx(
        float(fitted.cov_params()[1, 1]), rel=1e-9
    )


def test_half_width_is_t_times_the_root_and_absent_with_few_clusters() -> None:
    rater, photo = np.divmod(np.arange(300), 12)
    y = (rater * 7 + photo * 3) % 11 / 11
    found = two_way_variance((y - y.mean()) / 300, rater=rater, photo=photo)
    assert found.half_width(alpha=0.1) == pytest.approx(stats.t.ppf(0.95, 11) * found.variance() ** 0.5)
    assert found.half_width(alpha=0.1, estimand="these") == pytest.approx(stats.t.ppf(0.95, 24) * found.raters**0.5)
    few = two_way_variance(y[:24] - y[:24].mean(), rater=rater[:24], photo=photo[:24])
    assert few.half_width(alpha=0.1) is None
    alone = two_way_variance([0.5, -0.5], rater=[1, 1], photo=[1, 2])
    assert (alone.raters, alone.n_raters) == (0, 1)


def test_votes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="must be aligned"):
        two_way_variance([1.0], rater=[1, 2], photo=[1])
    with pytest.raises(ValueError, match="at least one vote"):
        two_way_variance([], rater=[], photo=[])
