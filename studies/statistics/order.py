"""What the order of showing does: whether raters learn within a session, and whether the first picture is favoured.

Both are small in a good study. Learning is a change of the fool rate over the positions of a session; the side effect
is the difference between pairs in which the photo came first and those in which it came second. Pictures come in random
order and the photo is first in half of the trials, so neither bends the fool rate itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from studies.statistics.fool_rate import ESTIMANDS, Estimand, FoolRate, cluster_codes, fool_rate
from studies.statistics.two_way import two_way_variance

BLOCKS = 4
"""Stretches of the session whose fool rates are shown."""
PER_PAIRS = 10
"""The slope is the change of the fool rate over so many pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A stretch of the session.

    Attributes:
        first: Its first position.
        last: Its last position.
        rate: Fool rate of the votes in it.
    """

    first: int
    last: int
    rate: FoolRate


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """How the fool rate changes over a session.

    Attributes:
        change: Slope: change of the fool rate over ten pairs; below 0 if raters get better.
        ci_low: Lower end of its interval; None with too few raters or images.
        ci_high: Upper end.
        blocks: Fool rates of quarters of the session, in order.
        alpha: One minus the level of the intervals.
        estimand: What the intervals speak about.
        notes: Sentences that belong beside the numbers.
    """

    change: float
    ci_low: float | None
    ci_high: float | None
    blocks: tuple[Block, ...]
    alpha: float
    estimand: Estimand
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEffect:
    """What it does that the photo comes first.

    Attributes:
        photo_first: Fool rate where the photo was the first picture.
        photo_second: Fool rate where it was the second.
        difference: The former minus the latter; above 0 if the second picture is favoured.
        ci_low: Lower end of the interval of the difference; None with too few raters or images.
        ci_high: Upper end.
        first_chosen: Share of answers that chose the first picture, in [0, 1].
        alpha: One minus the level of the interval.
        estimand: What the interval speaks about.
        notes: Sentences that belong beside the numbers.
    """

    photo_first: float
    photo_second: float
    difference: float
    ci_low: float | None
    ci_high: float | None
    first_chosen: float
    alpha: float
    estimand: Estimand
    notes: tuple[str, ...]


def learning(
    fooled: ArrayLike,
    *,
    position: ArrayLike,
    rater: ArrayLike,
    photo: ArrayLike,
    scene: ArrayLike | None = None,
    alpha: float = 0.05,
    estimand: Estimand = "new",
) -> Learning | None:
    """Return the change of the fool rate over the session, as a least-squares slope with a two-way interval.

    Args:
        fooled: (n,) bool: counted votes of one condition.
        position: (n,) int: place of each trial in its session.
        rater: (n,) identifiers of raters.
        photo: (n,) identifiers of photos.
        scene: (n,) identifiers of the photographs that they were cut from; None if each is one of its own.
        alpha: One minus the level.
        estimand: "new" raters and new images, or "these" images only.

    Returns:
        The change; None if all votes stand at one position.

    Example:
        Fooled by half of the first ten pictures, by two of the last ten:

        >>> rater, position = np.divmod(np.arange(600), 20)
        >>> fooled = np.where(position < 10, (rater + position) % 2 == 0, (rater + position) % 5 == 0)
        >>> found = learning(fooled, position=position, rater=rater, photo=(rater + position) % 20)
        >>> f"{found.change:.2f} over ten pairs; {found.blocks[0].rate.rate:.2f} to {found.blocks[-1].rate.rate:.2f}"
        '-0.23 over ten pairs; 0.50 to 0.20'
    """
    votes, places = np.asarray(fooled, dtype=np.bool_), np.asarray(position, dtype=np.int64)
    raters, photos = cluster_codes(rater), cluster_codes(photo)
    scenes = photos if scene is None else cluster_codes(scene)
    if votes.ndim != 1 or not votes.shape == places.shape == raters.shape == photos.shape == scenes.shape:
        raise ValueError(
            f"fooled, position, rater and photo must be aligned, got shapes {votes.shape}, {places.shape}, "
            f"{raters.shape}, {photos.shape}"
        )
    _check(alpha, estimand)
    centred = places - places.mean() if places.size else places
    squares = float(centred @ centred)
    if squares == 0:
        return None
    slope = float(centred @ votes) / squares
    residual = votes - votes.mean() - slope * centred
    variance = two_way_variance(PER_PAIRS * centred * residual / squares, rater=raters, photo=scenes)
    half = variance.half_width(alpha=alpha, estimand=estimand)
    edges = np.unique(np.quantile(places, np.arange(1, BLOCKS) / BLOCKS))
    of_block = np.searchsorted(edges, places, side="left")
    blocks = []
    for block in np.unique(of_block):
        chosen = of_block == block
        rate = fool_rate(
            votes[chosen],
            rater=raters[chosen],
            photo=photos[chosen],
            scene=None if scene is None else scenes[chosen],
            alpha=alpha,
            estimand=estimand,
        )
        blocks.append(Block(first=int(places[chosen].min()), last=int(places[chosen].max()), rate=rate))
    change = PER_PAIRS * slope
    return Learning(
        change=change,
        ci_low=None if half is None else change - half,
        ci_high=None if half is None else change + half,
        blocks=tuple(blocks),
        alpha=alpha,
        estimand=estimand,
        notes=variance.notes(image="photo" if scene is None else "scene"),
    )


def side_effect(
    fooled: ArrayLike,
    *,
    photo_first: ArrayLike,
    rater: ArrayLike,
    photo: ArrayLike,
    scene: ArrayLike | None = None,
    alpha: float = 0.05,
    estimand: Estimand = "new",
) -> SideEffect | None:
    """Return the difference between fool rates with the photo first and with the photo second.

    Args:
        fooled: (n,) bool: counted votes of one condition.
        photo_first: (n,) bool: the photo was the first picture.
        rater: (n,) identifiers of raters.
        photo: (n,) identifiers of photos.
        scene: (n,) identifiers of the photographs that they were cut from; None if each is one of its own.
        alpha: One minus the level.
        estimand: "new" raters and new images, or "these" images only.

    Returns:
        The difference; None if the photo was always on one side.

    Example:
        >>> rater, photo = np.divmod(np.arange(400), 20)
        >>> first = (rater + photo) % 2 == 0
        >>> fooled = np.where(first, photo % 5 == 0, photo % 2 == 0)
        >>> found = side_effect(fooled, photo_first=first, rater=rater, photo=photo)
        >>> round(found.photo_first, 2), round(found.photo_second, 2), round(found.first_chosen, 2)
        (0.2, 0.5, 0.65)
    """
    votes, first = np.asarray(fooled, dtype=np.bool_), np.asarray(photo_first, dtype=np.bool_)
    _check(alpha, estimand)
    if votes.ndim != 1 or votes.shape != first.shape:
        raise ValueError(f"fooled and photo_first must be aligned, got shapes {votes.shape} and {first.shape}")
    if not first.any() or first.all():
        return None
    rate_first, rate_second = float(votes[first].mean()), float(votes[~first].mean())
    influence = np.where(first, (votes - rate_first) / first.sum(), (rate_second - votes) / (~first).sum())
    variance = two_way_variance(influence, rater=rater, photo=photo if scene is None else scene)
    half = variance.half_width(alpha=alpha, estimand=estimand)
    difference = rate_first - rate_second
    return SideEffect(
        photo_first=rate_first,
        photo_second=rate_second,
        difference=difference,
        ci_low=None if half is None else difference - half,
        ci_high=None if half is None else difference + half,
        first_chosen=float((votes != first).mean()),
        alpha=alpha,
        estimand=estimand,
        notes=variance.notes(image="photo" if scene is None else "scene"),
    )


def _check(alpha: float, estimand: Estimand) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    if estimand not in ESTIMANDS:
        raise ValueError(f"estimand must be one of {', '.join(ESTIMANDS)}, got {estimand!r}")
