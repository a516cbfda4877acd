"""The examples in deploy/: they name what exists, and the programs that read them accept them."""

import re
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from tests.architecture.test_settings_documented import variables_read
from tests.site.parts import environment_of

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".json")


def example_variables() -> dict[str, str]:
    lines = (DEPLOY / "evalsite.env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_variables_commands_and_queues_that_are_named_exist(path: Path, settings: Any) -> None:
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"\bEVALSITE_[A-Z0-9_]*[A-Z0-9]", text)) <= set(variables_read())
    assert set(re.findall(r'manage\.py"?,? "?(\w+)', text)) <= set(get_commands())
    queues = re.findall(r'-Q"?,? "?([\w,]+)', text)
    assert {name for names in queues for name in names.split(",")} <= set(settings.CELERY_TASK_QUEUES)
    for name in re.findall(r"\bdeploy/([\w./-]+)", text):
        assert (DEPLOY / name.rstrip(".")).exists() or name in {"evalsite.env", ".env"}, name


def test_compose_file_serves_and_works_every_queue(settings: Any) -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    assert set(services) == {"database", "queue", "migrate", "web", "samples", "training"}
    commands = [service.get("command", []) for service in services.values()]
    worked = {command[command.index("-Q") + 1] for command in commands if "-Q" in command}
    assert worked == set(settings.CELERY_TASK_QUEUES)
    first = " ".join(services["migrate"]["command"])  # static files are in the volume: no image brings them
    assert first.index("manage.py migrate") < first.index("manage.py collectstatic")
    for service in services.values():
        assert {volume.partition(":")[0] for volume in service.get("volumes", [])} <= set(compose["volumes"])
        assert set(service.get("depends_on", {})) <= set(services)
    assert all(port.startswith("127.0.0.1:") for port in services["web"]["ports"])


def test_deployment_check_has_nothing_to_say_about_the_example(tmp_path: Path) -> None:
    given = example_variables() | dict.fromkeys(["EVALSITE_DATA_DIR", "EVALSITE_METRICS_DIR"], str(tmp_path))
    environment = environment_of(tmp_path, **given) | {"EVALSITE_SECRET_KEY": secrets.token_urlsafe(50)}
    command = [".venv/bin/python", "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_example_without_a_secret_gives_none_away() -> None:
    given = example_variables()
    secret = [name for name in given if name.endswith(("KEY", "TOKEN"))]
    assert len(secret) >= 4
    assert {given[name] for name in secret} == {""}


@pytest.mark.site
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed; run tests/site/ensure_parts.sh")
def test_nginx_accepts_its_example(tmp_path: Path) -> None:
    key, certificate = tmp_path / "privkey.pem", tmp_path / "fullchain.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=study.example.org"]
    subprocess.run([*make, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    text = text.replace("/etc/ssl/evalsite", str(tmp_path)).replace("/var/log/nginx", str(tmp_path))
    path = tmp_path / "nginx.conf"
    path.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\n{text}\n}}\n", encoding="utf-8")
    command = ["nginx", "-t", "-c", str(path), "-g", f"error_log {tmp_path}/error.log;"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.site
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_its_units(tmp_path: Path) -> None:
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace("/opt/evalsite", str(ROOT))
        name = unit.name.replace("@.", "@1.")
        (tmp_path / name).write_text(text.replace("User=evalsite\nGroup=evalsite\n", ""), encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) not in done.stderr, done.stderr
