import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special
from statsmodels.stats.multitest import multipletests

from studies.statistics.comparison import (
    Difference,
    DifferenceParts,
    comparisons,
    difference,
    difference_parts,
    holm,
)
from studies.statistics.fool_rate import Estimand, fool_rate
from studies.statistics.results import result_table
from studies.statistics.simulation import fooled_probabilities
from tests.statistics.made_up import CONDITIONS, as_votes, made_up_rows

Codes = NDArray[np.int64]
LABELS = {condition.name: condition.label for condition in CONDITIONS}


def f4() -> DifferenceParts:
    return difference_parts(
        [0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0],
        np.array(list("AABBBAABABBA")) == "A",
        rater=np.repeat([1, 2, 3], 4),
        photo=np.tile([1, 2, 3, 4], 3),
    )


def within(
    rng: np.random.Generator, *, rate_a: float, rate_b: float, n_raters: int = 40, n_photos: int = 40
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Codes, Codes]:
    """Every rater sees every photo once, half of them from A; effects of raters and photos are shared."""
    rater, photo = np.divmod(np.arange(n_raters * n_photos), n_photos)
    is_a = (rater + photo) % 2 == 0
    raters, photos = rng.normal(size=n_raters)[rater], rng.normal(size=n_photos)[photo]
    chance = [
        fooled_probabilities(rate, rater_effects=raters, photo_effects=photos, spread=0.6) for rate in (rate_a, rate_b)
    ]
    return rng.random(rater.size) < np.where(is_a, *chance), is_a, rater, photo


def test_twelve_votes_by_hand() -> None:
    parts = f4()
    assert (parts.n_raters, parts.n_raters_both, parts.n_photos, parts.n_photos_both) == (3, 3, 4, 4)
    assert parts.difference == pytest.approx(1 / 6, rel=1e-15)
    assert parts.raters == pytest.approx(1 / 9, rel=1e-15)
    assert parts.photos == pytest.approx(5 / 54, rel=1e-15)
    assert parts.cells == pytest.approx(13 / 198, rel=1e-15)
    assert parts.variance() == pytest.approx(41 / 297, rel=1e-14)
    assert parts.variance("these") == parts.raters
    assert (parts.df(), parts.df("these")) == (2, 2)
    assert parts.interval() == pytest.approx((-1.4319708, 1.7653042), abs=5e-8)
    assert parts.p_value() == pytest.approx(0.6976546, abs=5e-8)


@pytest.mark.parametrize("seed", range(4))
def test_variance_is_that_of_statsmodels_for_a_dummy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 700
    rater, photo, is_a = rng.integers(0, 30, n), rng.integers(0, 25, n), rng.random(n) < 0.4
    effect = rng.normal(size=30)[rater] + rng.normal(size=25)[photo] + 0.7 * is_a
    fooled = rng.random(n) < special.expit(effect - 1)
    parts = difference_parts(fooled, is_a, rater=rater, photo=photo)
    design = sm.add_constant(is_a.astype(float))
    fit = sm.OLS(fooled.astype(float), design).fit(
        cov_type="cluster", cov_kwds={"groups": np.column_stack([rater, photo])}
    )
    one_way = sm.OLS(fooled.astype(float), design).fit(cov_type="cluster", cov_kwds={"groups": rater})
    correction = (n - 2) / (n - 1)  # statsmodels divides by the residual degrees of freedom
    assert parts.difference == pytest.approx(float(fit.params[1]), rel=1e-10)
    assert parts.raters + parts.photos - parts.cells == pytest.approx(float(fit.bse[1]) ** 2 * correction, rel=1e-9)
    assert parts.variance("these") == pytest.approx(float(one_way.bse[1]) ** 2 * correction, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_holm_is_that_of_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).random(7) ** 3
    assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1], rel=1e-12)


def test_holm_counts_comparisons_that_could_not_be_tested() -> None:
    assert holm([0.04, 0.001, 0.03, 0.02]) == pytest.approx([0.06, 0.004, 0.06, 0.06])
    assert holm([None, 0.02, None]) == [None, pytest.approx(0.06), None]
    assert holm([]) == []


ballots = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 13), st.integers(0, 13)), min_size=2, max_size=120
).filter(lambda votes: 0 < sum(is_a for _, is_a, _, _ in votes) < len(votes))


