"""What one vote costs: CPU time in the workers and in PostgreSQL, bytes on the wire and on disk, queries.

A crowd without pauses plays sessions of 40 votes against gunicorn; a vote is an answer, whose reply brings pictures.
The figures are what `scale_simulation` and docs/scale.md start from.
"""

import argparse
import asyncio
import json
import os
import sys
from html import unescape
from itertools import repeat
from pathlib import Path

from tests.benchmarks.bench_voting import databases, study_make
from tests.benchmarks.crowd import ANSWER, FORM, STATE, Client, Load, crowd_play, evalsite_session
from tests.benchmarks.harness import machine
from tests.benchmarks.served import served

JSON = "application/json"


def processes() -> dict[int, tuple[int, float]]:
    """Return parent and CPU seconds of each process."""
    ticks = os.sysconf("SC_CLK_TCK")
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        found[int(stat.parent.name)] = (int(fields[1]), (int(fields[11]) + int(fields[12])) / ticks)
    return found


def cpu_below(root: int) -> float:
    """Return the CPU seconds of a process's descendants that are alive."""
    table = processes()
    family, size = {root}, 0
    while len(family) > size:
        size = len(family)
        family |= {pid for pid, (parent, _) in table.items() if parent in family}
    return sum(table[pid][1] for pid in family - {root} if pid in table)


def wire_bytes(address: str, entry: str) -> tuple[float, float, float]:
    """Return the bytes sent to a browser: a session's page, a trial's pictures asked for, a reply that brings some."""

    async def play() -> tuple[float, float, float]:
        client = Client(address, Load())

        async def size(verb: str, path: str, body: bytes = b"", kind: str = JSON) -> tuple[int, bytes, str]:
            _, headers, content = await client.ask("page", verb, path, body, kind)
            head = sum(len(name) + len(value) + 4 for name, value in headers.items())
            return head + len(content), content, headers.get("location", "")

        _, _, session = await size("POST", entry, b"agrees=on", FORM)
        page, content, _ = await size("GET", session)
        state = STATE.search(content.decode())
        if state is None:
            raise ValueError(f"the page {session} holds no state")
        passage = json.loads(unescape(state[1]))["passage"]
        pictures, _, _ = await size("GET", f"{session}t/{passage['trials'][0]}")
        replies = []
        while passage["phase"] != "finished":
            answer = json.dumps(ANSWER | {"trial": passage["trials"][0], "chosen_side": "first"}).encode()
            length, content, _ = await size("POST", f"{session}answer", answer)
            reply = json.loads(content)
            if reply["pictures"]:
                replies.append(length)
            passage = reply["passage"]
        client.close()
        return page, pictures, sum(replies) / len(replies)

    return asyncio.run(play())


def queries() -> tuple[int, int]:
    """Return the queries of a trial's pictures and of an answer, in the middle of a session."""
    from django.db import connection
    from django.test import Client as Browser
    from django.test.utils import CaptureQueriesContext

    from studies.models import RatingSession, Study
    from studies.selectors.sessions import passage_get
    from studies.services.sessions import session_start

    session = session_start(study=Study.objects.get())
    browser = Browser(HTTP_HOST="localhost")
    counts = (0, 0)
    for _ in range(3):
        code = passage_get(RatingSession.objects.get(pk=session.pk)).trials[0]
        with CaptureQueriesContext(connection) as shown:
            browser.get(f"/r/{session.code}/t/{code}").close()
        with CaptureQueriesContext(connection) as answered:
            body = ANSWER | {"trial": code, "chosen_side": "first"}
            browser.post(f"/r/{session.code}/answer", body, content_type=JSON)
        counts = (len(shown), len(answered))
    return counts


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--postgres", required=True, help="postgres://user@host:port of an account that may create databases"
    )
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    with databases(options.postgres) as (own, _):
        os.environ["DATABASE_URL"] = own
        print(machine(["Django", "gunicorn"]))
        with served() as address:
            from django.db import connection

            entry = study_make()
            crowd_play(address, repeat(evalsite_session(entry)), at_once=16, seconds=3)
            with connection.cursor() as cursor:

                def asked(question: str) -> int:
                    cursor.execute(question)
                    return int(cursor.fetchone()[0])

                postmaster = processes()[asked("SELECT pg_backend_pid()")][0]
                wal, size = "SELECT pg_current_wal_lsn() - '0/0'", "SELECT pg_database_size(current_database())"
                before = (cpu_below(os.getpid()), cpu_below(postmaster), asked(wal), asked(size))
                load = crowd_play(address, repeat(evalsite_session(entry)), at_once=16, seconds=options.seconds)
                after = (cpu_below(os.getpid()), cpu_below(postmaster), asked(wal), asked(size))
            web, database, logged, kept = ((b - a) / load.votes for a, b in zip(before, after, strict=True))
            page, pictures, reply = wire_bytes(address, entry)
            shown, answered = queries()
    print(f"{load.votes} votes, {load.rate():.0f} a second, {len(load.errors)} errors; starts of sessions included")
    print("| a vote costs | |\n|---|---|")
    print(f"| CPU in the workers, ms | {1000 * web:.2f} |\n| CPU in PostgreSQL, ms | {1000 * database:.2f} |")
    print(f"| write-ahead log, bytes | {logged:.0f} |\n| database grows by, bytes | {kept:.0f} |")
    print(f"| sent to the browser: reply, bytes | {reply:.0f} |\n| sent: pictures asked for, bytes | {pictures:.0f} |")
    print(f"| queries: pictures, answer | {shown}, {answered} |\n| page of the session, bytes, once | {page:.0f} |")
    return 1 if load.errors else 0


if __name__ == "__main__":
    sys.exit(main())
