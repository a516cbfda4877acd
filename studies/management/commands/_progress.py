"""One kind of progress bar for all commands."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

WIDTH, HEIGHT = 79, 24
"""Not asked of the terminal: one that does not know its size would be shown no bar at all."""

LOG_INTERVAL_S = 5.0
"""A log file is told now and then; a terminal ten times a second."""


def progress_bar(
    items: Iterable[Any] | None = None, *, label: str, unit: str, total: int | None = None, scales: bool = False
) -> "tqdm[Any]":
    """Return a bar on standard error, over `items` or to be moved by hand up to `total`; it may scale to k, M, G."""
    interval_s = 0.1 if sys.stderr.isatty() else LOG_INTERVAL_S
    return tqdm(
        items,
        desc=f"  {label:<24}",
        unit=unit,
        total=total,
        unit_scale=scales,
        ncols=WIDTH,
        nrows=HEIGHT,
        mininterval=interval_s,
    )
