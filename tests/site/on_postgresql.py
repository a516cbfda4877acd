"""Run a command with `DATABASE_URL` at a PostgreSQL of its own, started for it and ended after it.

    python -m tests.site.on_postgresql pytest tests/services

So the suite, which runs on SQLite by itself, runs on the database of production.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.site.parts import postgresql


def main(command: list[str]) -> int:
    """Serve a database, run the command, and return its exit code."""
    with tempfile.TemporaryDirectory(prefix="evalsite-on-postgresql-") as logs, postgresql(logs=Path(logs)) as address:
        return subprocess.run(command, env={**os.environ, "DATABASE_URL": address}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
