"""Reaction times: how long raters took where they were fooled, and where they were not."""

from collections.abc import Sequence

from studies.reports.figures.sheet import THEMES, FileFormat, ThemeName, bare, drawing, saved, sheet, styles, titled
from studies.statistics.results import ResultTable
from studies.statistics.summaries import ConditionSummary


def times(
    table: ResultTable,
    found: Sequence[ConditionSummary],
    *,
    file_format: FileFormat = "svg",
    theme: ThemeName = "light",
) -> bytes:
    """Draw the median of the raters' medians with the middle half of raters, fooled answers above the others.

    Args:
        table: The results.
        found: The summaries of the same votes.
        file_format: Of the file.
        theme: Light or dark.

    Raises:
        ValueError: If no reaction time is known.
    """
    colours = THEMES[theme]
    drawn_as = styles(table, colours)
    timed = [(one, one.reaction_times) for one in found if one.reaction_times]
    parts = [part for _, of in timed for part in (of.fooled, of.not_fooled) if part is not None]
    if not parts:
        raise ValueError("no reaction time is known; the votes need the column rt_ms")
    note = (
        "Median of the raters' medians, from when the buttons can be used; line: the middle half of raters. Filled: "
        "answers "
        "that were fooled; hollow: the others. Answers of more than 10 s left out."
    )
    with drawing(colours):
        page = sheet(
            table, title=titled(table, "reaction times"), body_mm=12 + 10 * len(timed), notes=[note], theme=colours
        )
        axes = page.axes(left_mm=54, right_mm=26, bottom_mm=9)
        axes.set_xlim(0, 1.06 * max(part.q75_ms for part in parts) / 1000)
        axes.set_ylim(len(timed) - 0.5, -0.5)
        for y, (one, of) in enumerate(timed):
            colour, marker = drawn_as[one.condition]
            if y:
                axes.axhline(y - 0.5, color=colours.hairline, linewidth=0.4, zorder=0)
            for part, offset, fill in ((of.fooled, -0.18, colour), (of.not_fooled, 0.18, colours.paper)):
                if part is None:
                    continue
                axes.plot(
                    [part.q25_ms / 1000, part.q75_ms / 1000],
                    [y + offset] * 2,
                    color=colour,
                    linewidth=0.8,
                    solid_capstyle="butt",
                    zorder=2,
                )
                axes.plot(
                    [part.median_ms / 1000],
                    [y + offset],
                    marker,
                    markersize=5,
                    markerfacecolor=fill,
                    markeredgecolor=colour,
                    markeredgewidth=0.8,
                    zorder=3,
                )
                axes.annotate(
                    f"{part.median_ms / 1000:.2f} s, {part.n_answers} answers",
                    (1, y + offset),
                    xycoords=("axes fraction", "data"),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=6.5,
                    color=colours.quiet,
                )
            axes.annotate(
                one.label,
                (0, y),
                xycoords=("axes fraction", "data"),
                xytext=(-8, 0),
                textcoords="offset points",
                ha="right",
                va="center",
            )
        axes.set_yticks([])
        bare(axes, "bottom")
        axes.set_xlabel("reaction time in s")
        return saved(page.figure, table, what="reaction times", file_format=file_format)
