"""Rows of the results table for a page: each with its colour and marker, and every missing figure explained."""

from collections.abc import Sequence
from typing import NamedTuple

from studies.reports import wording
from studies.reports.palette import ConditionStyle, condition_style
from studies.reports.section import Column
from studies.statistics.results import ResultRow, ResultTable

#: Columns that need pictures of some size.
SIZED = ("SSIM", "MS-SSIM", "MS-SSIM-3")


class Cell(NamedTuple):
    """A cell of the table.

    Attributes:
        head: Of its column, which stands beside it on narrow screens.
        text: What it says.
        note: Why it is missing; "" if it is not.
        is_main: Whether it is the figure that the study is about.
    """

    head: str
    text: str
    note: str
    is_main: bool


class Line(NamedTuple):
    """A row of the table: a condition, with its colour and marker."""

    label: str
    style: ConditionStyle
    cells: list[Cell]


def lines(
    table: ResultTable,
    columns: Sequence[Column[ResultRow]],
    *,
    side: int,
    has_samples: bool,
    rows: Sequence[ResultRow] | None = None,
) -> list[Line]:
    """Return the rows of a table with every missing figure explained."""
    places = {row.condition: place for place, row in enumerate(table.rows)}
    return [
        Line(
            row.label,
            condition_style(places[row.condition]),
            [
                Cell(
                    column.head,
                    text := column.cell(row),
                    _why_missing(column.head, row, side=side, has_samples=has_samples)
                    if text == wording.MISSING
                    else "",
                    column.head.startswith("% fooled"),
                )
                for column in columns[1:]
            ],
        )
        for row in (table.rows if rows is None else rows)
    ]


def _why_missing(head: str, row: ResultRow, *, side: int, has_samples: bool) -> str:
    """Say why a cell has no figure."""
    if not has_samples and not head.startswith("% fooled"):
        return "No samples yet."
    if head in SIZED:
        return f"Not defined for pictures as small as these, of {side} px."
    return " ".join(row.notes) or "Not measured."
