import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special

from studies.statistics.comparison import difference_parts
from studies.statistics.fool_rate import fool_rate, variance_parts
from studies.statistics.sequential import (
    Betting,
    bets,
    confidence_sequence,
    difference_sequence,
    live_difference,
    live_fool_rate,
    log_capital,
)

X = np.array([0.1, 0.3, 0, 0.2, 0.25, 0.15, 0.05, 0.4, 0.1, 0.2] * 10)
D = np.array([0.1, 0, 0.2, 0.3, -0.1, 0.2, 0.1, 0, 0.3, 0.15] * 10)
CONFSEQ = Betting(mean=0.5, variance=0.25, cap=0.5)


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        (
            confidence_sequence(X),
            {
                1: (0, 1),
                5: (0.036185, 0.627800),
                10: (0.071421, 0.453619),
                20: (0.095148, 0.332811),
                50: (0.122002, 0.246661),
                100: (0.134895, 0.214439),
            },
        ),
        (
            confidence_sequence(X, betting=CONFSEQ),
            {
                5: (0, 0.740842),
                10: (0.035458, 0.566854),
                20: (0.088454, 0.416258),
                50: (0.124057, 0.288352),
                100: (0.139814, 0.236543),
            },
        ),
        (confidence_sequence(np.zeros(100)), {10: (0, 0.331415), 50: (0, 0.078405), 100: (0, 0.040079)}),
        (
            difference_sequence(D),
            {10: (-0.252260, 0.420527), 50: (0.030863, 0.199900), 100: (0.073756, 0.166624)},
        ),
    ],
    ids=["recommended", "constants of confseq", "nobody fooled", "differences"],
)
def test_reference_sequences(sequence: Any, expected: dict[int, tuple[float, float]]) -> None:
    for t, ends in expected.items():
        assert (sequence.low[t - 1], sequence.high[t - 1]) == pytest.approx(ends, abs=6e-7)


def test_stakes_and_capital_of_the_reference_sequence() -> None:
    stakes = bets(X[:10])
    assert stakes[:3] == pytest.approx([18.836008, 14.374685, 11.190256], abs=5e-7)
    assert log_capital(X[:10], 0.1, stakes=stakes, cap=0.9) == pytest.approx(1.447283, abs=5e-7)
    assert log_capital(1 - X[:10], 0.7, stakes=stakes, cap=0.9) == pytest.approx(1.405551, abs=5e-7)


means = st.lists(st.integers(0, 10).map(lambda k: k / 10), min_size=1, max_size=40)


@given(means=means, alpha=st.sampled_from([0.01, 0.05, 0.2]))
def test_ends_move_inwards_only_and_mirror_each_other(means: list[float], alpha: float) -> None:
    x = np.array(means)
    low, high = confidence_sequence(x, alpha=alpha)
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) <= 0).all()
    half = Betting(mean=0.5, variance=0.03, cap=0.9)
    seen, mirrored = (confidence_sequence(values, alpha=alpha, betting=half) for values in (x, 1 - x))
    assert mirrored.low == pytest.approx(1 - seen.high, abs=1e-9)
    assert mirrored.high == pytest.approx(1 - seen.low, abs=1e-9)


@given(means=means)
def test_ends_are_where_the_capital_reaches_the_goal(means: list[float]) -> None:
    """A grid of shares, judged one by one at every time, gives the same running intersection to within its step."""
    x, step = np.array(means), 1 / 200
    low, _ = confidence_sequence(x)
    stakes, out = bets(x), 0.0
    for t in range(1, x.size + 1):
        for share in np.arange(step, x[:t].mean(), step):
            if log_capital(x[:t], share, stakes=stakes[:t], cap=0.9) >= np.log(40):
                out = max(out, float(share))
        assert out - 1e-9 <= low[t - 1] < out + step + 1e-9


