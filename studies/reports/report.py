"""All of a report below its first table, in one order everywhere."""

from studies.reports.comparisons import comparison_sections
from studies.reports.published import Reference, published_section
from studies.reports.section import Section
from studies.statistics.comparison import Comparisons
from studies.statistics.results import ResultTable


def report_sections(
    table: ResultTable, *, compared: Comparisons | None = None, reference: Reference | None = None
) -> list[Section]:
    """Return the sections of a report.

    Args:
        table: The results.
        compared: Comparisons of the same votes; None where none were fixed.
        reference: Which published figures to show below, if any.
    """
    sections = comparison_sections(compared, table) if compared else []
    return [*sections, published_section(reference)] if reference else sections
