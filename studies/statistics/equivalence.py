"""One condition and 50 %: whether raters tell its samples from photos at all.

"Not shown to differ from 50 %" and "shown to be close to 50 %" are two conclusions. `against_half` can give the first
only; the second takes two one-sided tests with a margin that was fixed before the study opened.

References:
    Schuirmann (1987), "A comparison of the two one-sided tests procedure and the power approach".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from studies.statistics.fool_rate import Estimand, FoolRate
from studies.statistics.phrases import label, level, percent, scope

Side = Literal["below", "above", "undecided", "unknown"]

SUGGESTED_MARGIN = 0.05
"""Five points on either side of 50 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstHalf:
    """Whether a fool rate differs from 50 %, by its default interval: a two-sided test.

    Attributes:
        condition: Name of the condition.
        rate: Its fool rate in [0, 1].
        ci_low: Lower end of its interval; None where there is none.
        ci_high: Upper end.
        alpha: One minus the level of the interval, for this condition alone.
        side: "below" or "above" 50 % if the interval lies there wholly, "undecided" if it holds 50 %, "unknown" without
            an interval.
        estimand: What the interval speaks about.
    """

    condition: str
    rate: float
    ci_low: float | None
    ci_high: float | None
    alpha: float
    side: Side
    estimand: Estimand

    def wording(self, labels: Mapping[str, str] | None = None) -> str:
        """Return the conclusion in sentences; `labels` as for `Difference.wording`."""
        name = label(self.condition, labels)
        if self.ci_low is None or self.ci_high is None:
            return f"{name}: {percent(self.rate)} %, without an interval: no statement about 50 %."
        found = (
            f"{percent(self.rate)} % ({level(self.alpha)} interval {percent(self.ci_low)} to "
            f"{percent(self.ci_high)}), {scope(self.estimand)}"
        )
        if self.side == "below":
            return f"{name} is told from photos more often than by guessing: it fools raters in {found}."
        if self.side == "above":
            return (
                f"{name} is taken for the photo more often than the photo itself: in {found}. "
                "That raters prefer its samples does not show that these are better pictures of the scenes."
            )
        return (
            f"The votes do not decide whether {name} is told from photos: it fools raters in {found}, and 50 % lies "
            "inside. That does not show that it cannot be told from photos; only a test of equivalence could."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """Whether a fool rate is 50 % to within a margin: two one-sided tests, each at level alpha.

    Attributes:
        condition: Name of the condition.
        rate: Its fool rate in [0, 1].
        margin: Largest distance from 1/2 that still counts as "cannot be told", fixed before the study opens.
        alpha: Level of each of the two tests; the interval has the level 1 - 2 alpha.
        ci_low: Lower end of the default interval at that level, a one-sided limit at 1 - alpha; None without interval.
        ci_high: Upper end, likewise.
        is_equivalent: Whether the interval lies wholly inside 1/2 -+ margin; None without an interval.
        is_nearly_fooling: Whether the lower limit alone lies above 1/2 - margin; None without an interval.
        estimand: What the interval speaks about.
    """

    condition: str
    rate: float
    margin: float
    alpha: float
    ci_low: float | None
    ci_high: float | None
    is_equivalent: bool | None
    is_nearly_fooling: bool | None
    estimand: Estimand

    def wording(self, labels: Mapping[str, str] | None = None) -> str:
        """Return the conclusion in sentences; `labels` as for `Difference.wording`."""
        name = label(self.condition, labels)
        low, high = 0.5 - self.margin, 0.5 + self.margin
        band = f"{percent(low)} to {percent(high)} %"
        if self.ci_low is None or self.ci_high is None:
            return f"{name}: {percent(self.rate)} %, without an interval: no test of equivalence with 50 %."
        found = (
            f"{percent(self.rate)} %, {level(2 * self.alpha)} interval {percent(self.ci_low)} to "
            f"{percent(self.ci_high)}, {scope(self.estimand)}"
        )
        if self.is_equivalent:
            return (
                f"{name} cannot be told from photos to within the margin set beforehand: the interval lies wholly "
                f"inside {band} ({found}; two one-sided tests at {100 * self.alpha:g} %)."
            )
        if self.is_nearly_fooling:
            return (
                f"{name} fools raters at least nearly half of the time: the lower limit lies above {percent(low)} % "
                f"({found}). It is not shown to be within {band}, since the upper limit is not."
            )
        if self.ci_high <= low:
            return f"{name} can be told from photos by more than the margin: the interval lies below {band} ({found})."
        return (
            f"{name} is not shown to be indistinguishable from photos: the interval is not wholly inside {band} "
            f"({found}). That does not show that it can be told from them."
        )


def against_half(rate: FoolRate, *, condition: str) -> AgainstHalf:
    """Tell on which side of 50 % a fool rate lies, if its interval tells.

    Args:
        rate: From `fool_rate`.
        condition: Name of the condition.

    Example:
        >>> import numpy as np
        >>> from studies.statistics.fool_rate import fool_rate
        >>> rater, photo = np.divmod(np.arange(1600), 40)
        >>> against_half(fool_rate((rater + photo) % 4 == 0, rater=rater, photo=photo), condition="smooth").side
        'below'
    """
    side: Side = "unknown"
    if rate.ci_low is not None and rate.ci_high is not None:
        side = "below" if rate.ci_high < 0.5 else "above" if rate.ci_low > 0.5 else "undecided"
    return AgainstHalf(
        condition=condition,
        rate=rate.rate,
        ci_low=rate.ci_low,
        ci_high=rate.ci_high,
        alpha=rate.alpha,
        side=side,
        estimand=rate.estimand,
    )


def equivalence(rate: FoolRate, *, condition: str, margin: float = SUGGESTED_MARGIN) -> Equivalence:
    """Test whether a fool rate is 50 % to within a margin: the interval at 1 - 2 alpha lies wholly inside.

    Args:
        rate: From `fool_rate`; its alpha is the level of each one-sided test, so that 0.05 asks for the 90 % interval.
        condition: Name of the condition.
        margin: Distance from 1/2, in (0, 0.5), fixed before the study opens.

    Raises:
        ValueError: If the margin is out of range, or alpha is 0.5 or more.

    Example:
        >>> import numpy as np
        >>> from studies.statistics.fool_rate import fool_rate
        >>> rater, photo = np.divmod(np.arange(1600), 40)
        >>> rate = fool_rate((rater + photo) % 2 == 0, rater=rater, photo=photo)
        >>> found = equivalence(rate, condition="smooth", margin=0.05)
        >>> found.is_equivalent, f"{found.ci_low:.3f} to {found.ci_high:.3f}"
        (True, '0.479 to 0.521')
    """
    if not 0 < margin < 0.5:
        raise ValueError(f"margin must lie between 0 and 0.5, such as 0.05 for five points, got {margin}")
    if rate.alpha >= 0.5:
        raise ValueError(f"a one-sided test needs an alpha below 0.5, got {rate.alpha}")
    ends = rate.interval(2 * rate.alpha)
    is_nearly = None if ends is None else ends.low > 0.5 - margin
    return Equivalence(
        condition=condition,
        rate=rate.rate,
        margin=margin,
        alpha=rate.alpha,
        ci_low=ends.low if ends else None,
        ci_high=ends.high if ends else None,
        is_equivalent=None if ends is None else bool(is_nearly) and ends.high < 0.5 + margin,
        is_nearly_fooling=is_nearly,
        estimand=rate.estimand,
    )
