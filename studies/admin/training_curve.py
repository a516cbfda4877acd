"""The loss curve of a training run, as lines of a drawing that stretches to any width, with its labels apart."""

import math
from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 600, 200
"""Of the drawing, in its own units."""
INTERVALS = 4
"""Between the horizontal lines."""
POINTS_MOST = 300
"""A line has at most so many points; more are averaged."""
DOTS_MOST = 60
"""Validations stand out as dots as long as there are no more; then the line says it all."""
SETTLED = 10
"""From so many points on, the scale leaves out the first tenth of them: a loss falls steeply at first."""

Points = Sequence[tuple[int, float]]


class Curve(NamedTuple):
    """A drawing: paths as SVG has them, and labels at even distances.

    Attributes:
        training: Path of the training loss.
        validation: Path of the validation loss.
        dots: Path of a dot for each validation, unless there are too many to be told apart.
        levels: Labels of the horizontal lines, from the top.
        steps: Labels below, from the left.
    """

    training: str
    validation: str
    dots: str
    levels: tuple[str, ...]
    steps: tuple[str, ...]


def curve_draw(training: Points, validation: Points) -> Curve | None:
    """Draw (step, loss) lines; None if there is nothing to draw."""
    if not training and not validation:
        return None
    last = max(step for step, _ in (*training, *validation))
    settled = [loss for points in (training, validation) for _, loss in _settled(points)]
    bottom, interval = _levels(min(settled), max(settled))
    decimals = max(0, math.ceil(-math.log10(interval) - 1e-9))
    decimals += round(interval * 10**decimals, 6) % 1 > 0  # 2.5, 0.25
    tops = [f"{bottom + interval * place:.{decimals}f}" for place in range(INTERVALS, -1, -1)]

    def places(points: Points) -> list[tuple[float, float]]:
        return [
            (WIDTH * step / last, HEIGHT * (1 - (loss - bottom) / (INTERVALS * interval)))
            for step, loss in _thinned(points)
        ]

    return Curve(
        training=_path(places(training)),
        validation=_path(places(validation)),
        dots=" ".join(f"M{x:.1f} {y:.1f}h0" for x, y in places(validation if len(validation) <= DOTS_MOST else ())),
        levels=tuple(tops),
        steps=("0", f"{last // 2:,}", f"{last:,}"),
    )


def _settled(points: Points) -> Points:
    return points[len(points) // 10 :] if len(points) >= SETTLED else points


def _levels(low: float, high: float) -> tuple[float, float]:
    """Return the lowest level and the interval of round levels that hold both ends."""
    interval = max(high - low, abs(high) * 1e-3, 1e-9) / INTERVALS
    power = 10.0 ** math.floor(math.log10(interval))
    for factor in (1.0, 2.0, 2.5, 5.0, 10.0, 20.0):
        bottom = math.floor(low / (power * factor)) * power * factor
        if bottom + INTERVALS * power * factor >= high:
            return bottom, power * factor
    raise AssertionError(f"no round levels hold {low} and {high}")  # 20 is more than twice what is needed


def _thinned(points: Points) -> list[tuple[float, float]]:
    """Average neighbours until there are at most `POINTS_MOST`."""
    together = max(1, -(-len(points) // POINTS_MOST))
    groups = [points[start : start + together] for start in range(0, len(points), together)]
    return [
        (sum(step for step, _ in group) / len(group), sum(loss for _, loss in group) / len(group)) for group in groups
    ]


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places) if places else ""
