"""Settings under other environments than the tests' own, each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def environment_with(data_dir: Path, **variables: str) -> dict[str, str]:
    """Give a new process these environment variables of the site, and none that the tests or a developer have set."""
    ours = ("EVALSITE_", "DATABASE_URL", "DJANGO_ALLOW_ASYNC_UNSAFE")
    others = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return others | {"EVALSITE_DATA_DIR": str(data_dir), **variables}


def settings_with(data_dir: Path, *names: str, **variables: str) -> dict[str, Any]:
    """Read settings in a new process that has these environment variables."""
    code = (
        "import json, sys; from django.conf import settings;"
        "print(json.dumps({name: getattr(settings, name, None) for name in sys.argv[1:]}, default=str))"
    )
    environment = environment_with(data_dir, **variables)
    command = [sys.executable, "-c", code, *names]
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    settings: dict[str, Any] = json.loads(result.stdout)
    return settings


def test_embedded_default_needs_no_variable_and_stays_in_its_folder(tmp_path: Path) -> None:
    names = ["DEBUG", "DATABASES", "MEDIA_ROOT", "CELERY_BROKER_TRANSPORT_OPTIONS", "SECRET_KEY"]
    settings = settings_with(tmp_path, *names)
    assert settings["DEBUG"] is False
    assert settings["DATABASES"]["default"]["NAME"] == str(tmp_path / "evalsite.sqlite3")
    assert settings["MEDIA_ROOT"] == str(tmp_path / "media")
    assert settings["CELERY_BROKER_TRANSPORT_OPTIONS"]["data_folder_in"] == str(tmp_path / "broker")
    assert settings["SECRET_KEY"] == (tmp_path / "secret_key").read_text()


def test_production_is_a_matter_of_variables(tmp_path: Path) -> None:
    settings = settings_with(
        tmp_path,
        "DATABASES",
        "CELERY_BROKER_URL",
        "CELERY_BROKER_TRANSPORT",
        "SECRET_KEY",
        DATABASE_URL="postgres://site:pw@localhost/evalsite",
        EVALSITE_BROKER_URL="redis://localhost:6379/0",
        EVALSITE_SECRET_KEY="given",
    )
    database = settings["DATABASES"]["default"]
    assert (database["ENGINE"], database["NAME"]) == ("evalsite.postgresql", "evalsite")
    assert settings["CELERY_BROKER_URL"] == "redis://localhost:6379/0"
    assert settings["CELERY_BROKER_TRANSPORT"] is None
    assert settings["SECRET_KEY"] == "given"
    assert not (tmp_path / "secret_key").exists()


@pytest.mark.parametrize(("https", "secure"), [("false", False), ("true", True)])
def test_https_makes_cookies_secure(tmp_path: Path, https: str, secure: bool) -> None:
    names = ["SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT"]
    settings = settings_with(tmp_path, *names, "SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", EVALSITE_HTTPS=https)
    cookies = [settings.pop("SESSION_COOKIE_NAME"), settings.pop("CSRF_COOKIE_NAME")]
    assert settings == dict.fromkeys(names, secure)
    assert [name.startswith("__Host-") for name in cookies] == [secure, secure]


def test_site_that_others_reach_does_not_start_with_a_key_that_can_be_guessed(tmp_path: Path) -> None:
    environment = environment_with(tmp_path, EVALSITE_HTTPS="true", EVALSITE_SECRET_KEY="changeme")
    command = [sys.executable, "-m", "django", "check"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode != 0
    assert "EVALSITE_SECRET_KEY has 8 characters" in result.stderr
    assert "changeme" not in result.stderr.splitlines()[-1]


def test_deployment_check_has_nothing_to_say_about_a_production_site(tmp_path: Path) -> None:
    environment = environment_with(
        tmp_path, EVALSITE_HTTPS="true", EVALSITE_HSTS_SECONDS="31536000", EVALSITE_HSTS_SUBDOMAINS="true"
    )
    command = [sys.executable, "-m", "django", "check", "--deploy", "--fail-level", "WARNING"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
