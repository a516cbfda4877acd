"""What all figures share: one style, light or dark, a title above, notes below, and what the file says of itself."""

import io
import logging
import textwrap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from studies.reports.palette import VERMILLION, ConditionStyle, condition_style
from studies.reports.wording import flow_sentence, heading, program, study_name, votes_until
from studies.statistics.results import ResultTable

FileFormat = Literal["svg", "pdf", "png"]
ThemeName = Literal["light", "dark"]
Metadata = dict[str, str | None]

MM = 1 / 25.4
"""A millimetre in inches."""
PAGE_WIDTH_MM = 174
PNG_DPI = 200
DIGEST_SHOWN = 12
"""Digits of the design's digest in the visible note; the file's own data hold all."""
NOTE_CHARACTERS = 125
"""A line of a note that fits the page."""
HEAD_MM, SIMULATED_MM, NOTE_MM = 10.0, 5.0, 3.6


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of everything but the conditions."""

    paper: str
    ink: str
    quiet: str
    hairline: str

    def style(self, position: int) -> ConditionStyle:
        """Return how the condition at a place is drawn; black is drawn in the ink of the theme."""
        found = condition_style(position)
        return found._replace(colour=self.ink) if found.colour == "#000000" else found


THEMES: dict[ThemeName, Theme] = {
    "light": Theme("#FFFFFF", "#1A1A1A", "#6B6B6B", "#D0D0D0"),
    "dark": Theme("#161616", "#ECECEC", "#A8A8A8", "#444444"),
}

STYLE: dict[RcKeyType, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.4,
    "axes.facecolor": "none",
    "xtick.labelsize": 7,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.width": 0.4,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "evalsite",
    "path.simplify": False,
}

logging.getLogger("fontTools").setLevel(logging.WARNING)
"""It tells of every table of every font that it puts into a PDF."""

_drawing = threading.Lock()


@contextmanager
def drawing(theme: Theme) -> Iterator[None]:
    """Draw in our style and leave matplotlib's settings, which all threads share, as they were."""
    colours: dict[RcKeyType, Any] = {
        "axes.edgecolor": theme.quiet,
        "axes.labelcolor": theme.ink,
        "text.color": theme.ink,
        "xtick.color": theme.quiet,
        "ytick.color": theme.quiet,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "figure.facecolor": theme.paper,
        "savefig.facecolor": theme.paper,
    }
    with _drawing, mpl.rc_context(rc=STYLE | colours):
        yield


@dataclass(frozen=True, slots=True)
class Sheet:
    """An empty figure with its title and its notes; heights are in mm.

    Attributes:
        figure: The figure.
        body_mm: Height between title and notes.
        below_mm: Height of the notes.
        height_mm: Height of all.
    """

    figure: Figure
    body_mm: float
    below_mm: float
    height_mm: float

    def axes(self, *, left_mm: float, right_mm: float, top_mm: float = 0, bottom_mm: float = 0) -> Axes:
        """Return axes in the body, so far from its edges."""
        return self.figure.add_axes(
            (
                left_mm / PAGE_WIDTH_MM,
                (self.below_mm + bottom_mm) / self.height_mm,
                (PAGE_WIDTH_MM - left_mm - right_mm) / PAGE_WIDTH_MM,
                (self.body_mm - top_mm - bottom_mm) / self.height_mm,
            )
        )

    def text(self, words: str, *, x_mm: float, y_mm: float, **style: Any) -> None:
        """Write in the body, so far from the left edge and below its upper edge."""
        self.figure.text(
            x_mm / PAGE_WIDTH_MM, (self.below_mm + self.body_mm - y_mm) / self.height_mm, words, va="center", **style
        )


