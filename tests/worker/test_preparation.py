"""A real worker prepares a study, and one that starts later takes up what another left behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.worker.test_worker import WORKER

MAKE = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from studies import tasks
from studies.models import StudyState
from studies.services.studies import study_prepare
from tests.factories import make_study
study = make_study(state=StudyState.DRAFT)
study_prepare(study=study)
if "{send}":
    tasks.samples_plan.delay(study.pk)
"""
LOOK = """
import django; django.setup()
from studies.models import Sample, Study
print(Study.objects.get().state, Sample.objects.filter(status="ready").count(), Sample.objects.count())
"""


@pytest.mark.worker
@pytest.mark.parametrize("send", ["sent", ""], ids=["sent to it", "left behind"])
def test_a_worker_makes_a_preparing_study_ready(tmp_path: Path, send: str) -> None:
    environment = os.environ | {"EVALSITE_DATA_DIR": str(tmp_path), "EVALSITE_LOG_LEVEL": "WARNING"}

    def python(program: str) -> str:
        command = [sys.executable, "-c", program]
        return subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout

    python(MAKE.format(send=send))
    assert python(LOOK).split()[0] == "preparing"
    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(WORKER, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 90
        while python(LOOK).split()[0] != "ready" and time.monotonic() < deadline:
            assert worker.poll() is None, (tmp_path / "log").read_text()
        assert python(LOOK).split() == ["ready", "27", "27"], (tmp_path / "log").read_text()
    finally:
        worker.terminate()
        worker.wait(30)
