"""Photos from a browser: out of reach as they came, decoded by the worker, and none lost or doubled on the way."""

import io
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from PIL import Image

from studies import tasks
from studies.decoding import Decoder
from studies.errors import UploadStateWrong
from studies.models import PhotoSet, PhotoUpload, UploadState
from studies.services import photo_uploads
from studies.services.incoming import upload_again, upload_claim, upload_end, upload_hold, upload_stop
from studies.services.photo_uploads import photo_upload_discard, photo_upload_run, photo_uploads_begin
from studies.services.photos import photo_cut
from tests.factories import make_photo_set, make_picture, png_bytes
from tests.images import hostile

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = b"<script>alert(document.domain)</script>"


def begin(photo_set: PhotoSet, *files: tuple[str, bytes]) -> PhotoUpload:
    (upload,) = photo_uploads_begin(photo_set=photo_set, files=[(name, io.BytesIO(data)) for name, data in files])
    return upload


def begin_photos(photo_set: PhotoSet, count: int) -> PhotoUpload:
    return begin(photo_set, *((f"photo-{i}.png", png_bytes(make_picture(size=40, seed=i))) for i in range(count)))


def run(upload: PhotoUpload) -> PhotoUpload:
    tasks.photo_upload_run(upload.pk)
    upload.refresh_from_db()
    return upload


def kept_as_it_came() -> list[Path]:
    return [path for path in Path(settings.INCOMING_DIR).rglob("*") if path.is_file()]


def test_an_upload_waits_under_a_name_of_its_own_outside_what_is_served() -> None:
    upload = begin(make_photo_set(photos=0), ("../../evil.php", png_bytes(make_picture())))
    (path,) = kept_as_it_came()
    assert Path(settings.MEDIA_ROOT) not in path.parents
    assert len(path.name) == 32
    assert int(path.name, 16) > 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ValueError, match="has no address"):
        _ = upload.file.url
    run(upload)
    assert kept_as_it_came() == []


def test_every_zip_is_an_upload_of_its_own_and_single_photos_are_one_together() -> None:
    photo_set = make_photo_set(photos=0)
    first, second, third, fourth = (png_bytes(make_picture(seed=i)) for i in range(4))
    files = [("a.png", first), ("b.zip", hostile.zipped({"in/b.png": second, "in/c.png": third})), ("d.png", fourth)]
    uploads = photo_uploads_begin(photo_set=photo_set, files=[(name, io.BytesIO(data)) for name, data in files])
    assert [upload.name for upload in uploads] == ["b.zip", "2 files"]
    assert [(run(upload).added, upload.files_total) for upload in uploads] == [(2, 2), (2, 2)]
    assert sorted(photo_set.photos.values_list("name", flat=True)) == ["a.png", "b.png", "c.png", "d.png"]


def test_hostile_files_are_named_in_the_report_and_nothing_of_them_is_kept() -> None:
    good = png_bytes(make_picture(size=40, seed=1))
    polyglot = png_bytes(make_picture(size=40, seed=2)) + SCRIPT + hostile.zipped({"evil.png": good})
    gif = hostile.saved(hostile.picture(), "GIF")
    photo_set = make_photo_set(photos=0)
    archive = hostile.zipped(
        {
            "good.png": good,
            "polyglot.png": polyglot,
            "a-gif.jpg": gif,
            "page.png": SCRIPT,
            "pixels.png": hostile.png_bomb(),
            "pixels.gif": hostile.gif_bomb(),
            "cut.png": good[: len(good) // 2],
            "../outside.png": good,
            "/root.png": good,
            hostile.symbolic_link("link.png"): b"/etc/passwd",
            "inner.zip": hostile.zipped({"x.png": good}),
            "zeros.png": bytes(20_000_000),
        }
    )
    upload = run(begin(photo_set, ("photos.zip", archive)))
    assert (upload.state, upload.added, upload.files_checked) == (UploadState.CHECKED, 3, 12)
    assert sorted(photo_set.photos.values_list("name", flat=True)) == ["a-gif.jpg", "good.png", "polyglot.png"]
    reasons = dict(sentence.split(" ", 1) for sentence in upload.findings["rejected"])
    expected = {
        "page.png": "is not a JPEG, PNG",
        "pixels.png": "has more than 50 million pixels",
        "pixels.gif": "has more than 50 million pixels",
        "cut.png": "is damaged or cut off",
        "../outside.png": "has a path that leads outside",
        "/root.png": "has a path that leads outside",
        "link.png": "is a link or another special file",
        "inner.zip": "is an archive inside the archive",
        "zeros.png": "unpacks to over 200 times its packed length",
    }
    assert {name.strip('"') for name in reasons} == set(expected)
    for name, beginning in expected.items():
        assert reasons[f'"{name}"'].startswith(beginning), reasons
    for path in (path for path in Path(default_storage.path("")).rglob("*") if path.is_file()):
        data = path.read_bytes()
        assert Image.open(io.BytesIO(data)).format == "PNG"
        assert SCRIPT not in data
        assert b"PK\x03\x04" not in data
    assert kept_as_it_came() == []


def test_a_picture_that_takes_too_long_is_left_out_and_the_next_one_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_uploads, "Decoder", partial(Decoder, cpu_s=1))
    good = png_bytes(make_picture(size=40, seed=1))
    upload = run(begin(make_photo_set(photos=0), ("slow.jpg", hostile.slow_jpeg()), ("next.png", good)))
    assert (upload.state, upload.added, upload.files_checked) == (UploadState.CHECKED, 1, 2)
    assert "slow.jpg" in upload.findings["rejected"][0]
    assert "takes over 1 seconds to open" in upload.findings["rejected"][0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (hostile.zip_of_many_entries(6_000), "has more than 5000 entries"),
        (hostile.zip_of_many_entries(100_000, declared=1), "has more than 5000 entries"),
        (b"PK\x03\x04 and no more", "is not a zip file, or is damaged"),
        (hostile.zipped({}), "is empty"),
    ],
)
def test_a_zip_that_cannot_be_read_fails_with_its_reason_and_is_not_kept(data: bytes, reason: str) -> None:
    upload = run(begin(make_photo_set(photos=0), ("photos.zip", data)))
    assert upload.state == UploadState.FAILED
    assert upload.reason.startswith(f'"photos.zip" {reason}')
    assert kept_as_it_came() == []
    with pytest.raises(UploadStateWrong, match="is failed and cannot be run again; upload its files once more"):
        upload_again(upload=upload)


