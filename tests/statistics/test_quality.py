import dataclasses
import inspect
import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

from studies.statistics import quality
from studies.statistics.quality import (
    RULE_PRESETS,
    RULES,
    Behaviour,
    QualityRules,
    judge,
    longest_run,
    operating_figures,
    run_probability,
    side_bias,
    wrongly_excluded_at_most,
)

ROBUST = RULE_PRESETS["robust"].rules
SIDES = np.arange(45) % 2 == 0


def behaviour(**changes: Any) -> Behaviour:
    """Return an impeccable session of the founding protocol, with changes."""
    careful: dict[str, Any] = {
        "golden_correct": np.ones(5, dtype=bool),
        "practice_correct": np.ones(10, dtype=bool),
        "rt_ms": np.full(45, 900),
        "chosen_first": SIDES,
    }
    return Behaviour(**careful | changes)


def test_rules_are_given_nothing_of_which_fool_votes_could_be_made() -> None:
    """The truth of a counted pair is in no argument of any function here, nor in what a session is made of."""
    seen = {item.name for item in dataclasses.fields(Behaviour)}
    assert seen == {"golden_correct", "practice_correct", "rt_ms", "chosen_first", "noticed", "is_complete"}
    with pytest.raises(ValueError, match="noticed may count what the rules on browsers ask for, got 'fooled'"):
        Behaviour(noticed={"fooled": 3})
    numbers = {"n_first", "n", "limit", "needed", "kinds", "n_golden", "n_main", "n_practice", "figures"}
    functions = [f for _, f in inspect.getmembers(quality, inspect.isfunction) if f.__module__ == quality.__name__]
    assert judge in functions
    for function in functions:
        if not function.__name__.startswith("_"):
            given = set(inspect.signature(function).parameters)
            assert given <= seen | numbers | {"behaviour", "rules"}, function.__name__
    known = set(vars(quality))
    assert not known & {"Votes", "CompletedVotes", "fool_rate", "results"}


def test_an_impeccable_session_is_kept_by_every_preset() -> None:
    for preset in RULE_PRESETS.values():
        assert judge(behaviour(), preset.rules).broken == ()


@pytest.mark.parametrize(
    ("n_missed", "allowed", "is_excluded"), [(0, 0, False), (1, 0, True), (1, 1, False), (2, 1, True)]
)
def test_more_golden_misses_than_allowed_exclude(n_missed: int, allowed: int, is_excluded: bool) -> None:
    found = judge(behaviour(golden_correct=np.arange(5) >= n_missed), QualityRules(golden_misses_allowed=allowed))
    assert found.reason == ("golden_missed" if is_excluded else "")
    assert judge(behaviour(golden_correct=np.zeros(0, dtype=bool)), QualityRules()).reason == ""


def test_a_fifth_of_fast_answers_or_a_low_median_excludes() -> None:
    rules = QualityRules(fast_ms=300, fast_share=0.2, median_ms_least=400)
    for n_fast, reason in ((8, ""), (9, "too_fast")):  # of 45
        rt_ms = np.where(np.arange(45) < n_fast, 299, 900)
        assert judge(behaviour(rt_ms=rt_ms), rules).reason == reason
    assert judge(behaviour(rt_ms=np.full(45, 300)), rules).reason == "too_fast"  # the median
    assert judge(behaviour(rt_ms=np.full(45, 400)), rules).reason == ""
    assert judge(behaviour(rt_ms=np.zeros(45, dtype=int)), QualityRules()).reason == ""  # both are off


@pytest.mark.parametrize(("n", "low"), [(40, 9), (45, 11)])
def test_sides_are_judged_by_the_exact_binomial_test(n: int, low: int) -> None:
    for n_first in range(n + 1):
        assert side_bias(n_first, n) == pytest.approx(stats.binomtest(n_first, n).pvalue)
        sides = np.random.default_rng(n_first).permutation(np.arange(n) < n_first)
        found = judge(behaviour(rt_ms=np.full(n, 900), chosen_first=sides), QualityRules(side_bias_p=0.001))
        assert (found.reason == "one_sided") == (n_first <= low or n_first >= n - low)


def test_a_long_row_on_one_side_excludes() -> None:
    for length, reason in ((14, ""), (15, "same_side_run")):
        sides = np.concatenate([np.arange(45 - length) % 2 == 0, np.full(length, (45 - length) % 2 == 0)])
        assert longest_run(sides) == length
        assert judge(behaviour(chosen_first=sides), QualityRules(run_limit=15)).reason == reason


