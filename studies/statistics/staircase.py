"""Exposures set by a staircase, and HYPE-time's score: the exposure at which raters were held, in milliseconds.

HYPE-time is of Zhou et al. 2019 (arXiv 1904.01121). Each block begins at one exposure; errors raise it, right answers
lower it, and the exposure shown most often is the block's. `docs/decisions/0009-steps-of-the-staircase.md` says why the
steps are not those that the paper prints.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studies.statistics.bootstrap import percentile_interval
from studies.statistics.fool_rate import MIN_CLUSTERS

REPLICATES = 10_000
"""Of the bootstrap over raters, as in the source."""
CHUNK = 500
"""Replicates at a time, so that many raters need little memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staircase:
    """How the answers of a block set the exposure of its next picture.

    Attributes:
        start_ms: Exposure of a block's first picture.
        least_ms: No exposure is shorter.
        most_ms: No exposure is longer.
        up_ms: An error raises it by so much.
        down_ms: `rights` right answers in a row lower it by so much; then counting begins anew.
        rights: Right answers in a row that it takes.
    """

    start_ms: int
    least_ms: int
    most_ms: int
    up_ms: int
    down_ms: int
    rights: int = 1

    def __post_init__(self) -> None:
        """Refuse a rule that does not move, or starts beyond its limits."""
        if min(self.least_ms, self.up_ms, self.down_ms, self.rights) < 1:
            raise ValueError(f"limits, steps and right answers of a staircase must be at least 1, got {self}")
        if not self.least_ms <= self.start_ms <= self.most_ms:
            raise ValueError(
                f"a staircase from {self.least_ms} to {self.most_ms} ms cannot start at {self.start_ms} ms"
            )

    @property
    def settles_at(self) -> float:
        """Share of right answers, in (0, 1), at which steps up and down cancel.

        A run of answers ends with an error, or with `rights` right ones: share ** rights = up / (up + down).

        Example:
            >>> Staircase(start_ms=500, least_ms=100, most_ms=1000, up_ms=30, down_ms=10).settles_at
            0.75
        """
        return float((self.up_ms / (self.up_ms + self.down_ms)) ** (1 / self.rights))

    def after(self, answers: Sequence[bool]) -> int:
        """Return the exposure in ms that follows these answers of a block, True for a right one, in their order.

        Example:
            >>> rule = Staircase(start_ms=500, least_ms=100, most_ms=1000, up_ms=30, down_ms=10)
            >>> [rule.after(answers) for answers in ([], [True], [True, False], [False] * 40)]
            [500, 490, 520, 1000]
        """
        exposure_ms, in_a_row = self.start_ms, 0
        for is_right in answers:
            in_a_row = in_a_row + 1 if is_right else 0
            if not is_right:
                exposure_ms = min(exposure_ms + self.up_ms, self.most_ms)
            elif in_a_row == self.rights:
                exposure_ms = max(exposure_ms - self.down_ms, self.least_ms)
                in_a_row = 0
        return exposure_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureScore:
    """The exposure at which raters were held. Times are in ms.

    Attributes:
        score_ms: Mean over raters of the mean over their blocks of the exposure shown most often.
        ci_low_ms: Lower end of its bootstrap interval over raters; None with too few of them.
        ci_high_ms: Upper end.
        sd_ms: Standard deviation of the replicates; None likewise.
        alpha: One minus the level of the interval.
        lowest_ms: Least of the blocks' exposures; where it is the staircase's least, a block may have bottomed out.
        highest_ms: Largest of them.
        right_rate: Share of right answers, in [0, 1]: what the staircase held, from the start of each block.
        n_raters: Raters.
        n_blocks: Blocks.
        n_responses: Answers.
        notes: What to say beside it.
    """

    score_ms: float
    ci_low_ms: float | None
    ci_high_ms: float | None
    sd_ms: float | None
    alpha: float
    lowest_ms: float
    highest_ms: float
    right_rate: float
    n_raters: int
    n_blocks: int
    n_responses: int
    notes: tuple[str, ...] = ()


