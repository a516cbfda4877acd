"""A small study with known votes, as arrays and as the file that the site would export."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from studies.statistics.responses_csv import COLUMNS
from studies.statistics.results import ConditionFidelity, ResultCondition, Votes

CONDITIONS = (
    ResultCondition(name="bicubic", label="Bicubic", role="golden"),
    ResultCondition(name="regression", label="Regression & friends", role="test"),
    ResultCondition(name="prsr_11", label="pixel recursive, τ 1.1", role="test"),
)
FIDELITY = {
    "bicubic": ConditionFidelity(psnr=24.123456789012345, ssim=0.7, ms_ssim=0.69, ms_ssim_3=0.71, consistency=1 / 300),
    "regression": ConditionFidelity(psnr=25.2, ssim=0.79, consistency=0.001),
}
RATES = {"regression": 0.1, "prsr_11": 0.3}
SHA = "0123456789abcdef" * 4


def made_up_rows(*, n_raters: int = 24, n_photos: int = 40, origin: str = "person") -> list[dict[str, Any]]:
    """Return one row per response: practice, golden and test pairs; some sessions excluded or unfinished."""
    rng = np.random.default_rng(11)
    rows = []
    for rater in range(n_raters):
        completed = rater % 7 != 6
        excluded = completed and rater % 6 == 5
        skill = rng.normal()
        for position, photo in enumerate(rng.permutation(n_photos)[:23], start=1):
            kind = "practice" if position <= 2 else "golden" if position == 10 else "test"
            condition = "bicubic" if kind == "golden" else ("regression", "prsr_11")[position % 2]
            odds = RATES.get(condition, 0.0) / (1 - RATES.get(condition, 0.0)) * np.exp(0.5 * skill)
            fooled = excluded if kind == "golden" else bool(rng.random() < odds / (1 + odds))
            rows.append(
                {
                    "session": f"s{rater}",
                    "rater": f"r{rater}",
                    "photo": f"p{photo}",
                    "scene": f"p{photo}",
                    "condition": condition,
                    "kind": kind,
                    "position": position,
                    "fooled": fooled,
                    "excluded": excluded,
                    "completed": completed,
                    "origin": origin,
                    "exclusion_reason": "golden_missed" if excluded else "",
                    "photo_side": ("first", "second")[(rater + position) % 2],
                    "rt_ms": 600.0 + 20 * rater + 5 * position,
                    "sample_psnr": 20 + photo % 7 + len(condition) / 10,
                    "sample_ssim": 0.5 + photo % 5 / 10,
                }
            )
    return rows


def as_votes(rows: list[dict[str, Any]]) -> Votes:
    """Return rows as arrays, the way the site's selector hands them over."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return Votes(**{name: np.array(column) for name, column in columns.items()})


def as_cells(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return rows as the cells of a full export."""
    cells = []
    for row in rows:
        place, condition = next((p, c) for p, c in enumerate(CONDITIONS, start=1) if c.name == row["condition"])
        fidelity = FIDELITY.get(condition.name, ConditionFidelity())
        filled = {
            "study": "rooms",
            "study_title": "Rooms",
            "design_sha256": SHA,
            "condition_label": condition.label,
            "condition_order": place,
            "role": condition.role,
            "psnr": fidelity.psnr,
            "ssim": fidelity.ssim,
            "ms_ssim": fidelity.ms_ssim,
            "ms_ssim_3": fidelity.ms_ssim_3,
            "consistency": fidelity.consistency,
        } | dict(row)
        cells.append({column.name: _cell(filled.get(column.name)) for column in COLUMNS})
    return cells


def write_csv(path: Path, cells: list[dict[str, str]]) -> Path:
    """Write cells under a header row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(cells[0]))
        writer.writeheader()
        writer.writerows(cells)
    return path


def _cell(value: object) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)