@given(ballots=ballots, estimand=st.sampled_from(["new", "these"]), seed=st.integers(0, 2**32 - 1))
def test_names_order_and_sides_change_nothing_but_the_sign(
    ballots: list[tuple[bool, bool, int, int]], estimand: Estimand, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    fooled, is_a, rater, photo = map(np.array, zip(*ballots, strict=True))
    one = difference(fooled, is_a, rater=rater, photo=photo, estimand=estimand)
    order = rng.permutation(len(ballots))
    raters = np.array([f"rater {code}" for code in rng.permutation(14)])[rater]
    photos = rng.integers(10**12, 10**13, 14, endpoint=True)[photo]
    other = difference(fooled[order], ~is_a[order], rater=raters[order], photo=photos[order], estimand=estimand)
    assert (one.rate_a, one.rate_b, one.standard_error, one.p) == (
        other.rate_b,
        other.rate_a,
        other.standard_error,
        other.p,
    )
    assert one.difference is not None
    assert other.difference == -one.difference
    if one.ci_low is not None and one.ci_high is not None:
        assert -1 <= one.ci_low <= one.difference <= one.ci_high <= 1
        assert (other.ci_low, other.ci_high) == (-one.ci_high, -one.ci_low)


def test_more_tests_give_a_wider_interval_and_the_same_p() -> None:
    fooled, is_a, rater, photo = within(np.random.default_rng(3), rate_a=0.3, rate_b=0.1)
    found = [difference(fooled, is_a, rater=rater, photo=photo, n_tests=n) for n in (1, 3, 10)]
    widths = [one.ci_high - one.ci_low for one in found if one.ci_high is not None and one.ci_low is not None]
    assert widths == sorted(widths)
    assert len(set(widths)) == 3
    assert len({one.p for one in found}) == 1


def test_test_and_unadjusted_interval_agree_about_zero() -> None:
    decided = set()
    for seed in range(30):
        fooled, is_a, rater, photo = within(np.random.default_rng(seed), rate_a=0.22, rate_b=0.16, n_photos=20)
        one = difference(fooled, is_a, rater=rater, photo=photo)
        assert one.p is not None
        assert one.ci_low is not None
        assert one.ci_high is not None
        assert (one.p <= 0.05) is not (one.ci_low <= 0 <= one.ci_high)
        decided.add(one.p <= 0.05)
    assert decided == {True, False}


def test_shared_raters_and_photos_make_a_difference_more_precise_than_two_intervals() -> None:
    fooled, is_a, rater, photo = within(np.random.default_rng(0), rate_a=0.3, rate_b=0.3)
    together = difference(fooled, is_a, rater=rater, photo=photo)
    apart = [fool_rate(fooled[side], rater=rater[side], photo=photo[side]) for side in (is_a, ~is_a)]
    assert together.ci_high is not None
    assert together.ci_low is not None
    half = (together.ci_high - together.ci_low) / 2
    halves = [(one.ci_high - one.ci_low) / 2 for one in apart if one.ci_high is not None and one.ci_low is not None]
    assert half < 0.8 * math.hypot(*halves)


def test_tiles_of_one_scene_are_one_cluster() -> None:
    rater, photo = np.divmod(np.arange(40 * 48), 48)
    is_a, scene = (rater + photo) % 2 == 0, photo // 3
    fooled = (rater * 5 + scene * 7 + is_a) % 5 < 2
    by_scene = difference(fooled, is_a, rater=rater, photo=photo, scene=scene)
    as_photos = difference(fooled, is_a, rater=rater, photo=scene)
    assert (by_scene.n_photos, by_scene.n_scenes) == (48, 16)
    assert (as_photos.n_photos, as_photos.n_scenes) == (16, 16)
    assert (by_scene.standard_error, by_scene.p) == (as_photos.standard_error, as_photos.p)
    assert by_scene.notes == ("Few clusters: 40 raters and 16 scenes; below 30 of either the interval is approximate.",)


@pytest.mark.parametrize(
    ("n_raters", "fooled", "note"),
    [
        (9, "some", "No interval: 9 raters and 40 photos; it takes at least 10 of each."),
        (40, "none", "No difference measurable: nobody was fooled by either."),
        (40, "a", "No test: all votes on each condition are alike, so that their variance cannot be estimated."),
        (40, "even", "No test: the votes are spread too evenly for their variance to be estimated."),
    ],
)
def test_where_votes_give_no_test_there_is_none_and_a_sentence_says_why(n_raters: int, fooled: str, note: str) -> None:
    rater, photo = np.divmod(np.arange(n_raters * 40), 40)
    is_a = (rater + photo) % 2 == 0
    y = {
        "some": (rater * 3 + photo * 5) % 7 < 2,
        "none": np.zeros(rater.size, bool),
        "a": is_a,
        "even": (rater // 2 + photo // 2) % 2 == 0,
    }[fooled]
    one = difference(y, is_a, rater=rater, photo=photo)
    assert one.difference is not None
    assert one.ci_low is one.ci_high is one.p is one.p_holm is one.standard_error is None
    assert not one.is_shown
    assert note in one.notes
    assert note in one.wording()


def test_condition_that_fooled_nobody_is_compared_and_the_gap_named() -> None:
    fooled, is_a, rater, photo = within(np.random.default_rng(5), rate_a=0.3, rate_b=0.3)
    one = difference(fooled & is_a, is_a, rater=rater, photo=photo, condition_b="smooth")
    assert one.is_shown
    assert one.notes == ("All votes on smooth are alike: the interval allows for the other's variance only.",)


def test_conditions_on_other_photos_and_other_raters_are_compared_with_a_warning() -> None:
    rng = np.random.default_rng(1)
    rater, photo = np.divmod(np.arange(40 * 30), 30)
    is_a = rater < 20
    photo = np.where(is_a, photo, photo + 15)
    one = difference(rng.random(rater.size) < 0.3, is_a, rater=rater, photo=photo)
    assert (one.n_raters, one.n_raters_both, one.n_photos, one.n_photos_both) == (40, 0, 45, 15)
    assert one.notes == (
        "15 of 45 photos have votes on both: part of the difference may be one between photos.",
        "No rater judged both: a comparison between raters, less precise than one within raters.",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 5}, "alpha must lie between 0 and 1, got 5"),
        ({"n_tests": 0}, "n_tests must be at least 1, got 0"),
        ({"estimand": "old"}, "estimand must be one of new, these, got 'old'"),
    ],
)
def test_meaningless_arguments_of_a_difference_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        difference([0, 1], [0, 1], rater=[1, 2], photo=[1, 2], **options)


