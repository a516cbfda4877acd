"""A results table for the terminal."""

from collections.abc import Sequence

from studies.reports.section import Column, Row, Section
from studies.reports.wording import (
    HEADING_ALL,
    columns,
    columns_all,
    grouped_notes,
    heading,
    legend,
    preamble,
    provenance,
    rows_all,
)
from studies.statistics.results import ResultTable


def render_text(table: ResultTable, sections: Sequence[Section] = ()) -> str:
    """Return the table with aligned columns, and its notes below it."""
    parts = [heading(table), "=" * len(heading(table)), *preamble(table), ""]
    parts += aligned(columns(table), table.rows)
    parts += ["", f"{HEADING_ALL}:", *aligned(columns_all(table), rows_all(table)), "", legend(table)]
    parts += [f"- {note}" for note in grouped_notes(table)]
    for section in sections:
        parts += ["", section.heading, "-" * len(section.heading), *([section.about] if section.about else []), ""]
        parts += [*aligned(section.columns, section.lines), *(f"- {note}" for note in section.notes)]
    if sections:
        parts.append("")
    parts.append(provenance(table))
    return "\n".join(parts) + "\n"


def aligned(table_columns: Sequence[Column[Row]], rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table: the first column to the left, the others to the right."""
    lines = [[column.head for column in table_columns], *([c.cell(row) for c in table_columns] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in lines
    ]
