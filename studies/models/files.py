"""Files that go with their rows, and where uploads wait as they came."""

import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage
from django.db import transaction
from django.db.models.fields.files import FieldFile


class IncomingStorage(FileSystemStorage):
    """Files as they came, before a worker has looked into them: a folder of their own, which nothing serves."""

    @property
    def base_location(self) -> Path:
        """Return the folder, as settings say now."""
        return Path(settings.INCOMING_DIR)

    @property
    def location(self) -> str:
        """Return the folder, from the root."""
        return str(self.base_location.resolve())

    def url(self, name: str | None) -> str:
        """Refuse: what came from outside has no address.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"The upload {name} has no address; it is read by the worker alone.")


def incoming_storage() -> IncomingStorage:
    """Return the storage of uploads; they can be read by the site's own account alone."""
    return IncomingStorage(file_permissions_mode=0o600)


def incoming_name(_row: Any, _filename: str) -> str:
    """Return a name for an upload that tells nothing, and has nothing of the name that it came under."""
    return secrets.token_hex(16)


def file_delete_on_commit(file: FieldFile) -> None:
    """Delete a row's file once the deletion of the row is certain; a row without one is passed over."""
    if file:
        transaction.on_commit(lambda: file.storage.delete(str(file.name)))