@pytest.mark.parametrize(
    ("fooled", "is_a", "message"),
    [
        ([0, 1], [1, 1], "votes on both conditions, got 2 on A and 0 on B"),
        ([0, 3], [0, 1], "0 and 1 only, got 3"),
        ([0, 1, 1], [0, 1], "aligned"),
    ],
)
def test_wrong_votes_are_refused(fooled: list[int], is_a: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        difference_parts(fooled, is_a, rater=[1, 2], photo=[1, 2])


def test_comparisons_count_the_votes_that_the_results_table_counts() -> None:
    votes = as_votes(made_up_rows(n_raters=40))
    rows = {row.condition: row for row in result_table(votes, conditions=CONDITIONS, fidelity={}, study="s").rows}
    found = comparisons(votes, conditions=CONDITIONS, reference="regression", margin=0.05)
    (one,) = found.differences
    assert (one.condition_a, one.condition_b) == ("prsr_11", "regression")
    assert (one.rate_a, one.rate_b) == (rows["prsr_11"].fool_rate, rows["regression"].fool_rate)
    assert (one.n_responses_a, one.n_responses_b) == (rows["prsr_11"].n_responses, rows["regression"].n_responses)
    assert one.p_holm == one.p
    for half in found.against_half:
        row = rows[half.condition]
        assert (half.rate, half.ci_low, half.ci_high) == (row.fool_rate, row.ci_low, row.ci_high)
    assert [test.condition for test in found.equivalence] == ["regression", "prsr_11"]
    everyone = comparisons(votes, conditions=CONDITIONS, reference="regression", everyone=True)
    assert everyone.differences[0].n_responses_a == rows["prsr_11"].n_responses_all
    assert everyone.equivalence == ()


def test_all_pairs_share_the_level_and_their_p_values_are_those_of_holm() -> None:
    rows = made_up_rows(n_raters=40)
    third = [
        dict(row, condition="third", session=f"t{row['session']}") for row in rows if row["condition"] == "prsr_11"
    ]
    conditions = (*CONDITIONS, CONDITIONS[2].__class__(name="third", label="Third"))
    found = comparisons(as_votes(rows + third), conditions=conditions, family="all_pairs", alpha=0.1)
    names = ["regression", "prsr_11", "third"]
    pairs = [(one.condition_a, one.condition_b) for one in found.differences]
    assert pairs == [(b, a) for a, b in itertools.combinations(names, 2)]
    assert {(one.n_tests, one.ci_alpha) for one in found.differences} == {(3, 0.1 / 3)}
    assert [one.p_holm for one in found.differences] == holm([one.p for one in found.differences])


def test_condition_without_a_vote_still_counts_in_the_family() -> None:
    conditions = (*CONDITIONS, CONDITIONS[2].__class__(name="late", label="Late"))
    found = comparisons(as_votes(made_up_rows(n_raters=40)), conditions=conditions, reference="regression")
    tested, late = found.differences
    assert tested.n_tests == late.n_tests == 2
    assert tested.p is not None
    assert tested.p_holm == pytest.approx(min(1.0, 2 * tested.p))
    assert late.rate_a is late.difference is late.p_holm is None
    assert late.wording({"late": "Late"}) == "Late and regression cannot be compared. No counted vote on late."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference": "bicubic"}, "reference must be a test condition, one of regression, prsr_11; got 'bicubic'"),
        ({}, "got None"),
        ({"family": "all_pairs", "reference": "regression"}, "has no reference, got 'regression'"),
        ({"family": "some"}, "family must be one of reference, all_pairs, got 'some'"),
        ({"reference": "regression", "origin": "robot"}, "origin must be one of person, simulated, got 'robot'"),
    ],
)
def test_families_that_have_no_meaning_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        comparisons(as_votes(made_up_rows()), conditions=CONDITIONS, **options)


