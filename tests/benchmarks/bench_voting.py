"""How fast votes are taken: this site against oTree, measured by one crowd in one run, by turns.

One vote is an answer here, whose reply brings the next trial and the pictures of a later one (those of the first three
are asked for); in oTree it is a page and the form on it, a two-way choice and a reaction time in 40 rounds. No rater
thinks. Both run in production mode on the same kind of database; the crowd runs on the same machine.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path

from tests.benchmarks.crowd import (
    Load,
    begun_session,
    crowd_play,
    evalsite_session,
    otree_session,
    start_session,
    table,
)
from tests.benchmarks.harness import machine
from tests.benchmarks.otree_served import ROUNDS, VERSION, environment_make, otree_served
from tests.benchmarks.served import served

RATIO = 10
"""Times as many votes a second as oTree."""
TAIL = 5
"""Times shorter than oTree's: the time in which 99 % of the answers are taken."""
CROWD = 256
"""Raters at once, all of whose sessions were begun before."""
SESSIONS_AHEAD = 8
"""Sessions of each rater that are begun before the clock runs, as oTree makes its participants; enough for a turn."""
PAUSE_S = 1
"""What those of the second crowd take between pictures and answer, which is less than people do."""
CROWD_P99_MS = 500
FOR_EVER = 600
"""Seconds within which what is bounded by its number must be done."""
START_P99_MS = 50


@contextmanager
def databases(postgres: str) -> Iterator[tuple[str, str]]:
    """Make two databases at a PostgreSQL server and drop them again; yields their addresses, empty without a server."""
    if not postgres:
        yield "", ""
        return
    import psycopg

    names = [f"bench_voting_{os.getpid()}_{who}" for who in ("evalsite", "otree")]
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield f"{postgres}/{names[0]}", f"{postgres}/{names[1]}"
        finally:
            for name in names:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def study_make() -> str:
    """Make an open study of 40 test pairs a session; return its path."""
    from studies.services.studies import ConditionSpec
    from tests.factories import make_open_study

    conditions = [ConditionSpec("bicubic")]
    conditions += [ConditionSpec("bicubic", role="test", label=f"Method {i}") for i in range(4)]
    study = make_open_study(
        practice_count=0,
        test_count=ROUNDS,
        golden_count=0,
        spare_photos=10,
        conditions=conditions,
        assignment="mixed",
        raters_wanted=1_000_000,
    )
    return f"/s/{study.code}/"


def report(ours: list[Load], otree: list[Load], crowd: Load, thinking: Load, starts: Load, raters: int) -> bool:
    """Print the tables and the ratios; return whether every bar is met."""
    rows = [(f"evalsite, {raters} raters", load) for load in ours]
    rows += [(f"oTree {VERSION}, {raters} raters", load) for load in otree]
    rows += [(f"evalsite, {CROWD} raters, no pause", crowd)]
    rows += [(f"evalsite, {CROWD} raters, {PAUSE_S} s between pictures and answer", thinking)]
    rows += [("evalsite, sessions started, 16 at once, 10,000 pairs", starts)]
    print(table(rows))
    rates = [one.rate() / other.rate() for one, other in zip(ours, otree, strict=True)]
    pairs = list(zip(ours, otree, strict=True))
    tails = [other.quantile_ms("vote", 0.99) / one.quantile_ms("vote", 0.99) for one, other in pairs]
    errors = [error for _, load in rows for error in load.errors]
    bars = {
        f"votes/s over oTree's, at least {RATIO}x": (statistics.median(rates), min(rates), max(rates), RATIO),
        f"oTree's POST 99 % over ours, at least {TAIL}x": (statistics.median(tails), min(tails), max(tails), TAIL),
    }
    is_met = not errors
    print("\n| ratio | median (min-max) | met |\n|---|---|---|")
    for name, (middle, least, most, bar) in bars.items():
        is_met &= middle >= bar
        print(f"| {name} | {middle:.1f}x ({least:.1f}x-{most:.1f}x) | {'yes' if middle >= bar else 'no'} |")
    limits = {
        f"{CROWD} raters, no pause, POST 99 % under {CROWD_P99_MS} ms": (crowd.quantile_ms("vote", 0.99), CROWD_P99_MS),
        f"the same with a pause of {PAUSE_S} s": (thinking.quantile_ms("vote", 0.99), CROWD_P99_MS),
        f"start 99 % under {START_P99_MS} ms": (starts.quantile_ms("start", 0.99), START_P99_MS),
    }
    for name, (found, limit) in limits.items():
        is_met &= found < limit
        print(f"| {name} | {found:.0f} ms | {'yes' if found < limit else 'no'} |")
    for error in errors[:10]:
        print(f"error: {error}")
    return is_met


