"""Comparisons as sections of a report: the same figures as the statistics, in words that say what they carry."""

from collections.abc import Mapping
from typing import Literal

import pytest

from studies.reports import FORMATS
from studies.reports.comparisons import comparison_sections
from studies.reports.section import Section
from studies.statistics.comparison import Comparisons
from studies.statistics.phrases import points
from studies.statistics.plan import AnalysisPlan
from studies.statistics.results import ResultCondition, ResultTable, result_table
from tests.statistics.made_up import CONDITIONS, FIDELITY, as_votes, made_up_rows

VOTES = as_votes(made_up_rows(n_raters=60))


@pytest.fixture
def table() -> ResultTable:
    return result_table(VOTES, conditions=CONDITIONS, fidelity=FIDELITY, study="rooms")


def compare(
    *,
    family: Literal["reference", "all_pairs"] = "reference",
    reference: str | None = "regression",
    margin: float | None = 0.05,
    conditions: tuple[ResultCondition, ...] = CONDITIONS,
) -> Comparisons:
    plan = AnalysisPlan(family=family, reference=reference, margin=margin)
    return plan.carry_out(VOTES, conditions=conditions)


def sections_of(found: Comparisons, table: ResultTable) -> Mapping[str, Section]:
    return {section.name: section for section in comparison_sections(found, table)}


def test_differences_stand_in_points_with_their_interval_and_adjusted_p(table: ResultTable) -> None:
    found = compare()
    section = sections_of(found, table)["differences"]
    (difference,) = found.differences
    assert difference.difference is not None
    assert difference.ci_low is not None
    assert difference.ci_high is not None
    (row,) = [dict(cells) for cells in section.rows]
    assert row["Comparison"] == "pixel recursive, τ 1.1 less Regression & friends"
    interval = f"[{points(difference.ci_low)}, {points(difference.ci_high)}]"
    assert row["difference in points [95 %]"] == f"{points(difference.difference)} {interval}"
    assert "every method against Regression & friends; one comparison" in section.about
    assert section.notes[0].startswith("pixel recursive, τ 1.1 fools raters more often than Regression & friends")
    assert section.records[0]["p_holm"] == difference.p_holm
    assert section.records[0]["family"] == "reference"


def test_family_of_all_pairs_pays_for_its_number(table: ResultTable) -> None:
    third = ResultCondition(name="third", label="Third")
    found = compare(family="all_pairs", reference=None, conditions=(*CONDITIONS, third))
    section = sections_of(found, table)["differences"]
    assert len(section.lines) == 3
    assert "all pairs of methods; 3 comparisons, so each interval is at 98.3333 % (Bonferroni)" in section.about
    assert section.lines[1][1:4] == ("\N{EN DASH}",) * 3  # nobody judged the third
    assert "cannot be compared. No counted vote on third." in section.notes[1]


def test_equivalence_is_said_only_with_its_margin(table: ResultTable) -> None:
    section = sections_of(compare(), table)["against_half"]
    row = dict(section.rows[0])
    assert row["side of 50 %"] == "below"
    assert row["inside 45 to 55 %"] == "not shown"
    assert "its 90 % interval lies inside 45 to 55 %, the margin fixed before the study opened" in section.about
    assert section.records[0]["equivalence_is_equivalent"] is False
    bare = sections_of(compare(margin=None), table)["against_half"]
    assert len(bare.heads) == 3
    assert "margin" not in bare.about
    assert "equivalence_margin" not in bare.records[0]


def test_one_method_alone_is_compared_with_half_only(table: ResultTable) -> None:
    alone = CONDITIONS[:2]
    votes = as_votes([row for row in made_up_rows() if row["condition"] != "prsr_11"])
    found = AnalysisPlan(family="reference", reference="regression", margin=None).carry_out(votes, conditions=alone)
    assert list(sections_of(found, table)) == ["against_half"]


@pytest.mark.parametrize("form", ["text", "markdown", "html", "latex", "json"])
def test_every_form_prints_the_comparisons(form: str, table: ResultTable) -> None:
    sections = comparison_sections(compare(), table)
    printed = FORMATS[form](table, sections)
    for section in sections:
        assert (section.name if form == "json" else section.heading.split(" %")[0]) in printed


def test_plan_that_cannot_be_carried_out_says_why() -> None:
    plan = AnalysisPlan(family="reference", reference="bicubic", margin=None)
    problem = "the reference 'bicubic' is no tested condition; there is regression, prsr_11"
    assert plan.problem(CONDITIONS) == problem
    wide = AnalysisPlan(family="all_pairs", reference=None, margin=0.7)
    assert wide.problem(CONDITIONS) == "the margin of equivalence must lie between 0 and 0.5, got 0.7"


def test_a_level_of_one_half_leaves_equivalence_out() -> None:
    plan = AnalysisPlan(family="all_pairs", reference=None, margin=0.05)
    assert plan.carry_out(VOTES, conditions=CONDITIONS, alpha=0.5).equivalence == ()
