"""Services of one's own, to be killed and started again: PostgreSQL and Redis, each in a folder that is removed.

Both are the distribution's (Debian: `postgresql`, `redis-server`); `make services` installs them where it may.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

START_S = 60.0


def port_find() -> int:
    """Return a port on which nobody listens."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def wait_until(is_so: Callable[[], bool], *, what: str, timeout_s: float = START_S) -> None:
    """Wait for a state.

    Raises:
        TimeoutError: If it has not come by then.
    """
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {timeout_s:.0f} s.")
        time.sleep(0.05)


def is_listening(port: int) -> bool:
    """Return whether somebody answers at a port of this machine."""
    with closing(socket.socket()) as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


class Postgres:
    """A cluster of PostgreSQL with one empty database, on the TCP address of this machine alone."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, port_find()
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/evalsite"
        # The server refuses to run as root; whoever is root lets the distribution's account run it.
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            shutil.chown(folder, self.user)
        self._run(
            "initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "-D", folder / "data"
        )

    @staticmethod
    def programs() -> Path:
        """Return the folder of the newest version's programs.

        Raises:
            FileNotFoundError: If there is none.
        """
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        on_path = shutil.which("initdb")
        if not found and on_path is None:
            raise FileNotFoundError("PostgreSQL is not installed; run `make services`, or install it.")
        return found[-1].parent if found else Path(str(on_path)).resolve().parent

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [str(self.programs() / program), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups", *command]
        result = subprocess.run(command, capture_output=True, text=True, cwd=self.folder)
        if result.returncode:
            raise RuntimeError(f"{program} failed: {result.stderr or result.stdout}")

    def start(self) -> None:
        """Start the server and wait until it takes connections; the first time, make the database."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self.folder / "data", "-l", log, "-o", options, "-w", "start")
        with psycopg.connect(f"postgres://postgres@127.0.0.1:{self.port}/postgres", autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = 'evalsite'").fetchone() is None:
                connection.execute("CREATE DATABASE evalsite")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `fast` ends connections in order, `immediate` is a crash."""
        self._run("pg_ctl", "-D", self.folder / "data", "-m", mode, "-w", "stop")

    @property
    def is_running(self) -> bool:
        """Return whether the server has not been stopped."""
        return (self.folder / "data" / "postmaster.pid").exists()


class Redis:
    """A Redis server that writes each change to its disk, as `docs/operations.md` asks of a broker."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, port_find()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        program = shutil.which("redis-server")
        if program is None:
            raise FileNotFoundError("Redis is not installed; run `make services`, or install redis-server.")
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", "always", "--loglevel", "warning"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([program, *options], stdout=log, stderr=log)
        wait_until(lambda: is_listening(self.port), what="The start of Redis")

    def kill(self) -> None:
        """End it without a word."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextmanager
def folder_of(prefix: str) -> Iterator[Path]:
    """Give an empty folder that other accounts may enter, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a cluster of one's own."""
    with folder_of("evalsite-postgres-") as folder:
        server = Postgres(folder)
        server.start()
        try:
            yield server
        finally:
            if server.is_running:
                server.stop("immediate")


@contextmanager
def redis() -> Iterator[Redis]:
    """Run a Redis server of one's own."""
    with folder_of("evalsite-redis-") as folder:
        server = Redis(folder)
        server.start()
        try:
            yield server
        finally:
            server.kill()
