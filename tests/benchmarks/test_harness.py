import sys
import time

import numpy as np
import pytest

from tests.benchmarks import harness
from tests.benchmarks.harness import Bar, Comparison

FASTER = Comparison("search", subject_s=(0.5, 1.0, 0.25), baseline_s=(1.0, 1.5, 1.0), clock="cpu")


def test_the_ratio_is_the_median_of_the_pairs_in_the_direction_of_the_bar() -> None:
    assert FASTER.ratios(Bar(least=1)) == (2, 1.5, 4)
    assert FASTER.ratios(Bar(most=1)) == pytest.approx((0.5, 2 / 3, 0.25))
    assert FASTER.row(Bar(least=1, aim=3)) == (
        "| search (cpu time) | 500 ms (250-1,000) | 1 s (1-1.5) | **2x** (1.5x-4x) | ≥ 1x | ≥ 3x | bar |"
    )


@pytest.mark.parametrize(
    ("bar", "met"),
    [
        (Bar(least=2), "bar"),
        (Bar(least=1, aim=2), "aim"),
        (Bar(least=2.1, aim=3), "no"),
        (Bar(most=0.5), "bar"),
        (Bar(most=0.6, aim=0.5), "aim"),
        (Bar(most=0.4, aim=0.3), "no"),
        (Bar(), ""),
    ],
)
def test_a_bar_is_met_or_not(bar: Bar, met: str) -> None:
    assert FASTER.met(bar) == met


def test_subject_and_baseline_run_by_turns_after_one_run_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "SHORTEST_S", 0.0)
    runs: list[str] = []
    compared = harness.compare("turns", lambda: runs.append("A"), lambda: runs.append("B"), pairs=3)
    assert "".join(runs) == "AB" + "ABABAB"
    assert len(compared.subject_s) == len(compared.baseline_s) == 3


def test_a_part_counts_as_often_as_it_occurs_in_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "SHORTEST_S", 0.0)
    compared = harness.compare(
        "parts", lambda: time.sleep(0.02), lambda: time.sleep(0.02), pairs=1, clock="wall", baseline_is_one_of=100
    )
    assert compared.subject_s[0] < 1 < compared.baseline_s[0]


def test_report_fails_when_one_bar_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    assert harness.report([(FASTER, Bar(least=1))]) == 0
    assert harness.report([(FASTER, Bar(least=9)), (FASTER, Bar(least=1))]) == 1
    assert [line.rsplit("| ", 1)[1] for line in capsys.readouterr().out.splitlines() if "search" in line] == [
        "bar |",
        "no |",
        "bar |",
    ]


def bytes_fill(count: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.full(count, 7, np.uint8)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_that_of_the_work_alone() -> None:
    beforehand = bytes_fill(300_000_000)
    used = harness.memory(bytes_fill, 100_000_000)
    assert beforehand[-1] == 7
    assert used.peak == pytest.approx(100e6, rel=0.1)
    assert used.held == pytest.approx(100e6, rel=0.1)
