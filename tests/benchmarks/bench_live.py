"""The live page of a very large study: what an update costs, in CPU time of this process, against one second.

The study is made in a folder of its own, which takes minutes; give the folder again to time the same study once more.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import harness

MOST_S = 1.0
"""An update of the page without rates may take so long."""


def main() -> int:
    """Time what the page asks for."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--raters", type=int, default=2_000, help="finished sessions of 100 votes")
    parser.add_argument("--photos", type=int, default=2_000, help="photos, each with a pair in five conditions")
    parser.add_argument("--folder", type=Path, help="data folder to keep the study in")
    options = harness.start(parser, packages=["django"])
    folder = options.folder or Path(tempfile.mkdtemp(prefix="evalsite-live-"))
    os.environ |= {"EVALSITE_DATA_DIR": str(folder), "EVALSITE_LOG_LEVEL": "WARNING"}
    os.environ["DJANGO_SETTINGS_MODULE"] = "evalsite.settings"
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client
    from django.urls import reverse

    from evalsite.celery import app
    from studies.models import Response, Study
    from tests.benchmarks.big_study import big_study_make

    call_command("migrate", verbosity=0)
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    study = Study.objects.first() or big_study_make(raters=options.raters, photos=options.photos)
    client = Client(headers={"host": "localhost"})
    client.force_login(study.owner)
    pages = {name: reverse(f"admin:studies_study_{name}", args=[study.pk]) for name in ("live_parts", "live_rates")}
    client.post(reverse("admin:studies_study_live", args=[study.pk]))
    print(f"{Response.objects.count():,} votes on {study.pairs.count():,} pairs")
    parts = [_seconds(client.get, pages["live_parts"]) for _ in range(options.pairs + 1)][1:]
    rates = _seconds(client.get, pages["live_rates"])  # kept for a minute: the first time counts
    print(f"an update of the page: {statistics.median(parts):.2f} s ({min(parts):.2f}-{max(parts):.2f})")
    print(f"the rates: {rates:.2f} s")
    return 0 if statistics.median(parts) <= MOST_S else 1


def _seconds(work: Callable[[str], object], address: str) -> float:
    """Return the CPU time of one run."""
    begun = time.process_time()
    work(address)
    return time.process_time() - begun


if __name__ == "__main__":
    sys.exit(main())
