"""The confidence sequence in words and cells: fool rates that may be looked at, and stopped on, at any time."""

from collections.abc import Mapping
from dataclasses import asdict

from studies.reports.section import Column, Section, section_make
from studies.reports.wording import percent
from studies.statistics.phrases import level, scope
from studies.statistics.results import ResultTable
from studies.statistics.sequential import LiveEstimate

Named = tuple[str, LiveEstimate]


def live_section(found: Mapping[str, LiveEstimate], table: ResultTable, *, reason: str) -> Section:
    """Return the section with the confidence sequence.

    Args:
        found: Estimates by name of the condition, at least one.
        table: The results of the same votes; its labels are what people read.
        reason: Why this is the interval to print, in one sentence.
    """
    labels = {row.condition: row.label for row in table.rows}
    first = next(iter(found.values()))
    columns: list[Column[Named]] = [
        Column("Condition", lambda named: labels.get(named[0], named[0])),
        Column(
            f"% fooled [{level(first.alpha)}, at all times]",
            lambda named: percent(named[1].estimate, named[1].ci_low, named[1].ci_high),
        ),
        Column("raters", lambda named: str(named[1].n_raters)),
    ]
    notes: dict[str, list[str]] = {}
    for name, estimate in found.items():
        for note in estimate.notes:
            notes.setdefault(note, []).append(labels.get(name, name))
    return section_make(
        list(found.items()),
        columns,
        name="sequence",
        heading="Confidence sequence: the interval that holds however often one looks",
        about=f"{reason} Mean of the raters' own fool rates; the intervals hold together at {level(first.alpha)}, at "
        "all "
        f"times, for all {first.n_shown} methods, {scope(first.estimand)}.",
        notes=[note if len(of) == len(found) else f"{', '.join(of)}: {note}" for note, of in notes.items()],
        record=lambda named: {"condition": named[0]} | asdict(named[1]) | {"notes": " ".join(named[1].notes) or None},
    )
