"""A results table in LaTeX; it needs the package booktabs and nothing else."""

import re
from collections.abc import Iterable, Sequence

from studies.reports.wording import (
    HEADING_ALL,
    Column,
    Row,
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

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "∞": r"$\infty$",
    "τ": r"$\tau$",
}


def render_latex(table: ResultTable) -> str:
    """Return a `table*` environment with booktabs rules; its caption names interval, level, estimand and n."""
    parts = [
        r"% Needs \usepackage{booktabs}",
        r"\begin{table*}",
        r"  \centering",
        rf"  \caption{{{escape(' '.join((heading(table) + '.', *preamble(table))))}}}",
        rf"  \label{{tab:{re.sub(r'[^A-Za-z0-9-]+', '-', table.study)}}}",
        r"  \smallskip",
        r"  \footnotesize",
        # One column more must not make the table wider.
        rf"  \setlength{{\tabcolsep}}{{{'2.3' if table.is_tiled else '3.5'}pt}}",
        *tabular(columns(table), table.rows),
        r"",
        r"  \medskip",
        rf"  {escape(HEADING_ALL)}",
        r"",
        r"  \smallskip",
        *tabular(columns_all(table), rows_all(table)),
        r"",
        r"  \medskip",
        r"  \begin{minipage}{\linewidth}",
        *(rf"    {escape(note)}\par" for note in (legend(table), *grouped_notes(table), provenance(table))),
        r"  \end{minipage}",
        r"\end{table*}",
    ]
    return "\n".join(parts) + "\n"


def escape(text: str) -> str:
    r"""Return a text in which no character means anything to LaTeX.

    Example:
        >>> escape("10 % of A_1 & {B}")
        '10 \\% of A\\_1 \\& \\{B\\}'
    """
    return "".join(_SPECIAL.get(character, character) for character in text)


def tabular(table_columns: Sequence[Column[Row]], rows: Sequence[Row]) -> list[str]:
    """Return the lines of a tabular with booktabs rules: the first column to the left, the others to the right."""
    return [
        rf"  \begin{{tabular}}{{l{'r' * (len(table_columns) - 1)}}}",
        r"    \toprule",
        _line(column.head for column in table_columns),
        r"    \midrule",
        *(_line(column.cell(row) for column in table_columns) for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
    ]


def _line(cells: Iterable[str]) -> str:
    line = " & ".join(escape(cell) for cell in cells)
    # After the row before, LaTeX would read a bracket or a star as an argument of its line break.
    return f"    {'{}' if line.startswith(('[', '*')) else ''}{line} \\\\"