def modal_exposure(exposure_ms: ArrayLike) -> float:
    """Return the exposure that (n,) answers of a block have most often; of several such, their mean.

    Example:
        >>> modal_exposure([500, 490, 480, 490]), modal_exposure([500, 490])
        (490.0, 495.0)
    """
    exposures, counts = np.unique(np.asarray(exposure_ms, dtype=np.float64), return_counts=True)
    if not counts.size:
        raise ValueError("a block without answers has no exposure")
    return float(exposures[counts == counts.max()].mean())


def exposure_score(
    exposure_ms: ArrayLike,
    right: ArrayLike,
    *,
    rater: ArrayLike,
    block: ArrayLike,
    rng: np.random.Generator,
    alpha: float = 0.05,
    n_replicates: int = REPLICATES,
) -> ExposureScore:
    """Return HYPE-time's score of one condition, with the interval that its source takes: raters drawn anew.

    Pictures are not drawn anew, so that the interval speaks about new raters, on these pictures.

    Args:
        exposure_ms: (n,) exposure asked for with each answer.
        right: (n,) bool: the picture was told for what it is.
        rater: (n,) identifiers of raters.
        block: (n,) identifiers of blocks, different in different sessions.
        rng: Source of the draws.
        alpha: One minus the level of the interval.
        n_replicates: Draws.

    Raises:
        ValueError: If there is no answer, the columns do not fit, or a block is of two raters.

    Example:
        >>> rater, place = np.divmod(np.arange(240), 20)
        >>> exposures = np.where(place < 5, 500, 300 + 10 * rater)
        >>> score = exposure_score(exposures, place % 4 > 0, rater=rater, block=rater, rng=np.random.default_rng(0))
        >>> score.score_ms, score.ci_low_ms < 355 < score.ci_high_ms, score.right_rate
        (355.0, True, 0.75)
    """
    exposures, rights = np.asarray(exposure_ms, dtype=np.float64), np.asarray(right, dtype=np.bool_)
    raters, blocks = np.asarray(rater), np.asarray(block)
    if exposures.ndim != 1 or not exposures.shape == rights.shape == raters.shape == blocks.shape:
        raise ValueError(f"the columns of a staircase must be aligned with the {exposures.shape} exposures")
    if not exposures.size:
        raise ValueError("a staircase's score needs at least one answer, got none")
    modes: dict[object, list[float]] = {}
    for one in np.unique(blocks):
        of_block = blocks == one
        owners = np.unique(raters[of_block])
        if owners.size > 1:
            raise ValueError(f"block {one} is of the raters {owners[0]} and {owners[1]}; give each its own")
        modes.setdefault(owners[0].item(), []).append(modal_exposure(exposures[of_block]))
    of_raters = np.array([np.mean(of_rater) for of_rater in modes.values()])
    every = [mode for of_rater in modes.values() for mode in of_rater]
    low = high = sd = None
    notes: tuple[str, ...] = ()
    if of_raters.size < MIN_CLUSTERS:
        notes = (f"No interval: {of_raters.size} raters, and it takes at least {MIN_CLUSTERS}.",)
    else:
        replicates = _means_drawn(of_raters, rng=rng, n_replicates=n_replicates)
        low, high = percentile_interval(replicates, alpha=alpha)
        sd = float(replicates.std())
    return ExposureScore(
        score_ms=float(of_raters.mean()),
        ci_low_ms=low,
        ci_high_ms=high,
        sd_ms=sd,
        alpha=alpha,
        lowest_ms=min(every),
        highest_ms=max(every),
        right_rate=float(rights.mean()),
        n_raters=of_raters.size,
        n_blocks=len(every),
        n_responses=exposures.size,
        notes=notes,
    )


def _means_drawn(of_raters: NDArray[np.float64], *, rng: np.random.Generator, n_replicates: int) -> NDArray[np.float64]:
    """Return (n_replicates,) means of as many raters, drawn with replacement."""
    n = of_raters.size
    parts = [min(CHUNK, n_replicates - start) for start in range(0, n_replicates, CHUNK)]
    return np.concatenate([of_raters[rng.integers(0, n, (size, n))].mean(axis=1) for size in parts])
