"""A plan says what a goal takes, what the photos allow, and what will stay open."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.statistics.made_up import as_cells, made_up_rows, write_csv


def planned(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("plan_study", *arguments, stdout=out, **options)
    return out.getvalue()


def test_half_width_is_planned_with_recruits_a_curve_and_limits() -> None:
    said = planned("--half-width", "3", "--rate", "28", "--photos", "200", "--votes", "40", "--exclusions", "10")
    assert "Goal: a 95 % interval of 28 % ±3 points, for new raters and new images." in said
    assert "Needed: 153 raters with 40 counted votes each, on 200 photos; 170 to recruit, if 10 % are excluded." in said
    assert "With fewer than 77 photos no number of raters would suffice." in said
    assert re.search(r"photos   raters\n +100   398\n +200   153\n +400   117\n +1,000   102\n", said)
    will, will_not = said.split("It will not tell")
    assert "a fool rate of 28 % to ±3 points" in will
    assert "the rate more closely than ±1.9 points" in will_not
    assert "that one is not shown does not make two methods alike" in will_not


def test_goal_beyond_the_photos_is_said_to_be_out_of_reach() -> None:
    said = planned("--half-width", "2", "--rate", "28", "--photos", "100", "--simulate", "5")
    assert "No number of raters suffices: 100 photos alone leave too much to chance. Take at least 172 photos" in said
    assert "100   no number suffices" in said
    assert "simulated" not in said


def test_difference_and_equivalence_are_planned_and_verified_by_simulation(capsys: Any) -> None:
    said = planned("--against", "22", "--rate", "28", "--photos", "100", "--simulate", "30", "--comparisons", "2")
    assert "to show, with a chance of 80 %, that 28 % and 22 % differ, in a family of 2" in said
    found = re.search(r"Needed: (\d+) raters", said)
    assert found
    assert int(found[1]) > 80  # the number for a family of one
    assert re.search(r"In 30 simulated studies the 97\.5 % interval held the truth in [\d.]+ %", said)
    assert "30/30" in capsys.readouterr().err
    said = planned("--equivalence", "5", "--photos", "200", "--simulate", "20")
    assert "Needed: 184 raters" in said
    assert "the goal was reached in" in said


def test_one_method_a_rater_takes_more_raters_of_each_condition() -> None:
    said = planned("--against", "22", "--rate", "28", "--photos", "100", "--between")
    found = re.search(r"Needed: (\d+) raters of each condition", said)
    assert found
    assert int(found[1]) > 80


def test_pilot_gives_rate_and_spread(tmp_path: Path) -> None:
    pilot = str(write_csv(tmp_path / "pilot.csv", as_cells(made_up_rows(n_raters=40))))
    said = planned("--half-width", "5", "--photos", "200", "--pilot", pilot, "--condition", "prsr_11")
    assert re.search(
        r"Assumed: raters and photos spread by \d\.\d\d and \d\.\d\d logits, as in the pilot on prsr_11 \(\d+ votes, ",
        said,
    )
    assert re.search(r"interval of 3\d[.\d]* % ±5 points", said)
    with pytest.raises(CommandError, match="--condition must be one of regression, prsr_11, got None"):
        planned("--half-width", "5", "--photos", "200", "--pilot", pilot)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--half-width", "3", "--photos", "200"],
            "--rate: the fool rate that is expected must lie between 0 and 100 %",
        ),
        (
            ["--half-width", "0", "--rate", "28", "--photos", "200"],
            "--half-width: the half-width must lie between 0 and 50 points, got 0",
        ),
        (["--half-width", "3", "--rate", "28", "--photos", "30"], "40 pairs a rater need as many photos, got 30"),
        (["--against", "22", "--rate", "28", "--photos", "60"], "80 pairs a rater need as many photos, got 60"),
        (
            ["--against", "28", "--rate", "28", "--photos", "200"],
            "--against: it must be another rate between 0 and 100 %, got 28",
        ),
        (
            ["--equivalence", "5", "--rate", "40", "--photos", "200"],
            "--equivalence: a true rate of 40 % is not within 5 points",
        ),
        (
            ["--half-width", "3", "--rate", "28", "--photos", "8", "--votes", "4"],
            "8 photos are too few for an interval",
        ),
        (
            ["--half-width", "3", "--rate", "28", "--photos", "200", "--spread", "9"],
            "--spread: the spread must lie between 0 and 4 logits, got 9",
        ),
        (
            ["--half-width", "3", "--rate", "28", "--photos", "200", "--comparisons", "0"],
            "at least 1 comparison, got 0",
        ),
        (["--half-width", "3", "--rate", "28", "--photos", "200", "--pilot", "none.csv"], "cannot be read"),
        (["--half-width", "3", "--rate", "28", "--photos", "200", "--simulate", "0"], "n_studies must be at least 1"),
        (["--half-width", "3", "--rate", "128", "--photos", "200"], "a number of percent from 0 to below 100"),
    ],
)
def test_plans_that_make_no_study_are_refused_in_a_sentence(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        planned(*arguments)
