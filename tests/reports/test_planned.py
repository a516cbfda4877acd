"""The curve of a plan shows what is wanted, what it takes, and what other numbers of photos would do."""

import pytest

from studies.reports.figures import planned
from studies.reports.figures.sheet import FileFormat
from studies.statistics.study_plan import PlanQuestion, plan_answer

WIDTH = PlanQuestion(goal="half_width", target=0.03, rate=0.28, n_photos=200)


def test_curve_of_a_half_width_names_its_photos_its_goal_and_its_raters() -> None:
    drawn = planned(plan_answer(WIDTH)).decode()
    for words in ("100 photos", "200 photos", "400 photos", "wanted: ±3", "153 raters", "half-width of the interval"):
        assert f">{words}" in drawn
    assert "Planned: a 95 % interval of 28 % ±3 points" in drawn


def test_curve_of_a_difference_shows_power_of_raters_of_each_condition() -> None:
    question = PlanQuestion(goal="difference", target=0.22, rate=0.28, n_photos=100, is_within=False)
    drawn = planned(plan_answer(question)).decode()
    for words in ("chance to show it, %", "wanted: 80 %", "counted raters of each condition, 40 votes each"):
        assert f">{words}" in drawn


def test_curve_of_a_goal_out_of_reach_marks_no_number() -> None:
    drawn = planned(plan_answer(PlanQuestion(goal="half_width", target=0.02, rate=0.28, n_photos=50))).decode()
    assert "wanted: ±2" in drawn
    assert " raters<" not in drawn


@pytest.mark.parametrize(("file_format", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")])
def test_curve_has_the_same_bytes_each_time(file_format: FileFormat, start: bytes) -> None:
    drawn = [planned(plan_answer(WIDTH), file_format=file_format, theme="dark") for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith(start)
