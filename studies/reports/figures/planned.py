"""What more raters, and more photos, bring: the half-width or the power of a planned study against its raters."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from studies import __version__
from studies.reports.figures.sheet import MM, PNG_DPI, THEMES, FileFormat, Theme, ThemeName, bare, drawing, written
from studies.reports.palette import VERMILLION
from studies.reports.plan_text import percent, plan_text
from studies.statistics.power import Array
from studies.statistics.study_plan import PlanAnswer

WIDTH_MM, HEIGHT_MM = 150, 84
FEWEST = 10
POINTS = 160
BLUE = "#0072B2"


def planned(answer: PlanAnswer, *, file_format: FileFormat = "svg", theme: ThemeName = "light") -> bytes:
    """Draw the goal's curve: with the photos at hand, with half of them and with twice as many.

    Args:
        answer: The plan.
        file_format: Of the file.
        theme: Light or dark.
    """
    colours = THEMES[theme]
    asked, found = answer.question, answer.plan
    is_width = asked.goal == "half_width"
    most = max(100, 3 * (found.n_raters or 400))
    raters = np.unique(np.geomspace(FEWEST, most, POINTS).round())
    photos = sorted({n for n in (asked.n_photos // 2, asked.n_photos, 2 * asked.n_photos) if n >= FEWEST})
    curves = {n: 100 * _heights(answer, raters, n) for n in photos}
    with drawing(colours):
        figure = Figure(figsize=(WIDTH_MM * MM, HEIGHT_MM * MM))
        FigureCanvasAgg(figure)
        axes = figure.add_axes(
            (14 / WIDTH_MM, 12 / HEIGHT_MM, (WIDTH_MM - 44) / WIDTH_MM, (HEIGHT_MM - 22) / HEIGHT_MM)
        )
        goal = 100 * (asked.target if is_width else asked.power)
        top = 100.0 if not is_width else 1.06 * min(max(float(max(curves[n][0] for n in photos)), goal), 4 * goal)
        axes.set_ylim(0, 1.04 * top)
        axes.set_xscale("log")
        axes.set_xlim(FEWEST, most)
        _ticks(axes, most)
        axes.axhline(goal, color=VERMILLION, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        wanted = f"wanted: ±{percent(asked.target)}" if is_width else f"wanted: {percent(asked.power)} %"
        axes.annotate(
            wanted,
            (0, goal),
            xycoords=("axes fraction", "data"),
            xytext=(3, 2),
            textcoords="offset points",
            fontsize=7,
            color=colours.ink,
        )
        ends = []
        for n in photos:
            is_ours = n == asked.n_photos
            axes.plot(raters, curves[n], color=BLUE if is_ours else colours.quiet, linewidth=1.8 if is_ours else 0.8)
            ends.append((float(min(curves[n][-1], top)), n, is_ours))
        _labels(axes, ends, colours, least=0.07 * top)
        if found.n_raters is not None:
            _needed(axes, found.n_raters, goal, colours, is_width=is_width)
        bare(axes, "bottom", "left")
        each = " of each condition" if asked.is_of_each else ""
        axes.set_xlabel(f"counted raters{each}, {asked.votes_per_rater} votes each")
        what = "half-width of the interval, points" if is_width else "chance to show it, %"
        figure.text(4 / WIDTH_MM, 1 - 5 / HEIGHT_MM, what, fontsize=8, va="center", color=colours.ink)
        said = f"evalsite {__version__}"
        title = f"Planned: {plan_text(answer).goal}"
        metadata: dict[FileFormat, dict[str, str | None]] = {
            "svg": {"Title": title, "Creator": said, "Date": None},
            "pdf": {"Title": title, "Creator": said, "CreationDate": None},
            "png": {"Title": title, "Software": said},
        }
        return written(figure, file_format=file_format, metadata=metadata[file_format], dpi=PNG_DPI)


def _heights(answer: PlanAnswer, raters: Array, n_photos: int) -> Array:
    is_width = answer.question.goal == "half_width"
    return (answer.half_widths if is_width else answer.powers)(raters, n_photos=n_photos)


def _ticks(axes: Axes, most: float) -> None:
    """Write raters as whole numbers, at 1, 2 and 5 of each power of ten."""
    ticks = [step * 10**power for power in range(1, math.ceil(math.log10(most)) + 1) for step in (1, 2, 5)]
    shown = [tick for tick in ticks if FEWEST <= tick <= most]
    if len(shown) > 8:
        shown = [tick for tick in shown if str(tick)[0] == "1"]
    axes.set_xticks(shown, [f"{tick:,}" for tick in shown])
    axes.minorticks_off()


def _labels(axes: Axes, ends: list[tuple[float, int, bool]], theme: Theme, *, least: float) -> None:
    """Name each curve at its end, kept apart from its neighbours."""
    height = -math.inf
    for y, n_photos, is_ours in sorted(ends):
        height = max(y, height + least)
        axes.annotate(
            f"{n_photos:,} photos",
            (1, height),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=theme.ink if is_ours else theme.quiet,
            fontweight="bold" if is_ours else "normal",
        )


def _needed(axes: Axes, n_raters: int, goal: float, theme: Theme, *, is_width: bool) -> None:
    """Mark where the curve meets what is wanted."""
    axes.plot([n_raters, n_raters], [0, goal], color=BLUE, linewidth=0.6, zorder=2)
    axes.plot([n_raters], [goal], "o", color=BLUE, markersize=6, zorder=4)
    axes.annotate(
        f"{n_raters:,} raters",
        (n_raters, goal),
        xytext=(5, 6 if is_width else -10),
        textcoords="offset points",
        fontsize=9,
        fontweight="bold",
        color=theme.ink,
    )
