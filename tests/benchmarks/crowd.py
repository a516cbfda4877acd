"""A crowd of raters for benchmarks: HTTP/1.1 over connections that stay open, bounded in number and in time."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlencode, urlsplit

FORM = "application/x-www-form-urlencoded"
STATE = re.compile(r'<script id="state" type="application/json">(.*?)</script>', re.DOTALL)


@dataclass
class Load:
    """What a crowd did in a time.

    Attributes:
        votes: Answers that were acknowledged.
        took_s: In seconds, from the first request to the last reply.
        times_s: How long each request took, by what it was: "start", "page", "vote".
        errors: What went wrong.
    """

    votes: int = 0
    took_s: float = 0.0
    times_s: dict[str, list[float]] = field(default_factory=lambda: {"start": [], "page": [], "vote": []})
    errors: list[str] = field(default_factory=list)

    def rate(self) -> float:
        """Return votes a second."""
        return self.votes / self.took_s

    def quantile_ms(self, what: str, share: float) -> float:
        """Return a quantile of the times of one kind of request, in milliseconds; NaN without any."""
        times = sorted(self.times_s[what])
        return 1000 * times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")


class Client:
    """One rater's connection."""

    def __init__(self, address: str, load: Load) -> None:
        """Remember where to connect, and where to note how long requests take."""
        self._host = urlsplit(address).netloc
        self._load = load
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, what: str, verb: str, path: str, body: bytes = b"", kind: str = "application/json"
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request and return status, headers (their names in small letters) and body.

        Raises:
            ConnectionError: If the server hangs up.
        """
        began = time.perf_counter()
        if self._streams is None:
            name, _, port = self._host.partition(":")
            self._streams = await asyncio.open_connection(name, int(port))
        reader, writer = self._streams
        head = f"{verb} {path} HTTP/1.1\r\nHost: {self._host}\r\n"
        head += f"Content-Length: {len(body)}\r\nContent-Type: {kind}\r\n\r\n"
        writer.write(head.encode() + body)
        status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            content = await _chunks_read(reader)
        else:
            content = await reader.readexactly(int(headers.get("content-length", "0")))
        self._load.times_s[what].append(time.perf_counter() - began)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return int(status_line.split()[1]), headers, content

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _chunks_read(reader: asyncio.StreamReader) -> bytes:
    """Read a body that comes in chunks."""
    content = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        content += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return content


Session = Callable[[Client, Load, Callable[[], bool]], Awaitable[None]]
"""Play one session with a client until it ends or the function says that time is up; votes are noted in the load."""


def crowd_play(address: str, sessions: Iterator[Session], *, at_once: int, seconds: float) -> Load:
    """Let a crowd play, each rater one session after the other, until the time is up or there are no more sessions."""
    return asyncio.run(_crowd(address, sessions, at_once=at_once, seconds=seconds))


async def _crowd(address: str, sessions: Iterator[Session], *, at_once: int, seconds: float) -> Load:
    load = Load()
    began = time.perf_counter()

    def is_over() -> bool:
        return time.perf_counter() - began > seconds

    async def play() -> None:
        client = Client(address, load)
        for session in sessions:
            if is_over():
                break
            try:
                await session(client, load, is_over)
            except (OSError, EOFError, ValueError, LookupError, asyncio.IncompleteReadError) as error:
                load.errors.append(f"{type(error).__name__}: {error}")
                client.close()
        client.close()

    await asyncio.gather(*(play() for _ in range(at_once)))
    load.took_s = time.perf_counter() - began
    return load


def evalsite_session(entry: str) -> Session:
    """Return a session of this site: consent, the page, and then an answer for each vote."""

    async def play(client: Client, load: Load, is_over: Callable[[], bool]) -> None:
        _, headers, _ = await client.ask("start", "POST", entry, b"agrees=on", FORM)
        await begun_session(headers["location"])(client, load, is_over)

    return play


def begun_session(address: str, *, pause_s: float = 0.0) -> Session:
    """Return a session that was started before, at its address: it asks for what the trial page asks for."""

    async def play(client: Client, load: Load, is_over: Callable[[], bool]) -> None:
        found = STATE.search((await client.ask("page", "GET", address))[2].decode())
        if found is None:
            raise ValueError("the page of a session holds no state")
        passage = json.loads(unescape(found[1]))["passage"]
        there: set[str] = set()
        while passage["phase"] != "finished" and not is_over():
            for code in passage["trials"]:
                if code not in there:
                    status, _, _ = await client.ask("page", "GET", f"{address}t/{code}")
                    if status != 200:
                        raise ValueError(f"pictures got {status}")
                    there.add(code)
            await asyncio.sleep(pause_s)
            code = passage["trials"][0]
            answer = ANSWER | {"trial": code, "chosen_side": ("first", "second")[load.votes % 2]}
            status, _, body = await client.ask("vote", "POST", f"{address}answer", json.dumps(answer).encode())
            if status != 200:
                raise ValueError(f"an answer got {status}")
            load.votes += 1
            reply = json.loads(body)
            passage = reply["passage"]
            if reply["pictures"]:
                there.add(reply["pictures"]["trial"])

    return play


ANSWER: dict[str, Any] = {
    "rt_ms": 700,
    "exposure_first_ms": 1000.0,
    "exposure_second_ms": 1000.0,
    "frames_first": 60,
    "frames_second": 60,
    "frame_interval_ms": 16.7,
    "was_hidden": False,
    "lost_focus": False,
    "focus_losses": 0,
    "automation": "",
    "device_scale": 8,
    "pixel_ratio": 1.0,
}


def otree_session(participant: str) -> Session:
    """Return a session of oTree: for each vote a page, and the form on it."""

    async def play(client: Client, load: Load, is_over: Callable[[], bool]) -> None:
        _, headers, _ = await client.ask("start", "GET", f"/InitializeParticipant/{participant}")
        while "/Vote/" in headers["location"] and not is_over():
            page = urlsplit(headers["location"]).path
            status, _, _ = await client.ask("page", "GET", page)
            body = urlencode({"side": ("first", "second")[load.votes % 2], "rt_ms": 700}).encode()
            voted, headers, _ = await client.ask("vote", "POST", page, body, FORM)
            if (status, voted // 100) != (200, 3):
                raise ValueError(f"a page got {status}, its form {voted}")
            load.votes += 1

    return play


def start_session(entry: str, addresses: list[str]) -> Session:
    """Return a session that is only started; its address is added to a list."""

    async def play(client: Client, _load: Load, _is_over: Callable[[], bool]) -> None:
        status, headers, _ = await client.ask("start", "POST", entry, b"agrees=on", FORM)
        if status != 303:
            raise ValueError(f"a start got {status}")
        addresses.append(headers["location"])

    return play


def table(rows: Sequence[tuple[str, Load]]) -> str:
    """Return a Markdown table of loads."""
    lines = ["| who | votes/s | votes | POST median, ms | POST 99 %, ms | GET 99 %, ms | start 99 %, ms | errors |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name, load in rows:
        figures = [load.quantile_ms("vote", 0.5), load.quantile_ms("vote", 0.99), load.quantile_ms("page", 0.99)]
        figures.append(load.quantile_ms("start", 0.99))
        shown = " | ".join(f"{figure:.0f}" for figure in figures)
        lines.append(f"| {name} | {load.rate():.1f} | {load.votes} | {shown} | {len(load.errors)} |")
    return "\n".join(lines)