def crowd_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the options of a benchmark that sends a crowd to a site of its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--postgres", default="", help="postgres://user@host:port of an account that may create databases"
    )
    parser.add_argument("--raters", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=8, help="of each turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="gunicorn's processes")
    parser.add_argument("--threads", type=int, default=4, help="gunicorn's threads in each")
    return parser


def main() -> int:
    """Measure and print; the exit code is 1 if a bar is not met."""
    parser = crowd_parser(__doc__)
    parser.add_argument("--environment", type=Path, default=Path("build/otree"), help="folder for oTree's environment")
    options = parser.parse_args()
    commands = environment_make(options.environment.resolve())
    with tempfile.TemporaryDirectory(prefix="otree-bench-") as folder, databases(options.postgres) as (own, other):
        if own:
            os.environ["DATABASE_URL"] = own
        print(machine(["Django", "gunicorn"]))
        print(f"database: {'PostgreSQL' if own else 'SQLite'}, {options.workers} workers of {options.threads} threads")
        with (
            otree_served(commands, Path(folder) / "project", database_url=other) as otree,
            served(workers=options.workers, threads=options.threads) as address,
        ):
            entry = study_make()
            ours: list[Load] = []
            theirs: list[Load] = []
            crowd_play(address, repeat(evalsite_session(entry)), at_once=options.raters, seconds=2)  # warm up both
            crowd_play(otree.address, map(otree_session, otree.participants_make(2)), at_once=2, seconds=2)
            for _ in range(options.turns):
                participants = otree.participants_make(options.raters)
                sessions = map(otree_session, participants)
                theirs.append(crowd_play(otree.address, sessions, at_once=options.raters, seconds=options.seconds))
                ready: list[str] = []
                starts_ahead = repeat(start_session(entry, ready), SESSIONS_AHEAD * options.raters)
                crowd_play(address, starts_ahead, at_once=4, seconds=FOR_EVER)
                sessions = map(begun_session, ready)
                ours.append(crowd_play(address, sessions, at_once=options.raters, seconds=options.seconds))
            begun: list[str] = []
            crowd_play(address, repeat(start_session(entry, begun), 2 * CROWD), at_once=4, seconds=FOR_EVER)
            at_once = map(begun_session, begun[:CROWD])
            crowd = crowd_play(address, at_once, at_once=CROWD, seconds=options.seconds)
            slowly = (begun_session(path, pause_s=PAUSE_S) for path in begun[CROWD:])
            thinking = crowd_play(address, slowly, at_once=CROWD, seconds=2 * options.seconds)
            many = many_pairs_make()
            crowd_play(
                address, repeat(start_session(many, []), 16), at_once=4, seconds=FOR_EVER
            )  # each process reads it
            starts = crowd_play(address, repeat(start_session(many, [])), at_once=16, seconds=options.seconds)
        print(f"load {os.getloadavg()[0]:.1f} at the end")
        return 0 if report(ours, theirs, crowd, thinking, starts, options.raters) else 1


def many_pairs_make() -> str:
    """Make an open study of 10,000 pairs, sessions of 55 trials; return its path."""
    from studies.models import Study
    from tests.benchmarks.big_study import big_study_make

    study = big_study_make(raters=0, photos=2_000)
    Study.objects.filter(pk=study.pk).update(test_count=55, raters_wanted=1_000_000)
    return f"/s/{study.code}/"


if __name__ == "__main__":
    sys.exit(main())
