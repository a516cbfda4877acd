"""A real worker process takes tasks from the embedded broker."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WORKER = [
    *(sys.executable, "-m", "celery", "-A", "evalsite", "worker", "--pool", "solo"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
]
SEND = "from evalsite.celery import app; app.send_task('celery.accumulate', args=[1, 2])"


@pytest.mark.worker
def test_worker_runs_a_task_that_another_process_sent(tmp_path: Path) -> None:
    """It waits in the folder until a worker starts; the worker runs it, logs it, and ends in order when asked to."""
    environment = os.environ | {"EVALSITE_DATA_DIR": str(tmp_path), "EVALSITE_LOG_FORMAT": "json"}
    messages = tmp_path / "broker"
    subprocess.run([sys.executable, "-c", SEND], check=True, env=environment)
    assert len(list(messages.glob("*.msg"))) == 1

    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(WORKER, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while "succeeded" not in (tmp_path / "log").read_text() and time.monotonic() < deadline:
            assert worker.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    finally:
        worker.kill()
        worker.wait()

    assert '"task": "celery.accumulate"' in (tmp_path / "log").read_text()
    assert [path.name for path in messages.iterdir() if path.is_file()] == []
