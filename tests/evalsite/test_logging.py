"""What stands in the log, and what must not."""

import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from django.conf import settings
from django.test import Client

from evalsite.logging import LogFormat, bind_task, configure, logging_config, unbind_task


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


def test_task_is_named_on_its_lines_only(log_to_json: Callable[[], list[dict[str, object]]]) -> None:
    log = structlog.get_logger("studies.tasks")
    bind_task(task_id="abc", task_name="studies.tasks.samples_plan")
    log.info("inside")
    unbind_task()
    log.info("outside")
    inside, outside = log_to_json()
    assert (inside["task_id"], inside["task"]) == ("abc", "studies.tasks.samples_plan")
    assert outside.keys().isdisjoint({"task_id", "task"})


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
