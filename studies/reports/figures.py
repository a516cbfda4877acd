"""Figures for a page and for a paper, drawn by matplotlib without any window or global figure.

The same input gives the same bytes. matplotlib is imported here and nowhere else: import this module only where a
figure is drawn.
"""

import io
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType
from numpy.typing import NDArray

from studies.reports.palette import VERMILLION, condition_style
from studies.reports.wording import flow_sentence, heading, level, percent, study_name
from studies.statistics.fool_rate import ESTIMANDS, INTERVAL_METHODS
from studies.statistics.results import ResultRow, ResultTable

MM = 1 / 25.4
"""A millimetre in inches."""
PAGE_WIDTH_MM = 174
LABEL_CHARACTERS = 32
COUNTS_CHARACTERS = 40
"""Longer labels of conditions, and longer counts below them, are set smaller, so that they stay on the page."""

GRID_CELL = 128
"""Device pixels of a picture in a grid, or a little fewer: a whole number for each of its own."""
CELL_MOST_MM = 22
"""Pictures of a grid with few columns are not drawn larger on paper."""

INK = "#1A1A1A"
QUIET = "#6B6B6B"
HAIRLINE = "#D0D0D0"

STYLE: dict[RcKeyType, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.4,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": INK,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.4,
    "xtick.major.size": 2.5,
    "lines.linewidth": 1.2,
    "svg.fonttype": "none",
    "svg.hashsalt": "evalsite",
    "path.simplify": False,
}

_drawing = threading.Lock()


@contextmanager
def _style() -> Iterator[None]:
    """Draw in our style and leave matplotlib's settings, which all threads share, as they were."""
    with _drawing, mpl.rc_context(rc=STYLE):
        yield


def fool_rates_svg(table: ResultTable) -> bytes:
    """Draw the fool rates with their intervals, and the 50 % at which raters cannot tell.

    A filled marker is the rate after exclusions, with its interval as a line; a small hollow one below it is the rate
    with everyone who completed.

    Args:
        table: The results; only its conditions with a fool rate are drawn.

    Returns:
        An SVG file of the width of a page, whose text stays text.
    """
    shown = [(place, row) for place, row in enumerate(table.rows) if row.role == "test"]
    height_mm = 36 + 9 * max(1, len(shown)) + (5 if table.is_simulated else 0)
    with _style():
        figure = Figure(figsize=(PAGE_WIDTH_MM * MM, height_mm * MM))
        top = 1 - (11 + (5 if table.is_simulated else 0)) / height_mm
        axes = figure.add_axes((0.31, 17 / height_mm, 0.45, top - 17 / height_mm))
        left = 3 / PAGE_WIDTH_MM
        figure.text(left, 1 - 5 / height_mm, study_name(table), fontsize=9, fontweight="bold", va="center")
        if table.is_simulated:
            figure.text(
                left,
                1 - 10 / height_mm,
                "SIMULATED raters: a program voted, not people",
                fontsize=8,
                fontweight="bold",
                color=VERMILLION,
                va="center",
            )
        _draw_rates(axes, shown, table)
        by_scene = " by scene" if table.is_tiled and table.estimand == "new" else ""
        figure.text(
            left,
            3.5 / height_mm,
            f"{level(table)} intervals{by_scene}: {INTERVAL_METHODS[table.ci_method]}, {ESTIMANDS[table.estimand]}. "
            "Small hollow marker: everyone who completed.",
            fontsize=7,
            color=QUIET,
            va="center",
        )
        return _svg(figure, table)


