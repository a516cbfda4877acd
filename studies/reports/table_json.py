"""A results table in JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from studies.reports.section import Section
from studies.reports.wording import SIMULATED
from studies.statistics.fool_rate import ESTIMANDS, INTERVAL_METHODS
from studies.statistics.results import ResultRow, ResultTable


def render_json(table: ResultTable, sections: Sequence[Section] = ()) -> str:
    """Return the table as one JSON object; rates in [0, 1] at full precision, null where not measured.

    Each section stands under its own name, as the list of its rows.
    """
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
        "last_vote": table.last_vote or None,
        "caution": table.caution or None,
        "flow": asdict(table.flow) | {"excluded": dict(table.flow.excluded)},
        "rows": [_row(row) for row in table.rows],
    } | {section.name: [_finite(record) for record in section.records] for section in sections}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _row(row: ResultRow) -> dict[str, object]:
    cells = asdict(row)
    notes = cells.pop("notes")
    return _finite(cells) | {"note": " ".join(notes) or None}


def _finite(cells: Mapping[str, object]) -> dict[str, object]:
    """Return cells without infinity, which JSON has not; a note of the row says so."""
    return {name: None if isinstance(cell, float) and not math.isfinite(cell) else cell for name, cell in cells.items()}
