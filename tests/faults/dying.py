"""A worker that is killed at a point of the code: `python -m tests.faults.dying QUEUES POINT[:TIMES] …`.

One worker after the other is started, each killed by SIGKILL when it comes to its point, such as
`studies.services.samples._batch_keep` (before it) or `studies.services.samples._batch_keep+` (after it), for the n-th
time. After the last point a worker is started that lives. They are forked from one process that has loaded all modules,
and are real workers otherwise.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import django


def die_at(point: str) -> None:
    """Let this process be killed when it comes to a point."""
    place, _, times = point.partition(":")
    module_name, _, name = place.rstrip("+").rpartition(".")
    module = importlib.import_module(module_name)
    original: Callable[..., Any] = getattr(module, name)
    left = [int(times or 1)]

    @wraps(original)
    def deadly(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and not place.endswith("+"):
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(module, name, deadly)


def main(queues: str, *points: str) -> int:
    """Start the workers; print each point when its worker is dead."""
    django.setup()
    from evalsite.celery import app

    app.loader.import_default_modules()
    command = ["worker", "--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat", "-Q", queues]
    for point in [*points, ""]:
        child = os.fork()
        if child == 0:
            if point:
                die_at(point)
            app.worker_main(command)
            os._exit(0)
        print(f"started {child}", flush=True)
        _, status = os.waitpid(child, 0)
        if point and not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            print(f"lived {point}", flush=True)
            return 1
        print(f"died {point}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
