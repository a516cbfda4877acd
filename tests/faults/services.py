"""Services that can be stopped and started again on the same port with what they had; and a small disk to be filled."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import psycopg
import pytest

from tests.site.parts import ROOT, as_postgres, listens, port_find, postgresql_command, wait_until

SLEEP = """
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""
"""libfaketime 0.9.10 refuses Python's way to sleep unless the clock that measures pauses jumps as well."""


class Postgres:
    """A cluster of PostgreSQL with one empty database."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder, self.port = folder, port_find()
        self._environment = [f"{name}={value}" for name, value in environment.items()]
        self.url = f"postgres://evalsite@127.0.0.1:{self.port}/evalsite"
        if as_postgres():
            shutil.chown(folder, "postgres")
        self._run("initdb", "--no-sync", "--auth", "trust", "--username", "evalsite", "--encoding", "UTF8")
        self.start()
        with psycopg.connect(f"{self.url.removesuffix('evalsite')}postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE evalsite")

    def _run(self, name: str, *arguments: str) -> None:
        program = [*as_postgres(), "env", *self._environment, postgresql_command(name)]
        command = [*program, "--pgdata", str(self.folder / "data"), *arguments]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        self._run("pg_ctl", "--log", str(self.folder / "log"), "--options", options, "--wait", "start")

    def stop(self, mode: str) -> None:
        """Stop the server: "fast" breaks connections and ends in order, "immediate" is a crash."""
        self._run("pg_ctl", "--mode", mode, "--wait", "stop")

    @property
    def is_running(self) -> bool:
        """Return whether the server has not been stopped."""
        return (self.folder / "data" / "postmaster.pid").exists()


class Redis:
    """A Redis that keeps nothing on its disk: killed, it has forgotten what waited in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, port_find()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("Redis is not installed; run tests/site/ensure_parts.sh.")
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(lambda: listens(self.port), what="Redis", process=self.process)

    def kill(self) -> None:
        """End it without a word."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Processes:
    """Processes of a site that are killed and replaced."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.environment, self.log = environment, log
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a process in a group of its own."""
        with self.log.open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env=self.environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """Kill a process and all that it has started, none of which may put anything in order."""
        process = self.running.pop(name)
        subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"])
        process.wait()

    def kill_all(self) -> None:
        """Leave nothing behind."""
        for name in list(self.running):
            self.kill(name)


@contextmanager
def folder_of(what: str) -> Iterator[Path]:
    """Give an empty folder that other accounts may pass through, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix=f"evalsite-{what}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parts_require() -> None:
    """Skip the test where PostgreSQL or Redis is not installed; CI installs them before."""
    if shutil.which("redis-server") is None or not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("PostgreSQL and Redis are not installed; `make faults` installs them where it may")


@contextmanager
def postgres(environment: Mapping[str, str] = MappingProxyType({})) -> Iterator[Postgres]:
    """Run a cluster of one's own, with these variables too."""
    parts_require()
    with folder_of("postgres") as folder:
        server = Postgres(folder, environment)
        try:
            yield server
        finally:
            if server.is_running:
                server.stop("immediate")


@contextmanager
def redis() -> Iterator[Redis]:
    """Run a Redis of one's own."""
    with folder_of("redis") as folder:
        server = Redis(folder)
        try:
            yield server
        finally:
            server.kill()


class Clock:
    """What processes take for the clock of the machine, as libfaketime tells it to those that are started with it.

    Only the time of day is set: pauses are measured by a clock that no time server touches, and so are they here. Redis
    cannot be one of them: its memory allocator asks for the time before libfaketime is ready.

    Attributes:
        ahead: By how much it is ahead of the machine's own.
        environment: Variables of a process that goes by it.
    """

    def __init__(self, folder: Path, library: Path) -> None:
        self.ahead = timedelta(0)
        self._file = folder / "clock"
        (folder / "sitecustomize.py").write_text(SLEEP, encoding="utf-8")
        self.jump(timedelta(0))
        self.environment = {
            "LD_PRELOAD": str(library),
            "PYTHONPATH": str(folder),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def jump(self, by: timedelta) -> None:
        """Set it forward, or back."""
        self.ahead += by
        written = self._file.with_suffix(".new")
        written.write_text(f"{self.ahead.total_seconds():+.0f}\n", encoding="ascii")
        written.chmod(0o644)
        written.replace(self._file)


@contextmanager
def clock() -> Iterator[Clock]:
    """Give a clock that can be set, which all accounts may read."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        pytest.skip("libfaketime is not installed; `make faults` installs it where it may")
    with folder_of("clock") as folder:
        folder.chmod(0o755)
        yield Clock(folder, libraries[0])


@contextmanager
def small_disk(*, megabytes: int) -> Iterator[Path]:
    """Mount a disk of a few megabytes; only root may, so that the test is skipped for others."""
    with folder_of("disk") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("this account may not mount a disk of its own")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def disk_fill(folder: Path) -> Path:
    """Fill the disk of a folder to the last byte; return the file to be removed."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        return ballast
