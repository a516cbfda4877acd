"""A results table in words and pictures: pure functions from a `ResultTable` to text, and to figures.

Figures stand in `studies.reports.figures`, which alone needs matplotlib and is imported only where one is drawn.
"""

from collections.abc import Sequence
from typing import Protocol

from studies.reports.section import Section
from studies.reports.table_csv import render_csv
from studies.reports.table_html import render_html
from studies.reports.table_json import render_json
from studies.reports.table_latex import render_latex
from studies.reports.table_markdown import render_markdown
from studies.reports.table_text import render_text
from studies.statistics.results import ResultTable


class Renderer(Protocol):
    """Prints a table of results, and below it further tables of the same study."""

    def __call__(self, table: ResultTable, sections: Sequence[Section] = ()) -> str:
        """Return the text of the file."""


FORMATS: dict[str, Renderer] = {
    "text": render_text,
    "csv": render_csv,
    "json": render_json,
    "latex": render_latex,
    "markdown": render_markdown,
    "html": render_html,
}
"""Every form in which a table of results is given out, by its name on the command line."""
