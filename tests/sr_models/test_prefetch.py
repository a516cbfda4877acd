"""A thread works a few items ahead, in order, and ends with the one who uses it."""

import threading
import time

import pytest

from sr_models.prefetch import AHEAD, prefetch


def test_results_come_in_order_from_one_thread() -> None:
    threads = set()

    def double(number: int) -> int:
        threads.add(threading.get_ident())
        return 2 * number

    assert list(prefetch(double, range(20))) == list(range(0, 40, 2))
    assert len(threads - {threading.get_ident()}) == 1


def test_it_works_ahead_but_not_far() -> None:
    done: list[int] = []
    results = prefetch(done.append, range(100))
    next(results)
    deadline = time.monotonic() + 60
    while len(done) < 1 + AHEAD and time.monotonic() < deadline:
        time.sleep(0.01)
    assert done == list(range(1 + AHEAD))
    results.close()
    assert len(done) == 1 + AHEAD
    assert not any(thread.name.startswith("prefetch") for thread in threading.enumerate())


def test_an_error_is_raised_when_its_turn_has_come() -> None:
    results = prefetch(lambda number: 6 // number, [3, 2, 0, 1])
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not any(thread.name.startswith("prefetch") for thread in threading.enumerate())
