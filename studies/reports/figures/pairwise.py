"""The matrix of differences: which condition fools raters more often than which, as far as the votes show it."""

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

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
from studies.statistics.comparison import Comparisons, Difference
from studies.statistics.fool_rate import ESTIMANDS
from studies.statistics.phrases import level, points
from studies.statistics.results import ResultTable

LABEL_MM = 44.0
CELL_MOST_MM = 30.0
ROW_MM = 11.0


def pairwise(
    table: ResultTable, found: Comparisons, *, file_format: FileFormat = "svg", theme: ThemeName = "light"
) -> bytes:
    """Draw each difference of the family: the row's condition less the column's, in points, with its interval.

    A difference that the votes show is framed and coloured, blue where the row fools more often and orange where less;
    the others have no colour. A pair outside the family is a dot.

    Args:
        table: The results.
        found: The comparisons of the same votes.
        file_format: Of the file.
        theme: Light or dark.

    Raises:
        ValueError: If the family has no difference.
    """
    if not found.differences:
        raise ValueError("the family has no difference to draw: it takes two tested conditions")
    colours = THEMES[theme]
    tested = [row for row in table.rows if row.role == "test"]
    columns = [row for row in tested if found.reference in (None, row.condition)]
    rows = [row for row in tested if row.condition != found.reference]
    by_pair: dict[tuple[str, str], tuple[Difference, int]] = {}
    for one in found.differences:
        by_pair[one.condition_a, one.condition_b] = (one, 1)
        by_pair[one.condition_b, one.condition_a] = (one, -1)
    shown = level(found.alpha / len(found.differences))
    note = (
        f"Row less column, in points, with the {shown} interval; framed: shown at the {level(found.alpha)} level of "
        "the "
        f"family (Holm's test, which is a little less strict than the intervals). "
        f"{ESTIMANDS[found.estimand].capitalize()}."
    )
    largest = max(abs(one.difference or 0) for one in found.differences) or 1.0
    tint = LinearSegmentedColormap.from_list("tint", ["#E69F00", colours.paper, "#56B4E9"])
    width = min(CELL_MOST_MM, (PAGE_WIDTH_MM - LABEL_MM - 6) / len(columns))
    small = 7.0 if width > 24 else 5.5
    with drawing(colours):
        body = 12 + ROW_MM * len(rows)
        page = sheet(table, title=titled(table, "differences"), body_mm=body, notes=[note], theme=colours)
        axes = page.axes(left_mm=0, right_mm=0)
        axes.set_xlim(0, PAGE_WIDTH_MM)
        axes.set_ylim(body, 0)
        axes.set_axis_off()
        for across, column in enumerate(columns):
            x = LABEL_MM + (across + 0.5) * width
            axes.text(x, 8, _short(column.label, width), ha="center", va="bottom", fontsize=small, linespacing=1.1)
        for down, row in enumerate(rows):
            y = 10 + down * ROW_MM
            axes.text(LABEL_MM - 3, y + ROW_MM / 2, row.label, ha="right", va="center", fontsize=7)
            for across, column in enumerate(columns):
                x = LABEL_MM + across * width
                pair = by_pair.get((row.condition, column.condition))
                middle = (x + width / 2, y + ROW_MM / 2)
                if pair is None:
                    axes.text(*middle, "" if row is column else "·", ha="center", va="center", color=colours.quiet)
                    continue
                one, sign = pair
                strength = 0.0 if one.difference is None else sign * one.difference
                tinted = tint(0.5 + 0.45 * strength / largest) if one.is_shown else colours.paper
                axes.add_patch(
                    Rectangle(
                        (x + 0.4, y + 0.4),
                        width - 0.8,
                        ROW_MM - 0.8,
                        facecolor=tinted if theme == "light" else "none",
                        edgecolor=tint(1.0 if strength > 0 else 0.0) if one.is_shown else colours.hairline,
                        linewidth=1.0 if one.is_shown else 0.4,
                    )
                )
                axes.text(
                    *middle,
                    _cell(one, sign),
                    ha="center",
                    va="center",
                    fontsize=small,
                    linespacing=1.2,
                    fontweight="bold" if one.is_shown else "normal",
                    color=colours.ink if one.is_shown else colours.quiet,
                )
        return saved(page.figure, table, what="differences", file_format=file_format)


def _cell(one: Difference, sign: int) -> str:
    if one.difference is None:
        return "no votes"
    if one.ci_low is None or one.ci_high is None:
        return points(sign * one.difference)
    low, high = sorted((sign * one.ci_low, sign * one.ci_high))
    return f"{points(sign * one.difference)}\n[{points(low)}, {points(high)}]"


def _short(label: str, width_mm: float) -> str:
    """Return a label in lines that fit a column."""
    most = max(8, int(width_mm / 1.25))
    lines = [""]
    for word in label.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > most:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
