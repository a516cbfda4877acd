"""A worker is killed while it makes samples: the next one makes what is missing, and nothing a second time."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.worker.test_worker import WORKER

MAKE = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from studies import tasks
from studies.models import StudyState
from studies.services.studies import ConditionSpec, study_prepare
from tests.factories import make_study
conditions = [ConditionSpec("bicubic"), *(ConditionSpec("bicubic", role="test", label=f"Smooth {i}") for i in range(5))]
study = make_study(state=StudyState.DRAFT, conditions=conditions, spare_photos=25, size=128)
study_prepare(study=study)
tasks.samples_plan.delay(study.pk)
"""
LOOK = """
import django; django.setup()
from pathlib import Path
from django.conf import settings
from studies.images import sha256_of
from studies.models import Sample, Study
from studies.selectors.pictures import picture_read
ready = Sample.objects.filter(status="ready")
whole = sum(sha256_of(picture_read(sample.picture)) == sample.sha256 for sample in ready)
print(Study.objects.get().state, whole, ready.count(), Sample.objects.count(), *sorted(s.picture.name for s in ready))
"""


@pytest.mark.slow
@pytest.mark.worker
def test_samples_outlive_a_worker_that_is_killed(tmp_path: Path) -> None:
    environment = os.environ | {"EVALSITE_DATA_DIR": str(tmp_path), "EVALSITE_LOG_LEVEL": "WARNING"}

    def python(program: str) -> list[str]:
        command = [sys.executable, "-c", program]
        return subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout.split()

    @contextmanager
    def worker() -> "Iterator[subprocess.Popen[bytes]]":
        with (tmp_path / "log").open("a") as log:
            process = subprocess.Popen(WORKER, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def wait(process: "subprocess.Popen[bytes]", until: Callable[[int], bool]) -> None:
        deadline = time.monotonic() + 120
        query = "select count(*) from studies_sample where status = 'ready'"
        with closing(sqlite3.connect(tmp_path / "evalsite.sqlite3")) as database:
            while not until(database.execute(query).fetchone()[0]):
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.005)

    python(MAKE)
    with worker() as first:
        wait(first, lambda ready: ready > 0)
    state, whole, ready, total, *kept = python(LOOK)
    assert state == "preparing"
    assert 0 < int(ready) < int(total)
    assert whole == ready
    with worker() as second:
        wait(second, lambda ready: ready == int(total))
        deadline = time.monotonic() + 60
        while python(LOOK)[0] != "ready":
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
    state, whole, ready, again, *pictures = python(LOOK)
    assert (state, whole, ready, again) == ("ready", total, total, total)
    assert set(kept) < set(pictures)  # what was made before was not made anew
    assert len(set(pictures)) == int(total)