def sheet(table: ResultTable, *, title: str, body_mm: float, notes: Sequence[str], theme: Theme) -> Sheet:
    """Return a sheet of the width of a page: title and study above; notes, and what was drawn from what, below."""
    above = HEAD_MM + (SIMULATED_MM if table.is_simulated else 0)
    lines = [line for note in (*notes, note_of_origin(table)) for line in textwrap.wrap(note, NOTE_CHARACTERS)]
    below = NOTE_MM * len(lines) + 3
    height = above + body_mm + below
    figure = Figure(figsize=(PAGE_WIDTH_MM * MM, height * MM))
    FigureCanvasAgg(figure)  # measures texts
    left = 3 / PAGE_WIDTH_MM
    figure.text(left, 1 - 5 / height, title, fontsize=9, fontweight="bold", va="center")
    if table.is_simulated:
        figure.text(
            left,
            1 - 10 / height,
            "SIMULATED raters: a program voted, not people",
            fontweight="bold",
            color=VERMILLION,
            va="center",
        )
    for place, line in enumerate(reversed(lines)):
        figure.text(left, (2.5 + NOTE_MM * place) / height, line, fontsize=6.5, color=theme.quiet, va="center")
    return Sheet(figure, body_mm, below, height)


def styles(table: ResultTable, theme: Theme) -> dict[str, ConditionStyle]:
    """Return how each condition of a table is drawn, by its name."""
    return {row.condition: theme.style(place) for place, row in enumerate(table.rows)}


def titled(table: ResultTable, what: str) -> str:
    """Return the title of a figure: the study, and what is drawn."""
    return f"{study_name(table)}: {what}"


def note_of_origin(table: ResultTable) -> str:
    """Return the visible line that tells study, design, date and version."""
    digest = table.design_sha256[:DIGEST_SHOWN] or "not recorded"
    return f"Study {table.study}, design {digest}, {votes_until(table)}, {program(table)}."


def saved(figure: Figure, table: ResultTable, *, what: str, file_format: FileFormat) -> bytes:
    """Return the file, whose own data tell study, whole digest, date and version: the same bytes for the same input."""
    title = f"{heading(table)}: {what}"
    design = table.design_sha256 or "not recorded"
    source = f"study {table.study}, design {design}, {votes_until(table)}"
    metadata: dict[FileFormat, Metadata] = {
        "svg": {
            "Title": title,
            "Creator": program(table),
            "Source": source,
            "Description": flow_sentence(table),
            "Date": table.last_vote or None,
        },
        "pdf": {"Title": title, "Creator": program(table), "Subject": source, "CreationDate": None},
        "png": {"Title": title, "Software": program(table), "Source": source, "Description": flow_sentence(table)},
    }
    return written(figure, file_format=file_format, metadata=metadata[file_format], dpi=PNG_DPI)


def written(figure: Figure, *, file_format: FileFormat, metadata: Metadata, dpi: float) -> bytes:
    """Return the file with these data of its own."""
    file = io.BytesIO()
    figure.savefig(file, format=file_format, metadata=metadata, dpi=dpi)
    return file.getvalue()


def bare(axes: Axes, *sides: str) -> None:
    """Take the frame of axes away but for some sides."""
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(side in sides)


def half_line(axes: Axes, table: ResultTable, theme: Theme, *, is_horizontal: bool = False) -> None:
    """Draw the 50 % at which raters cannot tell, and say so at its end; it means nothing of pictures shown alone."""
    if table.is_alone:
        return
    style: dict[str, Any] = {"color": theme.quiet, "linewidth": 0.8, "linestyle": (0, (4, 3)), "zorder": 1}
    if is_horizontal:
        axes.axhline(50, **style)
        place, coordinates, offset, ha, va = (1, 50), ("axes fraction", "data"), (0, 2), "right", "bottom"
    else:
        axes.axvline(50, **style)
        place, coordinates, offset, ha, va = (50, 1), ("data", "axes fraction"), (0, 2), "center", "bottom"
    axes.annotate(
        "cannot tell",
        place,
        xycoords=coordinates,
        xytext=offset,
        textcoords="offset points",
        ha=ha,
        va=va,
        fontsize=7,
        color=theme.quiet,
    )
