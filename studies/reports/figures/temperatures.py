"""Fool rates against tau, the factor on the logits with which a picture is drawn."""

from collections.abc import Mapping

from studies.reports.figures.sheet import THEMES, FileFormat, ThemeName, bare, drawing, half_line, saved, sheet, titled
from studies.reports.wording import level
from studies.statistics.fool_rate import ESTIMANDS, INTERVAL_METHODS
from studies.statistics.results import ResultTable


def temperatures(
    table: ResultTable,
    taus: Mapping[str, float],
    *,
    file_format: FileFormat = "svg",
    theme: ThemeName = "light",
) -> bytes:
    """Draw the fool rates of the conditions with a tau over it, and the others as lines across.

    Args:
        table: The results.
        taus: tau by name of the condition; a condition without one has a line across.
        file_format: Of the file.
        theme: Light or dark.

    Raises:
        ValueError: If no condition with a fool rate has a tau.
    """
    colours = THEMES[theme]
    rated = [(place, row, row.fool_rate) for place, row in enumerate(table.rows) if row.fool_rate is not None]
    drawn = sorted((taus[row.condition], place, row, rate) for place, row, rate in rated if row.condition in taus)
    if not drawn:
        raise ValueError("no condition with a fool rate has a tau; draw the forest plot instead")
    note = (
        f"{level(table)} intervals: {INTERVAL_METHODS[table.ci_method]}, {ESTIMANDS[table.estimand]}. "
        "tau above 1 draws more carefully (T = 1 / tau)."
    )
    with drawing(colours):
        page = sheet(table, title=titled(table, "fool rate against tau"), body_mm=70, notes=[note], theme=colours)
        axes = page.axes(left_mm=16, right_mm=46, top_mm=3, bottom_mm=9)
        half_line(axes, table, colours, is_horizontal=True)
        highest = max([58.0, *(100 * (row.ci_high or rate) + 4 for _, row, rate in rated)])
        axes.set_ylim(0, min(104.0, highest))
        x = [tau for tau, *_ in drawn]
        margin = 0.15 * (x[-1] - x[0]) if x[-1] > x[0] else 0.1
        axes.set_xlim(x[0] - margin, x[-1] + margin)
        axes.plot(x, [100 * rate for *_, rate in drawn], color=colours.quiet, linewidth=0.6, zorder=2)
        for tau, place, row, rate in drawn:
            colour, marker = colours.style(place)
            if row.ci_low is not None and row.ci_high is not None:
                axes.plot([tau, tau], [100 * row.ci_low, 100 * row.ci_high], color=colour, zorder=3)
            axes.plot([tau], [100 * rate], marker, color=colour, markersize=6, zorder=4)
            axes.annotate(
                f"{100 * rate:.1f}",
                (tau, 100 * rate),
                xytext=(5, -6),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
        labels = []
        for place, row, rate in rated:
            if row.condition not in taus:
                axes.axhline(100 * rate, color=colours.style(place).colour, linewidth=0.8, zorder=1)
                labels.append((100 * rate, f"{row.label}, {100 * rate:.1f}", colours.style(place).colour))
        for y, (rate, text, _) in _apart(labels, least=0.05 * axes.get_ylim()[1]):
            axes.annotate(
                text,
                (1, rate),
                xycoords=("axes fraction", "data"),
                xytext=(1.02, y),
                textcoords=("axes fraction", "data"),
                va="center",
                fontsize=7,
                arrowprops={"arrowstyle": "-", "linewidth": 0.3, "color": colours.quiet},
            )
        axes.set_xticks(sorted(set(x)))
        bare(axes, "bottom", "left")
        axes.set_xlabel("tau")
        axes.set_ylabel("% fooled")
        return saved(page.figure, table, what="fool rate against tau", file_format=file_format)


def _apart(labels: list[tuple[float, str, str]], *, least: float) -> list[tuple[float, tuple[float, str, str]]]:
    """Return labels with heights that keep them apart."""
    placed: list[tuple[float, tuple[float, str, str]]] = []
    for label in sorted(labels):
        placed.append((max(label[0], placed[-1][0] + least) if placed else label[0], label))
    return placed
