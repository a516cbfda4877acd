import pytest

from studies.statistics.attention import attentive_fail_probability, exclusion_reason, guesser_pass_probability


@pytest.mark.parametrize(
    ("n_missed", "allowed", "is_excluded"), [(0, 0, False), (1, 0, True), (1, 1, False), (2, 1, True)]
)
def test_more_misses_than_allowed_exclude(n_missed: int, allowed: int, is_excluded: bool) -> None:
    golden_correct = [False] * n_missed + [True] * (5 - n_missed)
    assert exclusion_reason(golden_correct, allowed_misses=allowed) == ("golden_missed" if is_excluded else None)


def test_a_session_without_golden_pairs_is_kept() -> None:
    assert exclusion_reason([], allowed_misses=0) is None


@pytest.mark.parametrize(
    ("n_golden", "allowed", "guesser", "attentive_98", "attentive_95"),
    [(8, 1, 0.035156, 0.010, 0.057), (5, 0, 0.03125, 0.096, 0.226), (5, 1, 0.1875, 0.0038, 0.0226)],
)
def test_operating_figures(
    n_golden: int, allowed: int, guesser: float, attentive_98: float, attentive_95: float
) -> None:
    assert guesser_pass_probability(n_golden=n_golden, allowed_misses=allowed) == pytest.approx(guesser, abs=1e-6)
    fail = [
        attentive_fail_probability(n_golden=n_golden, allowed_misses=allowed, accuracy=accuracy)
        for accuracy in (0.98, 0.95)
    ]
    assert fail == pytest.approx([attentive_98, attentive_95], abs=6e-4)


def test_a_rule_that_allows_every_miss_excludes_nobody() -> None:
    assert guesser_pass_probability(n_golden=3, allowed_misses=3) == 1
    assert attentive_fail_probability(n_golden=0, allowed_misses=0) == 0


def test_answers_that_are_no_truth_values_are_refused() -> None:
    with pytest.raises(ValueError, match="row of bools, got int64"):
        exclusion_reason([1, 0, 1], allowed_misses=0)
    with pytest.raises(ValueError, match="0 or more, got -1"):
        exclusion_reason([True], allowed_misses=-1)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="0 or more, got -5 and 0"):
        guesser_pass_probability(n_golden=-5, allowed_misses=0)
    with pytest.raises(ValueError, match=r"accuracy must lie in \[0, 1\], got 98"):
        attentive_fail_probability(n_golden=5, allowed_misses=0, accuracy=98)
