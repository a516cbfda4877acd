"""Arguments that several command lines take, checked as they are read."""

import argparse


def alpha_argument(text: str) -> float:
    """Return one minus the level of an interval.

    Raises:
        argparse.ArgumentTypeError: If it is no number between 0 and 1, or so small that the level is 1 when rounded.

    Example:
        >>> alpha_argument("0.05")
        0.05
    """
    try:
        alpha = float(text)
    except ValueError:
        alpha = float("nan")
    if not 0.5 < 1 - alpha / 2 < 1:
        raise argparse.ArgumentTypeError(f"must be a number between 0 and 1, such as 0.05; got {text!r}")
    return alpha


def percent_argument(text: str) -> float:
    """Return a share in [0, 1) from a number of percent, or of points.

    Raises:
        argparse.ArgumentTypeError: If it is no number from 0 to 100, or 100 itself.

    Example:
        >>> percent_argument("28")
        0.28
    """
    try:
        percent = float(text)
    except ValueError:
        percent = float("nan")
    if not 0 <= percent < 100:
        raise argparse.ArgumentTypeError(f"must be a number of percent from 0 to below 100, such as 28; got {text!r}")
    return percent / 100
