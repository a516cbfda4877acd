"""Realism against pixel metrics, picture by picture: the plot that shows how little these tell of it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from studies.reports.figures.sheet import (
    PAGE_WIDTH_MM,
    THEMES,
    FileFormat,
    ThemeName,
    bare,
    drawing,
    saved,
    sheet,
    styles,
    titled,
)
from studies.reports.palette import ConditionStyle
from studies.reports.summaries import METRICS, interval
from studies.statistics.phrases import level
from studies.statistics.results import ResultTable
from studies.statistics.summaries import ConditionSummary

UNITS = {"psnr": "pSNR in dB", "ssim": "SSIM"}
LEGEND_MM = 8.0


def realism(
    table: ResultTable,
    found: Sequence[ConditionSummary],
    *,
    file_format: FileFormat = "svg",
    theme: ThemeName = "light",
) -> bytes:
    """Draw each picture's share of fooled raters over its pSNR, and over its SSIM; the size of a point is its votes.

    Args:
        table: The results.
        found: The summaries of the same votes.
        file_format: Of the file.
        theme: Light or dark.

    Raises:
        ValueError: If no picture has a metric.
    """
    colours = THEMES[theme]
    drawn_as = styles(table, colours)
    panels = [metric for metric in METRICS if any(rank.metric == metric for one in found for rank in one.correlations)]
    if not panels:
        raise ValueError("no picture has a pixel metric; the votes need the columns sample_psnr or sample_ssim")
    ranked = [one for one in found if one.correlations]
    note = (
        "Each point a picture, its area the number of votes. In the key: Spearman's rank correlation within the "
        "method, with "
        f"its {level(table.alpha)} interval, of shares from as many votes."
    )
    with drawing(colours):
        body = 66 + 4.5 * len(ranked) + LEGEND_MM
        page = sheet(
            table, title=titled(table, "realism against pixel metrics"), body_mm=body, notes=[note], theme=colours
        )
        width = (PAGE_WIDTH_MM - 20) / len(panels)
        for across, metric in enumerate(panels):
            left = 15 + across * width
            axes = page.axes(
                left_mm=left,
                right_mm=PAGE_WIDTH_MM - left - width + 8,
                top_mm=2,
                bottom_mm=body - 58,
            )
            for one in ranked:
                rank = next((rank for rank in one.correlations if rank.metric == metric), None)
                if rank is None:
                    continue
                colour, marker = drawn_as[one.condition]
                is_finite = np.isfinite(rank.figures)
                axes.scatter(
                    rank.figures[is_finite],
                    100 * rank.rates[is_finite],
                    s=3 + 1.2 * rank.n_votes[is_finite],
                    c=colour,
                    marker=marker,
                    alpha=0.6,
                    linewidths=0,
                )
            axes.set_ylim(-3, 103)
            bare(axes, "bottom", "left")
            axes.set_xlabel(UNITS[metric])
            if across == 0:
                axes.set_ylabel("% fooled, of one picture")
        _key(page.axes(left_mm=0, right_mm=0), ranked, panels, drawn_as=drawn_as, theme=theme, body_mm=body)
        return saved(page.figure, table, what="realism against pixel metrics", file_format=file_format)


def _key(
    axes: Axes,
    ranked: Sequence[ConditionSummary],
    panels: Sequence[str],
    *,
    drawn_as: dict[str, ConditionStyle],
    theme: ThemeName,
    body_mm: float,
) -> None:
    """Write which marker is which method, and its rank correlations."""
    colours = THEMES[theme]
    axes.set_xlim(0, PAGE_WIDTH_MM)
    axes.set_ylim(body_mm, 0)
    axes.set_axis_off()
    top = 74.0
    for across, metric in enumerate(panels):
        axes.text(70 + 48 * across, top - 4, f"with {METRICS[metric]}", fontsize=7, color=colours.quiet, va="center")
    for down, one in enumerate(ranked):
        y = top + 4.5 * down
        colour, marker = drawn_as[one.condition]
        axes.plot([6], [y], marker, color=colour, markersize=5)
        axes.text(10, y, one.label, fontsize=7, va="center")
        for across, metric in enumerate(panels):
            rank = next((rank for rank in one.correlations if rank.metric == metric), None)
            if rank:
                axes.text(70 + 48 * across, y, interval(rank.rho, rank.ci_low, rank.ci_high), fontsize=7, va="center")
