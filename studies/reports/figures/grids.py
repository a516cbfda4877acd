"""Pictures side by side: a column for each condition, a row for each photo, at whole multiples of their pixels."""

import re
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from studies.reports.figures.sheet import MM, PAGE_WIDTH_MM, THEMES, FileFormat, Metadata, drawing, written

GRID_CELL = 128
"""Device pixels of a picture in a grid, or a little fewer: a whole number for each of its own."""
CELL_MOST_MM = 22
"""Pictures of a grid with few columns are not drawn larger on paper."""

LIGHT = THEMES["light"]
"""Pictures are judged on white paper; a grid has no dark form."""


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
    metadata: Metadata = {
        "Software": f"evalsite {version}".strip(),
        "Source": study,
        "Comment": f"design {design_sha256}",
    }
    return _grid_png(columns, scale=scale, gap=gap, title="", metadata=metadata)


def picture_grid(
    columns: Sequence[tuple[str, NDArray[np.uint8]]],
    *,
    file_format: FileFormat,
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
        metadata: Metadata = {"Software": program, "Source": source, "Title": title}
        return _grid_png(columns, scale=scale, gap=gap, title=title, metadata=metadata)
    grid, cell_width = _grid(columns, scale=scale, gap=gap)
    width_pt, margin_pt, font_pt = PAGE_WIDTH_MM * MM * 72, 3.0, 7.0
    unit_pt = min((width_pt - 2 * margin_pt) / grid.shape[1], CELL_MOST_MM * MM * 72 / cell_width)
    with drawing(LIGHT):
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
        about: Metadata = {"Title": title, "Creator": program}
        about |= {"Date": None, "Source": source} if file_format == "svg" else {"CreationDate": None, "Subject": source}
        return written(figure, file_format=file_format, metadata=about, dpi=72)


def _grid_png(
    columns: Sequence[tuple[str, NDArray[np.uint8]]], *, scale: int, gap: int, title: str, metadata: Metadata
) -> bytes:
    """Draw a grid whose every pixel is a whole number of device pixels, with its heads and its title."""
    grid, cell_width = _grid(columns, scale=scale, gap=gap)
    grid_height, grid_width = grid.shape[:2]
    dpi = 100
    font_px = min(22.0, max(11.0, cell_width / 8))
    margin = 2 * gap
    with drawing(LIGHT):
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
        return written(figure, file_format="png", metadata=metadata, dpi=dpi)


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
