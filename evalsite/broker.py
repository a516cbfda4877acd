"""The embedded default's message broker: a folder. One host, a few messages a second, nothing to install.

Celery's own `filesystem` transport has two gaps that lose or double a task: a message can be read before it is wholly
written, and a message is taken by a copy to the system's temporary folder, which two workers can both do when that is
another file system. Here a message appears whole and is taken by one rename.
"""

import json
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem


class Channel(filesystem.Channel):
    """A channel whose messages are files in `data_folder_in`, which is also `data_folder_out`."""

    @property
    def _folder(self) -> Path:
        return Path(self.data_folder_in)

    def _put(  # type: ignore[override] # kombu's own two signatures of this method differ
        self, queue: str, payload: dict[str, Any], **_kwargs: Any
    ) -> None:
        """Add a message; its name sorts by time, so that messages are taken in the order they came."""
        draft = self._folder / f"{uuid.uuid4()}.draft"
        draft.write_text(json.dumps(payload), encoding="utf-8")
        draft.rename(self._folder / f"{time.time_ns():020d}_{draft.stem}.{queue}.msg")

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:  # noqa: ARG002 -- kombu's signature
        """Take the oldest message of a queue.

        Raises:
            Empty: There is none.
        """
        for file in sorted(self._folder.glob("*.msg")):
            if file.name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = self._folder / f"{uuid.uuid4()}.taken"
            try:
                file.rename(taken)
            except FileNotFoundError:
                continue  # Another worker took it.
            payload: dict[str, Any] = json.loads(taken.read_text(encoding="utf-8"))
            taken.unlink()
            return payload
        raise Empty


class Transport(filesystem.Transport):
    """What `CELERY_BROKER_TRANSPORT` names: the folder as a broker."""

    Channel = Channel

    @property
    def default_connection_params(self) -> dict[str, Any]:
        """Name no host to fall back on: a folder has none."""
        return {}
