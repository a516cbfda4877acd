"""A further table of a report: the same cells in every printed form, and the figures behind them."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Generic, TypeVar

Row = TypeVar("Row")
Cells = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """A column of a printed table: its head, and the cell that a row gives."""

    head: str
    cell: Callable[[Row], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table with its heading, as people read it and as programs do.

    Attributes:
        name: Its key in JSON, and the name of its file.
        heading: What people read above it.
        about: Sentences between heading and table.
        heads: Heads of the columns.
        lines: Cells of each row, one for each head.
        notes: Sentences below the table, one item each.
        records: The same rows at full precision by name; rates in [0, 1].
    """

    name: str
    heading: str
    heads: Cells
    lines: tuple[Cells, ...]
    records: tuple[Mapping[str, object], ...]
    about: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse rows that do not fit their heads."""
        for line in self.lines:
            if len(line) != len(self.heads):
                raise ValueError(f"{self.name}: a row has {len(line)} cells, but there are {len(self.heads)} heads")

    @property
    def rows(self) -> list[list[tuple[str, str]]]:
        """The rows, each cell with its head beside it, as narrow screens show it."""
        return [list(zip(self.heads, line, strict=True)) for line in self.lines]

    @property
    def columns(self) -> list[Column[Cells]]:
        """The columns, as renderers of tables take them."""
        return [Column(head, itemgetter(place)) for place, head in enumerate(self.heads)]


def section_make(
    rows: Sequence[Row],
    columns: Sequence[Column[Row]],
    *,
    name: str,
    heading: str,
    record: Callable[[Row], Mapping[str, object]],
    about: str = "",
    notes: Sequence[str] = (),
) -> Section:
    """Return the section that these columns make of these rows."""
    return Section(
        name=name,
        heading=heading,
        about=about,
        heads=tuple(column.head for column in columns),
        lines=tuple(tuple(column.cell(row) for column in columns) for row in rows),
        notes=tuple(notes),
        records=tuple(record(row) for row in rows),
    )


def section_csv(section: Section) -> str:
    """Return the figures of a section as a CSV file of its own; empty where not measured, truth as 0 and 1."""
    names = list(dict.fromkeys(name for record in section.records for name in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for record in section.records:
        writer.writerow({name: int(cell) if isinstance(cell, bool) else cell for name, cell in record.items()})
    return text.getvalue()
