"""What a monitoring system asks: how fast pages answer, how many votes are kept, how much waits.

Requests are counted where they are answered, in files that all processes of one machine share: each holds a numbered
place in a folder while it lives, and who comes after it goes on with its counts, so that none ever falls or is lost.
Everything else is read from the database and the queue when it is asked for.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import prometheus_client
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu.exceptions import OperationalError
from prometheus_client import CollectorRegistry, Histogram, values
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from evalsite.celery import queue_lengths
from studies.selectors.site_figures import Counts, site_figures

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the classes of latency, in seconds."""

_held: dict[Path, tuple[int, int, int]] = {}
"""Folder -> this process, its place there, and the open file whose lock says that the place is taken."""


def place_take() -> int:
    """Return this process's place in the folder of counts; no other process that lives has the same."""
    folder = Path(settings.METRICS_DIR)
    held = _held.get(folder)
    if held is not None and held[0] == os.getpid():
        return held[1]
    place = 0
    while True:
        lock = os.open(folder / f"{place}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            place += 1
        else:
            _held[folder] = (os.getpid(), place, lock)
            return place


@cache
def request_seconds() -> Histogram:
    """Return the histogram of the seconds that requests took, by view, method and status."""
    values.ValueClass = values.MultiProcessValue(place_take)  # type: ignore[no-untyped-call] # it has no types
    return Histogram(
        "evalsite_request_seconds",
        "Seconds from a request to its answer, static files left out.",
        ("view", "method", "status"),
        buckets=BUCKETS_S,
        registry=None,
    )


class MetricsMiddleware:
    """Count every answered request; switched off with the page of metrics."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not settings.METRICS_TOKEN:
            raise MiddlewareNotUsed
        self.get_response = get_response
        self.histogram = request_seconds()
        self.counts: dict[tuple[str, str | None, int], Histogram] = {}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        start = time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        labels = (match.view_name if match else "unknown", request.method, response.status_code)
        count = self.counts.get(labels)
        if count is None:
            count = self.counts[labels] = self.histogram.labels(*labels)
        count.observe(time.perf_counter() - start)
        return response


class SiteCollector:
    """What the database and the queue say now."""

    def collect(self) -> Iterable[Metric]:
        """Ask; what cannot be reached is told as such, and the rest is told all the same."""
        yield from self._database()
        yield from self._queues()

    def _database(self) -> Iterator[Metric]:
        try:
            figures = site_figures()
        except DatabaseError:
            yield GaugeMetricFamily("evalsite_database_up", "1 if the database answers.", value=0)
            return
        yield GaugeMetricFamily("evalsite_database_up", "1 if the database answers.", value=1)
        yield GaugeMetricFamily("evalsite_votes", "Answers kept, practice and every origin included.", figures.votes)
        missed = "Answers kept whose pictures showed for more than two frames too long or too short."
        yield GaugeMetricFamily("evalsite_exposure_misses", missed, figures.exposure_misses)
        yield _by("evalsite_sessions", "Sessions.", ("origin", "state"), figures.sessions)
        yield _by("evalsite_studies", "Studies.", ("state",), figures.studies)
        yield _by("evalsite_samples", "Samples.", ("status",), figures.samples)
        yield _by("evalsite_training_runs", "Training runs.", ("state",), figures.training_runs)

    def _queues(self) -> Iterator[Metric]:
        lengths: Counts
        try:
            lengths = {(name,): length for name, length in queue_lengths().items()}
        except (OperationalError, OSError):
            lengths = {}
        yield GaugeMetricFamily("evalsite_queue_up", "1 if the task queue answers.", value=int(bool(lengths)))
        yield _by("evalsite_queue_length", "Tasks that wait for a worker.", ("queue",), lengths)


def _by(name: str, told: str, labels: tuple[str, ...], numbers: Counts) -> Metric:
    family = GaugeMetricFamily(name, told, labels=labels)
    for key, number in numbers.items():
        family.add_metric(key, number)
    return family


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer who brings the token, in Prometheus's text form; to all others there is no such page."""
    token = settings.METRICS_TOKEN
    if not token or not constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {token}"):
        raise Http404
    registry: Any = CollectorRegistry()
    MultiProcessCollector(registry, str(settings.METRICS_DIR))  # type: ignore[no-untyped-call] # it has no types
    registry.register(SiteCollector())
    return HttpResponse(prometheus_client.generate_latest(registry), content_type=prometheus_client.CONTENT_TYPE_LATEST)
