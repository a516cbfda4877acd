"""The queues of the simulation behind docs/scale.md."""

import numpy as np
import pytest

from tests.benchmarks.scale_simulation import Day, peak_simulate, stage, waits


@pytest.mark.parametrize("busy", [0.5, 0.8])
def test_a_single_queue_waits_as_the_formula_of_pollaczek_and_khinchine_says(busy: float) -> None:
    rng = np.random.default_rng(1)
    n = 2_000_000
    arrivals = np.cumsum(rng.exponential(1.0, n))
    for variation, service in ((1.0, rng.exponential(busy, n)), (0.0, np.full(n, busy))):
        expected = busy * busy * (1 + variation) / (2 * (1 - busy))
        assert waits(arrivals, service).mean() == pytest.approx(expected, rel=0.05)


def test_jobs_dealt_by_turns_wait_for_their_own_server_alone() -> None:
    waited, left = stage(np.array([0.0, 0.0, 1.0, 1.0]), np.array([5.0, 1.0, 1.0, 1.0]), servers=2)
    assert waited.tolist() == [0.0, 0.0, 4.0, 0.0]
    assert left.tolist() == [5.0, 1.0, 6.0, 2.0]


def test_more_workers_make_shorter_waits_and_no_vote_takes_less_than_nothing() -> None:
    day = Day(raters=100_000)
    took = [
        peak_simulate(
            day, workers=workers, keepers=2, web_s=0.01, database_s=0.002, seconds=60, rng=np.random.default_rng(2)
        )
        for workers in (2, 4)
    ]
    assert took[1].mean() < took[0].mean()
    assert min(times.min() for times in took) > 0
    assert day.peak_rate == pytest.approx(100_000 * 0.1 * 55 / 3600)
