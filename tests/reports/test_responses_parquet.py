"""Parquet holds what the CSV export holds, with types."""

import io
import sys
from datetime import UTC, datetime

import pyarrow.parquet
import pytest

from studies.errors import ExtraMissing
from studies.reports import responses_parquet as module
from studies.reports.responses_parquet import REAL, TIMES, TRUTH, WHOLE, responses_parquet
from studies.statistics.responses_csv import COLUMNS
from tests.statistics.made_up import as_cells, made_up_rows

CELLS = as_cells(made_up_rows(n_raters=3))
CELLS[0]["answered_at"] = "2026-11-25T12:00:00.250+00:00"
ROWS = [list(CELLS[0]), *(list(row.values()) for row in CELLS)]


def test_every_cell_comes_back_with_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 20)  # more than one batch
    table = pyarrow.parquet.read_table(io.BytesIO(responses_parquet(ROWS)))
    assert table.column_names == [column.name for column in COLUMNS]
    read = table.to_pylist()
    assert len(read) == len(CELLS)
    for cells, row in zip(CELLS, read, strict=True):
        assert row["fooled"] is (cells["fooled"] == "1")
        assert row["position"] == int(cells["position"])
        assert row["rater"] == cells["rater"]
        assert row["psnr"] == (float(cells["psnr"]) if cells["psnr"] else None)
        assert row["exclusion_reason"] == (cells["exclusion_reason"] or None)
    assert read[0]["answered_at"] == datetime(2026, 11, 25, 12, 0, 0, 250_000, tzinfo=UTC)


def test_columns_with_types_are_columns_of_the_export() -> None:
    assert {column.name for column in COLUMNS} >= WHOLE | TRUTH | REAL | TIMES


def test_header_alone_is_an_empty_table() -> None:
    assert pyarrow.parquet.read_table(io.BytesIO(responses_parquet(ROWS[:1]))).num_rows == 0


def test_without_the_extra_the_cure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ExtraMissing, match=r"Parquet needs pyarrow: pip install -r requirements-extras\.txt\."):
        responses_parquet(ROWS)
