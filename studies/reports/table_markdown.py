"""A results table in Markdown."""

import re
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


def render_markdown(table: ResultTable, sections: Sequence[Section] = ()) -> str:
    """Return the table as a Markdown section, with its notes as a list below it."""
    parts = [f"## {escape(heading(table))}", ""]
    parts += [escape(" ".join(preamble(table))), "", *piped(columns(table), table.rows), ""]
    parts += [f"{HEADING_ALL}:", "", *piped(columns_all(table), rows_all(table)), ""]
    parts += [f"- {escape(note)}" for note in (legend(table), *grouped_notes(table))]
    for section in sections:
        parts += ["", *_section(section)]
    parts += ["", escape(provenance(table))]
    return "\n".join(parts) + "\n"


def section_markdown(table: ResultTable, section: Section) -> str:
    """Return one of the tables below the first one by itself."""
    return "\n".join([*_section(section), "", escape(provenance(table))]) + "\n"


def _section(section: Section) -> list[str]:
    parts = [f"### {escape(section.heading)}", ""]
    parts += [escape(section.about), ""] if section.about else []
    parts += piped(section.columns, section.lines)
    return parts + (["", *(f"- {escape(note)}" for note in section.notes)] if section.notes else [])


def escape(text: str) -> str:
    r"""Return a text in which no character means anything to Markdown or HTML.

    Example:
        >>> print(escape("a|b_c <i>"))
        a\|b\_c &lt;i>
    """
    # Brackets mean a link only before a parenthesis; escaped everywhere they would clutter every interval.
    escaped = re.sub(r"([\\`*_|~#]|(?<=\])\()", r"\\\1", text)
    return escaped.replace("&", "&amp;").replace("<", "&lt;")


def piped(table_columns: Sequence[Column[Row]], rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table: the first column to the left, the others to the right."""
    rule = ["---", *["--:"] * (len(table_columns) - 1)]
    lines = [[escape(column.head) for column in table_columns], rule]
    lines += [[escape(column.cell(row)) for column in table_columns] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]
