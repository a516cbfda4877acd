"""What a monitoring system is told, and who is told nothing."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from evalsite import metrics
from studies.models import Response, Sample
from studies.services.sessions import session_start
from tests.evalsite.test_settings import environment_with
from tests.factories import answer_current, make_small_study

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a token for tests only"

COUNT = """
import sys
import django; django.setup()
from evalsite.metrics import place_take, request_seconds
for _ in range(int(sys.argv[1])):
    request_seconds().labels("studies:answer", "POST", 200).observe(0.02)
print(place_take(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def watched(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Give a client of a site whose metrics are switched on."""
    settings.METRICS_TOKEN, settings.METRICS_DIR = TOKEN, tmp_path
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    metrics.request_seconds.cache_clear()
    yield Client(headers={"Authorization": f"Bearer {TOKEN}"})
    metrics.request_seconds.cache_clear()


def read(client: Client) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return what `/metrics` says: (name, values of the labels in the order of their names) -> number."""
    response = client.get("/metrics")
    assert response.status_code == 200
    families = list(text_string_to_metric_families(response.content.decode()))
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.django_db
def test_votes_sessions_queues_and_latencies_are_told(watched: Client) -> None:
    session = session_start(study=make_small_study())
    for _ in range(3):
        answer_current(session)
    Response.objects.filter(trial__position=0).update(exposure_missed=True)
    assert watched.get("/healthz").status_code == 200
    assert watched.get("/nowhere").status_code == 404
    told = read(watched)
    assert told["evalsite_votes", ()] == 3
    assert told["evalsite_exposure_misses", ()] == 1
    assert told["evalsite_sessions", ("person", "active")] == 1
    assert told["evalsite_studies", ("open",)] == 1
    assert told["evalsite_samples", ("ready",)] == Sample.objects.count()
    assert told["evalsite_queue_length", ("celery",)] == told["evalsite_queue_length", ("training",)] == 0
    assert (told["evalsite_queue_up", ()], told["evalsite_database_up", ()]) == (1, 1)
    assert told["evalsite_request_seconds_count", ("GET", "200", "healthz")] == 1
    assert told["evalsite_request_seconds_bucket", ("10.0", "GET", "200", "healthz")] == 1
    assert told["evalsite_request_seconds_count", ("GET", "404", "unknown")] == 1


def test_database_that_is_gone_is_told_and_the_queue_all_the_same(
    watched: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(metrics, "site_figures", refuse)
    told = read(watched)
    assert told["evalsite_database_up", ()] == 0
    assert told["evalsite_queue_up", ()] == 1
    assert ("evalsite_votes", ()) not in told


def test_queue_that_is_gone_is_told(watched: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> dict[str, int]:
        raise OSError("gone")

    monkeypatch.setattr(metrics, "site_figures", refuse_database)
    monkeypatch.setattr(metrics, "queue_lengths", refuse)
    told = read(watched)
    assert told["evalsite_queue_up", ()] == 0
    assert not [name for name, _ in told if name == "evalsite_queue_length"]


def refuse_database() -> None:
    raise DatabaseError("gone")


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN])
def test_without_the_token_there_is_no_such_page(watched: Client, header: str) -> None:
    assert watched.get("/metrics", headers={"Authorization": header}).status_code == 404


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer None"])
def test_page_is_not_there_until_a_token_is_set(client: Client, header: str) -> None:
    assert client.get("/metrics", headers={"Authorization": header}).status_code == 404


def test_processes_share_counts_and_who_comes_after_goes_on_with_them(tmp_path: Path) -> None:
    """Two live side by side, each in a place of its own; one that starts after one has died goes on in that place."""
    environment = environment_with(tmp_path, EVALSITE_METRICS_TOKEN=TOKEN)
    environment["DJANGO_SETTINGS_MODULE"] = "evalsite.settings"

    def start(count: int) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", COUNT, str(count)]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )

    def place(process: "subprocess.Popen[str]") -> int:
        assert process.stdout is not None
        return int(process.stdout.readline())

    first = start(3)
    assert place(first) == 0
    second = start(4)
    assert place(second) == 1
    first.kill()
    first.communicate()
    third = start(5)
    assert place(third) == 0
    for process in (second, third):
        process.communicate("")
    files = [str(path) for path in (tmp_path / "metrics").glob("*.db")]
    merged = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call] # it has no types
    counts = [sample for family in merged for sample in family.samples if sample.name.endswith("_count")]
    assert [sample.value for sample in counts] == [12]


@pytest.mark.django_db
def test_dashboard_asks_for_metrics_that_there_are(watched: Client) -> None:
    session = session_start(study=make_small_study())
    answer_current(session)
    watched.get("/healthz")
    there = {name for name, _ in read(watched)} | {"evalsite_training_runs"}  # there is no run to count
    dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    names = {name for expression in asked for name in re.findall(r"\bevalsite_\w+", expression)}
    assert len(names) >= 10
    assert names <= there
    shown = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in names}
    assert {name for name in there if name.startswith("evalsite_") and "request_seconds" not in name} <= shown
