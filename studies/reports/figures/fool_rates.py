"""The forest plot: fool rates with their intervals, and the 50 % at which raters cannot tell."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from studies.reports.figures.sheet import (
    THEMES,
    FileFormat,
    Theme,
    ThemeName,
    bare,
    drawing,
    half_line,
    saved,
    sheet,
    titled,
)
from studies.reports.wording import level, percent
from studies.statistics.fool_rate import ESTIMANDS, INTERVAL_METHODS
from studies.statistics.results import ResultRow, ResultTable

LABEL_CHARACTERS = 32
COUNTS_CHARACTERS = 40
"""Longer labels of conditions, and longer counts below them, are set smaller, so that they stay on the page."""


def fool_rates(table: ResultTable, *, file_format: FileFormat = "svg", theme: ThemeName = "light") -> bytes:
    """Draw the fool rates of all tested conditions.

    A filled marker is the rate after exclusions, with its interval as a line; a small hollow one below it is the rate
    with everyone who completed.

    Args:
        table: The results; only its conditions with a fool rate are drawn.
        file_format: Of the file; the text of an SVG stays text.
        theme: Light or dark.

    Returns:
        A file of the width of a page.
    """
    colours = THEMES[theme]
    shown = [(place, row) for place, row in enumerate(table.rows) if row.role == "test"]
    by_scene = " by scene" if table.is_tiled and table.estimand == "new" else ""
    note = (
        f"{level(table)} intervals{by_scene}: {INTERVAL_METHODS[table.ci_method]}, {ESTIMANDS[table.estimand]}. "
        "Small hollow marker: everyone who completed."
    )
    with drawing(colours):
        page = sheet(
            table,
            title=titled(table, "fool rates"),
            body_mm=16 + 9 * max(1, len(shown)),
            notes=[note],
            theme=colours,
        )
        axes = page.axes(left_mm=54, right_mm=42, top_mm=5, bottom_mm=9)
        _draw(axes, shown, table, colours)
        return saved(page.figure, table, what="fool rates", file_format=file_format)


def _draw(axes: Axes, shown: Sequence[tuple[int, ResultRow]], table: ResultTable, theme: Theme) -> None:
    ends = [100 * end for _, row in shown for end in (row.ci_high, row.ci_high_all) if end is not None]
    rates = [100 * rate for _, row in shown for rate in (row.fool_rate, row.fool_rate_all) if rate is not None]
    axes.set_xlim(0, min(104, max([58, *(end + 4 for end in ends), *(rate + 4 for rate in rates)])))
    axes.set_ylim(len(shown) - 0.5 if shown else 0.5, -0.5)
    half_line(axes, table, theme)
    for y, (place, row) in enumerate(shown):
        colour, marker = theme.style(place)
        if y:
            axes.axhline(y - 0.5, color=theme.hairline, linewidth=0.4, zorder=0)
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
                markerfacecolor=theme.paper,
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
            (row.label, 4.5, min(8, 8 * LABEL_CHARACTERS / len(row.label)), theme.ink),
            (counts := _counts(row, table), -5.5, min(6.5, 6.5 * COUNTS_CHARACTERS / len(counts)), theme.quiet),
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
        axes.text(
            0.5, 0.5, "No condition is judged by raters.", transform=axes.transAxes, ha="center", color=theme.quiet
        )
    axes.set_yticks([])
    bare(axes, "bottom")
    axes.set_xlabel("% fooled")
    axes.annotate(
        f"% fooled [{level(table)}]",
        (1, 1),
        xycoords="axes fraction",
        xytext=(6, 2),
        textcoords="offset points",
        va="bottom",
        fontsize=7,
        color=theme.quiet,
    )


def _counts(row: ResultRow, table: ResultTable) -> str:
    """Return what a rate rests on; with the scenes that photos were cut from, where they are fewer."""
    counts = f"n = {row.n_responses}, {row.n_raters} raters, {row.n_photos} photos"
    return f"{counts} of {row.n_scenes} scenes" if table.is_tiled else counts