def sample_grid_png(
    columns: Sequence[tuple[str, NDArray[np.uint8]]],
    *,
    scale: int,
    gap: int = 2,
    study: str = "",
    design_sha256: str = "",
    version: str = "",
) -> bytes:
    """Lay pictures side by side: a column for each condition, a row for each photo, a head above each column.

    Every picture keeps its pixels: it is enlarged by repeating them a whole number of times, smaller ones (the inputs)
    more often than others, so that all cells have one size.

    Args:
        columns: Heads and pictures, (n, height, width, 3) uint8 sRGB, in the paper's order: input, bicubic, nearest
            neighbour, regression, the temperatures, truth. n is the same for all.
        scale: How many device pixels a pixel of the largest pictures takes on each side.
        gap: Device pixels of white between pictures.
        study: Slug of the study, for the file's metadata.
        design_sha256: Digest of its design, likewise.
        version: Version of evalsite, likewise.

    Returns:
        A PNG file.

    Raises:
        ValueError: If there is nothing to draw, the pictures are not (n, height, width, 3) uint8 with one n, or a
            picture does not fit the cell a whole number of times.
    """
    metadata = {"Software": f"evalsite {version}".strip(), "Source": study, "Comment": f"design {design_sha256}"}
    return _grid_png(columns, scale=scale, gap=gap, title="", metadata=metadata)


def picture_grid(
    columns: Sequence[tuple[str, NDArray[np.uint8]]],
    *,
    file_format: Literal["png", "pdf", "svg"],
    title: str = "",
    source: str = "",
    version: str = "",
) -> bytes:
    """Lay pictures side by side, as `sample_grid_png`, for a page or for a paper.

    A PNG keeps whole device pixels; PDF and SVG have the width of a page, their text stays text, and their pictures
    are enlarged by repeating pixels beforehand, so that no viewer smooths them.

    Args:
        columns: Heads and pictures, as `sample_grid_png` takes them.
        file_format: Of the file.
        title: Line above all, or "".
        source: What the pictures come from, for the file's metadata.
        version: Version of evalsite, likewise.

    Returns:
        The file.

    Raises:
        ValueError: As `sample_grid_png`.
    """
    largest = max((max(pictures.shape[1:3]) for _, pictures in columns if pictures.ndim == 4), default=1)
    scale, gap = max(1, GRID_CELL // largest), 2
    program = f"evalsite {version}".strip()
    if file_format == "png":
        metadata = {"Software": program, "Source": source, "Title": title}
        return _grid_png(columns, scale=scale, gap=gap, title=title, metadata=metadata)
    grid, cell_width = _grid(columns, scale=scale, gap=gap)
    width_pt, margin_pt, font_pt = PAGE_WIDTH_MM * MM * 72, 3.0, 7.0
    unit_pt = min((width_pt - 2 * margin_pt) / grid.shape[1], CELL_MOST_MM * MM * 72 / cell_width)
    with _style():
        figure = Figure(dpi=72)  # one pixel of the canvas is one point
        FigureCanvasAgg(figure)
        room_pt = 0.94 * cell_width * unit_pt  # a viewer's font may be wider than ours
        heads = [_wrapped(figure, head, font_size=font_pt, width=room_pt) for head, _ in columns]
        line_pt = 1.25 * font_pt
        top_pt = max(map(len, heads)) * line_pt + font_pt * 0.5 + (1.5 * line_pt if title else 0)
        width, height = grid.shape[1] * unit_pt + 2 * margin_pt, grid.shape[0] * unit_pt + top_pt + margin_pt
        figure.set_size_inches(width / 72, height / 72)
        box = (margin_pt / width, margin_pt / height, 1 - 2 * margin_pt / width, grid.shape[0] * unit_pt / height)
        axes = figure.add_axes(box)
        axes.imshow(grid, interpolation="none", aspect="auto")
        axes.set_axis_off()
        for place, lines in enumerate(heads):
            x = margin_pt + (place * (cell_width + gap) + cell_width / 2) * unit_pt
            for above, line in enumerate(reversed(lines)):
                y = grid.shape[0] * unit_pt + margin_pt + font_pt * 0.55 + above * line_pt
                figure.text(x / width, y / height, line, fontsize=font_pt, ha="center", va="baseline")
        if title:
            y = 1 - line_pt / height
            figure.text(margin_pt / width, y, title, fontsize=8, fontweight="bold", va="baseline")
        file = io.BytesIO()
        about = {"Title": title, "Creator": program}
        dates = {"Date": None, "Source": source} if file_format == "svg" else {"CreationDate": None, "Subject": source}
        figure.savefig(file, format=file_format, metadata=about | dates)
        return file.getvalue()


def _grid_png(
    columns: Sequence[tuple[str, NDArray[np.uint8]]], *, scale: int, gap: int, title: str, metadata: dict[str, str]
) -> bytes:
    """Draw a grid whose every pixel is a whole number of device pixels, with its heads and its title."""
    grid, cell_width = _grid(columns, scale=scale, gap=gap)
    grid_height, grid_width = grid.shape[:2]
    dpi = 100
    font_px = min(22.0, max(11.0, cell_width / 8))
    margin = 2 * gap
    with _style():
        figure = Figure(dpi=dpi)
        FigureCanvasAgg(figure)  # measures the width of the heads
        font_size = font_px * 72 / dpi
        heads = [_wrapped(figure, head, font_size=font_size, width=cell_width) for head, _ in columns]
        line_px = 1.25 * font_px
        head_height = round(max(map(len, heads)) * line_px + font_px * 0.5)
        title_height = round(1.5 * line_px) if title else 0
        width, height = grid_width + 2 * margin, grid_height + head_height + title_height + margin
        figure.set_size_inches(width / dpi, height / dpi)
        figure.figimage(grid, xo=margin, yo=margin, origin="upper")
        for place, lines in enumerate(heads):
            x = margin + place * (cell_width + gap) + cell_width / 2
            for above, line in enumerate(reversed(lines)):
                y = grid_height + margin + font_px * 0.55 + above * line_px
                figure.text(x / width, y / height, line, fontsize=font_size, ha="center", va="baseline")
        if title:
            y = 1 - line_px / height
            figure.text(margin / width, y, title, fontsize=font_size, fontweight="bold", va="baseline")
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata=metadata)
        return file.getvalue()


