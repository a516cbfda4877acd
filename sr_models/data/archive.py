"""A `.zip` of pictures, taken for hostile: nothing is unpacked but one photo at a time, and that into memory."""

import hashlib
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from sr_models.data.errors import DataError, shown
from sr_models.data.pictures import ENDINGS, FILE_BYTES_MOST
from sr_models.data.source import EncodedFile

ENTRIES_MOST = 1_000_000
"""Most entries of a zip, folders and other files included."""

_LOCAL_HEADER = struct.Struct("<4s22x2H")
"""Of the header before an entry's bytes: its signature, the length of the name and of the extra field behind it."""


class ZipFiles:
    """The pictures of a zip, in the order of their names; see `source.Files`.

    What an entry declares is checked when the zip is opened: its path, that it is a plain file, its packing and its
    length. When it is read, it is unpacked up to the declared length, and must have that and its checksum. Of the
    directory only names and numbers are kept, and each reading opens the file anew, so that processes and threads do
    not disturb each other.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            zip_bytes = path.stat().st_size
            with _BoundedZipFile(path) as archive:
                entries = archive.infolist()
        except _TooManyEntriesError as error:
            raise DataError(
                f"{path.name} has more than {ENTRIES_MOST} entries; unpack it and give the folder, or make several."
            ) from error
        except Exception as error:
            raise DataError(f"{path.name} is not a readable zip, or is cut off; copy it once more.") from error
        entries = [entry for entry in entries if not _is_hidden(entry)]
        pictures = [entry for entry in entries if entry.filename.lower().endswith(ENDINGS)]
        pictures.sort(key=lambda entry: entry.filename)
        self.passed_over = len(entries) - len(pictures)
        for entry in pictures:
            reason = _reason_to_refuse(entry, zip_bytes=zip_bytes)
            if reason is not None:
                raise DataError(f"{shown(entry.filename)} in {path.name} {reason}.")
        self._names = [entry.filename for entry in pictures]
        self.lengths = np.array([entry.file_size for entry in pictures], np.int64)
        self._packed_lengths = np.array([entry.compress_size for entry in pictures], np.int64)
        self._offsets = np.array([entry.header_offset for entry in pictures], np.int64)
        self._checksums = np.array([entry.CRC for entry in pictures], np.uint32)
        self._is_packed = np.array([entry.compress_type == zipfile.ZIP_DEFLATED for entry in pictures], bool)
        digest = hashlib.sha256()
        for entry in pictures:
            digest.update(entry.filename.encode() + b"\0%d %d\n" % (entry.file_size, entry.CRC))
        self.listing = digest.digest()

    def file_name(self, number: int) -> str:
        return shown(self._names[number])

    def files_read(self, numbers: NDArray[np.int64]) -> list[EncodedFile]:
        try:
            with self._path.open("rb") as file:
                return [EncodedFile(self.file_name(int(i)), self._entry_read(file, int(i))) for i in numbers]
        except OSError as error:
            raise DataError(
                f"{self._path.name} cannot be read any more ({error.strerror}); leave it where it is while it is used."
            ) from error

    def checksums(self, numbers: NDArray[np.int64]) -> NDArray[np.uint32]:
        return self._checksums[numbers]

    def _entry_read(self, file: BinaryIO, number: int) -> bytes:
        length = int(self.lengths[number])
        try:
            file.seek(self._offsets[number])
            signature, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            file.seek(name_bytes + extra_bytes, 1)
            data = file.read(self._packed_lengths[number])
            if self._is_packed[number]:
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, length + 1)
        except (struct.error, zlib.error):
            signature, data = b"", b""
        if signature != b"PK\3\4" or len(data) != length or zlib.crc32(data) != self._checksums[number]:
            raise DataError(
                f"{self.file_name(number)} in {self._path.name} is damaged inside the zip; pack it once more."
            )
        return data


class _TooManyEntriesError(Exception):
    """A zip lists more entries than are allowed."""


class _BoundedList(list[zipfile.ZipInfo]):
    """A list that grows to `ENTRIES_MOST` and no further."""

    def append(self, entry: zipfile.ZipInfo, /) -> None:
        if len(self) == ENTRIES_MOST:
            raise _TooManyEntriesError
        super().append(entry)


class _BoundedZipFile(zipfile.ZipFile):
    """A zip of which only so many entries are listed; the number that it declares may be a lie."""

    @property
    def filelist(self) -> list[zipfile.ZipInfo]:
        return self._entries

    @filelist.setter
    def filelist(self, entries: list[zipfile.ZipInfo]) -> None:
        self._entries = _BoundedList(entries)


def _is_hidden(entry: zipfile.ZipInfo) -> bool:
    parts = entry.filename.replace("\\", "/").split("/")  # a folder's name ends in "/", so that its last part is empty
    return not parts[-1] or any(part == "__MACOSX" or (part[:1] == "." and part not in {".", ".."}) for part in parts)


def _reason_to_refuse(entry: zipfile.ZipInfo, *, zip_bytes: int) -> str | None:
    """Say why an entry must not be read, from the zip's directory alone."""
    path = entry.filename.replace("\\", "/")
    reasons = (
        (
            path.startswith("/") or path[1:2] == ":" or ".." in path.split("/"),
            "has a path that leads outside the zip; pack it once more under a plain name",
        ),
        (
            stat.S_IFMT(entry.external_attr >> 16) not in {0, stat.S_IFREG},
            "is a link or another special file; put the photo itself in the zip",
        ),
        (not 0 <= entry.header_offset < zip_bytes, "is said to lie outside the zip; pack it once more"),
        (bool(entry.flag_bits & 0x1), "is locked with a password; pack it without one"),
        (
            entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED},
            "is packed by a method that is not read here; pack it as an ordinary zip",
        ),
        (
            max(entry.file_size, entry.compress_size) > FILE_BYTES_MOST,
            f"has more than {FILE_BYTES_MOST / 1e6:g} MB; save it smaller or take it out of the set",
        ),
    )
    return next((reason for applies, reason in reasons if applies), None)
