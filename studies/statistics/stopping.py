"""Which interval a report may print: it follows from the recorded stopping rule and from who looked at what, and when.

The fixed interval is right where results had no say in when the study stopped. Where they may have had one, only the
confidence sequence is right. Nobody decides this after the fact: the rule stands in the frozen design, and looks are
logged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

StoppingRule = Literal["planned", "sequence", "results"]
Seen = Literal["operations", "sequence", "rates"]
PrintedInterval = Literal["fixed", "sequence"]

STOPPING_RULES: dict[StoppingRule, str] = {
    "planned": "stop at the planned number of raters, results hidden until then",
    "sequence": "stop at the planned number of raters, the confidence sequence shown on the way",
    "results": "stop when the results please",
}
OVERSHOOT = 0.1
"""A study that goes beyond its planned number by no more than this share has still stopped there: raters under way
finish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterimLook:
    """Somebody looked at a study.

    Attributes:
        at: When.
        who: Name of the account.
        saw: "operations" (counts, exclusions, times; no fool rate), the confidence "sequence", or "rates": fool rates
            with fixed intervals, or responses from which anybody can compute them.
    """

    at: datetime
    who: str
    saw: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintableInterval:
    """What a report may print, and why.

    Attributes:
        kind: The "fixed" interval, or the confidence "sequence".
        reason: One sentence.
        looks: One sentence on the looks at results before the study closed, for the report.
    """

    kind: PrintedInterval
    reason: str
    looks: str


def printable_interval(
    *,
    rule: StoppingRule,
    n_planned: int,
    n_completed: int,
    looks: Sequence[InterimLook] = (),
    closed_at: datetime | None,
) -> PrintableInterval:
    """Tell which interval a report may print.

    | before the study closed | planned number reached | not reached, or exceeded by over a tenth |
    |---|---|---|
    | nobody saw results | fixed | fixed: what was not seen cannot have stopped it |
    | the sequence alone was seen | fixed | sequence |
    | rates were seen | sequence | sequence |

    A study whose rule is to stop on results, or that is not closed yet, gets the sequence.

    Args:
        rule: What the frozen design says.
        n_planned: Raters to complete the study, as the frozen design says.
        n_completed: Raters who completed it.
        looks: The log; looks after the closing do not matter.
        closed_at: When it was closed for good; None if it is not.

    Returns:
        The kind of interval, with its reasons.

    Raises:
        ValueError: If the rule, a look or a number has no meaning.

    Example:
        >>> closed = datetime(2026, 5, 1)
        >>> peek = InterimLook(at=datetime(2026, 4, 9), who="ada", saw="rates")
        >>> for looks in ([], [peek]):
        ...     print(printable_interval(
        ...         rule="planned", n_planned=40, n_completed=40, looks=looks, closed_at=closed
        ...     ).kind)
        fixed
        sequence
    """
    if rule not in STOPPING_RULES:
        raise ValueError(f"rule must be one of {', '.join(STOPPING_RULES)}, got {rule!r}")
    if n_planned < 1 or n_completed < 0:
        raise ValueError(f"n_planned must be at least 1 and n_completed at least 0, got {n_planned} and {n_completed}")
    wrong = [look.saw for look in looks if look.saw not in get_args(Seen)]
    if wrong:
        raise ValueError(f"a look saw one of {', '.join(get_args(Seen))}, got {wrong[0]!r}")
    before = [look for look in looks if closed_at is None or look.at < closed_at]
    seen = {look.saw for look in before} - {"operations"}
    is_reached = n_planned <= n_completed <= n_planned * (1 + OVERSHOOT)
    progress = f"{n_completed} of {n_planned} planned raters"
    kind: PrintedInterval = "sequence"
    if rule == "results":
        reason = "The study was set to stop on results: only the confidence sequence holds at such a moment."
    elif closed_at is None:
        reason = f"The study is not closed ({progress}): only the confidence sequence may be looked at on the way."
    elif "rates" in seen:
        reason = "Fool rates were seen before the study closed: only the confidence sequence allows for that."
    elif seen and not is_reached:
        reason = (
            f"The study closed at {progress} after somebody had seen the confidence sequence: it may have been stopped "
            "or prolonged on results, which only the sequence allows for."
        )
    elif seen:
        kind = "fixed"
        reason = f"The study closed at {progress}; on the way nothing but the confidence sequence was seen."
    else:
        kind = "fixed"
        reason = f"The study closed at {progress}, and nobody had seen a result that could have stopped it."
    return PrintableInterval(kind=kind, reason=reason, looks=_looks_sentence(before))


def _looks_sentence(looks: Sequence[InterimLook]) -> str:
    at_results = sorted((look for look in looks if look.saw != "operations"), key=lambda look: look.at)
    if not at_results:
        return "No look at results before the study closed is recorded."
    who = ", ".join(sorted({look.who for look in at_results}))
    n_rates = sum(look.saw == "rates" for look in at_results)
    times = "once" if len(at_results) == 1 else f"{len(at_results)} times"
    days = sorted({f"{look.at:%Y-%m-%d}" for look in at_results})
    when = f"on {days[0]}" if len(days) == 1 else f"between {days[0]} and {days[-1]}"
    what = {0: "the confidence sequence alone", len(at_results): "fool rates"}.get(
        n_rates, f"{n_rates} of these times fool rates, else the confidence sequence"
    )
    return f"Results were looked at {times} before the study closed, {when}, by {who}: {what}."
