"""A production site loses its parts one after the other while raters vote: no vote is lost, none counts twice."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.raters import SESSIONS, Crowd
from tests.faults.services import Postgres, Processes, Redis, postgres, redis
from tests.site.parts import ROOT, answers, environment_of, port_find, python, wait_until, worker_command

MAKE = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from evalsite.celery import app
from studies.models import StudyState
from tests.factories import make_small_study
make_small_study(state=StudyState.DRAFT)
app.conf.update(task_always_eager=True, task_eager_propagates=True)
print(make_small_study(practice_count=0, test_count=4, raters_wanted=30_000).code)
"""
PREPARE = """
import django; django.setup()
from django.test import Client
from django.urls import reverse
from studies.models import Study
study = Study.objects.order_by("pk").first()
client = Client(headers={"host": "127.0.0.1"})
client.force_login(study.owner)
response = client.post(reverse("admin:studies_study_prepare", args=[study.pk]), follow=True)
print(response.status_code, "cannot be reached" in response.content.decode())
"""
"""A researcher prepares a study on its page."""
SAMPLES = """
SELECT s.state, count(*), count(DISTINCT (m.condition_id, m.photo_id)), count(*) FILTER (WHERE m.status = 'ready')
FROM studies_study s JOIN studies_condition c ON c.study_id = s.id JOIN studies_sample m ON m.condition_id = c.id
WHERE s.id = (SELECT min(id) FROM studies_study) GROUP BY s.state
"""
UPGRADE = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("studies", "{last}")]
    operations = [
        migrations.AddField("response", "upgraded", models.CharField(max_length=9, db_default="no")),
        migrations.AddField("trial", "upgraded", models.CharField(max_length=9, db_default="no")),
        migrations.AddIndex("response", models.Index(fields=["rt_ms", "upgraded"], name="upgraded_index")),
        migrations.RunSQL("UPDATE studies_response SET upgraded = 'yes'", migrations.RunSQL.noop),
    ]
"""
"""A change of the two tables that every vote touches. It stands beside the site's own for the length of the test."""


@pytest.fixture
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def queue() -> Iterator[Redis]:
    with redis() as server:
        yield server


def upgrade_write(folder: Path) -> dict[str, str]:
    """Write the migration into a package of its own, in front of the site's; return what makes Django look there."""
    last = max(path.stem for path in (ROOT / "studies" / "migrations").glob("0*.py"))
    package = folder / "upgraded"
    package.mkdir()
    (package / "__init__.py").write_text(f"__path__.append({str(ROOT / 'studies' / 'migrations')!r})\n")
    (package / "9999_upgrade.py").write_text(UPGRADE.format(last=last))
    (folder / "upgraded_settings.py").write_text(
        "from evalsite.settings import *\nMIGRATION_MODULES = {'studies': 'upgraded'}\n"
    )
    return {"PYTHONPATH": str(folder), "DJANGO_SETTINGS_MODULE": "upgraded_settings"}


@pytest.mark.slow
@pytest.mark.worker
def test_votes_and_work_outlive_web_processes_database_queue_and_an_upgrade(
    tmp_path: Path, database: Postgres, queue: Redis, note: Callable[..., None]
) -> None:
    port = port_find()
    environment = environment_of(
        tmp_path / "data", DATABASE_URL=database.url, EVALSITE_BROKER_URL=queue.url, EVALSITE_SECRET_KEY="k7" * 30
    )
    environment |= {"EVALSITE_LOG_LEVEL": "WARNING", "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port} --workers 2"}
    processes = Processes(environment, tmp_path / "log")
    web = [sys.executable, "-m", "gunicorn", "evalsite.wsgi", "--config", str(ROOT / "deploy" / "gunicorn.conf.py")]
    study_code = python("-c", MAKE, environment=environment).split()[-1]
    crowd = Crowd(f"http://127.0.0.1:{port}", f"/s/{study_code}/")

    def ask(question: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(database.url) as connection:
            return connection.execute(question).fetchall()

    def note_votes(fault: str, met: str, *, since: tuple[int, int]) -> None:
        """Let some more votes be given, and compare all that were."""
        crowd.go_on(20)
        lost, doubled = crowd.check(ask)
        votes, waited = crowd.votes - since[0], crowd.waited - since[1]
        note(fault, met.format(waited=waited), at_stake=f"{votes} votes", lost=lost, doubled=doubled)

    processes.start("web", web)
    processes.start("worker", worker_command("celery", "samples"))
    try:
        wait_until(lambda: answers(f"{crowd.url}/readyz"), what="gunicorn")
        with crowd.voting(4):
            crowd.go_on(20)
            since = crowd.votes, crowd.waited
            for _ in range(2):
                processes.kill("web")
                processes.start("web", web)
                wait_until(lambda: answers(f"{crowd.url}/readyz"), what="gunicorn")
            note_votes("web processes killed in mid-vote, twice", "tried again {waited} times", since=since)
            for mode, how in (("fast", "restarted"), ("immediate", "crashed and restarted")):
                since = crowd.votes, crowd.waited
                database.stop(mode)
                crowd.wait(since=since[1], what="The end of the database")
                database.start()
                note_votes(f"PostgreSQL {how} under load", "tried again {waited} times", since=since)
            since = crowd.votes, crowd.waited
            upgraded = environment | upgrade_write(tmp_path)
            python("-m", "django", "migrate", "--verbosity", "0", environment=upgraded)
            assert ask("SELECT count(*) FROM studies_response WHERE upgraded = 'yes'")[0][0] > 0
            note_votes("a migration of votes and trials while raters vote", "tried again {waited} times", since=since)

            since = crowd.votes, crowd.waited
            queue.kill()
            assert python("-c", PREPARE, environment=environment).split()[-2:] == ["200", "True"]
            crowd.go_on(20)
            assert ask(SAMPLES) == []
            queue.start()
            wait_until(lambda: [row[0] for row in ask(SAMPLES)] == ["ready"], what="The preparation")
            note_votes("Redis killed and empty when it is back", "nothing: raters do not need it", since=since)
            ((_, rows, distinct, ready),) = ask(SAMPLES)
            prepared = "a page that says so; a study prepared meanwhile is prepared when Redis is back"
            note("the same, for work", prepared, at_stake=f"{rows} samples", lost=rows - ready, doubled=rows - distinct)
        assert crowd.faults == []
        assert ask(SESSIONS) == [(len(crowd.sessions),)]
    except BaseException:
        print((tmp_path / "log").read_text()[-6000:])
        raise
    finally:
        processes.kill_all()
