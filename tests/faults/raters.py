"""Raters who behave as the trial page does: what fails is sent again, and what was acknowledged is remembered."""

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlsplit

from tests.site.parts import wait_until

STATE = re.compile(r'<script id="state" type="application/json">(.*?)</script>', re.DOTALL)
PATIENCE_S = 60
KEPT = "SELECT t.code, r.chosen_side FROM studies_response r JOIN studies_trial t ON t.id = r.trial_id"
"""Every vote that a site has kept; a vote that was kept twice comes twice."""
SESSIONS = "SELECT count(*) FROM studies_ratingsession"

Ask = Callable[[str], list[tuple[Any, ...]]]
"""A question to the database, in SQL."""


def passage_find(page: str) -> dict[str, Any]:
    """Return where a session stands, as its page tells the browser."""
    found = STATE.search(page)
    assert found is not None, "the page holds no state"
    passage: dict[str, Any] = json.loads(unescape(found[1]))["passage"]
    return passage


@dataclass
class Crowd:
    """Raters under way.

    Attributes:
        url: Of the site.
        entry: Path of the study.
        acknowledged: Trial's code -> the side that the server has acknowledged.
        sessions: Sessions that were begun.
        waited: How often a rater had to try again.
        faults: What a rater must not meet: a refusal, or a reply that is none.
    """

    url: str
    entry: str
    acknowledged: dict[str, str] = field(default_factory=dict)
    sessions: set[str] = field(default_factory=set)
    waited: int = 0
    faults: list[str] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)

    @property
    def votes(self) -> int:
        """Return how many votes were acknowledged so far."""
        return len(self.acknowledged)

    def go_on(self, votes: int, *, timeout_s: float = 120) -> None:
        """Wait until so many more votes have been acknowledged."""
        wanted, deadline = self.votes + votes, time.monotonic() + timeout_s
        while self.votes < wanted:
            assert not self.faults, self.faults
            assert time.monotonic() < deadline, f"{self.votes} votes, and {wanted} were waited for"
            time.sleep(0.02)

    def wait(self, *, since: int, what: str) -> None:
        """Wait until raters have met a fault, having tried again so often before."""
        wait_until(lambda: self.waited > since, what=what)

    def play(self, number: int) -> None:
        """Take part, in one session after the other, until told to stop."""
        try:
            while not self._end.is_set():
                self._session(number)
        except Exception as error:  # noqa: BLE001 -- a thread has nobody to raise it to
            self.faults.append(f"{type(error).__name__}: {error}")

    def _session(self, number: int) -> None:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        token = f"{number:02}{len(self.sessions):04}{time.monotonic_ns():016}"[:22]
        _, headers, _ = self._ask("POST", self.entry, f"agrees=on&entry_token={token}".encode(), form)
        path = str(headers["Location"])
        self.sessions.add(path)
        passage = passage_find(self._ask("GET", path, b"", {})[2].decode())
        while passage["phase"] != "finished" and not self._end.is_set():
            code = passage["trials"][0]
            side = ("first", "second")[hash(code) % 2]
            answer = {"trial": code, "chosen_side": side, "rt_ms": 640, "was_hidden": False}
            json_type = {"Content-Type": "application/json"}
            passage = json.loads(self._ask("POST", f"{path}answer", json.dumps(answer).encode(), json_type)[2])[
                "passage"
            ]
            self.acknowledged[code] = side
            time.sleep(0.05)

    def _ask(self, verb: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any, bytes]:
        """Send a request until it is answered, as `transport.js` does: refused connections and 5xx are tried again."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with suppress(OSError, http.client.HTTPException), self._connected() as connection:
                connection.request(verb, path, body, headers)
                response = connection.getresponse()
                content = response.read()
                if response.status < http.client.INTERNAL_SERVER_ERROR:
                    assert response.status in {200, 303}, f"{verb} {path} got {response.status}: {content[:200]!r}"
                    return response.status, response.headers, content
            assert time.monotonic() < deadline, f"{verb} {path} was not answered within {PATIENCE_S} s"
            self.waited += 1
            time.sleep(0.1)

    @contextmanager
    def _connected(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE_S)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def voting(self, raters: int) -> Iterator[None]:
        """Let raters vote while the block runs."""
        threads = [threading.Thread(target=self.play, args=(number,)) for number in range(raters)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            for thread in threads:
                thread.join()

    def check(self, ask: Ask) -> tuple[int, int]:
        """Return how many acknowledged votes the database has lost or changed, and how many it has doubled."""
        acknowledged = dict(self.acknowledged)  # before the database is asked: raters go on meanwhile
        kept = ask(KEPT)
        sides = {str(code): side for code, side in kept}
        lost = sum(sides.get(code) != side for code, side in acknowledged.items())
        return lost, len(kept) - len(sides)
