"""A results table as CSV: one row for each condition, every row complete in itself."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields

from studies.reports.section import Section
from studies.reports.wording import SIMULATED
from studies.statistics.results import ResultRow, ResultTable

ROW_COLUMNS = tuple(field.name for field in fields(ResultRow) if field.name != "notes")
TABLE_COLUMNS = (
    "study",
    "title",
    "design_sha256",
    "origin",
    "notice",
    "alpha",
    "estimand",
    "version",
    "last_vote",
    "caution",
)
FLOW_COLUMNS = ("sessions_started", "sessions_completed", "sessions_excluded", "sessions_counted")


def render_csv(table: ResultTable, sections: Sequence[Section] = ()) -> str:
    """Return the table as CSV; rates in [0, 1] at full precision, empty where not measured, truth as 0 and 1.

    Raises:
        ValueError: If there are sections: a CSV file holds one table; `section_csv` gives each a file of its own.
    """
    if sections:
        raise ValueError(f"a CSV file holds one table, but {sections[0].name} would be a second; take another format")
    about = {
        "study": table.study,
        "title": table.title,
        "design_sha256": table.design_sha256,
        "origin": table.origin,
        "notice": SIMULATED if table.is_simulated else "",
        "alpha": table.alpha,
        "estimand": table.estimand,
        "version": table.version,
        "last_vote": table.last_vote,
        "caution": table.caution,
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
