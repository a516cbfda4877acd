"""The table of an evaluation in words: text, CSV, JSON, LaTeX and Markdown."""

import csv
import io
import json
import math
from collections.abc import Callable
from dataclasses import asdict, fields

from studies.evaluation.table import EvaluationRow, EvaluationTable
from studies.reports.section import Column
from studies.reports.table_latex import PACKAGES, tabular
from studies.reports.table_latex import escape as latex_escape
from studies.reports.table_markdown import escape as markdown_escape
from studies.reports.table_markdown import piped
from studies.reports.table_text import aligned
from studies.reports.wording import number

_ABOUT = tuple(field.name for field in fields(EvaluationTable) if field.name not in {"rows", "notes"})
_CELLS = tuple(field.name for field in fields(EvaluationRow) if field.name != "parameters")

CLOCKS = {
    "processor": "processor time in ms, summed over threads",
    "wall": "wall time in ms",
}

LEGEND = (
    "The photos themselves have pSNR ∞, SSIM 1, Consistency 0 and detail 1. Consistency: mean squared error on [0, 1] "
    "between the input and the sample made small again. Detail: mean absolute gradient of the samples over that of the "
    "photos. A dash: not measured."
)

COLUMNS: tuple[Column[EvaluationRow], ...] = (
    Column("Condition", lambda row: row.label),
    Column("pSNR (dB)", lambda row: number(row.psnr, digits=2)),
    Column("SSIM", lambda row: number(row.ssim, digits=3)),
    Column("MS-SSIM", lambda row: number(row.ms_ssim, digits=3)),
    Column("MS-SSIM-3", lambda row: number(row.ms_ssim_3, digits=3)),
    Column("Consistency", lambda row: number(row.consistency, digits=4)),
    Column("detail", lambda row: number(row.detail, digits=2)),
    Column("ms per image", lambda row: milliseconds(row.seconds_per_image)),
)
"""The paper's columns without the human one, detail, and time."""


def heading(table: EvaluationTable) -> str:
    """Return what was evaluated."""
    low, high = table.low_res_size, table.size
    return f"{table.n_photos:,} photos, {low}x{low} to {high}x{high} pixels"


def notes(table: EvaluationTable) -> list[str]:
    """Return the sentences below a table."""
    return [
        f"Photos: {table.photos}.",
        *table.notes,
        f"Time: {CLOCKS[table.clock]}, on {table.device}, {table.threads} thread{'' if table.threads == 1 else 's'}.",
        LEGEND,
    ]


def provenance(table: EvaluationTable) -> str:
    """Return the line that tells how to get the same table again."""
    photos = table.photos_digest[:16]
    return f"Inputs by {table.downsampling}, seed {table.seed}, photos {photos}, evalsite {table.version}."


def milliseconds(seconds: float) -> str:
    """Return a time in milliseconds with three significant digits.

    Example:
        >>> milliseconds(0.0000312), milliseconds(0.0287), milliseconds(12.3456)
        ('0.0312', '28.7', '12346')
    """
    value = 1000 * seconds
    digits = 0 if value <= 0 else max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{digits}f}"


def render_text(table: EvaluationTable) -> str:
    """Return the table with aligned columns, and its notes below it."""
    lines = [heading(table), "=" * len(heading(table)), "", *aligned(COLUMNS, table.rows), ""]
    lines += [f"- {note}" for note in notes(table)]
    return "\n".join([*lines, provenance(table)]) + "\n"


def render_markdown(table: EvaluationTable) -> str:
    """Return the table as a Markdown section, with its notes as a list below it."""
    lines = [f"## {markdown_escape(heading(table))}", "", *piped(COLUMNS, table.rows), ""]
    lines += [f"- {markdown_escape(note)}" for note in (*notes(table), provenance(table))]
    return "\n".join(lines) + "\n"


def render_latex(table: EvaluationTable) -> str:
    """Return a `table*` environment with booktabs rules."""
    lines = [
        PACKAGES,
        r"\begin{table*}",
        r"  \centering",
        rf"  \caption{{{latex_escape(heading(table))}.}}",
        r"  \label{tab:evaluation}",
        r"  \smallskip",
        r"  \footnotesize",
        *tabular(COLUMNS, table.rows),
        r"",
        r"  \medskip",
        r"  \begin{minipage}{\linewidth}",
        *(rf"    {latex_escape(note)}\par" for note in (*notes(table), provenance(table))),
        r"  \end{minipage}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def render_csv(table: EvaluationTable) -> str:
    """Return the table as CSV: a row for each condition, complete in itself; empty where not measured."""
    text = io.StringIO()
    parameters = dict.fromkeys(name for row in table.rows for name in row.parameters)
    writer = csv.DictWriter(text, (*_CELLS, *parameters, *_ABOUT, "note"), lineterminator="\n")
    writer.writeheader()
    about = {name: getattr(table, name) for name in _ABOUT} | {"note": " ".join(table.notes)}
    for row in table.rows:
        cells = {name: getattr(row, name) for name in _CELLS}
        writer.writerow(cells | dict(row.parameters) | about)
    return text.getvalue()


def render_json(table: EvaluationTable) -> str:
    """Return the table as one JSON object at full precision, null where not measured or not finite."""
    content = {name: getattr(table, name) for name in _ABOUT} | {
        "low_res_size": table.low_res_size,
        "notes": list(table.notes),
        "rows": [
            {
                name: None if isinstance(cell, float) and not math.isfinite(cell) else cell
                for name, cell in asdict(row).items()
            }
            for row in table.rows
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


EVALUATION_FORMATS: dict[str, Callable[[EvaluationTable], str]] = {
    "text": render_text,
    "csv": render_csv,
    "json": render_json,
    "latex": render_latex,
    "markdown": render_markdown,
}
"""Every form in which the table of an evaluation is given out, by its name on the command line."""
