"""What stands in the log, and what must not."""

import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from django.conf import settings
from django.test import Client

from evalsite.logging import LogFormat, bind_task, configure, logging_config, unbind_task
from studies.tasks import samples_generate
from tests.factories import make_session, make_small_study


@pytest.fixture
def log_to_json(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[dict[str, object]]]]:
    """Log as a production site does, and read the lines back."""
    configure(logging_config(level="INFO", log_format="json"))
    yield lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    configure(settings.LOGGING)


def test_line_carries_ids_and_no_person(log_to_json: Callable[[], list[dict[str, object]]]) -> None:
    structlog.get_logger("studies.tasks").info("sample_failed", sample=7, email="ada@example.org", ip="192.0.2.7")
    (line,) = log_to_json()
    assert line.items() >= {"event": "sample_failed", "sample": 7, "level": "info", "logger": "studies.tasks"}.items()
    assert line.keys().isdisjoint({"email", "ip"})


def test_lines_of_other_packages_take_the_same_shape(log_to_json: Callable[[], list[dict[str, object]]]) -> None:
    logging.getLogger("django.security").warning("Refused: %s", "why")
    (line,) = log_to_json()
    assert line.items() >= {"event": "Refused: why", "level": "warning", "logger": "django.security"}.items()


def test_request_is_logged_without_address_query_or_agent(
    client: Client, log_to_json: Callable[[], list[dict[str, object]]]
) -> None:
    client.get("/healthz?PANEL_ID=5f1e", REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="Telltale/1.0")
    (line,) = log_to_json()
    assert line.items() >= {"event": "request", "method": "GET", "path": "/healthz", "status": 200}.items()
    assert not any(secret in json.dumps(line) for secret in ("192.0.2.7", "5f1e", "Telltale"))


@pytest.mark.django_db
def test_lines_of_a_rater_name_study_and_session_by_number_and_not_by_code(
    client: Client, log_to_json: Callable[[], list[dict[str, object]]]
) -> None:
    session = make_session(make_small_study())
    client.get(f"/s/{session.study.code}/")
    client.get(f"/r/{session.code}/")
    client.get("/healthz")
    landing, trial, health = (line for line in log_to_json() if line["event"] == "request")
    assert landing.items() >= {"study": session.study_id, "path": "/s/<slug:study_code>/"}.items()
    assert "session" not in landing
    assert trial.items() >= {"study": session.study_id, "session": session.pk, "status": 200}.items()
    assert health.keys().isdisjoint({"study", "session"})
    assert session.code not in json.dumps(trial)


def test_task_and_its_keys_are_named_on_its_lines_only(log_to_json: Callable[[], list[dict[str, object]]]) -> None:
    log = structlog.get_logger("studies.tasks")
    bind_task(task_id="abc", task_name="studies.tasks.samples_generate", run=samples_generate.run, arguments=(7, [1]))
    log.info("inside")
    unbind_task()
    log.info("outside")
    inside, outside = log_to_json()
    assert (inside["task_id"], inside["task"], inside["study"]) == ("abc", "studies.tasks.samples_generate", 7)
    assert outside.keys().isdisjoint({"task_id", "task", "study", "keys"})


def test_extra_of_other_loggers_is_kept_if_it_is_an_id_of_ours(
    log_to_json: Callable[[], list[dict[str, object]]],
) -> None:
    logging.getLogger("studies.services").warning("failed", extra={"sample": 7, "request": "GET /?PANEL_ID=5f1e"})
    (line,) = log_to_json()
    assert line["sample"] == 7
    assert "request" not in line


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_error_of_the_database_does_not_tell_which_value_broke_a_rule(
    log_format: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(logging_config(level="INFO", log_format=log_format))
    try:
        raise ValueError(
            'duplicate key value violates unique constraint "panelentry"\n'
            "DETAIL:  Key (study_id, participant)=(1, 5f1e) already exists.\nCONTEXT:  none"
        )
    except ValueError:
        structlog.get_logger("studies").exception("failed")
    configure(settings.LOGGING)
    printed = capsys.readouterr().out
    assert "constraint" in printed
    assert "CONTEXT:  none" in printed
    assert "5f1e" not in printed
    if log_format == "json":
        assert "DETAIL left out" in json.loads(printed)["exception"][0]["exc_value"]


def test_level_leaves_out_what_is_below(capsys: pytest.CaptureFixture[str]) -> None:
    configure(logging_config(level="WARNING", log_format="console"))
    structlog.get_logger("studies").info("quiet")
    structlog.get_logger("studies").warning("loud")
    configure(settings.LOGGING)
    printed = capsys.readouterr().out
    assert "loud" in printed
    assert "quiet" not in printed


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_traceback_tells_where_but_not_with_which_values(
    log_format: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    def sign_in() -> None:
        password = "correct" + " horse"
        raise ValueError(f"refused, {len(password)} characters")

    configure(logging_config(level="INFO", log_format=log_format))
    try:
        sign_in()
    except ValueError:
        structlog.get_logger("studies").exception("failed")
    configure(settings.LOGGING)
    printed = capsys.readouterr().out
    assert "sign_in" in printed
    assert "refused, 13 characters" in printed
    assert "correct horse" not in printed