@given(means=means)
def test_later_raters_change_no_earlier_interval(means: list[float]) -> None:
    whole = confidence_sequence(means)
    part = confidence_sequence(means[: len(means) // 2])
    assert (part.low == whole.low[: len(means) // 2]).all()
    assert (part.high == whole.high[: len(means) // 2]).all()


def test_three_hundred_raters_take_less_than_a_tenth_of_a_second() -> None:
    x = np.random.default_rng(0).binomial(40, 0.28, 300) / 40

    def seconds() -> float:
        start = time.perf_counter()
        confidence_sequence(x)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.1


def study(
    rng: np.random.Generator, *, n_raters: int = 60, n_photos: int = 40, mu: float = -1.0
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64], float]:
    """Return votes of raters on all photos, and the raters' expected mean on just these photos."""
    rater, photo = np.divmod(np.arange(n_raters * n_photos), n_photos)
    photos = 0.8 * rng.normal(size=n_photos)
    chance = special.expit(mu + 0.8 * rng.normal(size=n_raters)[rater] + photos[photo])
    many = special.expit(mu + 0.8 * np.random.default_rng(1).normal(size=(4000, 1)) + photos)
    return rng.random(rater.size) < chance, rater, photo, float(many.mean())


def test_truth_is_at_all_times_inside_the_sequence_where_it_leaves_the_fixed_interval() -> None:
    """60 raters of 40 votes, looked at after each from the tenth: the nominal chance to be ever wrong is 5 %."""
    rng, n_studies = np.random.default_rng(4), 150
    ever_out = ever_out_fixed = 0
    for _ in range(n_studies):
        fooled, _, _, truth = study(rng)
        x = fooled.reshape(60, 40).mean(axis=1)
        low, high = confidence_sequence(x)
        ever_out += bool(((low > truth) | (high < truth)).any())
        t = np.arange(1, 61)
        mean = np.cumsum(x) / t
        error = np.sqrt(np.maximum(np.cumsum(x**2) / t - mean**2, 1e-9) / t)
        ever_out_fixed += bool((np.abs(mean - truth) > 2 * error)[9:].any())
    assert ever_out / n_studies <= 0.05
    assert ever_out_fixed / n_studies > 0.15


def test_rate_for_these_images_is_the_sequence_in_the_order_of_finishing() -> None:
    fooled, rater, photo, _ = study(np.random.default_rng(0))
    finished = np.random.default_rng(1).permutation(60)[rater]
    x = fooled.reshape(60, 40).mean(axis=1)[np.argsort(finished[::40])]
    low, high = confidence_sequence(x, alpha=0.05 / 4)
    order = np.random.default_rng(2).permutation(rater.size)
    live = live_fool_rate(
        fooled[order],
        rater=[f"r{code}" for code in rater[order]],
        photo=photo[order],
        finished=np.datetime64("2026-01-01") + finished[order],
        n_shown=4,
        estimand="these",
    )
    assert (live.ci_low, live.ci_high) == (low[-1], high[-1])
    assert live.estimate == pytest.approx(fooled.mean())
    assert (live.n_raters, live.alpha, live.n_shown, live.notes) == (60, 0.05, 4, ())


def test_new_images_take_half_of_alpha_and_what_images_add() -> None:
    fooled, rater, photo, _ = study(np.random.default_rng(0))
    live = live_fool_rate(fooled, rater=rater, photo=photo, finished=rater)
    low, high = confidence_sequence(fooled.reshape(60, 40).mean(axis=1), alpha=0.025)
    parts = variance_parts(fooled, rater=rater, photo=photo)
    more = special.ndtri(1 - 0.05 / 4) * np.sqrt(parts.photos - parts.cells)
    assert (live.ci_low, live.ci_high) == pytest.approx((low[-1] - more, high[-1] + more))
    fixed = fool_rate(fooled, rater=rater, photo=photo)
    assert live.ci_low is not None
    assert fixed.ci_low is not None
    assert live.ci_low < fixed.ci_low


def test_few_images_give_no_interval_for_new_ones() -> None:
    fooled, rater, photo, _ = study(np.random.default_rng(0))
    live = live_fool_rate(fooled, rater=rater, photo=photo, scene=photo // 5, finished=rater)
    assert live.ci_low is live.ci_high is None
    assert live.notes == ("No interval for new images: 60 raters and 8 images; it takes at least 10 of each.",)


def test_raters_who_come_again_count_with_their_first_session() -> None:
    fooled, rater, photo, _ = study(np.random.default_rng(0))
    finished = rater.copy()
    came_again = (rater < 3) & (photo >= 20)
    finished[came_again] = 100
    live = live_fool_rate(fooled, rater=rater, photo=photo, finished=finished, estimand="these")
    first = live_fool_rate(
        fooled[~came_again],
        rater=rater[~came_again],
        photo=photo[~came_again],
        finished=rater[~came_again],
        estimand="these",
    )
    assert (live.estimate, live.ci_low, live.ci_high) == (first.estimate, first.ci_low, first.ci_high)
    assert live.notes[0] == "3 raters came again: only first sessions are met."
    assert live.notes[1].startswith("Raters gave 20 to 40 votes: each rater counts once here (")


def two_conditions(*, between: bool) -> tuple[Any, Any, Any, Any]:
    rng = np.random.default_rng(3)
    rater, photo = np.divmod(np.arange(80 * 40), 40)
    is_a = (rater % 2 == 0) if between else (rater + photo) % 2 == 0
    chance = special.expit(-1.5 + 1.2 * is_a + 0.6 * rng.normal(size=80)[rater] + 0.6 * rng.normal(size=40)[photo])
    return rng.random(rater.size) < chance, is_a, rater, photo


def test_difference_within_raters_is_the_sequence_of_their_differences() -> None:
    fooled, is_a, rater, photo = two_conditions(between=False)
    live = live_difference(fooled, is_a, rater=rater, photo=photo, finished=rater, estimand="these", n_shown=2)
    d = [fooled[(rater == r) & is_a].mean() - fooled[(rater == r) & ~is_a].mean() for r in range(80)]
    low, high = difference_sequence(d, alpha=0.025)
    assert (live.estimate, live.ci_low, live.ci_high) == pytest.approx((np.mean(d), low[-1], high[-1]))
    new = live_difference(fooled, is_a, rater=rater, photo=photo, finished=rater, n_shown=2)
    parts = difference_parts(fooled, is_a, rater=rater, photo=photo)
    more = special.ndtri(1 - 0.025 / 4) * np.sqrt(max(parts.photos - parts.cells, 0))
    assert new.ci_low == pytest.approx(difference_sequence(d, alpha=0.0125).low[-1] - more)


def test_raters_of_one_condition_only_are_set_aside_where_others_judged_both() -> None:
    fooled, is_a, rater, photo = two_conditions(between=False)
    kept = (rater >= 5) | is_a
    found = [
        live_difference(fooled[m], is_a[m], rater=rater[m], photo=photo[m], finished=rater[m], estimand="these")
        for m in (kept, rater >= 5)
    ]
    assert (found[0].estimate, found[0].ci_low) == (found[1].estimate, found[1].ci_low)
    assert found[0].notes == ("Raters who judged one of the two only are set aside: 5.",)
    assert found[0].n_raters == 75


def test_difference_between_raters_takes_two_sequences() -> None:
    fooled, is_a, rater, photo = two_conditions(between=True)
    live = live_difference(fooled, is_a, rater=rater, photo=photo, finished=rater, estimand="these")
    x = fooled.reshape(80, 40).mean(axis=1)
    a, b = confidence_sequence(x[::2], alpha=0.025), confidence_sequence(x[1::2], alpha=0.025)
    assert (live.ci_low, live.ci_high) == pytest.approx((a.low[-1] - b.high[-1], a.high[-1] - b.low[-1]))
    assert live.estimate == pytest.approx(fooled[is_a].mean() - fooled[~is_a].mean())
    assert live.notes == ("No rater judged both: each condition has a sequence of its own, at half of alpha.",)


def test_before_the_first_rater_there_is_nothing_to_show() -> None:
    none: list[int] = []
    assert live_fool_rate(none, rater=none, photo=none, finished=none).estimate is None
    assert live_difference([1], [True], rater=[1], photo=[1], finished=[1]).notes == (
        "No difference yet: one of the two has no vote.",
    )


def test_raters_that_drift_leave_no_share_and_a_sentence_says_so() -> None:
    rater, photo = np.divmod(np.arange(400 * 10), 10)
    live = live_fool_rate(rater >= 200, rater=rater, photo=photo, finished=rater)
    assert live.ci_low is None
    assert live.notes == ("No interval: raters' means have drifted, so that no single share fits all of them.",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "alpha must lie between 0 and 1, got 0"),
        ({"n_shown": 0}, "n_shown must be at least 1, got 0"),
        ({"estimand": "old"}, "estimand must be one of new, these, got 'old'"),
        ({"finished": [1]}, "aligned"),
        ({"fooled": [0, 7]}, "0 and 1 only, got 7"),
    ],
)
def test_meaningless_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    arguments = {"fooled": [0, 1], "rater": [1, 2], "photo": [1, 2], "finished": [1, 2]} | options
    with pytest.raises(ValueError, match=message):
        live_fool_rate(**arguments)


@pytest.mark.parametrize("means", [[0.5, 1.5], [float("nan")], [[0.5]]])
def test_means_outside_the_unit_range_are_refused(means: Any) -> None:
    with pytest.raises(ValueError, match=r"means must be a row of numbers in \[0, 1\]"):
        confidence_sequence(means)
