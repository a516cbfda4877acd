"""Further summaries as sections of a report."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from studies.reports.section import Section, section_csv
from studies.reports.summaries import in_points, interval, summary_sections
from studies.statistics.results import ResultTable, Votes, result_table
from studies.statistics.summaries import SEED, ConditionSummary, summaries
from tests.statistics.made_up import CONDITIONS, FIDELITY, as_votes, made_up_rows

VOTES = as_votes(made_up_rows(n_raters=60))


@pytest.fixture
def table() -> ResultTable:
    return result_table(VOTES, conditions=CONDITIONS, fidelity=FIDELITY, study="rooms")


def sum_up(votes: Votes) -> tuple[ConditionSummary, ...]:
    return summaries(votes, conditions=CONDITIONS, rng=np.random.default_rng(SEED))


def sections_of(found: tuple[ConditionSummary, ...], table: ResultTable) -> Mapping[str, Section]:
    return {section.name: section for section in summary_sections(found, table)}


def test_every_summary_stands_with_its_interval(table: ResultTable) -> None:
    found = sum_up(VOTES)
    sections = sections_of(found, table)
    assert list(sections) == ["sensitivity", "times_and_order", "realism_and_fidelity"]
    for place, one in enumerate(found):
        row = dict(sections["sensitivity"].rows[place])
        d_prime = one.detection
        assert d_prime is not None
        assert row["d' [95 %]"] == interval(d_prime.d_prime, d_prime.ci_low, d_prime.ci_high)
        row = dict(sections["times_and_order"].rows[place])
        assert one.learning is not None
        assert one.reaction_times is not None
        assert one.reaction_times.overall is not None
        assert row["answer in s"] == f"{one.reaction_times.overall.median_ms / 1000:.2f}"
        learned = in_points(one.learning.change, one.learning.ci_low, one.learning.ci_high)
        assert row["points over ten pairs [95 %]"] == learned
        record = sections["times_and_order"].records[place]
        assert record["reaction_times_overall_median_ms"] == one.reaction_times.overall.median_ms
        rank = one.correlations[0]
        assert sections["realism_and_fidelity"].records[place]["psnr_rho"] == rank.rho
    assert section_csv(sections["sensitivity"]).splitlines()[0].startswith("condition,label,detection_d_prime")


def test_votes_of_seven_columns_have_no_times_no_order_and_no_pixels(table: ResultTable) -> None:
    bare = replace(VOTES, position=None, rt_ms=None, photo_side=None, sample_psnr=None, sample_ssim=None)
    sections = sections_of(sum_up(bare), table)
    assert list(sections) == ["sensitivity"]
    assert {dict(row)["d' without side"] for row in sections["sensitivity"].rows} == {"\N{EN DASH}"}


def test_note_of_every_condition_stands_once_alone(table: ResultTable) -> None:
    notes = sections_of(sum_up(VOTES), table)["sensitivity"].notes
    assert notes == ("Group d': that of the pooled fool rate, below the mean of the raters' own.",)


def test_nothing_counted_is_no_section(table: ResultTable) -> None:
    assert summary_sections((), table) == []


def test_open_end_of_an_interval_is_a_dash() -> None:
    assert interval(-1.5, None, 0.25) == "\N{MINUS SIGN}1.50 [\N{EN DASH}, 0.25]"
    assert interval(None, None, None) == "\N{EN DASH}"
    assert in_points(-0.031, None, None) == "\N{MINUS SIGN}3.1"
