"""The folder as a message broker."""

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection

from evalsite.broker import Channel, Transport


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    folder = str(tmp_path)
    options = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": str(tmp_path / "control")}
    with Connection(transport=Transport, transport_options=options) as opened:
        yield opened


def open_channel(connection: Connection) -> Any:
    channel = connection.channel()
    assert isinstance(channel, Channel)
    return channel


def take_all(channel: Any, queue: str) -> list[Any]:
    taken = []
    while True:
        try:
            taken.append(channel._get(queue))
        except Empty:
            return taken


def test_messages_are_taken_in_the_order_they_came(connection: Connection) -> None:
    channel = open_channel(connection)
    for number in range(20):
        channel._put("celery", {"number": number})
    assert take_all(channel, "celery") == [{"number": number} for number in range(20)]


def test_message_goes_to_its_own_queue_only(connection: Connection) -> None:
    channel = open_channel(connection)
    channel._put("celery", {"to": "celery"})
    channel._put("other.celery", {"to": "other"})
    assert take_all(channel, "celery") == [{"to": "celery"}]
    assert take_all(channel, "other.celery") == [{"to": "other"}]


def test_taken_messages_leave_no_file(connection: Connection, tmp_path: Path) -> None:
    channel = open_channel(connection)
    channel._put("celery", {"number": 1})
    take_all(channel, "celery")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_two_workers_share_the_messages_while_they_are_being_written(connection: Connection) -> None:
    count = 400
    taken: list[int] = []
    written = threading.Event()

    def work() -> None:
        channel = open_channel(connection)
        while True:
            done = written.is_set()  # looked at first: what was written before is then still found
            taken.extend(message["number"] for message in take_all(channel, "celery"))
            if done:
                return

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    writer = open_channel(connection)
    for number in range(count):
        writer._put("celery", {"number": number, "body": "x" * 5000})
    written.set()
    for worker in workers:
        worker.join()
    assert sorted(taken) == list(range(count))
