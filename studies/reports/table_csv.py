"""A results table as CSV: one row for each condition, every row complete in itself."""

import csv
import io
from dataclasses import asdict, fields

from studies.reports.wording import SIMULATED
from studies.statistics.results import ResultRow, ResultTable

ROW_COLUMNS = tuple(field.name for field in fields(ResultRow) if field.name != "notes")
TABLE_COLUMNS = ("study", "title", "design_sha256", "origin", "notice", "alpha", "estimand", "version")
FLOW_COLUMNS = ("sessions_started", "sessions_completed", "sessions_excluded", "sessions_counted")


def render_csv(table: ResultTable) -> str:
    """Return the table as CSV; rates in [0, 1] at full precision, empty where not measured, truth as 0 and 1."""
    about = {
        "study": table.study,
        "title": table.title,
        "design_sha256": table.design_sha256,
        "origin": table.origin,
        "notice": SIMULATED if table.is_simulated else "",
        "alpha": table.alpha,
        "estimand": table.estimand,
        "version": table.version,
        "sessions_started": table.flow.started,
        "sessions_completed": table.flow.completed,
        "sessions_excluded": "; ".join(f"{reason}: {count}" for reason, count in table.flow.excluded),
        "sessions_counted": table.flow.counted,
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, (*ROW_COLUMNS, "note", *FLOW_COLUMNS, *TABLE_COLUMNS), lineterminator="\n")
    writer.writeheader()
    for row in table.rows:
        cells = asdict(row)
        note = " ".join(cells.pop("notes"))
        writer.writerow(cells | {"is_deff_assumed": int(row.is_deff_assumed), "note": note} | about)
    return text.getvalue()
