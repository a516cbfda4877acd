"""What a supervisor is told."""

from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from kombu import Connection


def test_healthz_answers_without_the_database(client: Client) -> None:
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok")


@pytest.mark.django_db
def test_readyz_is_ready_when_every_migration_is_applied(client: Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"database": "ok", "migrations": "ok"}


@pytest.mark.django_db
def test_readyz_says_how_many_migrations_are_missing(client: Client) -> None:
    MigrationRecorder(connection).migration_qs.filter(app="sessions").delete()
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"database": "ok", "migrations": "1 not applied"}


def test_readyz_says_that_the_database_is_unreachable(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def refuse() -> None:
        raise OperationalError("password of db.internal refused")

    monkeypatch.setattr(connection, "ensure_connection", refuse)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"database": "unreachable", "migrations": "unknown"}


@pytest.mark.django_db
def test_queue_that_is_gone_is_told_and_raters_are_served_all_the_same(client: Client, settings: Any) -> None:
    from evalsite.celery import app

    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    with patch.object(app, "connection_for_read", lambda **_: Connection("redis://127.0.0.1:1/0")):
        response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"database": "ok", "migrations": "ok", "queue": "unreachable"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_only_reading_is_allowed(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
