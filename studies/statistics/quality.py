"""Which sessions are left out of the table: rules that are fixed before a study opens.

A rule sees how a rater behaved: golden answers, times, sides, completion, and what the browser reported. It never sees
the fool votes: `Behaviour` has no place for them, and a rule that saw them could choose the result it likes. Whom a
rule leaves out stays in the export and in the column of everyone who completed.

A rule errs on both sides. `operating_figures` says how often: careless raters who pass, careful ones who are excluded.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray
from scipy import special

Truths = NDArray[np.bool_]

INCOMPLETE = "incomplete"
GOLDEN_MISSED = "golden_missed"
TOO_FAST = "too_fast"
ONE_SIDED = "one_sided"
SAME_SIDE_RUN = "same_side_run"
LEFT_PAGE = "left_page"
NOT_IN_FRONT = "not_in_front"
AUTOMATED = "automated"
EXPOSURES_MISSED = "exposures_missed"
PRACTICE_FAILED = "practice_failed"

RULES: dict[str, str] = {
    INCOMPLETE: "did not reach the end",
    GOLDEN_MISSED: "missed too many golden pairs",
    TOO_FAST: "answered too fast",
    ONE_SIDED: "favoured one side",
    SAME_SIDE_RUN: "chose one side too often in a row",
    LEFT_PAGE: "left the page too often",
    NOT_IN_FRONT: "had the page hidden or without focus in too many pairs",
    AUTOMATED: "showed signs of a program in too many answers",
    EXPOSURES_MISSED: "missed the exposure of too many pairs",
    PRACTICE_FAILED: "got few of the last practice pairs right",
}
"""Every rule and what people read for it. A session that breaks several is counted under the first of them."""

FLAGS = (PRACTICE_FAILED,)
"""Rules that are shown and never exclude: practice is for learning."""
PRACTICE_LAST = 10
"""Practice pairs that the flag looks at: the last ones."""


PRACTICE_NOT_PASSED = "practice_not_passed"
"""No rule of exclusion: who does not pass practice never comes to the pairs that could be counted."""
PRACTICE_TRIES = 2
"""How often practice may be done where it has to be passed; panels ask for two tries at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRules:
    """What excludes a session. 0 turns a rule off, except the golden one, which is off without golden pairs.

    Attributes:
        golden_misses_allowed: Largest number of missed golden pairs that is still accepted.
        fast_ms: Answers below this are fast.
        fast_share: Share in (0, 1] of fast answers from which on a session is excluded.
        median_ms_least: A session with a median below this is excluded.
        side_bias_p: A session is excluded if an exact binomial test of its sides has a smaller p-value.
        run_limit: So many answers on the same side in a row exclude a session.
        left_page_limit: A rater who left the page so often during pairs after practice is excluded.
        not_in_front_limit: So many pairs with the page hidden or without focus while pictures were up exclude.
        automated_limit: So many answers with a sign that a program drove the browser exclude.
        missed_limit: So many pairs that missed their exposure exclude.
        practice_least: A session with fewer of its last ten practice pairs right is flagged, not excluded.
    """

    golden_misses_allowed: int = 0
    fast_ms: int = 0
    fast_share: float = 0.2
    median_ms_least: int = 0
    side_bias_p: float = 0.0
    run_limit: int = 0
    left_page_limit: int = 0
    not_in_front_limit: int = 0
    automated_limit: int = 0
    missed_limit: int = 0
    practice_least: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that have no meaning."""
        for item in fields(self):
            if getattr(self, item.name) < 0:
                raise ValueError(f"{item.name} must be 0 or more, got {getattr(self, item.name)}")
        if not 0 < self.fast_share <= 1:
            raise ValueError(f"fast_share must lie in (0, 1], got {self.fast_share}")
        if self.side_bias_p >= 1:
            raise ValueError(f"side_bias_p must be below 1, got {self.side_bias_p}")
        if self.run_limit == 1:
            raise ValueError("run_limit must be 0 or at least 2, got 1: every answer is a run of one")

    def causes(self) -> tuple[str, ...]:
        """Return what leaves a session out beside golden misses, as it reads after "sessions with".

        Example:
            >>> QualityRules(fast_ms=300, run_limit=15).causes()
            ('20 % of answers or more below 300 ms', '15 answers or more in a row on one side')
        """
        causes = []
        if self.fast_ms:
            causes.append(f"{100 * self.fast_share:g} % of answers or more below {self.fast_ms} ms")
        if self.median_ms_least:
            causes.append(f"a median time below {self.median_ms_least} ms")
        if self.side_bias_p:
            causes.append(f"p < {self.side_bias_p:g} in an exact two-sided binomial test of the sides chosen")
        if self.run_limit:
            causes.append(f"{self.run_limit} answers or more in a row on one side")
        causes += [f"{least} {what} or more" for _, least, what in self.limits() if least]
        return tuple(causes)

    def limits(self) -> tuple[tuple[str, int, str], ...]:
        """Return the rules on what a browser reported: their name, from which count on they exclude, and of what."""
        return (
            (LEFT_PAGE, self.left_page_limit, "departures from the page during pairs"),
            (NOT_IN_FRONT, self.not_in_front_limit, "pairs with the page hidden or without focus"),
            (AUTOMATED, self.automated_limit, "answers with signs of a program"),
            (EXPOSURES_MISSED, self.missed_limit, "pairs that missed their exposure"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePreset:
    """Rules to start from, with the number of golden pairs that they are meant for.

    Attributes:
        label: What people read.
        source: Where it comes from.
        golden_count: Golden pairs in a session.
        rules: The rules.
    """

    label: str
    source: str
    golden_count: int
    rules: QualityRules


RULE_PRESETS: Mapping[str, RulePreset] = {
    "founding": RulePreset(
        label="Founding paper",
        source="Five golden pairs, out at any miss (Dahl, Norouzi and Shlens 2017).",
        golden_count=5,
        rules=QualityRules(),
    ),
    "robust": RulePreset(
        label="Robust",
        source="Eight golden pairs, out at two misses: as hard on guessers, and ten times easier on the attentive. "
        "Also out: who is too fast, one-sided or clicks on one side in a long row.",
        golden_count=8,
        rules=QualityRules(
            golden_misses_allowed=1,
            fast_ms=300,
            median_ms_least=400,
            side_bias_p=0.001,
            run_limit=15,
            practice_least=6,
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Behaviour:
    """How one session went, and all that a rule may know of it: no fool vote, nor what one could be made of.

    Attributes:
        golden_correct: (g,) bool: for each golden pair answered, whether the photo was chosen.
        practice_correct: (p,) bool: the same for each practice pair, in order.
        rt_ms: (n,) int: reaction times of the answers after practice, in order.
        chosen_first: (n,) bool: for the same answers, whether the first side was chosen. Where the photo was
            is not told.
        noticed: Rule -> what the browser reported after practice, counted: how often the rater left the page, pairs
            with the page not in front, answers with signs of a program, pairs that missed their exposure. Those left
            out since they missed it are among them. A rule that is not named counts 0.
        is_complete: Whether the session reached its end.
    """

    golden_correct: Truths = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    practice_correct: Truths = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    rt_ms: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    chosen_first: Truths = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    noticed: Mapping[str, int] = field(default_factory=dict)
    is_complete: bool = True

    def __post_init__(self) -> None:
        """Refuse columns of another type or length."""
        for name in ("golden_correct", "practice_correct", "chosen_first"):
            column = getattr(self, name)
            if column.ndim != 1 or column.dtype != np.bool_:
                raise ValueError(f"{name} must be a row of bools, got {column.dtype} of shape {column.shape}")
        unknown = set(self.noticed) - {rule for rule, _, _ in QualityRules().limits()}
        if unknown:
            raise ValueError(f"noticed may count what the rules on browsers ask for, got {min(unknown)!r}")
        if self.rt_ms.shape != self.chosen_first.shape:
            raise ValueError(
                f"rt_ms and chosen_first must be aligned, got shapes {self.rt_ms.shape} and {self.chosen_first.shape}"
            )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of a session.

    Attributes:
        broken: Rules that it breaks, in the order of `RULES`; flags among them.
    """

    broken: tuple[str, ...]

    @property
    def reason(self) -> str:
        """The rule under which the session is left out; "" if it is kept."""
        return next((rule for rule in self.broken if rule not in FLAGS), "")


