"""One kind of progress bar for the commands of this package."""

import shutil
import sys
from typing import Any

from tqdm import tqdm

LOG_INTERVAL_S = 30.0
"""A log file is told now and then; a terminal ten times a second."""


def progress_bar(
    *, label: str, total: int, unit: str = "it", initial: int = 0, form: str | None = None, delay_s: float = 0.0
) -> "tqdm[Any]":
    """Return a bar on standard error, to be moved by hand from `initial` up to `total`.

    Its width is the terminal's; one that does not know its own would be shown no bar at all, and is given 100 columns.

    Args:
        label: What is counted, or is going on.
        total: Where it ends.
        unit: Of what is counted.
        initial: Where it begins.
        form: The line, as tqdm's `bar_format`; None for tqdm's own.
        delay_s: Seconds before it is first shown: what is done by then shows no bar.
    """
    return tqdm(
        desc=label,
        unit=unit,
        total=total,
        initial=initial,
        bar_format=form,
        delay=delay_s,
        ncols=shutil.get_terminal_size((100, 24)).columns - 1,
        nrows=24,
        mininterval=0.1 if sys.stderr.isatty() else LOG_INTERVAL_S,
    )
