"""Best and worst pictures of each method, sorted by the cautious bound of their shrunk rates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from studies.reports.figures.sheet import (
    PAGE_WIDTH_MM,
    THEMES,
    FileFormat,
    ThemeName,
    drawing,
    saved,
    sheet,
    titled,
)
from studies.statistics.ranking import RankedPicture
from studies.statistics.results import ResultTable
from studies.statistics.summaries import ConditionSummary

Picture = NDArray[np.uint8]
PictureOf = Callable[[str, object], Picture]
"""Condition and identifier of the photo -> what the condition made of it, (height, width, 3) uint8 sRGB."""

EACH_SIDE = 5
LEFT_MM, GAP_MM, MIDDLE_MM, CAPTION_MM = 3.0, 1.0, 6.0, 7.5
ENLARGED = 96
"""Pixels that a picture is enlarged to by repeating its own, so that no viewer smooths it."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A method with what is drawn of it."""

    summary: ConditionSummary
    best: tuple[RankedPicture, ...]
    worst: tuple[RankedPicture, ...]


def gallery(
    table: ResultTable,
    found: Sequence[ConditionSummary],
    picture_of: PictureOf,
    *,
    file_format: FileFormat = "png",
    theme: ThemeName = "light",
) -> bytes:
    """Draw the pictures that fool most and least, with k of n raters fooled and the shrunk rate with its 90 % interval.

    Args:
        table: The results.
        found: The summaries of the same votes.
        picture_of: Gives the pictures.
        file_format: Of the file.
        theme: Light or dark.

    Raises:
        ValueError: If no method has pictures that can be told apart.
    """
    colours = THEMES[theme]
    rows = [
        _Row(one, one.ranking.best[: min(EACH_SIDE, half)], one.ranking.worst[: min(EACH_SIDE, half)])
        for one in found
        if (half := len(one.ranking.best) // 2)
    ]
    if not rows:
        raise ValueError("no method has pictures that the votes can tell apart; there is no best and no worst")
    side = (PAGE_WIDTH_MM - 2 * LEFT_MM - MIDDLE_MM - 2 * (EACH_SIDE - 1) * GAP_MM) / (2 * EACH_SIDE)
    height = 6 + side + CAPTION_MM + 3
    absent = [one.label for one in found if not one.ranking.is_separable]
    sorting = (
        "Sorted by the lower 5 % bound (fools most) and the upper 95 % bound (fools least) of shrunk rates; below each "
        "picture k of n fooled, and the rate in percent [90 %]."
    )
    caution = "Exploratory: extremes picked for being extreme fall back when asked again."
    notes = [sorting, f"{caution} Not separable: {', '.join(absent)}." if absent else caution]
    with drawing(colours):
        body = height * len(rows) + 5
        page = sheet(table, title=titled(table, "best and worst pictures"), body_mm=body, notes=notes, theme=colours)
        axes = page.axes(left_mm=0, right_mm=0)
        axes.set_xlim(0, PAGE_WIDTH_MM)
        axes.set_ylim(body, 0)
        axes.set_axis_off()
        middle = LEFT_MM + EACH_SIDE * side + (EACH_SIDE - 1) * GAP_MM + MIDDLE_MM
        axes.text(LEFT_MM, 2, "fools most", fontsize=7, color=colours.quiet, va="center")
        axes.text(middle, 2, "fools least", fontsize=7, color=colours.quiet, va="center")
        for down, row in enumerate(rows):
            top = 5 + down * height
            axes.text(LEFT_MM, top + 2.5, row.summary.label, fontweight="bold", fontsize=7, va="center")
            for start, ranked in ((LEFT_MM, row.best), (middle, row.worst)):
                for place, one in enumerate(ranked):
                    picture = picture_of(row.summary.condition, one.picture)
                    _draw(
                        axes, picture, one, x=start + place * (side + GAP_MM), y=top + 6, side=side, ink=colours.quiet
                    )
        return saved(page.figure, table, what="best and worst pictures", file_format=file_format)


def _draw(axes: Axes, picture: Picture, one: RankedPicture, *, x: float, y: float, side: float, ink: str) -> None:
    times = max(1, ENLARGED // max(picture.shape[:2]))
    enlarged = picture.repeat(times, axis=0).repeat(times, axis=1)
    axes.imshow(enlarged, extent=(x, x + side, y + side, y), interpolation="none", aspect="auto", zorder=2)
    axes.text(x + side / 2, y + side + 1.8, f"{one.n_fooled}/{one.n_votes}", ha="center", va="center", fontsize=6)
    share = f"{100 * one.rate:.0f} [{100 * one.low:.0f}, {100 * one.high:.0f}]"
    axes.text(x + side / 2, y + side + 4.6, share, ha="center", va="center", fontsize=5, color=ink)