def test_an_upload_that_was_stopped_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_uploads, "SLICE_S", -1.0)  # one file a slice
    photo_set = make_photo_set(photos=0)
    upload = begin_photos(photo_set, 4)
    assert photo_upload_run(key=upload.pk)
    assert photo_upload_run(key=upload.pk)
    upload_stop(upload=upload)
    assert not photo_upload_run(key=upload.pk)
    assert (upload.state, upload.files_checked, photo_set.photos.count()) == (UploadState.STOPPED, 2, 2)
    assert len(kept_as_it_came()) == 1
    with pytest.raises(UploadStateWrong, match="is stopped, so there is nothing to stop"):
        upload_stop(upload=upload)
    upload_again(upload=upload)
    run(upload)
    assert (upload.state, upload.files_checked, upload.added) == (UploadState.CHECKED, 4, 4)
    assert upload.findings == {}
    assert photo_set.photos.count() == 4


def test_what_breaks_is_said_and_can_be_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    photo_set = make_photo_set(photos=0)
    upload = begin_photos(photo_set, 3)

    def full(**_options: object) -> int:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(photo_uploads, "pieces_keep", full)
        run(upload)
    assert upload.state == UploadState.FAILED
    assert "could not be checked (OSError: no space left); run it again" in upload.reason
    assert photo_set.photos.count() == 0
    upload_again(upload=upload)
    assert (run(upload).state, upload.reason, upload.added) == (UploadState.CHECKED, "", 3)


def test_an_upload_that_keeps_the_worker_busy_for_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_uploads, "WORK_S", 0)
    photo_set = make_photo_set(photos=0)
    upload = run(begin_photos(photo_set, 3))
    assert upload.state == UploadState.FAILED
    assert "what was read until then is in the set" in upload.reason
    assert photo_set.photos.count() == upload.added == 1


@pytest.mark.parametrize(
    "meddle",
    [
        lambda upload: upload_claim(PhotoUpload, key=upload.pk),
        lambda upload: upload_stop(upload=upload),
        lambda upload: photo_upload_discard(upload=upload),
    ],
    ids=["another worker", "stopped", "discarded"],
)
def test_an_attempt_that_is_void_keeps_nothing_more(
    meddle: Callable[[PhotoUpload], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo_set = make_photo_set(photos=0)
    upload = begin_photos(photo_set, 3)
    opened = []

    def interrupted(file: object, **options: object) -> object:
        opened.append(file)
        if len(opened) == 2:
            meddle(PhotoUpload.objects.get(pk=upload.pk))
        return photo_cut(file, **options)  # type: ignore[arg-type] # handed on as they came

    monkeypatch.setattr(photo_uploads, "photo_cut", interrupted)
    assert not photo_upload_run(key=upload.pk)
    assert photo_set.photos.count() == 1
    files = [path for path in Path(default_storage.path("")).rglob("*") if path.is_file()]
    assert len(files) == 2  # the photo and its low-resolution version


def test_only_the_newest_attempt_can_end_an_upload() -> None:
    upload = begin_photos(make_photo_set(photos=0), 1)
    first, second = (upload_claim(PhotoUpload, key=upload.pk) for _ in range(2))
    assert first is not None
    assert second is not None
    assert not upload_hold(first, files_checked=9)
    assert not upload_end(first, state=UploadState.FAILED, reason="late")
    assert upload_end(second, state=UploadState.CHECKED)
    upload.refresh_from_db()
    assert (upload.state, upload.files_checked) == (UploadState.CHECKED, 0)
