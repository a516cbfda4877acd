"""Real parts of a site, each in a folder and on a port of its own: PostgreSQL, Redis, gunicorn, Celery workers."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_S = 120
STOP_S = 30

PASSWORD = "made for tests, kept nowhere"
USERNAME = "operator"

_ADD_OPERATOR = f"""
import django; django.setup()
from studies.models import Researcher
Researcher.objects.create_superuser({USERNAME!r}, password={PASSWORD!r})
"""


@dataclass(frozen=True)
class Site:
    """A site that runs.

    Attributes:
        url: Where it answers, without a slash at the end.
        username: Of a researcher who may do everything.
        password: Of that researcher.
        metrics_token: What opens `/metrics`; "" if it is closed.
        logs: Folder of what its processes have written so far, a file each; None if they run elsewhere.
    """

    url: str
    username: str
    password: str
    metrics_token: str = ""
    logs: Path | None = None


def port_find() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def wait_until(is_there: Callable[[], bool], *, what: str, process: "subprocess.Popen[bytes] | None" = None) -> None:
    """Wait until something is there; give up when its process ends or after two minutes."""
    deadline = time.monotonic() + START_S
    while not is_there():
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{what} ended with {process.returncode} before it was ready.")
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not ready within {START_S} seconds.")
        time.sleep(0.1)


@contextmanager
def running(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process until the block ends, its output in a file."""
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, cwd=ROOT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def as_postgres() -> list[str]:
    """Return what to put before PostgreSQL's commands: it refuses to run as root."""
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.getuid() == 0 else []


def postgresql_command(name: str) -> str:
    """Return the path of one of PostgreSQL's commands, of the newest version that is installed."""
    found = shutil.which(name) if name in {"pg_dump", "pg_restore", "psql"} else None
    folders = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    versions = sorted(folders, key=lambda path: float(path.parts[4]), reverse=True)
    if not versions and found is None:
        raise RuntimeError(f"PostgreSQL's {name} is not installed; run tests/site/ensure_parts.sh.")
    return str(versions[0]) if versions else str(found)


@contextmanager
def postgresql(*, logs: Path) -> Iterator[str]:
    """Serve an empty database `evalsite` from a folder that is removed afterwards; yields its `DATABASE_URL`.

    It waits for no disk, since nothing in it has to outlive a power cut.
    """
    with tempfile.TemporaryDirectory(prefix="evalsite-postgresql-", ignore_cleanup_errors=True) as folder:
        if os.getuid() == 0:  # the server's own account must reach it, whoever shuts a folder above meanwhile
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
        with _postgresql_serve(Path(folder) / "data", logs=logs) as address:
            yield address


@contextmanager
def _postgresql_serve(data: Path, *, logs: Path) -> Iterator[str]:
    port = port_find()
    initdb = [postgresql_command("initdb"), "--pgdata", str(data), "--username", "evalsite", "--auth", "trust"]
    subprocess.run([*as_postgres(), *initdb, "--encoding", "UTF8", "--no-sync"], check=True, stdout=subprocess.DEVNULL)
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = [*as_postgres(), postgresql_command("postgres"), "-D", str(data), *options]
    with running(server, log=logs / "postgresql.log") as process:
        ready = [postgresql_command("pg_isready"), "--quiet", "--host", "127.0.0.1", "--port", str(port)]
        wait_until(lambda: subprocess.run(ready).returncode == 0, what="PostgreSQL", process=process)
        create = [postgresql_command("createdb"), "--host", "127.0.0.1", "--port", str(port), "--username", "evalsite"]
        subprocess.run([*create, "evalsite"], check=True)
        yield f"postgres://evalsite@127.0.0.1:{port}/evalsite"


@contextmanager
def redis(folder: Path, *, logs: Path) -> Iterator[str]:
    """Serve an empty Redis; yields its address."""
    server = shutil.which("redis-server")
    if server is None:
        raise RuntimeError("Redis is not installed; run tests/site/ensure_parts.sh.")
    port = port_find()
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    with running(command, log=logs / "redis.log") as process:
        wait_until(lambda: listens(port), what="Redis", process=process)
        yield f"redis://127.0.0.1:{port}/0"


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def environment_of(folder: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a site: these variables, and none of its that this process happens to have."""
    ours = ("EVALSITE_", "DATABASE_URL", "DJANGO_")
    others = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    one_thread = {"OMP_NUM_THREADS": "1", "DJANGO_SETTINGS_MODULE": "evalsite.settings", "PYTHONUNBUFFERED": "1"}
    return others | one_thread | {"EVALSITE_DATA_DIR": str(folder), "EVALSITE_LOG_FORMAT": "json"} | variables


def python(*arguments: str, environment: Mapping[str, str]) -> str:
    """Run Python with the site's environment, from its root; returns what it printed."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def worker_command(queues: str, name: str) -> list[str]:
    worker = [sys.executable, "-m", "celery", "--quiet", "-A", "evalsite", "worker", "--pool", "solo"]
    return [*worker, "--without-gossip", "--without-mingle", "--without-heartbeat", "-Q", queues, "-n", f"{name}@%h"]


@contextmanager
def serving(
    environment: Mapping[str, str],
    *,
    logs: Path,
    workers: Mapping[str, str],
    has_operator: bool = False,
    also_at: str = "",
) -> Iterator[Site]:
    """Serve a site by gunicorn and Celery workers.

    Args:
        environment: Of all its processes.
        logs: Folder for what they write.
        workers: Queues of each worker, by its name.
        has_operator: Whether the site is there already, with its operator.
        also_at: Another address for gunicorn to listen at, as `unix:/run/web.sock`.
    """
    python("manage.py", "migrate", "--verbosity", "0", environment=environment)
    python("manage.py", "collectstatic", "--no-input", "--verbosity", "0", environment=environment)
    if not has_operator:
        python("-c", _ADD_OPERATOR, environment=environment)
    port = port_find()
    gunicorn = [
        sys.executable,
        "-m",
        "gunicorn",
        "evalsite.wsgi",
        "--config",
        str(ROOT / "deploy" / "gunicorn.conf.py"),
    ]
    with ExitStack() as stack:
        bound = {
            **environment,
            "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}" + (f" --bind {also_at}" if also_at else ""),
        }
        server = stack.enter_context(running(gunicorn, log=logs / "gunicorn.log", environment=bound))
        for name, queues in workers.items():
            log = logs / f"{name}.log"
            stack.enter_context(running(worker_command(queues, name), log=log, environment=environment))
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/readyz"), what="gunicorn", process=server)
        yield Site(url, USERNAME, PASSWORD, environment.get("EVALSITE_METRICS_TOKEN", ""), logs)


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except (urllib.error.URLError, OSError):
        return False
    return True
