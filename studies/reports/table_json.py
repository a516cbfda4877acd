"""A results table in JSON."""

import json
import math
from dataclasses import asdict

from studies.reports.wording import SIMULATED
from studies.statistics.fool_rate import ESTIMANDS, INTERVAL_METHODS
from studies.statistics.results import ResultRow, ResultTable


def render_json(table: ResultTable) -> str:
    """Return the table as one JSON object; rates in [0, 1] at full precision, null where not measured."""
    content = {
        "study": table.study,
        "title": table.title,
        "design_sha256": table.design_sha256,
        "origin": table.origin,
        "notice": SIMULATED if table.is_simulated else None,
        "alpha": table.alpha,
        "estimand": table.estimand,
        "estimand_label": ESTIMANDS[table.estimand],
        "ci_method": table.ci_method,
        "ci_label": INTERVAL_METHODS[table.ci_method],
        "version": table.version,
        "flow": asdict(table.flow) | {"excluded": dict(table.flow.excluded)},
        "rows": [_row(row) for row in table.rows],
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _row(row: ResultRow) -> dict[str, object]:
    cells = asdict(row)
    notes = cells.pop("notes")
    # JSON has no infinity; a note of the row says so.
    finite = {
        name: None if isinstance(cell, float) and not math.isfinite(cell) else cell for name, cell in cells.items()
    }
    return finite | {"note": " ".join(notes) or None}