def judge(behaviour: Behaviour, rules: QualityRules) -> Verdict:
    """Judge one session.

    Args:
        behaviour: How it went.
        rules: The rules of its study.

    Example:
        >>> behaviour = Behaviour(golden_correct=np.array([True, False, True, True, True]))
        >>> judge(behaviour, QualityRules(golden_misses_allowed=0)).reason
        'golden_missed'
        >>> judge(behaviour, QualityRules(golden_misses_allowed=1)).reason
        ''
    """
    is_broken = {
        INCOMPLETE: not behaviour.is_complete,
        GOLDEN_MISSED: int((~behaviour.golden_correct).sum()) > rules.golden_misses_allowed,
        TOO_FAST: is_too_fast(behaviour.rt_ms, rules),
        ONE_SIDED: side_bias(int(behaviour.chosen_first.sum()), behaviour.chosen_first.size) < rules.side_bias_p,
        SAME_SIDE_RUN: 0 < rules.run_limit <= longest_run(behaviour.chosen_first),
        **{rule: 0 < least <= behaviour.noticed.get(rule, 0) for rule, least, _ in rules.limits()},
        PRACTICE_FAILED: behaviour.practice_correct.size >= PRACTICE_LAST
        and int(behaviour.practice_correct[-PRACTICE_LAST:].sum()) < rules.practice_least,
    }
    return Verdict(tuple(rule for rule in RULES if is_broken[rule]))


