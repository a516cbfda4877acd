"""The colour and the marker that a condition keeps in every figure and on every page.

Colours are Okabe and Ito's, without black and the yellow that vanishes on white; neighbours differ in lightness, so
that they can be told apart in grey, and the marker says the same once more.
"""

from typing import NamedTuple


class ConditionStyle(NamedTuple):
    """How a condition is drawn: a colour as #rrggbb, and a marker in matplotlib's letters."""

    colour: str
    marker: str


VERMILLION = "#D55E00"
STYLES = (
    ConditionStyle("#0072B2", "o"),
    ConditionStyle("#E69F00", "s"),
    ConditionStyle("#009E73", "D"),
    ConditionStyle("#CC79A7", "^"),
    ConditionStyle(VERMILLION, "v"),
    ConditionStyle("#56B4E9", "P"),
    ConditionStyle("#000000", "X"),
)


def condition_style(position: int) -> ConditionStyle:
    """Return the style of the condition at a place, from 0, in its study's own order of conditions.

    Example:
        >>> condition_style(0)
        ConditionStyle(colour='#0072B2', marker='o')
    """
    return STYLES[position % len(STYLES)]