def _draw_rates(axes: Axes, shown: Sequence[tuple[int, ResultRow]], table: ResultTable) -> None:
    ends = [100 * end for _, row in shown for end in (row.ci_high, row.ci_high_all) if end is not None]
    rates = [100 * rate for _, row in shown for rate in (row.fool_rate, row.fool_rate_all) if rate is not None]
    axes.set_xlim(0, min(104, max([58, *(end + 4 for end in ends), *(rate + 4 for rate in rates)])))
    axes.set_ylim(len(shown) - 0.5 if shown else 0.5, -0.5)
    axes.axvline(50, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(
        "cannot tell",
        (50, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=7,
        color=QUIET,
    )
    for y, (place, row) in enumerate(shown):
        colour, marker = condition_style(place)
        if y:
            axes.axhline(y - 0.5, color=HAIRLINE, linewidth=0.4, zorder=0)
        if row.ci_low is not None and row.ci_high is not None:
            axes.plot([100 * row.ci_low, 100 * row.ci_high], [y, y], color=colour, solid_capstyle="butt", zorder=2)
        if row.fool_rate is not None:
            axes.plot([100 * row.fool_rate], [y], marker, color=colour, markersize=5, clip_on=False, zorder=4)
        if row.fool_rate_all is not None:
            axes.plot(
                [100 * row.fool_rate_all],
                [y + 0.27],
                marker,
                markersize=3,
                markerfacecolor="white",
                markeredgecolor=colour,
                markeredgewidth=0.6,
                clip_on=False,
                zorder=3,
            )
        axes.annotate(
            percent(row.fool_rate, row.ci_low, row.ci_high),
            (1, y),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
        )
        for text, offset, size, ink in (
            (row.label, 4.5, min(8, 8 * LABEL_CHARACTERS / len(row.label)), INK),
            (counts := _counts(row, table), -5.5, min(6.5, 6.5 * COUNTS_CHARACTERS / len(counts)), QUIET),
        ):
            axes.annotate(
                text,
                (0, y),
                xycoords=("axes fraction", "data"),
                xytext=(-8, offset),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=size,
                color=ink,
            )
    if not shown:
        axes.text(0.5, 0.5, "No condition is judged by raters.", transform=axes.transAxes, ha="center", color=QUIET)
    axes.set_yticks([])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("% fooled")
    axes.annotate(
        f"% fooled [{level(table)}]",
        (1, 1),
        xycoords="axes fraction",
        xytext=(6, 2),
        textcoords="offset points",
        va="bottom",
        fontsize=7,
        color=QUIET,
    )


def _counts(row: ResultRow, table: ResultTable) -> str:
    """Return what a rate rests on; with the scenes that photos were cut from, where they are fewer."""
    counts = f"n = {row.n_responses}, {row.n_raters} raters, {row.n_photos} photos"
    return f"{counts} of {row.n_scenes} scenes" if table.is_tiled else counts


def _svg(figure: Figure, table: ResultTable) -> bytes:
    file = io.BytesIO()
    figure.savefig(
        file,
        format="svg",
        metadata={
            "Title": heading(table),
            "Creator": f"evalsite {table.version}",
            "Source": f"study {table.study}, design {table.design_sha256 or 'not recorded'}",
            "Description": flow_sentence(table),
            "Date": None,
        },
    )
    return file.getvalue()


def _grid(columns: Sequence[tuple[str, NDArray[np.uint8]]], *, scale: int, gap: int) -> tuple[NDArray[np.uint8], int]:
    """Return the (height, width, 3) uint8 picture of all cells, and the width of a cell in device pixels."""
    if scale < 1 or gap < 0:
        raise ValueError(f"scale must be 1 or more and gap 0 or more, got {scale} and {gap}")
    if not columns or not len(columns[0][1]):
        raise ValueError("a grid of samples needs at least one column and one picture, got none")
    for head, pictures in columns:
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3:
            raise ValueError(f"{head} must be (n, height, width, 3) uint8, got {pictures.shape} {pictures.dtype}")
        if len(pictures) != len(columns[0][1]):
            raise ValueError(f"{head} has {len(pictures)} pictures, but {columns[0][0]} has {len(columns[0][1])}")
    n = len(columns[0][1])
    cell_height = scale * max(pictures.shape[1] for _, pictures in columns)
    cell_width = scale * max(pictures.shape[2] for _, pictures in columns)
    shape = (n * (cell_height + gap) - gap, len(columns) * (cell_width + gap) - gap, 3)
    grid = np.full(shape, 255, dtype=np.uint8)
    for place, (head, pictures) in enumerate(columns):
        height, width = pictures.shape[1:3]
        if cell_height % height or cell_width % width or cell_height // height != cell_width // width:
            raise ValueError(
                f"{head}: {width} x {height} pixels do not fit a cell of {cell_width} x {cell_height} a whole number "
                "of times"
            )
        times = cell_height // height
        left = place * (cell_width + gap)
        for row, picture in enumerate(pictures.repeat(times, axis=1).repeat(times, axis=2)):
            top = row * (cell_height + gap)
            grid[top : top + cell_height, left : left + cell_width] = picture
    return grid, cell_width


def _wrapped(figure: Figure, text: str, *, font_size: float, width: float) -> list[str]:
    """Return a text as lines that fit a width in pixels where its words allow; a single letter stays with its word."""
    lines: list[str] = []
    for word in re.sub(r"(?<!\S)(\(?\w) ", "\\1\N{NO-BREAK SPACE}", text).split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        probe = figure.text(0, 0, longer, fontsize=font_size)
        fits = probe.get_window_extent().width <= width
        probe.remove()
        if lines and fits:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