def is_too_fast(rt_ms: NDArray[np.int64], rules: QualityRules) -> bool:
    """Return whether so many answers are fast, or the median is so low, that the rules exclude the session.

    Example:
        >>> rules = QualityRules(fast_ms=300, fast_share=0.2)
        >>> is_too_fast(np.array([200, 900, 900, 900, 900]), rules), is_too_fast(np.array([200] + 5 * [900]), rules)
        (True, False)
    """
    if not rt_ms.size:
        return False
    n_fast = int((rt_ms < rules.fast_ms).sum())
    return (rules.fast_ms > 0 and n_fast >= _least_fast(rt_ms.size, rules)) or bool(
        np.median(rt_ms) < rules.median_ms_least
    )


def side_bias(n_first: int, n: int) -> float:
    """Return the two-sided exact binomial p-value of so many choices of the first side, if both were as likely.

    Example:
        >>> round(side_bias(11, 45), 6)
        0.000824
    """
    if n == 0:
        return 1.0
    return min(1.0, 2 * float(special.bdtr(min(n_first, n - n_first), n, 0.5)))


def longest_run(chosen_first: Truths) -> int:
    """Return the length of the longest run of answers on the same side.

    Example:
        >>> longest_run(np.array([True, False, False, False, True]))
        3
    """
    if not chosen_first.size:
        return 0
    changes = np.flatnonzero(np.diff(chosen_first)) + 1
    return int(np.diff(np.concatenate(([0], changes, [chosen_first.size]))).max())


def run_probability(limit: int, n: int) -> float:
    """Return the chance that n answers on random sides hold a run of `limit` or more on the same side.

    Example:
        >>> round(run_probability(15, 45), 6), round(run_probability(12, 40), 6), run_probability(3, 3)
        (0.000976, 0.007314, 0.25)
    """
    if limit < 2 or n < limit:
        return float(0 < limit <= n)
    lengths = np.zeros(
        limit
    )  # chance of each length of the run that is going on, 1 to limit - 1; the last: it was reached
    lengths[0] = 1.0
    for _ in range(n - 1):
        going_on = lengths[:-1].sum()
        lengths[1:-1], lengths[-1] = lengths[:-2] / 2, lengths[-1] + lengths[-2] / 2
        lengths[0] = going_on / 2
    return float(lengths[-1])