def test_failed_practice_is_flagged_and_never_excludes() -> None:
    rules = QualityRules(practice_least=6)
    late = np.arange(20) >= 15  # five right, the last ones
    found = judge(behaviour(practice_correct=late), rules)
    assert (found.broken, found.reason) == (("practice_failed",), "")
    assert judge(behaviour(practice_correct=np.arange(20) >= 14), rules).broken == ()
    assert judge(behaviour(practice_correct=np.zeros(9, dtype=bool)), rules).broken == ()  # too few to judge


@pytest.mark.parametrize(
    ("field", "rule", "cause"),
    [
        ("left_page_limit", "left_page", "3 departures from the page during pairs or more"),
        ("not_in_front_limit", "not_in_front", "3 pairs with the page hidden or without focus or more"),
        ("automated_limit", "automated", "3 answers with signs of a program or more"),
        ("missed_limit", "exposures_missed", "3 pairs that missed their exposure or more"),
    ],
)
def test_what_the_browser_reported_excludes_from_a_count_on(field: str, rule: str, cause: str) -> None:
    rules = QualityRules(**{field: 3})
    assert rules.causes() == (cause,)
    for count, reason in ((0, ""), (2, ""), (3, rule), (40, rule)):
        assert judge(behaviour(noticed={rule: count}), rules).reason == reason
        assert judge(behaviour(noticed={rule: count}), QualityRules()).reason == ""
    (figures,) = operating_figures(rules, n_golden=0, n_main=40, n_practice=0)
    assert (figures.rule, figures.passes, figures.hit, figures.is_flag) == (rule, (), (), False)
    assert figures.effect.startswith("out at 3 ")


def test_incomplete_sessions_are_judged_too() -> None:
    found = judge(behaviour(is_complete=False, golden_correct=np.zeros(2, dtype=bool)), QualityRules())
    assert (found.broken, found.reason) == (("incomplete", "golden_missed"), "incomplete")
    nothing = judge(Behaviour(is_complete=False), ROBUST)
    assert nothing.broken == ("incomplete",)


def test_a_session_that_breaks_several_rules_is_counted_under_the_first() -> None:
    found = judge(behaviour(rt_ms=np.full(45, 50), chosen_first=np.ones(45, dtype=bool)), ROBUST)
    assert found.broken == ("too_fast", "one_sided", "same_side_run")
    assert found.reason == "too_fast"
    assert set(found.broken) < set(RULES)


def test_causes_name_every_rule_that_is_on_and_no_other() -> None:
    assert QualityRules(golden_misses_allowed=1, practice_least=6).causes() == ()
    assert ROBUST.causes() == (
        "20 % of answers or more below 300 ms",
        "a median time below 400 ms",
        "p < 0.001 in an exact two-sided binomial test of the sides chosen",
        "15 answers or more in a row on one side",
    )


@pytest.mark.parametrize("n", range(1, 11))
def test_chance_of_a_run_is_that_of_counting_all_orders(n: int) -> None:
    runs = [longest_run(np.array(sides, dtype=bool)) for sides in itertools.product((0, 1), repeat=n)]
    for limit in range(2, n + 2):
        assert run_probability(limit, n) == pytest.approx(np.mean([run >= limit for run in runs]))


def test_chances_of_runs_agree_with_known_values() -> None:
    assert run_probability(15, 45) == pytest.approx(0.000976, abs=1e-6)
    assert run_probability(15, 40) == pytest.approx(0.000824, abs=1e-6)
    assert run_probability(12, 40) == pytest.approx(0.007314, abs=1e-6)
    assert (run_probability(3, 3), run_probability(3, 4)) == (0.25, 0.375)


@pytest.mark.parametrize(
    ("n_golden", "allowed", "guesser", "right_98", "right_95"),
    [(8, 1, 0.035156, 0.010, 0.057), (5, 0, 0.03125, 0.096, 0.226), (5, 1, 0.1875, 0.0038, 0.0226)],
)
def test_operating_figures_of_the_golden_rule(
    n_golden: int, allowed: int, guesser: float, right_98: float, right_95: float
) -> None:
    rules = QualityRules(golden_misses_allowed=allowed)
    (golden,) = operating_figures(rules, n_golden=n_golden, n_main=45, n_practice=10)
    assert golden.passes[0].probability == pytest.approx(guesser, abs=1e-6)
    assert [chance.probability for chance in golden.hit] == pytest.approx([right_98, right_95], abs=6e-4)
    assert golden.effect == f"out at {allowed + 1} of {n_golden} missed"


