"""An embedded site without pages: a folder, its database, programs that use it, and workers that may be killed."""

import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.site.parts import START_S, environment_of, python, worker_command

SETUP = "import django; django.setup()\n"


class Embedded:
    """A site in an empty folder.

    Args:
        folder: Where it keeps all it has.
        variables: Of its environment.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.environment = environment_of(folder, **{"EVALSITE_LOG_LEVEL": "WARNING"} | variables)
        self.log = folder / "workers.log"

    def python(self, program: str) -> list[str]:
        """Run a program in which Django is set up; return the words that it printed."""
        return python("-c", SETUP + program, environment=self.environment).split()

    def make(self, program: str) -> list[str]:
        """Make the database, and run a program that puts something in."""
        return self.python(
            'from django.core.management import call_command\ncall_command("migrate", verbosity=0)' + program
        )

    def ask(self, question: str) -> list[tuple[object, ...]]:
        """Ask the database, in SQL."""
        with closing(sqlite3.connect(self.folder / "evalsite.sqlite3", timeout=30)) as connection:
            return connection.execute(question).fetchall()

    @contextmanager
    def worker(self, queues: str = "celery") -> "Iterator[subprocess.Popen[bytes]]":
        """Run a worker, which is killed at the end if it runs still."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(worker_command(queues, "worker"), env=self.environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def wait(self, process: "subprocess.Popen[bytes]", until: Callable[[], bool], *, every_s: float = 0.005) -> None:
        """Wait until something has come about; if the worker ends before, or after two minutes, tell what it said."""
        deadline = time.monotonic() + START_S
        while not until():
            assert process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(every_s)

    @property
    def said(self) -> str:
        """Return what the workers have written."""
        return self.log.read_text()
