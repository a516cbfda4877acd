"""A real worker process takes tasks from the embedded broker."""

import signal
from pathlib import Path

import pytest

from tests.worker.embedded import Embedded

SEND = "from evalsite.celery import app; app.send_task('celery.accumulate', args=[1, 2])"


@pytest.mark.worker
def test_worker_runs_a_task_that_another_process_sent(tmp_path: Path) -> None:
    """It waits in the folder until a worker starts; the worker runs it, logs it, and ends in order when asked to."""
    site = Embedded(tmp_path, EVALSITE_LOG_LEVEL="INFO")
    messages = tmp_path / "broker"
    site.python(SEND)
    assert len(list(messages.glob("*.msg"))) == 1

    with site.worker() as worker:
        site.wait(worker, lambda: "succeeded" in site.said, every_s=0.1)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0

    assert '"task": "celery.accumulate"' in site.said
    assert [path.name for path in messages.iterdir() if path.is_file()] == []
