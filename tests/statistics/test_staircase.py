"""Staircases settle where their steps cancel, and HYPE-time's score is a mean of modes with raters drawn anew."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from studies.statistics.simulation import right_probability
from studies.statistics.staircase import Staircase, exposure_score, modal_exposure

LIMITS = {"start_ms": 500, "least_ms": 100, "most_ms": 1000}
RULES = {
    "as printed, an answer at a time": Staircase(up_ms=10, down_ms=30, **LIMITS),
    "as printed, after three right": Staircase(up_ms=10, down_ms=30, rights=3, **LIMITS),
    "turned round": Staircase(up_ms=30, down_ms=10, **LIMITS),
    "textbook, after three right": Staircase(up_ms=10, down_ms=10, rights=3, **LIMITS),
}


def block_of(rule: Staircase, rng: np.random.Generator, *, threshold_ms: float, n: int) -> tuple[list[int], list[bool]]:
    """Let a rater answer n pictures of one block."""
    exposures: list[int] = []
    answers: list[bool] = []
    for _ in range(n):
        exposures.append(rule.after(answers))
        answers.append(rng.random() < right_probability(exposures[-1], threshold_ms=threshold_ms))
    return exposures, answers


@pytest.mark.parametrize(
    ("name", "expected", "is_at_least"),
    [
        ("as printed, an answer at a time", 0.25, True),
        ("as printed, after three right", 0.25 ** (1 / 3), False),
        ("turned round", 0.75, False),
        ("textbook, after three right", 0.5 ** (1 / 3), False),
    ],
)
def test_rules_settle_where_they_say(name: str, expected: float, is_at_least: bool) -> None:
    rule, rng = RULES[name], np.random.default_rng(0)
    assert rule.settles_at == pytest.approx(expected)
    late = [block_of(rule, rng, threshold_ms=300, n=300) for _ in range(20)]
    exposures = np.array([exposures[100:] for exposures, _ in late])
    rights = np.array([answers[100:] for _, answers in late])
    if is_at_least:  # guessers are right half of the time: nobody can be held at 25 %, and all sink to the floor
        assert np.mean(exposures <= 130) > 0.9
        assert 0.5 < rights.mean() < 0.65
    else:
        assert rights.mean() == pytest.approx(expected, abs=0.02)
        assert np.mean(exposures == 100) < 0.1


def test_only_the_rule_that_was_turned_round_measures_the_threshold_of_three_in_four() -> None:
    """The others sink too far, or stop too early: the modes of HYPE-time's blocks show it for three observers."""
    rng = np.random.default_rng(1)
    found = {
        name: [
            float(np.mean([modal_exposure(block_of(rule, rng, threshold_ms=ms, n=150)[0]) for _ in range(24)]))
            for ms in (200, 300, 450)
        ]
        for name, rule in RULES.items()
    }
    assert found["turned round"] == pytest.approx([200, 300, 450], rel=0.12)
    assert max(found["as printed, an answer at a time"]) < 110, "every observer at the floor"
    assert all(low < 0.9 * ms for low, ms in zip(found["as printed, after three right"], (200, 300, 450), strict=True))


rules = st.builds(
    Staircase,
    start_ms=st.integers(300, 600),
    least_ms=st.integers(50, 300),
    most_ms=st.integers(600, 2000),
    up_ms=st.integers(1, 200),
    down_ms=st.integers(1, 200),
    rights=st.integers(1, 4),
)


@given(rule=rules, answers=st.lists(st.booleans(), max_size=60))
def test_exposures_move_by_the_steps_within_the_limits(rule: Staircase, answers: list[bool]) -> None:
    path = [rule.after(answers[:n]) for n in range(len(answers) + 1)]
    assert path[0] == rule.start_ms
    in_a_row = 0
    for now, then, is_right in zip(path, path[1:], answers, strict=False):
        in_a_row = in_a_row + 1 if is_right else 0
        lowers = is_right and in_a_row % rule.rights == 0
        wanted = now - rule.down_ms if lowers else now if is_right else now + rule.up_ms
        assert then == min(max(wanted, rule.least_ms), rule.most_ms)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start_ms": 90}, "from 100 to 1000 ms cannot start at 90 ms"),
        ({"start_ms": 1200}, "cannot start at 1200 ms"),
        ({"up_ms": 0}, "must be at least 1"),
        ({"rights": 0}, "must be at least 1"),
    ],
)
def test_a_staircase_that_cannot_go_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Staircase(**(LIMITS | {"up_ms": 30, "down_ms": 10} | changes))


def test_score_is_the_mean_over_raters_of_the_mean_over_blocks_of_modes() -> None:
    exposures = [500, 470, 470, 200, 300, 300, 100, 100, 100, 110]
    rater = ["a"] * 6 + ["b"] * 4
    block = ["a1"] * 3 + ["a2"] * 3 + ["b1"] * 4
    right = [True] * 7 + [False] * 3
    score = exposure_score(exposures, right, rater=rater, block=block, rng=np.random.default_rng(0))
    assert score.score_ms == ((470 + 300) / 2 + 100) / 2
    assert (score.lowest_ms, score.highest_ms) == (100, 470)
    assert (score.n_raters, score.n_blocks, score.n_responses, score.right_rate) == (2, 3, 10, 0.7)
    assert (score.ci_low_ms, score.ci_high_ms, score.sd_ms) == (None, None, None)
    assert score.notes == ("No interval: 2 raters, and it takes at least 10.",)


def test_interval_is_that_of_a_bootstrap_of_raters() -> None:
    rng = np.random.default_rng(3)
    of_raters = rng.normal(300, 60, 30).round()
    ids = np.repeat(np.arange(30), 3)
    score = exposure_score(
        np.repeat(of_raters, 3), np.ones(90, dtype=np.bool_), rater=ids, block=ids, rng=np.random.default_rng(0)
    )
    outside = stats.bootstrap(
        (of_raters,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(5)
    )
    assert score.ci_low_ms == pytest.approx(outside.confidence_interval.low, abs=1.5)
    assert score.ci_high_ms == pytest.approx(outside.confidence_interval.high, abs=1.5)
    assert score.sd_ms == pytest.approx(of_raters.std() / np.sqrt(30), rel=0.03)


def test_order_and_names_change_nothing() -> None:
    rng = np.random.default_rng(2)
    rater = np.repeat(np.arange(12), 20)
    block = np.repeat(np.arange(24), 10)
    exposures, right = rng.choice([300, 310, 340], 240), rng.random(240) < 0.75
    first = exposure_score(exposures, right, rater=rater, block=block, rng=np.random.default_rng(0))
    order = rng.permutation(240)
    names = np.array([f"rater-{number:02}" for number in rater])
    again = exposure_score(
        exposures[order], right[order], rater=names[order], block=block[order], rng=np.random.default_rng(0)
    )
    assert first == again


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"rater": [1, 2]}, "block 7 is of the raters 1 and 2"),
        ({"rater": [1]}, "aligned with the"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"exposure_ms": [100, 100], "right": [True, True], "rater": [1, 1], "block": [7, 7]}
    with pytest.raises(ValueError, match=words):
        exposure_score(**(given | columns), rng=np.random.default_rng(0))


def test_a_score_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one answer"):
        exposure_score([], [], rater=[], block=[], rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="without answers"):
        modal_exposure([])


def test_times_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="must be positive, got -1 of 300 ms"):
        right_probability(-1, threshold_ms=300)
