"""What the site asks of PostgreSQL that Django alone does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site.parts import environment_of, postgresql, python

pytestmark = pytest.mark.slow

BEGIN = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.db import close_old_connections, connection
from studies.selectors.ballots import ballot_get
from studies.services.responses import ballot_cast
from studies.services.sessions import session_start
from studies.models import Response, Side
from tests.factories import make_open_study

def asked(question, *values):
    with connection.cursor() as cursor:
        cursor.execute(question, values)
        return cursor.fetchone()[0] if cursor.description else None

def vote(session):
    ballot = ballot_get(session_code=session.code)
    measured = {"exposure_first_ms": 1000.5, "exposure_second_ms": None, "was_hidden": False, "frames_first": 60}
    return ballot_cast(
        ballot=ballot, trial_code=ballot.ahead[0].code, chosen_side=Side.FIRST, rt_ms=700, automation="", **measured
    )
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("PostgreSQL is not installed; run tests/site/ensure_parts.sh.")
    with postgresql(logs=tmp_path) as address:
        yield environment_of(tmp_path / "data", DATABASE_URL=address)


@pytest.mark.parametrize(("keeps_plans", "plans"), [("true", "2 0"), ("false", "0 0")])
def test_a_vote_is_two_statements_that_are_planned_once(
    environment: dict[str, str], keeps_plans: str, plans: str
) -> None:
    code = """
from evalsite.celery import app
app.conf.update(task_always_eager=True, task_eager_propagates=True)
session = session_start(study=make_open_study(practice_count=0, test_count=10, golden_count=0))
plans = "SELECT count(*) FROM pg_prepared_statements"
anew = "SELECT coalesce(sum(custom_plans), 0) FROM pg_prepared_statements"
before = asked(plans)  # of the start
told = [vote(session) for _ in range(8)]
assert [each.passage.position for each in told] == [2, 3, 4, 5, 6, 7, 8, 9], told
kept = Response.objects.filter(trial__session=session).values_list("exposure_first_ms", "rt_ms", "frames_second")
assert list(kept) == [(1000.5, 700, None)] * 8, list(kept)
print(asked(plans) - before, asked(anew))
"""
    kept = {**environment, "EVALSITE_DATABASE_KEEPS_PLANS": keeps_plans}
    assert python("-c", BEGIN + code, environment=kept).splitlines()[-1] == plans


def test_a_kept_connection_is_asked_nothing_while_it_stands_and_opened_anew_where_it_does_not(
    environment: dict[str, str],
) -> None:
    code = """
import time
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

looks = []
look = DatabaseWrapper.is_usable
DatabaseWrapper.is_usable = lambda self: looks.append(look(self)) or looks[-1]

server = "SELECT pg_backend_pid()"
first = asked(server)
close_old_connections()  # as between two requests
again = asked(server)
print(again == first, looks)
with connections.create_connection("default").cursor() as other:
    other.execute("SELECT pg_terminate_backend(%s)", [first])
close_old_connections()
time.sleep(0.5)  # until it has hung up
print(asked(server) not in (first, None), looks)
"""
    assert python("-c", BEGIN + code, environment=environment) == "True []\nTrue [False]\n"
