"""A site of its own for a benchmark: an empty database, real photos' stand-ins, and gunicorn in front."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

START_S = 60


@contextmanager
def served(*, workers: int = 2, threads: int = 4) -> Iterator[str]:
    """Serve an empty site from a folder that is removed afterwards; yields its address.

    Django is set up in this process too, on the same database: import models inside the block only. The database is
    SQLite unless `DATABASE_URL` names another one, which must be empty.
    """
    with tempfile.TemporaryDirectory(prefix="evalsite-bench-") as folder:
        os.environ |= {"EVALSITE_DATA_DIR": folder, "EVALSITE_SECRET_KEY": "a key for benchmarks only"}
        os.environ |= {"DJANGO_SETTINGS_MODULE": "evalsite.settings", "EVALSITE_LOG_LEVEL": "warning"}
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright's synchronous calls run inside an event loop.
        import django

        django.setup()
        from django.core.management import call_command

        from evalsite.celery import app

        call_command("migrate", verbosity=0)
        app.conf.update(task_always_eager=True, task_eager_propagates=True)
        with closing(socket.socket()) as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        command = [str(Path(sys.executable).parent / "gunicorn"), "evalsite.wsgi", "--bind", f"127.0.0.1:{port}"]
        command += ["--workers", str(workers), "--threads", str(threads), "--no-control-socket", "--log-level", "error"]
        server = subprocess.Popen(command)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(f"{address}/healthz")
            yield address
        finally:
            server.terminate()
            server.wait()


def _wait(address: str) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return