CLAIMS_OF_SAMENESS = re.compile(r"no difference|not different|equally|indistinguishable|are alike(?! )", re.IGNORECASE)


def compared(rate_a: float, rate_b: float, **options: Any) -> Difference:
    fooled, is_a, rater, photo = within(np.random.default_rng(8), rate_a=rate_a, rate_b=rate_b)
    return difference(
        fooled, is_a, rater=rater, photo=photo, condition_a="prsr_11", condition_b="regression", **options
    )


def test_shown_difference_is_worded_with_its_direction_interval_and_scope() -> None:
    words = compared(0.3, 0.1, n_tests=3).wording(LABELS)
    assert re.fullmatch(
        r"pixel recursive, τ 1\.1 fools raters more often than Regression & friends: \d+\.\d against \d+\.\d %, "
        r"a difference of \+\d+\.\d points \(95 % interval \+\d+\.\d to \+\d+\.\d, p < 0\.001, "
        r"adjusted for 3 comparisons\), for new raters and new images\.",
        words,
    )
    assert "fools raters less often" in compared(0.1, 0.3).wording(LABELS)


def test_difference_that_is_not_shown_is_never_worded_as_sameness() -> None:
    one = compared(0.3, 0.3, estimand="these")
    assert not one.is_shown
    words = one.wording()
    assert words.startswith("The votes do not decide which of prsr_11 and regression fools raters more often: ")
    assert "for new raters on these images only" in words
    assert words.endswith(
        "That does not show that the two are alike: any difference inside the interval remains possible."
    )
    assert not CLAIMS_OF_SAMENESS.search(words.replace("That does not show that the two are alike", ""))


def test_interval_that_is_stricter_than_the_test_is_explained() -> None:
    fooled, is_a, rater, photo = within(np.random.default_rng(2), rate_a=0.3, rate_b=0.22)
    one = difference(fooled, is_a, rater=rater, photo=photo, n_tests=1000)
    assert one.p is not None
    assert one.ci_low is not None
    assert one.p < 0.05
    assert one.ci_low < 0
    shown = Difference(**{name: getattr(one, name) for name in one.__slots__} | {"p_holm": one.p})
    assert shown.wording().endswith(
        "The interval holds 0 because it is adjusted more strictly than the test, which decides."
    )


def test_interval_covers_the_difference_and_the_test_keeps_its_level() -> None:
    """50 raters, 50 photos, 10 votes of a rater on each condition; effects shared and of each condition."""
    rng, n_studies, n_clusters = np.random.default_rng(6), 300, 50
    rater = np.repeat(np.arange(n_clusters), 20)
    is_a = np.tile(np.arange(20) < 10, n_clusters)
    covered = independent = 0
    for _ in range(n_studies):
        photo = rng.permuted(np.tile(np.arange(n_clusters), (n_clusters, 1)), axis=1)[:, :20].ravel()
        effects = [0.7 * rng.normal(size=(n_clusters, 1)) + 0.4 * rng.normal(size=(n_clusters, 2)) for _ in range(2)]
        total = sum(effect[codes, is_a.astype(int)] for effect, codes in zip(effects, (rater, photo), strict=True))
        fooled = rng.random(rater.size) < special.expit(total - 1)
        one = difference(fooled, is_a, rater=rater, photo=photo)
        assert one.ci_low is not None
        assert one.ci_high is not None
        assert one.difference is not None
        covered += one.ci_low <= 0 <= one.ci_high
        rates = [fooled[is_a].mean(), fooled[~is_a].mean()]
        independent += abs(one.difference) <= 1.96 * np.sqrt(sum(p * (1 - p) for p in rates) / 500)
    assert 0.92 <= covered / n_studies <= 0.98
    assert independent < covered
