"""Real workers train a run: one is asked to stop, the next one is killed, and the last one brings it to its end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.worker.test_worker import WORKER

MAKE = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from studies.tasks import training_enqueue
from tests.training import make_run
training_enqueue(make_run(steps={steps}, validate_every={steps}))
"""
LOOK = """
import django; django.setup()
from studies.models import TrainingRun
run = TrainingRun.objects.get()
print(run.state, run.step, bool(run.claim), run.checkpoint_path.is_file())
"""
STEPS = 1_500


@pytest.mark.slow
@pytest.mark.worker
def test_run_outlives_its_workers(tmp_path: Path) -> None:
    environment = os.environ | {"EVALSITE_DATA_DIR": str(tmp_path), "EVALSITE_LOG_LEVEL": "WARNING"}

    def python(program: str) -> list[str]:
        command = [sys.executable, "-c", program]
        return subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout.split()

    @contextmanager
    def worker() -> "Iterator[subprocess.Popen[bytes]]":
        with (tmp_path / "log").open("a") as log:
            process = subprocess.Popen([*WORKER, "-Q", "celery,training"], env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def wait(process: "subprocess.Popen[bytes]", until: Callable[[list[str]], bool]) -> None:
        """Wait for the lines of the run's progress, which is quicker than to ask the database."""
        deadline = time.monotonic() + 120
        while True:
            lines = [
                line for path in tmp_path.glob("training/*/progress.jsonl") for line in path.read_text().split("\n")
            ]
            if until(lines):
                return
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (lines[-3:], (tmp_path / "log").read_text())
            time.sleep(0.05)

    def trains_for_the(time: int) -> Callable[[list[str]], bool]:
        def trains(lines: list[str]) -> bool:
            starts = [place for place, line in enumerate(lines) if "Trains on" in line]
            return len(starts) == time and any('"kind": "train"' in line for line in lines[starts[-1] :])

        return trains

    python(MAKE.format(steps=STEPS))
    assert python(LOOK) == ["queued", "0", "False", "False"]

    with worker() as first:
        wait(first, trains_for_the(1))
        first.send_signal(signal.SIGTERM)
        assert first.wait(30) == 0
    state, kept, is_claimed, _ = python(LOOK)
    assert (state, is_claimed) == ("queued", "False"), (tmp_path / "log").read_text()
    assert 0 < int(kept) < STEPS

    with worker() as second:
        wait(second, trains_for_the(2))
        second.kill()
        second.wait()
    state, _, is_claimed, _ = python(LOOK)
    assert (state, is_claimed) == ("running", "True")

    with worker() as third:
        wait(third, lambda lines: "Finished" in lines[-2])
        third.send_signal(signal.SIGTERM)
        assert third.wait(30) == 0
    assert python(LOOK) == ["finished", str(STEPS), "False", "True"], (tmp_path / "log").read_text()
