"""The clock of the machine itself jumps, under gunicorn, a worker and PostgreSQL, while raters vote."""

import http.client
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.faults.raters import KEPT, SESSIONS, Crowd, passage_find
from tests.faults.services import Clock, clock, postgres, redis
from tests.site.parts import ROOT, answers, environment_of, port_find, python, running, wait_until, worker_command

JUMPS = {
    timedelta(hours=-1): "nothing: nobody has to try again, and places stay taken",
    timedelta(days=1): "nothing: nobody has to try again; places of sessions under way are given anew, as after a day",
}
"""By how much the clock jumps, and what people meet."""
MAKE = f"""
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from evalsite.celery import app
from studies.models import StudyState
from tests.factories import make_small_study
drafts = [make_small_study(state=StudyState.DRAFT).pk for _ in range({len(JUMPS)})]
app.conf.update(task_always_eager=True, task_eager_propagates=True)
options = {{"practice_count": 0, "test_count": 4}}
many = make_small_study(**options, raters_wanted=30_000).code
single = [make_small_study(**options, golden_count=0, raters_wanted=1).code for _ in range({len(JUMPS)})]
import json
print(json.dumps([drafts, many, single]))
"""
PREPARE = """
import sys
import django; django.setup()
from evalsite.celery import app
from studies.models import Study
from studies.services.studies import study_prepare
from studies.tasks import samples_plan
study_prepare(study=Study.objects.get(pk=int(sys.argv[1])))
samples_plan.delay(int(sys.argv[1]))
"""
NEAR = timedelta(minutes=10)
"""Far less than a jump, and more than any pause of a busy machine."""


class Rater:
    """Somebody who comes to a study with a place for one, and answers when told to."""

    def __init__(self, url: str, study: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self.study = study
        self.session = ""
        self.acknowledged: dict[str, str] = {}

    def ask(self, verb: str, path: str, body: str = "", kind: str = "application/json") -> tuple[int, Any, str]:
        with closing(self.connection):
            self.connection.request(verb, path, body, {"Content-Type": kind})
            response = self.connection.getresponse()
            return response.status, response.headers, response.read().decode()

    def come(self) -> int:
        """Consent; return the status: 303 leads to a session, 409 says that the study is full."""
        form = "application/x-www-form-urlencoded"
        status, headers, _ = self.ask("POST", f"/s/{self.study}/", "agrees=on", form)
        self.session = str(headers["Location"])
        return status

    def answer(self, *, most: int = 1000) -> str:
        """Answer at most so many pairs, each of which must be taken; return the phase that comes then."""
        passage = passage_find(self.ask("GET", self.session)[2])
        while passage["phase"] != "finished" and most > 0:
            most -= 1
            code, side = passage["trials"][0], ("first", "second")[passage["position"] % 2]
            answer = {"trial": code, "chosen_side": side, "rt_ms": 640, "was_hidden": False}
            status, _, text = self.ask("POST", f"{self.session}answer", json.dumps(answer))
            assert status == 200, text
            passage = json.loads(text)["passage"]
            self.acknowledged[code] = side
        return str(passage["phase"])


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[tuple[Clock, dict[str, str], str]]:
    """Give a clock that can be set, the environment of a site under it, and the address of its database."""
    with clock() as set_by_hand, ExitStack() as stack:
        database = stack.enter_context(postgres(set_by_hand.environment))
        queue = stack.enter_context(redis())
        environment = environment_of(
            tmp_path / "data", DATABASE_URL=database.url, EVALSITE_BROKER_URL=queue.url, EVALSITE_SECRET_KEY="k7" * 30
        )
        yield set_by_hand, environment | set_by_hand.environment, database.url


@pytest.mark.slow
@pytest.mark.worker
def test_votes_sessions_places_and_work_outlive_a_jump_of_the_machines_clock(
    tmp_path: Path, machine: tuple[Clock, dict[str, str], str], note: Callable[..., None]
) -> None:
    clock, environment, database_url = machine
    port = port_find()
    environment |= {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port} --workers 2"}
    web = [sys.executable, "-m", "gunicorn", "evalsite.wsgi", "--config", str(ROOT / "deploy" / "gunicorn.conf.py")]
    drafts, many, single = json.loads(python("-c", MAKE, environment=environment).splitlines()[-1])
    crowd = Crowd(f"http://127.0.0.1:{port}", f"/s/{many}/")
    log = tmp_path / "log"

    def ask(question: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(database_url) as connection:
            return connection.execute(question, values).fetchall()

    def is_there(path: str, now: datetime) -> bool:
        """Return whether pages and database both go by the clock that was set."""
        pages = parsedate_to_datetime(Rater(crowd.url, "").ask("GET", path)[1]["Date"])
        return all(abs(told - now) < NEAR for told in (pages, ask("SELECT clock_timestamp()")[0][0]))

    def is_ready(study: int) -> bool:
        return ask("SELECT state FROM studies_study WHERE id = %s", study) == [("ready",)]

    with ExitStack() as stack:
        stack.callback(lambda: print(log.read_text()[-6000:]))  # pytest shows it where the test fails
        server = stack.enter_context(running(web, log=log, environment=environment))
        stack.enter_context(running(worker_command("celery", "samples"), log=log, environment=environment))
        wait_until(lambda: answers(f"{crowd.url}/readyz"), what="gunicorn", process=server)
        stack.enter_context(crowd.voting(4))
        crowd.go_on(20)
        for (jump, met), draft, study in zip(JUMPS.items(), drafts, single, strict=True):
            first, waited, votes = Rater(crowd.url, study), crowd.waited, crowd.votes
            assert first.come() == 303
            first.answer(most=1)
            clock.jump(jump)
            wait_until(lambda: is_there("/healthz", datetime.now(UTC) + clock.ahead), what="The jump")
            second = Rater(crowd.url, study)
            # Somebody who has been under way for a day is taken to have left, and may go on all the same.
            assert second.come() == (303 if jump > timedelta(0) else 409)
            assert first.answer() == "finished"
            assert Rater(crowd.url, study).come() == 409, "the place of a finished session was given away"
            python("-c", PREPARE, str(draft), environment=environment)
            wait_until(partial(is_ready, draft), what="The preparation")
            crowd.go_on(20)
            lost, doubled = crowd.check(ask)
            kept = dict(ask(KEPT))
            lost += sum(kept.get(code) != side for code, side in first.acknowledged.items())
            assert crowd.waited == waited, "a rater met a refusal or an error"
            note(
                f"clock of the machine jumps by {jump / timedelta(hours=1):+.0f} h under load",
                met,
                at_stake=f"{crowd.votes - votes + len(first.acknowledged)} votes",
                lost=lost,
                doubled=doubled,
            )
    assert crowd.faults == []
    assert ask(SESSIONS) == [(len(crowd.sessions) + len(JUMPS) + 1,)]
    assert "Traceback" not in log.read_text()
