"""A results table in LaTeX; it needs the packages booktabs, siunitx and graphicx, and nothing else."""

import re
from collections.abc import Iterable, Sequence

from studies.reports.section import Column, Row, Section
from studies.reports.wording import (
    HEADING_ALL,
    MISSING,
    columns,
    columns_all,
    grouped_notes,
    heading,
    legend,
    preamble,
    provenance,
    rows_all,
    study_name,
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
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "∞": r"$\infty$",
    "τ": r"$\tau$",
}

PACKAGES = r"% Needs \usepackage{booktabs}, \usepackage{siunitx} and \usepackage{graphicx}"
_NUMBER = re.compile(r"[+\N{MINUS SIGN}-]?\d+(?:\.\d+)?")
_RATE = re.compile(rf"({_NUMBER.pattern}) (\[.*\])")


def render_latex(table: ResultTable, sections: Sequence[Section] = ()) -> str:
    """Return a `table*` environment with booktabs rules, and one for each section.

    The caption names interval, level, estimand and n; figures stand in columns of siunitx, aligned by their points.
    """
    label = _label(table)
    parts = [
        PACKAGES,
        r"\begin{table*}",
        r"  \centering",
        rf"  \caption{{{escape(' '.join((heading(table) + '.', *preamble(table))))}}}",
        rf"  \label{{tab:{label}}}",
        r"  \smallskip",
        r"  \footnotesize",
        # One column more must not make the table wider.
        rf"  \setlength{{\tabcolsep}}{{{'2' if table.is_tiled else '3'}pt}}",
        *tabular(columns(table), table.rows),
        r"",
        r"  \medskip",
        rf"  {escape(HEADING_ALL)}",
        r"",
        r"  \smallskip",
        *tabular(columns_all(table), rows_all(table)),
        *_notes((legend(table), *grouped_notes(table), provenance(table))),
        r"\end{table*}",
    ]
    for section in sections:
        parts += ["", *_section(table, section)]
    return "\n".join(parts) + "\n"


def section_latex(table: ResultTable, section: Section) -> str:
    """Return one of the tables below the first one by itself."""
    return "\n".join([PACKAGES, *_section(table, section)]) + "\n"


def _label(table: ResultTable) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", table.study)


def _section(table: ResultTable, section: Section) -> list[str]:
    label = _label(table)
    return [
        r"\begin{table*}",
        r"  \centering",
        rf"  \caption{{{escape(f'{study_name(table)}: {section.heading}. {section.about}'.strip())}}}",
        rf"  \label{{tab:{label}-{section.name}}}",
        r"  \smallskip",
        r"  \footnotesize",
        *tabular(section.columns, section.lines),
        *_notes((*section.notes, provenance(table))),
        r"\end{table*}",
    ]


def _notes(sentences: Iterable[str]) -> list[str]:
    return [
        r"",
        r"  \medskip",
        r"  \begin{minipage}{\linewidth}",
        *(rf"    {escape(sentence)}\par" for sentence in sentences),
        r"  \end{minipage}",
    ]


def escape(text: str) -> str:
    r"""Return a text in which no character means anything to LaTeX.

    Example:
        >>> escape("10 % of A_1 & {B}")
        '10 \\% of A\\_1 \\& \\{B\\}'
    """
    return "".join(_SPECIAL.get(character, character) for character in text)


def tabular(table_columns: Sequence[Column[Row]], rows: Sequence[Row]) -> list[str]:
    r"""Return the lines of a tabular with booktabs rules: the first column to the left, figures aligned by points.

    A column of numbers is one of siunitx. A column of rates with intervals becomes two under one head, so that the
    rates are aligned too. A table wider than the page is made smaller.
    """
    first, *others = table_columns
    parts = [_aligned(column.head, [column.cell(row) for row in rows]) for column in others]
    lines = [[escape(first.head), *(head for _, head, _ in parts)]]
    lines += [
        [escape(first.cell(row)), *(cell for _, _, cells in parts for cell in cells[place])]
        for place, row in enumerate(rows)
    ]
    return [
        r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"  \begin{{tabular}}{{l{''.join(spec for spec, _, _ in parts)}}}",
        r"    \toprule",
        _line(lines[0]),
        r"    \midrule",
        *(_line(line) for line in lines[1:]),
        r"    \bottomrule",
        r"  \end{tabular}}",
    ]


def _aligned(head: str, cells: Sequence[str]) -> tuple[str, str, list[tuple[str, ...]]]:
    """Return how LaTeX aligns a column, its head, and its cells: two for each row where rates have intervals."""
    pairs = [_RATE.fullmatch(cell) for cell in cells]
    numbers = [pair[1] if pair else cell for cell, pair in zip(cells, pairs, strict=True)]
    figures = [number for number in numbers if _NUMBER.fullmatch(number)]
    if not figures or not all(number == MISSING or _NUMBER.fullmatch(number) for number in numbers):
        return "r", escape(head), [(escape(cell),) for cell in cells]
    shown = [_figure(number) for number in numbers]
    if not any(pairs):
        return _column(figures), f"{{{escape(head)}}}", [(number,) for number in shown]
    intervals = [escape(pair[2]) if pair else "" for pair in pairs]
    merged = rf"\multicolumn{{2}}{{c}}{{{escape(head)}}}"
    return rf"{_column(figures)}@{{~}}l", merged, list(zip(shown, intervals, strict=True))


def _figure(cell: str) -> str:
    return cell.replace("\N{MINUS SIGN}", "-") if _NUMBER.fullmatch(cell) else f"{{{escape(cell)}}}"


def _column(figures: Sequence[str]) -> str:
    """Return the column of siunitx that is wide enough for every figure."""
    parts = [figure.lstrip("+-\N{MINUS SIGN}").partition(".") for figure in figures]
    whole, decimals = max(len(before) for before, _, _ in parts), max(len(after) for _, _, after in parts)
    has_plus = any(figure.startswith("+") for figure in figures)
    sign = "+" if has_plus or any(figure[0] in "-\N{MINUS SIGN}" for figure in figures) else ""
    options = f"table-format={sign}{whole}.{decimals}{',retain-explicit-plus' if has_plus else ''}"
    return f"S[{options}]"


def _line(cells: Iterable[str]) -> str:
    line = " & ".join(cells)
    # After the row before, LaTeX would read a bracket or a star as an argument of its line break.
    return f"    {'{}' if line.startswith(('[', '*')) else ''}{line} \\\\"
