"""Two processes that let raters in at once on PostgreSQL: no place is given twice, and pairs stay within one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.site.parts import ROOT, environment_of, postgresql, python

pytestmark = [pytest.mark.site, pytest.mark.slow]

MAKE = """
import sys
import django; django.setup()
from evalsite.celery import app
from studies.services.studies import ConditionSpec
from tests.factories import make_open_study
app.conf.update(task_always_eager=True, task_eager_propagates=True)
study = make_open_study(
    assignment=sys.argv[1], practice_count=0, golden_count=0, test_count=4, raters_wanted=int(sys.argv[2]),
    conditions=[ConditionSpec("bicubic", role="test", label=f"Method {number}") for number in range(2)],
)
print(study.code)
"""
START = """
import sys
import django; django.setup()
from concurrent.futures import ThreadPoolExecutor
from django.db import connections
from studies.errors import StudyFull
from studies.models import Study
from studies.services.sessions import session_start
study = Study.objects.get(code=sys.argv[1])
def start(_):
    try:
        return session_start(study=study).trials.count()
    except StudyFull:
        return 0
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(start, range(40))))
"""
LOOK = """
import json, sys
from collections import Counter
import django; django.setup()
from studies.models import RatingSession, Study, Trial
study = Study.objects.get(code=sys.argv[1])
shown = Counter(Trial.objects.filter(session__study=study).values_list("pair_id", flat=True))
counts = {}
for pair, method in study.pairs.filter(kind="test").values_list("pk", "sample__condition_id"):
    counts.setdefault(method, []).append(shown[pair])
gaps = [max(of_method) - min(of_method) for of_method in counts.values()]
print(json.dumps({"sessions": RatingSession.objects.filter(study=study).count(), "gaps": gaps}))
"""


@pytest.mark.parametrize(("assignment", "wanted"), [("mixed", 50), ("one_condition", 25)])
def test_two_processes_share_places_and_pairs_out_as_one_would(tmp_path: Path, assignment: str, wanted: int) -> None:
    with postgresql(logs=tmp_path) as database:
        environment = environment_of(tmp_path / "data", DATABASE_URL=database)
        python("manage.py", "migrate", "--verbosity", "0", environment=environment)
        code = python("-c", MAKE, assignment, str(wanted), environment=environment).split()[-1]
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", START, code],
                env=environment,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        trials = [number for process in processes for number in json.loads(process.communicate(timeout=120)[0])]
        found = json.loads(python("-c", LOOK, code, environment=environment))
    assert sorted(trials) == [0] * 30 + [4] * 50
    assert found["sessions"] == 50
    assert max(found["gaps"]) <= 1
