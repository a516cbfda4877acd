"""Real workers train a run: one is asked to stop, the next one is killed, and the last one brings it to its end."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worker.embedded import Embedded

MAKE = """
from studies.tasks import training_enqueue
from tests.training import make_run
training_enqueue(make_run(steps={steps}, validate_every={steps}))
"""
LOOK = """
from studies.models import TrainingRun
run = TrainingRun.objects.get()
print(run.state, run.step, bool(run.claim), run.checkpoint_path.is_file())
"""
STEPS = 1_500


@pytest.mark.slow
@pytest.mark.worker
def test_run_outlives_its_workers(tmp_path: Path) -> None:
    site = Embedded(tmp_path)

    def told(until: Callable[[list[str]], bool]) -> Callable[[], bool]:
        """Look at the lines of the run's progress, which is quicker than to ask the database."""
        return lambda: until(
            [line for path in tmp_path.glob("training/*/progress.jsonl") for line in path.read_text().split("\n")]
        )

    def trains_for_the(time: int) -> Callable[[list[str]], bool]:
        def trains(lines: list[str]) -> bool:
            starts = [place for place, line in enumerate(lines) if "Trains on" in line]
            return len(starts) == time and any('"kind": "train"' in line for line in lines[starts[-1] :])

        return trains

    site.make(MAKE.format(steps=STEPS))
    assert site.python(LOOK) == ["queued", "0", "False", "False"]

    with site.worker("celery,training") as first:
        site.wait(first, told(trains_for_the(1)), every_s=0.05)
        first.send_signal(signal.SIGTERM)
        assert first.wait(30) == 0
    state, kept, is_claimed, _ = site.python(LOOK)
    assert (state, is_claimed) == ("queued", "False"), site.said
    assert 0 < int(kept) < STEPS

    with site.worker("celery,training") as second:
        site.wait(second, told(trains_for_the(2)), every_s=0.05)
        second.kill()
        second.wait()
    state, _, is_claimed, _ = site.python(LOOK)
    assert (state, is_claimed) == ("running", "True")

    with site.worker("celery,training") as third:
        site.wait(third, told(lambda lines: any("Finished" in line for line in lines[-2:])), every_s=0.05)
        third.send_signal(signal.SIGTERM)
        assert third.wait(30) == 0
    assert site.python(LOOK) == ["finished", str(STEPS), "False", "True"], site.said
