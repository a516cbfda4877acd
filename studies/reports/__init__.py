"""A results table in words and pictures: pure functions from a `ResultTable` to text, and to figures.

Figures stand in `studies.reports.figures`, which alone needs matplotlib and is imported only where one is drawn.
"""

from collections.abc import Callable

from studies.reports.table_csv import render_csv
from studies.reports.table_json import render_json
from studies.reports.table_latex import render_latex
from studies.reports.table_markdown import render_markdown
from studies.reports.table_text import render_text
from studies.statistics.results import ResultTable

FORMATS: dict[str, Callable[[ResultTable], str]] = {
    "text": render_text,
    "csv": render_csv,
    "json": render_json,
    "latex": render_latex,
    "markdown": render_markdown,
}
"""Every form in which a table of results is given out, by its name on the command line."""
