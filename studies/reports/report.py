"""All of a report below its first table, in one order everywhere."""

from collections.abc import Mapping, Sequence

from studies.reports.comparisons import comparison_sections
from studies.reports.live import live_section
from studies.reports.published import Reference, published_section
from studies.reports.section import Section
from studies.reports.summaries import summary_sections
from studies.statistics.comparison import Comparisons
from studies.statistics.results import ResultTable
from studies.statistics.sequential import LiveEstimate
from studies.statistics.summaries import ConditionSummary


def report_sections(
    table: ResultTable,
    *,
    live: Mapping[str, LiveEstimate] | None = None,
    compared: Comparisons | None = None,
    is_fixed: bool = True,
    summed_up: Sequence[ConditionSummary] = (),
    reference: Reference | None = None,
) -> list[Section]:
    """Return the sections of a report.

    Args:
        table: The results.
        live: Confidence sequences of the same votes, where they are the intervals to print.
        compared: Comparisons of the same votes; None where none were fixed.
        is_fixed: Whether they were fixed before the study opened.
        summed_up: Further summaries of the same votes.
        reference: Which published figures to show below, if any.
    """
    sections = [live_section(live, table, reason=table.caution)] if live else []
    sections += comparison_sections(compared, table, is_fixed=is_fixed) if compared else []
    sections += summary_sections(summed_up, table)
    return [*sections, published_section(reference)] if reference else sections