@dataclass(frozen=True, slots=True)
class Chance:
    """Somebody, and how likely something happens to them.

    Attributes:
        who: As it reads after "a rater".
        probability: In [0, 1].
    """

    who: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingFigures:
    """How a rule that is on errs.

    Attributes:
        rule: Its name in `RULES`.
        effect: What it comes to in a session of this length.
        passes: Careless raters, and the chance that they pass; none where that hangs on times that only a pilot shows.
        hit: Careful raters, and the chance that it hits them; likewise.
        is_flag: Whether it only flags.
    """

    rule: str
    effect: str
    passes: tuple[Chance, ...]
    hit: tuple[Chance, ...]
    is_flag: bool = False


def operating_figures(
    rules: QualityRules, *, n_golden: int, n_main: int, n_practice: int
) -> tuple[OperatingFigures, ...]:
    """Compute how often each rule that is on passes careless raters, and hits careful ones.

    Args:
        rules: The rules.
        n_golden: Golden pairs in a session.
        n_main: Pairs after practice, golden ones among them.
        n_practice: Practice pairs.

    Returns:
        One entry for each rule that is on and can be broken in a session of this length.

    Example:
        The founding protocol: five golden pairs, out at any miss.

        >>> golden, = operating_figures(QualityRules(), n_golden=5, n_main=45, n_practice=10)
        >>> [f"a rater {chance.who}: {100 * chance.probability:.1f} %" for chance in golden.passes + golden.hit]
        ['a rater who guesses: 3.1 %', 'a rater who gets 98 % right: 9.6 %', 'a rater who gets 95 % right: 22.6 %']
    """
    if min(n_golden, n_main, n_practice) < 0 or n_golden > n_main:
        raise ValueError(
            f"numbers of pairs must be 0 or more, got {n_golden} golden of {n_main}, {n_practice} practice"
        )
    found = [_golden_figures(rules, n_golden)]
    found += [figures(rules, n_main) for figures in (_fast_figures, _side_figures, _run_figures)]
    found += [
        OperatingFigures(rule=rule, effect=f"out at {least} {what}", passes=(), hit=())
        for rule, least, what in rules.limits()
        if least > 0 and (rule == LEFT_PAGE or least <= n_main)
    ]
    if rules.practice_least and n_practice >= PRACTICE_LAST:
        least = min(rules.practice_least, PRACTICE_LAST)
        found.append(
            OperatingFigures(
                rule=PRACTICE_FAILED,
                effect=f"marked below {least} of the last {PRACTICE_LAST}",
                passes=(Chance("who guesses", 1 - _at_most(least - 1, PRACTICE_LAST, 0.5)),),
                hit=(Chance("who gets 80 % right", _at_most(least - 1, PRACTICE_LAST, 0.8)),),
                is_flag=True,
            )
        )
    return tuple(figures for figures in found if figures is not None)


