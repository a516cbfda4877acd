"""A crowd on a real server: many raters at once, half of whom drop out and come back, and not a vote lost or doubled.

Raters come through the doors of the site as browsers do. Half of them break off at a random pair, at a random point of
it (before the answer, after it was sent but before the reply was read, while it was sent three times at once), and come
back by their address. On the way they send answers three times at once, and old ones again after later ones, with
another side. Each notes what the server acknowledged; in the end the database must hold exactly that.
More come than there are places: the last must be told that the study is full.
"""

import argparse
import http.client
import json
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.harness import machine
from tests.benchmarks.served import served

STATE = re.compile(r'<script id="state" type="application/json">(.*?)</script>', re.DOTALL)
METHODS = 4
COUNTS = {"practice_count": 2, "test_count": 8, "golden_count": 0}
PLACES = http.client.CONFLICT


@dataclass
class Crowd:
    """What happened to all raters.

    Attributes:
        address: Of the site.
        entry: Path of the study.
        votes: Trial's code -> side, as it was first sent and then acknowledged.
        refused: Raters who were told that every place is taken.
        repeats: Answers that were sent again, in all ways.
        returns: How often a rater came back.
        times_s: How long the server took, for each request.
        faults: What went wrong.
    """

    address: str
    entry: str
    votes: dict[str, str] = field(default_factory=dict)
    refused: int = 0
    repeats: int = 0
    returns: int = 0
    times_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Rater:
    """One rater: a connection, and a memory of the answers given."""

    def __init__(self, crowd: Crowd, seed: int) -> None:
        self.crowd = crowd
        self.random = random.Random(seed)
        self.breaks = seed % 2 == 0

    def play(self) -> None:
        """Take part to the end, or until told that there is no place."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        status, headers, _ = self.ask("POST", self.crowd.entry, b"agrees=on", form)
        if status == PLACES:
            self.crowd.refused += 1
            return
        session = headers["Location"]
        state = self.come(session)
        passage = state["passage"]
        leaves_at = self.random.randrange(1, sum(COUNTS.values())) if self.breaks else -1
        answered = 0
        last: dict[str, Any] = {}
        while passage["phase"] != "finished":
            code = passage["trials"][0]
            self.ask("GET", state["addresses"]["stimulus"] + code)
            answer = self.answer(code)
            is_leaving = answered == leaves_at
            way = self.random.choice(("before", "unread", "twice")) if is_leaving else "stay"
            if way == "before":
                passage = self.come_back(session)
                answered += 1
                continue
            if way == "unread":
                self.post_unread(state["addresses"]["answer"], answer)
                self.crowd.votes[code] = answer["chosen_side"]
                passage = self.come_back(session)
                if code in passage["trials"][:1]:  # the server had not got it: the page sends what it kept
                    passage = self.post(state["addresses"]["answer"], answer)
                answered += 1
                continue
            if self.random.random() < 0.1 or way == "twice":
                passage = self.post_at_once(state["addresses"]["answer"], answer)
            else:
                passage = self.post(state["addresses"]["answer"], answer)
            self.crowd.votes[code] = answer["chosen_side"]
            if last and self.random.random() < 0.1:  # a copy that comes late, with another mind
                late = last | {"chosen_side": "first" if last["chosen_side"] == "second" else "second"}
                self.crowd.repeats += 1
                self.post(state["addresses"]["answer"], late)
            if way == "twice":
                passage = self.come_back(session)
            last = answer
            answered += 1
        if not passage["completion_code"]:
            self.crowd.faults.append("a session ended without a completion code")

    def answer(self, code: str) -> dict[str, Any]:
        """Make up an answer."""
        return {
            "trial": code,
            "chosen_side": self.random.choice(("first", "second")),
            "rt_ms": self.random.randrange(300, 3000),
            "exposure_first_ms": 1000.0,
            "exposure_second_ms": 1000.0,
            "was_hidden": False,
        }

    def come(self, session: str) -> dict[str, Any]:
        """Open the session's page and read its state."""
        found = STATE.search(self.ask("GET", session)[2].decode())
        if found is None:
            raise ValueError(f"the page {session} holds no state")
        state: dict[str, Any] = json.loads(unescape(found[1]))
        return state

    def come_back(self, session: str) -> dict[str, Any]:
        """Leave for a while, and open the page again."""
        self.crowd.returns += 1
        time.sleep(self.random.uniform(0, 0.5))
        passage: dict[str, Any] = self.come(session)["passage"]
        return passage

    def post(self, path: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Hand in an answer and return where the session stands."""
        status, _, body = self.ask("POST", path, json.dumps(answer).encode(), {"Content-Type": "application/json"})
        if status != http.client.OK:
            self.crowd.faults.append(f"an answer got {status}: {body[:100]!r}")
            raise ValueError(f"an answer got {status}")
        passage: dict[str, Any] = json.loads(body)["passage"]
        return passage

    def post_at_once(self, path: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Hand in an answer three times at once."""
        self.crowd.repeats += 2
        with ThreadPoolExecutor(3) as pool:
            passages = list(pool.map(lambda _: self.post(path, answer), range(3)))
        return max(passages, key=lambda passage: (passage["phase"] == "finished", passage["position"]))

    def post_unread(self, path: str, answer: dict[str, Any]) -> None:
        """Hand in an answer and break the connection before the reply."""
        with self.connected() as connection:
            connection.request("POST", path, json.dumps(answer), {"Content-Type": "application/json"})

    def ask(
        self, verb: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Send a request; return status, headers and body."""
        began = time.perf_counter()
        with self.connected() as connection:
            connection.request(verb, path, body, headers or {})
            response = connection.getresponse()
            content = response.read()
        self.crowd.times_s.append(time.perf_counter() - began)
        if response.status >= http.client.INTERNAL_SERVER_ERROR:
            self.crowd.faults.append(f"{verb} {path.rsplit('/', 1)[0]} got {response.status}")
        return response.status, response.headers, content

    @contextmanager
    def connected(self) -> Iterator[http.client.HTTPConnection]:
        """Open a connection of one's own."""
        connection = http.client.HTTPConnection(urlsplit(self.crowd.address).netloc, timeout=60)
        try:
            yield connection
        finally:
            connection.close()


def crowd_run(address: str, *, raters: int, at_once: int, late: int, assignment: str) -> bool:
    """Let the crowd in, compare what it noted with the database, print the table; return whether all is well."""
    from studies.models import Kind, Pair, RatingSession, Response, Trial
    from studies.services.studies import ConditionSpec
    from tests.factories import make_open_study

    conditions = [ConditionSpec("bicubic")]
    conditions += [ConditionSpec("bicubic", role="test", label=f"Method {i}") for i in range(METHODS)]
    study = make_open_study(
        **COUNTS,
        spare_photos=8,
        conditions=conditions,
        assignment=assignment,
        raters_wanted=raters // METHODS if assignment == "one_condition" else raters,
    )
    crowd = Crowd(address, f"/s/{study.code}/")
    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        for outcome in [pool.submit(Rater(crowd, seed).play) for seed in range(raters + late)]:
            try:
                outcome.result()
            except (OSError, ValueError, http.client.HTTPException) as error:
                crowd.faults.append(f"a rater was stopped: {error}")
    took_s = time.perf_counter() - began
    kept = dict(Response.objects.filter(trial__session__study=study).values_list("trial__code", "chosen_side"))
    sessions = RatingSession.objects.filter(study=study)
    tests = Trial.objects.filter(session__study=study, kind=Kind.TEST)
    votes_of = Counter(tests.values_list("pair_id", flat=True))
    by_method: dict[int, list[int]] = {}
    for pair, method in Pair.objects.filter(study=study, kind=Kind.TEST).values_list("pk", "sample__condition_id"):
        by_method.setdefault(method, []).append(votes_of[pair])
    totals = [sum(counts) for counts in by_method.values()]
    gaps = [max(counts) - min(counts) for counts in by_method.values()]
    wrong = [code for code, side in crowd.votes.items() if kept.get(code, side) != side]
    n_kept = Response.objects.filter(trial__session__study=study).count()
    rows = {
        "raters let in / told that the study is full": f"{sessions.count()} / {crowd.refused}",
        "raters who left and came back": f"{crowd.returns}",
        "answers sent again, late or at once": f"{crowd.repeats}",
        "votes acknowledged": f"{len(crowd.votes)}",
        "votes lost": f"{len(crowd.votes.keys() - kept.keys())}",
        "votes doubled or unknown": f"{n_kept - len(crowd.votes)}",
        "votes changed by a later copy": f"{len(wrong)}",
        "sessions finished": f"{sessions.exclude(state='active').count()}",
        "votes a method, least to most": f"{min(totals)} to {max(totals)}",
        "largest difference between two pairs of a method": f"{max(gaps)}",
        "server's answer, median / 99 %, ms": " / ".join(
            f"{1000 * sorted(crowd.times_s)[int(share * len(crowd.times_s))]:.0f}" for share in (0.5, 0.99)
        ),
        "took, s": f"{took_s:.0f}",
        "faults": f"{len(crowd.faults)}",
    }
    for name, value in rows.items():
        print(f"| {name} | {value} |")
    for fault in crowd.faults[:10]:
        print(f"fault: {fault}")
    is_exact = kept == crowd.votes and not crowd.faults
    return is_exact and sessions.count() == raters and max(gaps) <= 1


def main() -> int:
    """Run the crowd and print its column of the table in docs/protocol.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raters", type=int, default=200, help="as many as the study takes; a multiple of four")
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("--late", type=int, default=10, help="raters who come when every place is taken")
    parser.add_argument("--assignment", choices=("one_condition", "mixed"), default="one_condition")
    options = parser.parse_args()
    print(machine(["Django", "gunicorn"]))
    print(f"database: {os.environ.get('DATABASE_URL', 'sqlite').partition(':')[0]}, {options.assignment}")
    with served() as address:
        is_well = crowd_run(
            address,
            raters=options.raters,
            at_once=options.at_once,
            late=options.late,
            assignment=options.assignment,
        )
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
