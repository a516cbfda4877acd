"""The disk is full for a while: raters wait, a preparation stops, and nothing is lost or kept half."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.faults.raters import SESSIONS, Crowd
from tests.faults.services import Processes, disk_fill, small_disk
from tests.site.parts import ROOT, answers, environment_of, port_find, python, wait_until

MAKE = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from evalsite.celery import app
app.conf.update(task_always_eager=True, task_eager_propagates=True)
from studies.models import StudyState
from studies.services.studies import study_prepare
from tests.factories import make_small_study
print(make_small_study(practice_count=0, test_count=4, raters_wanted=30_000).code)
study_prepare(study=make_small_study(state=StudyState.DRAFT))
"""
SAMPLE = """
import django; django.setup()
from evalsite.celery import app
app.conf.update(task_always_eager=True, task_eager_propagates=True)
from studies import tasks
from studies.models import Study
tasks.samples_plan(Study.objects.order_by("pk").last().pk)
"""
"""What a worker does with the study that is prepared."""
ADD = """
import django; django.setup()
from studies.models import PhotoSet
from studies.services.photos import photos_add
from tests.factories import make_picture, png_bytes
photo_set = PhotoSet.objects.order_by("pk").first()
print(photos_add(photo_set=photo_set, files=[("new.png", png_bytes(make_picture(seed=4711)))]).added)
"""
SAMPLES = """
SELECT s.state, count(*), sum(m.status = 'ready') FROM studies_study s JOIN studies_condition c ON c.study_id = s.id
JOIN studies_sample m ON m.condition_id = c.id GROUP BY s.id ORDER BY s.id DESC LIMIT 1
"""


STATE = "SELECT state FROM studies_study ORDER BY id DESC LIMIT 1"


def attempt(program: str, environment: dict[str, str]) -> int:
    """Run a program that may fail, and return how it ended."""
    return subprocess.run([sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True).returncode


@pytest.mark.slow
def test_votes_samples_and_photos_outlive_a_full_disk(tmp_path: Path, note: Callable[..., None]) -> None:
    with small_disk(megabytes=24) as disk:
        port = port_find()
        environment = environment_of(disk / "data", EVALSITE_LOG_LEVEL="WARNING", TMPDIR=str(tmp_path))
        environment |= {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port} --workers 1"}
        study_code = python("-c", MAKE, environment=environment).split()[-1]
        database = disk / "data" / "evalsite.sqlite3"

        def ask(question: str) -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(database, timeout=30)) as connection:
                return connection.execute(question).fetchall()

        photos = ask("SELECT count(*) FROM studies_photo")
        processes = Processes(environment, tmp_path / "log")
        web = [sys.executable, "-m", "gunicorn", "evalsite.wsgi", "--config", str(ROOT / "deploy" / "gunicorn.conf.py")]
        crowd = Crowd(f"http://127.0.0.1:{port}", f"/s/{study_code}/")
        processes.start("web", web)
        try:
            wait_until(lambda: answers(f"{crowd.url}/readyz"), what="gunicorn")
            with crowd.voting(3):
                crowd.go_on(10)
                before = crowd.votes, crowd.waited
                ballast = disk_fill(disk)
                crowd.wait(since=before[1] + 5, what="The end of the room")
                attempt(SAMPLE, environment)
                assert attempt(ADD, environment) != 0
                assert ask(STATE) == [("preparing",)]
                ballast.unlink()
                crowd.go_on(10)
                lost, doubled = crowd.check(ask)
                votes, waited = crowd.votes - before[0], crowd.waited - before[1]
            note(
                "disk full under load, SQLite",
                f"tried again {waited} times",
                at_stake=f"{votes} votes",
                lost=lost,
                doubled=doubled,
            )
            assert crowd.faults == []
            assert ask(SESSIONS) == [(len(crowd.sessions),)]
            assert ask("SELECT count(*) FROM studies_photo") == photos
            python("-c", SAMPLE, environment=environment)
            ((state, rows, ready),) = ask(SAMPLES)
            assert state == "ready"
            met = "the preparation stops, and goes on once there is room"
            note("disk full while samples are made", met, at_stake=f"{rows} samples", lost=rows - ready, doubled=0)
            assert python("-c", ADD, environment=environment).split()[-1] == "1"
        except BaseException:
            print((tmp_path / "log").read_text()[-6000:])
            raise
        finally:
            processes.kill_all()