def test_operating_figures_are_what_the_rules_do_to_simulated_raters() -> None:
    rng = np.random.default_rng(6)
    n, n_main, n_golden = 1_500, 48, 8
    figures = {one.rule: one for one in operating_figures(ROBUST, n_golden=n_golden, n_main=n_main, n_practice=10)}
    reported = {rule for rule, _, _ in ROBUST.limits()}  # only a pilot tells how often they err
    assert set(figures) == set(RULES) - {"incomplete"} - reported

    def share(rule: str, **of_raters: Any) -> float:
        columns = [dict(zip(of_raters, values, strict=True)) for values in zip(*of_raters.values(), strict=True)]
        alike = {"rt_ms": np.full(n_main, 900), "chosen_first": np.arange(n_main) % 2 == 0}
        return float(np.mean([rule in judge(Behaviour(**alike | column), ROBUST).broken for column in columns]))

    def near(expected: float) -> Any:
        return pytest.approx(expected, abs=4 * (max(expected * (1 - expected), 1e-4) / n) ** 0.5)

    golden = figures["golden_missed"]
    assert share("golden_missed", golden_correct=rng.random((n, n_golden)) < 0.5) == near(
        1 - golden.passes[0].probability
    )
    assert share("golden_missed", golden_correct=rng.random((n, n_golden)) < 0.95) == near(golden.hit[1].probability)
    fast = figures["too_fast"]
    assert share("too_fast", rt_ms=np.where(rng.random((n, n_main)) < 0.05, 100, 900)) == near(fast.hit[0].probability)
    sides = figures["one_sided"]
    assert share("one_sided", chosen_first=rng.random((n, n_main)) < 0.8) == near(1 - sides.passes[0].probability)
    assert share("one_sided", chosen_first=rng.random((n, n_main)) < 0.5) == near(sides.hit[0].probability)
    practice = figures["practice_failed"]
    assert practice.is_flag
    assert share("practice_failed", practice_correct=rng.random((n, 10)) < 0.5) == near(
        1 - practice.passes[0].probability
    )
    together = wrongly_excluded_at_most(tuple(figures.values()))
    parts = [figures[rule].hit[0].probability for rule in ("golden_missed", "too_fast", "one_sided", "same_side_run")]
    assert together == pytest.approx(sum(parts))
    assert together < 0.02


def test_rules_that_cannot_be_broken_have_no_figures() -> None:
    assert operating_figures(QualityRules(), n_golden=0, n_main=40, n_practice=0) == ()
    short = operating_figures(ROBUST, n_golden=1, n_main=8, n_practice=4)
    assert [one.rule for one in short] == ["too_fast"]  # eight answers on one side have p = 0.008
    (median,) = operating_figures(QualityRules(median_ms_least=400), n_golden=0, n_main=40, n_practice=10)
    assert (median.effect, median.passes, median.hit) == ("out at a median below 400 ms", (), ())
    assert wrongly_excluded_at_most((median,)) == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"golden_misses_allowed": -1}, "golden_misses_allowed must be 0 or more, got -1"),
        ({"fast_share": 20.0}, r"fast_share must lie in \(0, 1\], got 20.0"),
        ({"side_bias_p": 1.0}, "side_bias_p must be below 1, got 1.0"),
        ({"run_limit": 1}, "run_limit must be 0 or at least 2, got 1"),
    ],
)
def test_settings_without_a_meaning_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QualityRules(**values)


def test_columns_of_another_type_or_length_are_refused() -> None:
    with pytest.raises(ValueError, match="golden_correct must be a row of bools, got int64"):
        Behaviour(golden_correct=np.array([1, 0]))
    with pytest.raises(ValueError, match="rt_ms and chosen_first must be aligned"):
        Behaviour(rt_ms=np.array([900]))
    with pytest.raises(ValueError, match="numbers of pairs must be 0 or more, got 6 golden of 5"):
        operating_figures(QualityRules(), n_golden=6, n_main=5, n_practice=0)
