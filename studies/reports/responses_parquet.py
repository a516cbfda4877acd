"""Raw responses as Parquet: the columns of the CSV export, with types. It needs pyarrow, of the extras."""

import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from types import ModuleType

from studies.errors import ExtraMissing

WHOLE = frozenset({"condition_order", "position", "rt_ms", "block", "exposure_asked_ms"})
TRUTH = frozenset({"completed", "excluded", "fooled", "was_hidden"})
REAL = frozenset(
    {
        *("exposure_first_ms", "exposure_second_ms", "device_scale", "pixel_ratio", "equivalence_margin"),
        *("psnr", "ssim", "ms_ssim", "ms_ssim_3", "consistency", "sample_psnr", "sample_ssim"),
    }
)
TIMES = frozenset({"answered_at"})
BATCH = 50_000
"""Rows that are turned at once, so that a large export needs little memory."""


def responses_parquet(rows: Iterable[Sequence[str]]) -> bytes:
    """Return the rows of the CSV export, header first, as a Parquet file; an empty cell becomes null.

    Args:
        rows: Header and cells as text, as the CSV export writes them.

    Raises:
        ExtraMissing: If pyarrow is not installed.
    """
    arrow, parquet, compute = _modules()
    cells = iter(rows)
    names = list(next(cells))
    schema = arrow.schema([(name, _type(arrow, name)) for name in names])
    file = io.BytesIO()
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in _batches(cells):
            columns = [
                _column(arrow, compute, [row[place] or None for row in batch], schema.field(place).type)
                for place in range(len(names))
            ]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))
    return file.getvalue()


def _batches(rows: Iterator[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _type(arrow: ModuleType, name: str) -> object:
    if name in WHOLE:
        return arrow.int64()
    if name in TRUTH:
        return arrow.bool_()
    if name in REAL:
        return arrow.float64()
    return arrow.timestamp("ms", tz="UTC") if name in TIMES else arrow.string()


def _column(arrow: ModuleType, compute: ModuleType, cells: list[str | None], kind: object) -> object:
    texts = arrow.array(cells, type=arrow.string())
    if kind == arrow.int64():  # other tools may write 700.0
        texts = compute.cast(texts, arrow.float64())
    return compute.cast(texts, kind)


def _modules() -> tuple[ModuleType, ModuleType, ModuleType]:
    try:
        import pyarrow as pa  # noqa: PLC0415 -- an extra, that most do without
        from pyarrow import compute, parquet  # noqa: PLC0415 -- the same
    except ImportError as error:
        raise ExtraMissing("Parquet needs pyarrow: pip install -r requirements-extras.txt.") from error
    return pa, parquet, compute
