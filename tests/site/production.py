"""Run a command against a production site of real parts, started for it and ended after it.

    python -m tests.site.production pytest -m site tests/site

The parts are PostgreSQL, Redis, gunicorn and two Celery workers. The command finds the site by the variables `SITE_…`
that `conftest.py` reads. With `--logs FOLDER` first, what the processes wrote is kept there.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.site.parts import Site, environment_of, postgresql, redis, serving

WORKERS = {"samples": "celery", "samples-and-training": "celery,training"}


@contextmanager
def production(folder: Path, *, logs: Path) -> Iterator[Site]:
    """Serve a site as production does; what it keeps beside its database is in the folder."""
    with postgresql(logs=logs) as database, redis(folder, logs=logs) as broker:
        environment = environment_of(
            folder / "data",
            DATABASE_URL=database,
            EVALSITE_BROKER_URL=broker,
            EVALSITE_SECRET_KEY=secrets.token_urlsafe(50),
            EVALSITE_METRICS_TOKEN=secrets.token_urlsafe(20),
        )
        with serving(environment, logs=logs, workers=WORKERS) as site:
            yield site


def main(arguments: list[str]) -> int:
    """Serve a site, run the command, and return its exit code."""
    with tempfile.TemporaryDirectory(prefix="evalsite-production-") as name:
        folder = Path(name)
        logs = folder / "logs"
        if arguments[:1] == ["--logs"]:
            logs, arguments = Path(arguments[1]).resolve(), arguments[2:]
        logs.mkdir(parents=True, exist_ok=True)
        with production(folder, logs=logs) as site:
            sys.stdout.write(f"PostgreSQL, Redis, gunicorn and {len(WORKERS)} workers serve {site.url}\n")
            sys.stdout.flush()
            variables = {
                "SITE_URL": site.url,
                "SITE_USERNAME": site.username,
                "SITE_PASSWORD": site.password,
                "SITE_METRICS_TOKEN": site.metrics_token,
                "SITE_LOGS": str(logs),
            }
            return subprocess.run(arguments, env={**os.environ, **variables}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
