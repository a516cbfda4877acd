"""oTree in production mode, in an environment and a project of its own, to measure this site against."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

VERSION = "6.0.15"
ROUNDS = 40
START_S = 120

SETTINGS = """
SESSION_CONFIGS = [dict(name="vote", num_demo_participants=1, app_sequence=["vote"])]
SESSION_CONFIG_DEFAULTS = dict(real_world_currency_per_point=1, participation_fee=0, doc="")
PARTICIPANT_FIELDS = []
SESSION_FIELDS = []
LANGUAGE_CODE = "en"
REAL_WORLD_CURRENCY_CODE = "USD"
USE_POINTS = True
ADMIN_USERNAME = "admin"
ADMIN_PASSWORD = "only for this benchmark"
SECRET_KEY = "only for this benchmark"
"""

APP = f"""
from otree.api import *

class C(BaseConstants):
    NAME_IN_URL = "vote"
    PLAYERS_PER_GROUP = None
    NUM_ROUNDS = {ROUNDS}

class Subsession(BaseSubsession):
    pass

class Group(BaseGroup):
    pass

class Player(BasePlayer):
    side = models.StringField(choices=["first", "second"], widget=widgets.RadioSelect)
    rt_ms = models.IntegerField(min=0)

class Vote(Page):
    form_model = "player"
    form_fields = ["side", "rt_ms"]

page_sequence = [Vote]
"""

PAGE = "{{ block title }}Which is from a camera?{{ endblock }}\n"
PAGE += "{{ block content }}{{ formfields }}{{ next_button }}{{ endblock }}\n"


class OTree:
    """A running oTree server."""

    def __init__(self, port: int) -> None:
        """Remember its port on this machine."""
        self._port = port
        self.address = f"http://127.0.0.1:{port}"

    def ask(self, verb: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask its REST interface."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=START_S)) as connection:
            connection.request(verb, path, json.dumps(body or {}), {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
            if response.status != http.client.OK:
                raise ValueError(f"{verb} {path} got {response.status}: {content[:200]!r}")
            return json.loads(content)

    def participants_make(self, count: int) -> list[str]:
        """Make a session; return the codes of its participants."""
        code = self.ask("POST", "/api/sessions", {"session_config_name": "vote", "num_participants": count})["code"]
        found = self.ask("POST", f"/api/get_session/{code}")["participants"]
        return [participant["code"] for participant in found]


def environment_make(folder: Path) -> Path:
    """Make an environment with oTree and PostgreSQL's driver, unless the folder has one; return its commands."""
    commands = folder / "bin"
    if not (commands / "otree").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [str(commands / "python"), "-m", "pip", "install", "--quiet", f"otree=={VERSION}", "psycopg2-binary"]
        subprocess.run(install, check=True)
    return commands


@contextmanager
def otree_served(commands: Path, folder: Path, *, database_url: str = "") -> Iterator[OTree]:
    """Serve the project from a folder, on its SQLite database or on an empty one elsewhere."""
    app = folder / "vote"
    app.mkdir(parents=True)
    (folder / "_static").mkdir()
    (folder / "settings.py").write_text(SETTINGS)
    (app / "__init__.py").write_text(APP)
    (app / "Vote.html").write_text(PAGE)
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name in {"HOME", "LANG", "TMPDIR"}}
    environment |= {"OTREE_PRODUCTION": "1", "PATH": f"{commands}:{os.environ['PATH']}"}
    if database_url:
        environment["DATABASE_URL"] = database_url
    otree = commands / "otree"
    log = (folder / "log").open("wb")
    run: dict[str, Any] = {"cwd": folder, "env": environment, "stdout": log, "stderr": subprocess.STDOUT}
    subprocess.run([otree, "resetdb", "--noinput"], check=True, **run)
    server = subprocess.Popen([otree, "prodserver", f"127.0.0.1:{port}"], start_new_session=True, **run)
    try:
        served = OTree(port)
        _wait(served)
        yield served
    finally:
        os.killpg(server.pid, 15)  # it starts another process beside itself
        server.wait()
        log.close()


def _wait(served: OTree) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            served.ask("GET", "/api/otree_version")
        except (OSError, ValueError, http.client.HTTPException):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return
