"""A backup that is taken while raters vote, restored elsewhere: every vote acknowledged before it began is in it."""

import contextlib
import http.client
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.site.parts import environment_of, postgresql, python, serving

pytestmark = [pytest.mark.worker, pytest.mark.slow]

MAKE = """
import django; django.setup()
from studies import tasks
from studies.services.studies import study_open, study_prepare
from evalsite.celery import app
app.conf.update(task_always_eager=True, task_eager_propagates=True)
from studies.models import StudyState
from tests.factories import make_study
study = make_study(state=StudyState.READY, practice_count=2, test_count=4, golden_count=1, raters_wanted=5000)
study_open(study=study)
print(study.code)
"""
LOOK = """
import django, json; django.setup()
from studies.models import Response, RatingSession
kept = Response.objects.values_list("trial__code", "chosen_side")
active = RatingSession.objects.filter(state="active").values_list("code", flat=True)
print(json.dumps({"answers": dict(kept), "active": list(active)}))
"""

RATERS = 4
BEFORE_S = 3


class Rater(threading.Thread):
    """Takes part over and over, as a program, until told to stop; keeps what was acknowledged."""

    def __init__(self, url: str, study: str, stopped: threading.Event) -> None:
        super().__init__(daemon=True)
        self.url, self.study, self.stopped = url, study, stopped
        self.acknowledged: list[tuple[float, str, str]] = []
        self.fault: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                self.acknowledged.extend(self._session())
        except BaseException as fault:  # noqa: BLE001 -- told by the test's own thread
            self.fault = fault

    def _session(self) -> Iterator[tuple[float, str, str]]:
        with contextlib.closing(http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)) as connection:
            connection.request(
                "POST", f"/s/{self.study}/", "agrees=on", {"Content-Type": "application/x-www-form-urlencoded"}
            )
            response = connection.getresponse()
            response.read()
            yield from answer_all(connection, response.headers["Location"], stopped=self.stopped)


def answer_all(
    connection: http.client.HTTPConnection, session: str, *, stopped: threading.Event
) -> Iterator[tuple[float, str, str]]:
    """Go on with a session to its end; gives (time of the acknowledgement, trial, side) of each answer."""
    connection.request("GET", session)
    page = connection.getresponse().read().decode()
    state = re.search(r'<script id="state" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert state is not None, page
    passage: dict[str, Any] = json.loads(unescape(state[1]))["passage"]
    while passage["phase"] != "finished" and not stopped.is_set():
        trial, side = passage["trials"][0], ("first", "second")[passage["position"] % 2]
        sent = {
            "trial": trial,
            "chosen_side": side,
            "rt_ms": 600,
            "exposure_first_ms": None,
            "exposure_second_ms": None,
        }
        body = json.dumps({**sent, "was_hidden": False})
        connection.request("POST", f"{session}answer", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        assert response.status == 200, text
        yield time.monotonic(), trial, side
        passage = json.loads(text)["passage"]


@pytest.fixture(params=["sqlite", "postgresql"])
def environments(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Mapping[str, str], Mapping[str, str]]]:
    """Give the environments of a site and of an empty one of the same kind."""
    with contextlib.ExitStack() as stack:
        both = []
        for name in ("site", "restored"):
            folder = tmp_path / name
            folder.mkdir()
            variables = {}
            if request.param == "postgresql":
                if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
                    pytest.skip("PostgreSQL is not installed; run tests/site/ensure_parts.sh.")
                variables["DATABASE_URL"] = stack.enter_context(postgresql(logs=folder))
            both.append(environment_of(folder / "data", EVALSITE_LOG_LEVEL="WARNING", **variables))
        yield both[0], both[1]


def test_backup_under_load_restores_to_a_site_that_goes_on(
    environments: tuple[Mapping[str, str], Mapping[str, str]], tmp_path: Path
) -> None:
    site, empty = environments
    archive = str(tmp_path / "backup.zip")
    with serving(site, logs=tmp_path, workers={}) as served:
        study = python("-c", MAKE, environment=site).split()[-1]
        stopped = threading.Event()
        raters = [Rater(served.url, study, stopped) for _ in range(RATERS)]
        for rater in raters:
            rater.start()
        time.sleep(BEFORE_S)
        begun = time.monotonic()
        said = python("manage.py", "backup", archive, environment=site)
        ended = time.monotonic()
        time.sleep(0.5)
        stopped.set()
        for rater in raters:
            rater.join(60)
            assert rater.fault is None, rater.fault
    acknowledged = [answer for rater in raters for answer in rater.acknowledged]
    before = {trial: side for at, trial, side in acknowledged if at < begun}
    during = [trial for at, trial, _ in acknowledged if begun <= at <= ended]
    assert len(before) >= 10, "too few votes before the backup to prove anything"
    assert during, "no vote came while the backup was written"
    assert "password hashes" in said

    python("manage.py", "restore", archive, environment=empty)
    kept = json.loads(python("-c", LOOK, environment=empty))
    assert kept["answers"].items() >= before.items()
    assert "fit together" in python("manage.py", "check_data", environment=empty)

    with serving(empty, logs=tmp_path, workers={}, has_operator=True) as served:
        connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=60)
        assert kept["active"], "no session was under way"
        going = list(answer_all(connection, f"/r/{kept['active'][0]}/", stopped=threading.Event()))
        assert going
        connection.close()