def practice_figures(needed: int, n_practice: int, *, kinds: int = 1) -> OperatingFigures | None:
    """Return how often raters pass practice, in one of `PRACTICE_TRIES` tries; None if it need not be passed.

    Args:
        needed: Practice pairs that must be right in one try.
        n_practice: Practice pairs of one try.
        kinds: Equal parts of practice that are each to be passed by their share of both numbers: 2 for the real and
            the fake ones where pictures are shown alone.

    Example:
        >>> figures = practice_figures(8, 10)
        >>> round(figures.passes[0].probability, 4)
        0.1064
    """
    if not needed:
        return None

    def sent_back(right: float) -> float:
        passes = (1 - _at_most(needed // kinds - 1, n_practice // kinds, right)) ** kinds
        return (1 - passes) ** PRACTICE_TRIES

    of_each = "" if kinds == 1 else " of each kind"
    return OperatingFigures(
        rule=PRACTICE_NOT_PASSED,
        effect=f"sent back below {needed // kinds} of {n_practice // kinds} right{of_each}, twice",
        passes=(Chance("who guesses", 1 - sent_back(0.5)),),
        hit=tuple(Chance(f"who gets {right} % right", sent_back(right / 100)) for right in (90, 80)),
    )


def wrongly_excluded_at_most(figures: tuple[OperatingFigures, ...]) -> float:
    """Return a bound on the chance that a careful rater is excluded by any rule: the sum over the rules.

    Each rule counts with the first careful rater named for it, who gets 98 % of golden pairs right, answers a twentieth
    of the pairs too fast, and has no preference for a side. A least median cannot be judged without a pilot, and is
    left aside.
    """
    return min(1.0, math.fsum(one.hit[0].probability for one in figures if one.hit and not one.is_flag))


def _golden_figures(rules: QualityRules, n_golden: int) -> OperatingFigures | None:
    allowed = rules.golden_misses_allowed
    if allowed >= n_golden:
        return None
    return OperatingFigures(
        rule=GOLDEN_MISSED,
        effect=f"out at {allowed + 1} of {n_golden} missed",
        passes=(Chance("who guesses", _at_most(allowed, n_golden, 0.5)),),
        hit=tuple(
            Chance(f"who gets {right} % right", 1 - _at_most(allowed, n_golden, 1 - right / 100)) for right in (98, 95)
        ),
    )


def _fast_figures(rules: QualityRules, n_main: int) -> OperatingFigures | None:
    if not n_main or not (rules.fast_ms or rules.median_ms_least):
        return None
    parts: list[str] = []
    passes: tuple[Chance, ...] = ()
    hit: tuple[Chance, ...] = ()
    if rules.fast_ms:
        least = _least_fast(n_main, rules)
        parts.append(f"at {least} of {n_main} answers below {rules.fast_ms} ms")
        passes = (Chance("who clicks at once in every second pair", _at_most(least - 1, n_main, 0.5)),)
        hit = (Chance("who does so in one of twenty", 1 - _at_most(least - 1, n_main, 0.05)),)
    if rules.median_ms_least:
        parts.append(f"at a median below {rules.median_ms_least} ms")
    return OperatingFigures(
        rule=TOO_FAST,
        effect="out " + " or ".join(parts),
        passes=passes,
        hit=hit,
    )


def _side_figures(rules: QualityRules, n_main: int) -> OperatingFigures | None:
    low = max((k for k in range(n_main // 2 + 1) if side_bias(k, n_main) < rules.side_bias_p), default=None)
    if low is None:
        return None

    def out(chance_first: float) -> float:
        return _at_most(low, n_main, chance_first) + _at_most(low, n_main, 1 - chance_first)

    return OperatingFigures(
        rule=ONE_SIDED,
        effect=f"out at {n_main - low} of {n_main} on one side",
        passes=(Chance("who takes one side in 4 of 5 pairs", 1 - out(0.8)),),
        hit=(Chance("who has no preference", out(0.5)),),
    )


def _run_figures(rules: QualityRules, n_main: int) -> OperatingFigures | None:
    if not 0 < rules.run_limit <= n_main:
        return None
    return OperatingFigures(
        rule=SAME_SIDE_RUN,
        effect=f"out at {rules.run_limit} in a row on one side",
        passes=(Chance("who stays on one side", 0.0),),
        hit=(Chance("who has no preference", run_probability(rules.run_limit, n_main)),),
    )


def _least_fast(n: int, rules: QualityRules) -> int:
    """Return how many of n answers must be fast to exclude a session: at least one."""
    return max(1, math.ceil(rules.fast_share * n - 1e-9))


def _at_most(k: int, n: int, probability: float) -> float:
    """Return P(Binomial(n, probability) <= k)."""
    if k < 0:
        return 0.0
    return 1.0 if k >= n else float(special.bdtr(k, n, probability))
