"""How fast sessions start: 16 raters at once, one after the other, in a study of 10,000 pairs, 55 trials a session.

A start is the consent form sent and the address of the session received, its trials kept. Crowd, gunicorn and the
database share the machine. The last column says where the processor's time went.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat

from tests.benchmarks.bench_vote_cost import cpu_below, processes
from tests.benchmarks.bench_voting import FOR_EVER, START_P99_MS, crowd_parser, databases, many_pairs_make
from tests.benchmarks.crowd import Load, crowd_play, start_session
from tests.benchmarks.harness import machine
from tests.benchmarks.served import served


def postmaster_find() -> int:
    """Return the process whose children serve PostgreSQL's connections; 0 where the database is a file."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return processes()[int(cursor.fetchone()[0])][0]


@contextmanager
def cpu_noted(postmaster: int, found: dict[str, float]) -> Iterator[None]:
    """Note the CPU seconds of the crowd (this process), of gunicorn below it, and of PostgreSQL."""

    def now() -> dict[str, float]:
        times = os.times()
        database = cpu_below(postmaster) if postmaster else 0.0
        return {"crowd": times.user + times.system, "web": cpu_below(os.getpid()), "PostgreSQL": database}

    before = now()
    yield
    found |= {name: value - before[name] for name, value in now().items()}


def balance_gaps(entry: str) -> tuple[int, int]:
    """Return the sessions that were started, and the largest difference of showings between two pairs of a method."""
    from django.db.models import Count

    from studies.models import Pair, RatingSession

    code = entry.split("/")[2]
    rows = Pair.objects.filter(study__code=code).annotate(n=Count("trials")).values_list("sample__condition_id", "n")
    of_method: dict[int, list[int]] = {}
    for method, shown in rows:
        of_method.setdefault(method, []).append(shown)
    gaps = [max(counts) - min(counts) for counts in of_method.values()]
    return RatingSession.objects.filter(study__code=code).count(), max(gaps)


def main() -> int:
    """Measure and print; the exit code is 1 if the limit is not met or a start failed."""
    options = crowd_parser(__doc__).parse_args()
    loads: list[Load] = []
    cpu: dict[str, float] = {}
    with databases(options.postgres) as (own, _):
        if own:
            os.environ["DATABASE_URL"] = own
        print(machine(["Django", "gunicorn"]))
        print(f"database: {'PostgreSQL' if own else 'SQLite'}, {options.workers} workers of {options.threads} threads")
        with served(workers=options.workers, threads=options.threads) as address:
            entry = many_pairs_make()
            start = start_session(entry, [])
            crowd_play(address, repeat(start, 4 * options.raters), at_once=options.raters, seconds=FOR_EVER)
            postmaster = postmaster_find()
            print("| turn | starts/s | median, ms | 99 %, ms | longest, ms | errors | CPU a start, ms |")
            print("|---|---|---|---|---|---|---|")
            for turn in range(options.turns):
                with cpu_noted(postmaster, cpu):
                    loads.append(crowd_play(address, repeat(start), at_once=options.raters, seconds=options.seconds))
                load = loads[-1]
                n = len(load.times_s["start"])
                figures = [load.quantile_ms("start", share) for share in (0.5, 0.99, 1.0)]
                spent = ", ".join(f"{name} {1000 * value / n:.2f}" for name, value in cpu.items() if value)
                shown = " | ".join(f"{figure:.0f}" for figure in figures)
                print(f"| {turn + 1} | {n / load.took_s:.0f} | {shown} | {len(load.errors)} | {spent} |")
            sessions, gap = balance_gaps(entry)
        print(f"{sessions} sessions; largest difference between two pairs of a method: {gap}")
        print(f"load {os.getloadavg()[0]:.1f} at the end")
    for error in [error for load in loads for error in load.errors][:10]:
        print(f"error: {error}")
    worst = max(load.quantile_ms("start", 0.99) for load in loads)
    is_met = worst < START_P99_MS and not any(load.errors for load in loads) and gap <= 1
    print(f"99 % under {START_P99_MS} ms in each turn: {worst:.0f} ms, {'met' if is_met else 'not met'}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
