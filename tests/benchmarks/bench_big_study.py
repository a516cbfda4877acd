"""Pages and export of a study of 1,000,000 votes, 10,000 raters and 100,000 samples.

The study is made first, in an empty database (SQLite, one that is made at the server of `--postgres`, or the one that
`DATABASE_URL` names), which takes some minutes.
Pages are asked for through Django, without a server between; each twice, and the second time is what counts.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.bench_voting import databases
from tests.benchmarks.harness import machine

PAGES = {
    "list of studies": "studies_study_changelist",
    "list of sessions": "studies_ratingsession_changelist",
    "list of raters": "studies_rater_changelist",
    "list of photos": "studies_photo_changelist",
    "study": "studies_study_change",
    "live": "studies_study_live",
    "results": "studies_study_results",
}
PAGE_S = 1.0
ROWS_A_SECOND = 100_000


def pages_time() -> list[tuple[str, float, float]]:
    """Return each page with the seconds of the first and of the second time."""
    from django.test import Client
    from django.urls import NoReverseMatch, reverse

    from studies.models import Researcher, Study

    study = Study.objects.get()
    client = Client(HTTP_HOST="localhost")
    researcher, _ = Researcher.objects.get_or_create(username="bench", is_staff=True, is_superuser=True)
    client.force_login(researcher)
    rows = []
    for page, name in PAGES.items():
        try:
            address = reverse(f"admin:{name}")
        except NoReverseMatch:
            address = reverse(f"admin:{name}", args=[study.pk])
        times = []
        for _ in range(2):
            began = time.perf_counter()
            response = client.get(address)
            times.append(time.perf_counter() - began)
            if response.status_code != 200:
                raise ValueError(f"the page {address} answered {response.status_code}")
        rows.append((page, times[0], times[1]))
    return rows


def _memory_mb() -> float:
    """Return the most that this process has held at once, in MB; what its parent held before does not count."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def export_time() -> None:
    """Write the export to nowhere; print rows a second, and the memory of this process before and at the most."""
    from studies.models import Origin, Study
    from studies.selectors.exports import responses_csv

    study = Study.objects.get()
    before = _memory_mb()
    began, rows, length = time.perf_counter(), 0, 0
    for block in responses_csv(study, origin=Origin.PERSON):
        rows += block.count("\n")
        length += len(block)
    seconds = time.perf_counter() - began
    most = _memory_mb()
    speed = rows / seconds
    print(
        f"{rows:,} rows, {length / 1e6:,.0f} MB in {seconds:.1f} s: {speed:,.0f} rows/s (bar {ROWS_A_SECOND:,}: "
        f"{'met' if speed >= ROWS_A_SECOND else 'missed'}); memory {before:.0f} MB before, {most:.0f} MB at the most"
    )


def main() -> int:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raters", type=int, default=10_000, help="each gives 100 votes")
    parser.add_argument("--photos", type=int, default=20_000, help="each with 5 samples")
    parser.add_argument(
        "--folder", type=Path, help="where the site is kept for another run; a temporary one if not given"
    )
    parser.add_argument(
        "--postgres", default="", help="postgres://user@host:port of an account that may create databases"
    )
    parser.add_argument("--export-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evalsite-bench-") as temporary, databases(options.postgres) as (own, _):
        if own:
            os.environ["DATABASE_URL"] = own
        folder = options.folder or Path(temporary)
        os.environ |= {
            "EVALSITE_DATA_DIR": str(folder),
            "EVALSITE_SECRET_KEY": "a key for benchmarks only, never for people",
        }
        os.environ |= {"DJANGO_SETTINGS_MODULE": "evalsite.settings", "EVALSITE_LOG_LEVEL": "warning"}
        import django

        django.setup()
        if options.export_only:
            export_time()
            return 0
        from django.core.management import call_command

        from evalsite.celery import app
        from studies.models import Study
        from tests.benchmarks.big_study import big_study_make

        call_command("migrate", verbosity=0)
        app.conf.update(task_always_eager=True, task_eager_propagates=True)
        print(machine(["Django", "numpy"]))
        if not Study.objects.exists():
            big_study_make(raters=options.raters, photos=options.photos)
        print("| page | first, s | warm, s | bar 1 s |\n|---|---|---|---|")
        rows = pages_time()
        for page, first, warm in rows:
            print(f"| {page} | {first:.2f} | {warm:.2f} | {'met' if warm <= PAGE_S else 'missed'} |", flush=True)
        command = [sys.executable, "-m", "tests.benchmarks.bench_big_study", "--export-only", "--folder", str(folder)]
        subprocess.run(command, check=True)  # a process of its own, whose memory is the export's alone
    return 0 if all(warm <= PAGE_S for _, _, warm in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
