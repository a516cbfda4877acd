"""Files that go with their rows."""

from django.db import transaction
from django.db.models.fields.files import FieldFile


def file_delete_on_commit(file: FieldFile) -> None:
    """Delete a row's file once the deletion of the row is certain; a row without one is passed over."""
    if file:
        transaction.on_commit(lambda: file.storage.delete(str(file.name)))
