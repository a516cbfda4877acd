"""A results table as one HTML file that needs nothing else: no script, no font, no address."""

from collections.abc import Sequence
from html import escape

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

STYLE = """\
:root { color-scheme: light dark; --ink: #1a1a1a; --quiet: #595959; --line: #d0d0d0; --ground: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececec; --quiet: #a8a8a8; --line: #444; --ground: #161616; } }
body { margin: 2rem auto; padding: 0 1rem; max-width: 80rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--ground); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.125rem; margin-top: 2.5rem; }
p, li { max-width: 70ch; } .quiet { color: var(--quiet); font-size: 0.875rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; border-block: 2px solid var(--ink); }
th, td { padding: 0.375rem 0.5rem; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { border-bottom: 1px solid var(--ink); vertical-align: bottom; }
tbody tr + tr > * { border-top: 1px solid var(--line); }
tbody th { font-weight: 500; }
"""


def render_html(table: ResultTable, sections: Sequence[Section] = ()) -> str:
    """Return the table as an HTML document, light or dark as its reader's system is."""
    name = escape(heading(table))
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta name="generator" content="evalsite {escape(table.version)}">',
        f"<title>{name}</title>",
        f"<style>\n{STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{name}</h1>",
        *(f"<p>{escape(sentence)}</p>" for sentence in preamble(table)),
        *tabled(columns(table), table.rows, label="Results by condition"),
        _list((legend(table), *grouped_notes(table))),
        f"<h2>{HEADING_ALL}</h2>",
        *tabled(columns_all(table), rows_all(table), label=HEADING_ALL),
    ]
    for section in sections:
        parts.append(f'<h2 id="{escape(section.name)}">{escape(section.heading)}</h2>')
        if section.about:
            parts.append(f"<p>{escape(section.about)}</p>")
        parts += tabled(section.columns, section.lines, label=section.heading)
        if section.notes:
            parts.append(_list(section.notes))
    parts += [f'<p class="quiet">{escape(provenance(table))}</p>', "</body>", "</html>"]
    return "\n".join(parts) + "\n"


def tabled(table_columns: Sequence[Column[Row]], rows: Sequence[Row], *, label: str) -> list[str]:
    """Return the lines of a table that scrolls by itself where it is wider than the page."""
    heads = "".join(f'<th scope="col">{escape(column.head)}</th>' for column in table_columns)
    lines = [
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">',
        "<table>",
        f"<thead><tr>{heads}</tr></thead>",
        "<tbody>",
    ]
    for row in rows:
        first, *others = (escape(column.cell(row)) for column in table_columns)
        cells = "".join(f"<td>{cell}</td>" for cell in others)
        lines.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    return [*lines, "</tbody>", "</table>", "</div>"]


def _list(sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<ul class="quiet">{items}</ul>'
