from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from studies.statistics.stopping import InterimLook, PrintableInterval, Seen, printable_interval

CLOSED = datetime(2026, 5, 1, tzinfo=UTC)


def looked(saw: Seen, *, days_before: float = 10, who: str = "ada") -> InterimLook:
    return InterimLook(at=CLOSED - timedelta(days=days_before), who=who, saw=saw)


def printable(*looks: InterimLook, **options: Any) -> PrintableInterval:
    given: dict[str, Any] = {"rule": "planned", "n_planned": 40, "n_completed": 40, "looks": looks, "closed_at": CLOSED}
    return printable_interval(**given | options)


@pytest.mark.parametrize("n_completed", [3, 39, 40, 44, 45, 400])
def test_results_that_nobody_saw_cannot_have_stopped_a_study(n_completed: int) -> None:
    found = printable(looked("operations"), n_completed=n_completed)
    assert found.kind == "fixed"
    assert f"{n_completed} of 40 planned raters" in found.reason
    assert found.looks == "No look at results before the study closed is recorded."


@pytest.mark.parametrize("rule", ["planned", "sequence"])
@pytest.mark.parametrize(
    ("n_completed", "kind"), [(39, "sequence"), (40, "fixed"), (44, "fixed"), (45, "sequence"), (80, "sequence")]
)
def test_after_looks_at_the_sequence_the_fixed_interval_takes_the_planned_number(
    rule: str, n_completed: int, kind: str
) -> None:
    found = printable(looked("sequence"), rule=rule, n_completed=n_completed)
    assert found.kind == kind
    assert found.looks == (
        "Results were looked at once before the study closed, on 2026-04-21, by ada: the confidence sequence alone."
    )


@pytest.mark.parametrize("rule", ["planned", "sequence"])
def test_one_look_at_rates_takes_the_fixed_interval_away_for_good(rule: str) -> None:
    found = printable(looked("sequence", days_before=20), looked("rates", who="bob"), rule=rule)
    assert found.kind == "sequence"
    assert found.reason.startswith("Fool rates were seen before the study closed")
    assert found.looks == (
        "Results were looked at 2 times before the study closed, between 2026-04-11 and 2026-04-21, by ada, bob: "
        "1 of these times fool rates, else the confidence sequence."
    )


def test_looks_after_the_closing_do_not_matter() -> None:
    assert printable(looked("rates", days_before=0), looked("rates", days_before=-3)).kind == "fixed"
    assert printable(looked("rates", days_before=0.001)).kind == "sequence"


def test_stop_on_results_gets_the_sequence_even_without_a_look_at_the_planned_number() -> None:
    found = printable(rule="results")
    assert found.kind == "sequence"
    assert found.reason.startswith("The study was set to stop on results")


def test_open_study_gets_the_sequence() -> None:
    found = printable(looked("rates", days_before=-30), closed_at=None)
    assert found.kind == "sequence"
    assert "not closed (40 of 40 planned raters)" in found.reason
    assert found.looks.endswith("by ada: fool rates.")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "whim"}, "rule must be one of planned, sequence, results, got 'whim'"),
        ({"n_planned": 0}, "n_planned must be at least 1 and n_completed at least 0, got 0 and 40"),
        ({"looks": [InterimLook(at=CLOSED, who="ada", saw="all")]}, "got 'all'"),  # type: ignore[arg-type] # on purpose
    ],
)
def test_rules_and_looks_without_a_meaning_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        printable(**options)
