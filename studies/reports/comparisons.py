"""Comparisons of conditions in words and cells: with each other, and with the 50 % at which raters cannot tell."""

from collections.abc import Mapping
from dataclasses import asdict

from studies.reports.section import Column, Section, section_make
from studies.reports.wording import MISSING, percent
from studies.statistics.comparison import Comparisons, Difference
from studies.statistics.equivalence import AgainstHalf, Equivalence
from studies.statistics.fool_rate import ESTIMANDS
from studies.statistics.phrases import level, points, scope
from studies.statistics.results import ResultTable

SIDES = {"below": "below", "above": "above", "undecided": "not decided", "unknown": MISSING}


def comparison_sections(found: Comparisons, table: ResultTable, *, is_fixed: bool = True) -> list[Section]:
    """Return the sections of a report that compare the conditions of a table.

    Args:
        found: The comparisons, of the same votes as the table.
        table: The results; its labels are what people read.
        is_fixed: Whether family and margin were fixed before the study opened.

    Returns:
        The differences, if any has votes on both sides, and every condition against 50 %, if any has a vote.
    """
    labels = {row.condition: row.label for row in table.rows}
    when = "fixed before the study opened" if is_fixed else "chosen for this table, not fixed beforehand"
    has_any = any(one.difference is not None for one in found.differences)
    sections = [_differences(found, labels, when)] if has_any else []
    return [*sections, _half(found, labels, when)] if found.against_half else sections


def _differences(found: Comparisons, labels: Mapping[str, str], when: str) -> Section:
    n_tests = len(found.differences)
    interval = level(found.alpha / n_tests)
    family = (
        f"every method against {labels.get(found.reference, found.reference)}"
        if found.reference is not None
        else "all pairs of methods"
    )
    adjusted = (
        f"{n_tests} comparisons, so each interval is at {interval} (Bonferroni) and p-values are adjusted by Holm"
        if n_tests > 1
        else f"one comparison, with its {interval} interval"
    )
    columns: list[Column[Difference]] = [
        Column("Comparison", lambda d: pair_label(d, labels)),
        Column(f"difference in points [{interval}]", _difference),
        Column("t", lambda d: MISSING if d.t is None else f"{d.t:.2f}".replace("-", "\N{MINUS SIGN}")),
        Column("df", lambda d: MISSING if d.df is None else str(d.df)),
        Column("p", lambda d: _p(d.p)),
        Column("p adjusted", lambda d: _p(d.p_holm)),
        Column("raters (of both)", lambda d: f"{d.n_raters} ({d.n_raters_both})"),
        Column("photos (of both)", lambda d: f"{d.n_photos} ({d.n_photos_both})"),
    ]
    return section_make(
        found.differences,
        columns,
        name="differences",
        heading="Differences between methods",
        about=f"Family {when}: {family}; {adjusted}. Two-way variance with Student's t, {scope(found.estimand)}.",
        notes=[difference.wording(labels) for difference in found.differences] + _notes(found, labels),
        record=lambda d: asdict(d) | {"notes": " ".join(d.notes) or None, "family": found.family},
    )


def _notes(found: Comparisons, labels: Mapping[str, str]) -> list[str]:
    """Return what belongs beside the differences, the same note once with all its comparisons before it."""
    named: dict[str, list[str]] = {}
    for difference in found.differences:
        if difference.p is not None:  # else its wording says them
            for note in difference.notes:
                named.setdefault(note, []).append(pair_label(difference, labels))
    n = len(found.differences)
    return [f"{'Every comparison' if 1 < n == len(of) else '; '.join(of)}: {note}" for note, of in named.items()]


def pair_label(difference: Difference, labels: Mapping[str, str]) -> str:
    """Return what a difference is of, as people read it."""
    a, b = (labels.get(name, name) for name in (difference.condition_a, difference.condition_b))
    return f"{a} less {b}"


def _difference(found: Difference) -> str:
    if found.difference is None:
        return MISSING
    if found.ci_low is None or found.ci_high is None:
        return points(found.difference)
    return f"{points(found.difference)} [{points(found.ci_low)}, {points(found.ci_high)}]"


def _p(p: float | None) -> str:
    return MISSING if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _half(found: Comparisons, labels: Mapping[str, str], when: str) -> Section:
    tests: dict[str, Equivalence] = {test.condition: test for test in found.equivalence}
    wide = level(found.alpha)
    columns: list[Column[AgainstHalf]] = [
        Column("Condition", lambda half: labels.get(half.condition, half.condition)),
        Column(f"% fooled [{wide}]", lambda half: percent(half.rate, half.ci_low, half.ci_high)),
        Column("side of 50 %", lambda half: SIDES[half.side]),
    ]
    about = f"50 % means that raters cannot tell. A rate is below or above it where its whole {wide} interval is"
    if tests:
        margin = next(iter(tests.values())).margin
        band = f"{100 * (0.5 - margin):g} to {100 * (0.5 + margin):g} %"
        narrow = level(2 * found.alpha)
        about += (
            f"; it is shown to be 50 % for practical purposes only where its {narrow} interval lies inside {band}, the "
            f"margin {when} (two one-sided tests)"
        )
        columns += [
            Column(f"[{narrow}]", lambda half: _ends(tests[half.condition])),
            Column(f"inside {band}", lambda half: _inside(tests[half.condition])),
        ]
    return section_make(
        found.against_half,
        columns,
        name="against_half",
        heading="Against 50 %",
        about=f"{about}. {ESTIMANDS[found.estimand].capitalize()}.",
        notes=[
            sentence
            for half in found.against_half
            for sentence in (
                half.wording(labels),
                *((tests[half.condition].wording(labels),) if half.condition in tests else ()),
            )
        ],
        record=lambda half: (
            asdict(half)
            | {
                f"equivalence_{name}": value
                for name, value in (asdict(tests[half.condition]) if half.condition in tests else {}).items()
                if name not in {"condition", "rate", "estimand"}
            }
        ),
    )


def _ends(test: Equivalence) -> str:
    if test.ci_low is None or test.ci_high is None:
        return MISSING
    return f"[{100 * test.ci_low:.1f}, {100 * test.ci_high:.1f}]"


def _inside(test: Equivalence) -> str:
    if test.is_equivalent is None:
        return MISSING
    return "shown" if test.is_equivalent else "not shown"
