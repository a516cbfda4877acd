"""Numbers and names as the sentences of conclusions say them."""

from collections.abc import Mapping

from studies.statistics.fool_rate import ESTIMANDS, Estimand


def label(name: str, labels: Mapping[str, str] | None) -> str:
    """Return what people read for a condition: its label, or its name where there is none.

    Example:
        >>> label("prsr_11", {"prsr_11": "pixel recursive, tau 1.1"}), label("smooth", None)
        ('pixel recursive, tau 1.1', 'smooth')
    """
    return (labels or {}).get(name, name)


def scope(estimand: Estimand) -> str:
    """Return whom and what a conclusion speaks about.

    Example:
        >>> scope("new"), scope("these")
        ('for new raters and new images', 'for new raters on these images only')
    """
    return f"for {ESTIMANDS[estimand]}" if estimand == "new" else f"for new raters on {ESTIMANDS[estimand]}"


def percent(share: float) -> str:
    """Return a share in percent, with one digit and without the sign.

    Example:
        >>> percent(0.2794)
        '27.9'
    """
    return f"{100 * share:.1f}"


def points(difference: float) -> str:
    """Return a difference of shares in points, always with its sign.

    Example:
        >>> points(0.179), points(-0.02)
        ('+17.9', '−2.0')
    """
    return f"{100 * difference:+z.1f}".replace("-", "\N{MINUS SIGN}")


def level(alpha: float) -> str:
    """Return the level of an interval.

    Example:
        >>> level(0.05)
        '95 %'
    """
    return f"{100 * (1 - alpha):g} %"


def p_value(p: float) -> str:
    """Return a p-value with three digits.

    Example:
        >>> p_value(0.0123), p_value(2e-9)
        ('p = 0.012', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
