import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.equivalence import against_half, equivalence
from studies.statistics.fool_rate import FoolRate, IntervalMethod, fool_rate


def judged(rate: float, *, n_raters: int = 60, n_photos: int = 60, alpha: float = 0.05, seed: int = 0) -> FoolRate:
    rater, photo = np.divmod(np.arange(n_raters * n_photos), n_photos)
    fooled = np.random.default_rng(seed).permutation(rater.size) < round(rate * rater.size)
    return fool_rate(fooled, rater=rater, photo=photo, alpha=alpha)


@given(rate=st.floats(0.05, 0.95), alpha=st.sampled_from([0.01, 0.05, 0.2]), margin=st.floats(0.01, 0.49))
def test_verdicts_follow_from_the_intervals(rate: float, alpha: float, margin: float) -> None:
    found = judged(rate, alpha=alpha, n_raters=20, n_photos=20)
    half, test = against_half(found, condition="c"), equivalence(found, condition="c", margin=margin)
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert half.side == ("below" if found.ci_high < 0.5 else "above" if found.ci_low > 0.5 else "undecided")
    wider = judged(rate, alpha=2 * alpha, n_raters=20, n_photos=20)  # the interval of the two one-sided tests
    assert (test.ci_low, test.ci_high) == (wider.ci_low, wider.ci_high)
    assert wider.ci_low is not None
    assert wider.ci_high is not None
    assert test.is_nearly_fooling is (wider.ci_low > 0.5 - margin)
    assert test.is_equivalent is (wider.ci_low > 0.5 - margin and wider.ci_high < 0.5 + margin)


@pytest.mark.parametrize("method", ["two_way_wilson", "korn_graubard"])
def test_interval_at_another_level_is_the_one_that_is_computed_there(method: IntervalMethod) -> None:
    rater, photo = np.divmod(np.arange(900), 30)
    fooled = (rater * 7 + photo * 5) % 11 < 4
    at_95, at_80 = (fool_rate(fooled, rater=rater, photo=photo, alpha=alpha, method=method) for alpha in (0.05, 0.2))
    assert at_95.interval(0.2) == (at_80.ci_low, at_80.ci_high)


def test_rate_near_half_with_few_votes_is_neither_told_nor_shown_to_be_half() -> None:
    found = judged(0.49, n_raters=12, n_photos=12)
    half, test = against_half(found, condition="smooth"), equivalence(found, condition="smooth")
    assert half.side == "undecided"
    assert test.is_equivalent is False
    assert half.wording({"smooth": "Smooth"}).startswith("The votes do not decide whether Smooth is told from photos")
    assert "That does not show that it cannot be told from photos" in half.wording()
    assert test.wording().startswith("smooth is not shown to be indistinguishable from photos")
    assert test.wording().endswith("That does not show that it can be told from them.")


def test_rate_of_half_with_many_votes_is_half_to_within_the_margin() -> None:
    test = equivalence(judged(0.5), condition="smooth", margin=0.05)
    assert test.is_equivalent
    assert test.wording().startswith(
        "smooth cannot be told from photos to within the margin set beforehand: "
        "the interval lies wholly inside 45.0 to 55.0 % (50.0 %, 90 % interval "
    )
    assert test.wording().endswith("for new raters and new images; two one-sided tests at 5 %).")


def test_rate_above_half_nearly_fools_and_is_not_called_equal() -> None:
    found = judged(0.56)
    half, test = against_half(found, condition="smooth"), equivalence(found, condition="smooth")
    assert half.side == "above"
    assert half.wording().startswith("smooth is taken for the photo more often than the photo itself: in 56.0 % ")
    assert (test.is_equivalent, test.is_nearly_fooling) == (False, True)
    assert test.wording().startswith("smooth fools raters at least nearly half of the time")
    assert "not shown to be within 45.0 to 55.0 %" in test.wording()


def test_low_rate_is_told_from_photos() -> None:
    found = judged(0.2)
    assert (
        against_half(found, condition="smooth")
        .wording()
        .startswith("smooth is told from photos more often than by guessing: it fools raters in 20.0 % (95 % interval ")
    )
    assert (
        equivalence(found, condition="smooth")
        .wording()
        .startswith("smooth can be told from photos by more than the margin: the interval lies below 45.0 to 55.0 %")
    )


def test_without_an_interval_there_is_no_statement_about_half() -> None:
    found = judged(0.5, n_raters=5)
    half, test = against_half(found, condition="smooth"), equivalence(found, condition="smooth")
    assert half.side == "unknown"
    assert test.is_equivalent is test.is_nearly_fooling is test.ci_low is None
    assert half.wording() == "smooth: 50.0 %, without an interval: no statement about 50 %."
    assert test.wording() == "smooth: 50.0 %, without an interval: no test of equivalence with 50 %."


def test_meaningless_margins_and_levels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"margin must lie between 0 and 0\.5, such as 0\.05 for five points, got 5"):
        equivalence(judged(0.5), condition="c", margin=5)
    with pytest.raises(ValueError, match=r"alpha below 0\.5, got 0\.6"):
        equivalence(judged(0.5, alpha=0.6), condition="c")
