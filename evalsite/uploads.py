"""Requests that bring too many bytes are refused by their declared length, before a byte of a file is kept."""

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler


class BoundedUploadHandler(FileUploadHandler):
    """The first handler of every form with files: signed-in researchers may send an upload, others a form's fields."""

    def handle_raw_input(
        self,
        input_data: Any,  # noqa: ARG002 -- Django's signature, as are the three below
        META: dict[str, Any],  # noqa: ARG002
        content_length: int,
        boundary: str,  # noqa: ARG002
        encoding: str | None = None,  # noqa: ARG002
    ) -> None:
        """Refuse what is too long.

        Raises:
            RequestDataTooBig: Which is answered by the page of status 400.
        """
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if content_length <= most:
            return  # a rater's form: nobody asks who it is, nor reads a cookie
        user = getattr(self.request, "user", None)
        if user is not None and user.is_authenticated:
            most = settings.UPLOAD_MAX_BYTES
        if content_length > most:
            raise RequestDataTooBig(f"The request has {content_length} bytes, of at most {most}; send less at once.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:  # noqa: ARG002 -- Django's signature
        """Hand everything on to the handlers that keep files."""
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Leave the file to the handlers that keep it."""
