import io
import struct
import tracemalloc
import zipfile
from collections.abc import Iterable

import pytest

from studies.errors import ArchiveRejected, EvalsiteError, PhotoRejected
from studies.images import ArchiveMember, Limits, archive_members
from tests.images import hostile
from tests.images.hostile import symbolic_link, with_headers_patched, zipped

PHOTO = hostile.saved(hostile.picture(), "PNG")


def read(archive: bytes, limits: Limits | None = None) -> list[ArchiveMember | PhotoRejected]:
    return list(archive_members(io.BytesIO(archive), name="photos.zip", limits=limits or Limits()))


def names(found: Iterable[ArchiveMember | PhotoRejected]) -> list[str]:
    return [member.name for member in found if isinstance(member, ArchiveMember)]


def refusal(archive: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(ArchiveRejected) as caught:
        archive_members(io.BytesIO(archive), name="photos.zip", limits=limits or Limits())
    sentence = str(caught.value)
    assert sentence.startswith('"photos.zip" ')
    assert sentence.endswith(".")
    return sentence


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_files_of_a_zip_come_in_order_with_their_bytes(method: int) -> None:
    archive = zipped({"b.png": PHOTO, "rooms/a.jpg": b"", "c": b"text"}, method)
    assert read(archive) == [("b.png", PHOTO), ("rooms/a.jpg", b""), ("c", b"text")]


def test_a_zip_behind_other_data_or_with_a_comment_is_read() -> None:
    file = io.BytesIO(b"#!/bin/sh\n")
    file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = b"holiday" * 500
        archive.writestr("a.png", PHOTO)
    assert read(file.getvalue()) == [("a.png", PHOTO)]


def test_a_file_without_a_name_is_read_without_a_crash() -> None:
    archive = zipped({"a.png": PHOTO}).replace(struct.pack("<3H", 5, 0, 0), struct.pack("<3H", 0, 0, 5))
    assert len(read(archive)) == 1


def test_folders_and_files_of_the_system_are_passed_over_in_silence() -> None:
    archive = zipped(
        {
            "rooms/": b"",
            "__MACOSX/rooms/._a.png": b"x",
            ".DS_Store": b"x",
            "rooms/.hidden/b.png": b"x",
            "rooms/Thumbs.db": b"x",
            "desktop.ini": b"x",
            "rooms/a.png": PHOTO,
        }
    )
    assert read(archive) == [("rooms/a.png", PHOTO)]


BOMB = zipped({"bad.png": bytes(20_000_000)})
NESTED = zipped({"bad.zip": zipped({"a.png": PHOTO})})


@pytest.mark.parametrize(
    ("archive", "bad", "wrong", "cure"),
    [
        pytest.param(
            zipped({"../../evil.png": PHOTO}), "../../evil.png", "leads outside", "under a plain name", id="parent"
        ),
        pytest.param(
            zipped({"a/../../evil.png": PHOTO}), "a/../../evil.png", "leads outside", "under a plain name", id="inner"
        ),
        pytest.param(
            zipped({"/etc/passwd": b"x"}), "/etc/passwd", "leads outside", "under a plain name", id="absolute"
        ),
        pytest.param(
            zipped({"C:\\evil.png": PHOTO}), "C:\\evil.png", "leads outside", "under a plain name", id="drive letter"
        ),
        pytest.param(
            zipped({"..\\evil.png": PHOTO}), "..\\evil.png", "leads outside", "under a plain name", id="backslash"
        ),
        pytest.param(
            zipped({symbolic_link("bad.png"): b"/etc/passwd"}),
            "bad.png",
            "is a link",
            "put the photo itself",
            id="link",
        ),
        pytest.param(
            with_headers_patched(zipped({"bad.png": PHOTO}), "bad.png", flags=1),
            "bad.png",
            "locked with a password",
            "pack it without one",
            id="encrypted",
        ),
        pytest.param(NESTED, "bad.zip", "archive inside the archive", "upload it by itself", id="nested"),
        pytest.param(
            zipped({"bad.png": PHOTO}, zipfile.ZIP_LZMA), "bad.png", "method", "as an ordinary zip", id="LZMA"
        ),
        pytest.param(
            zipped({"bad.png": bytes(26_000_000)}, zipfile.ZIP_STORED),
            "bad.png",
            "more than 25 MB",
            "save it smaller",
            id="long",
        ),
        pytest.param(BOMB, "bad.png", "200 times its packed length", "export it as a JPEG", id="bomb"),
        pytest.param(
            with_headers_patched(BOMB, "bad.png", size=1_000), "bad.png", "is damaged", "pack it once more", id="lie"
        ),
        pytest.param(
            zipped({"bad.png": PHOTO}, zipfile.ZIP_STORED).replace(PHOTO[-30:], bytes(30)),
            "bad.png",
            "is damaged",
            "pack it once more",
            id="wrong checksum",
        ),
    ],
)
def test_a_bad_entry_gets_one_sentence(archive: bytes, bad: str, wrong: str, cure: str) -> None:
    (rejection,) = read(archive)
    assert isinstance(rejection, PhotoRejected)
    assert rejection.name == bad
    sentence = str(rejection)
    assert sentence.startswith(f'"{bad}" ')
    assert wrong in sentence
    assert cure in sentence.partition(": ")[2]
    assert sentence.endswith(".")
    assert ". " not in sentence


def test_the_good_ones_of_the_same_archive_are_kept() -> None:
    archive = with_headers_patched(
        zipped(
            {
                "1.png": PHOTO,
                "../2.png": PHOTO,
                "3.png": PHOTO,
                symbolic_link("4.png"): b"3.png",
                "5.png": PHOTO,
                "6.png": bytes(20_000_000),
                "7.png": PHOTO,
                "8.png": PHOTO,
            }
        ),
        "5.png",
        flags=1,
    )
    found = read(archive)
    assert names(found) == ["1.png", "3.png", "7.png", "8.png"]
    assert [entry.name for entry in found if isinstance(entry, PhotoRejected)] == [
        "../2.png",
        "4.png",
        "5.png",
        "6.png",
    ]


def test_a_damaged_entry_does_not_end_the_reading() -> None:
    archive = zipped({"1.png": PHOTO, "2.png": b"unique bytes" * 9, "3.png": PHOTO}, zipfile.ZIP_STORED)
    found = read(archive.replace(b"unique", b"UNIQUE", 1))
    assert names(found) == ["1.png", "3.png"]
    assert "is damaged inside the archive" in str(found[1])


def test_reading_stops_where_the_archive_unpacks_to_too_much() -> None:
    archive = zipped({f"{i}.png": bytes(1_000) for i in range(5)}, zipfile.ZIP_STORED)
    found = read(archive, Limits(archive_unpacked_bytes=3_000))
    assert names(found) == ["0.png", "1.png", "2.png"]
    assert str(found[3]) == (
        '"3.png" and what follows it were not read, since the archive unpacks to more than 0.003 MB: '
        "upload the rest in a second zip."
    )
    assert len(found) == 4


def test_an_entry_that_lies_about_its_length_is_not_unpacked() -> None:
    archive = with_headers_patched(BOMB, "bad.png", size=1_000)
    tracemalloc.start()
    read(archive)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


@pytest.mark.parametrize("declared", [None, 3])
def test_a_million_entries_are_refused_unread_whatever_number_is_declared(declared: int | None) -> None:
    archive = hostile.zip_of_many_entries(1_000_000, declared=declared)
    tracemalloc.start()
    sentence = refusal(archive)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 2 * len(archive)  # a list of the entries would take ten times that
    assert sentence == ('"photos.zip" has more than 5000 entries: pack the photos in several smaller zip files.')


def test_the_limit_of_entries_is_inclusive() -> None:
    archive = zipped({f"{i}.png": b"" for i in range(4)})
    assert len(read(archive, Limits(archive_entries=4))) == 4
    assert "more than 3 entries" in refusal(archive, Limits(archive_entries=3))


@pytest.mark.parametrize(
    ("archive", "wrong", "cure"),
    [
        pytest.param(b"", "is not a zip file", "pack the photos", id="no bytes"),
        pytest.param(PHOTO, "is not a zip file", "pack the photos", id="a photo"),
        pytest.param(zipped({"a.png": PHOTO})[:-40], "is damaged", "pack the photos", id="cut off"),
        pytest.param(
            zipped({"a.png": PHOTO}).replace(b"PK\1\2", b"PK\0\0"), "is damaged", "pack the photos", id="directory"
        ),
        pytest.param(zipped({}), "is empty", "put photos in it", id="no entries"),
    ],
)
def test_an_archive_that_cannot_be_read_is_refused_with_a_cure(archive: bytes, wrong: str, cure: str) -> None:
    sentence = refusal(archive)
    assert wrong in sentence
    assert cure in sentence.partition(": ")[2]


def test_an_archive_that_is_too_long_is_refused_unread() -> None:
    assert "has more than 0.001 MB: pack the photos in several" in refusal(bytes(2_000), Limits(archive_bytes=1_000))


def test_a_refused_archive_is_an_error_of_the_domain_and_a_refused_photo_of_another_kind() -> None:
    with pytest.raises(EvalsiteError) as caught:
        archive_members(io.BytesIO(b""))
    assert not isinstance(caught.value, PhotoRejected)
