"""A worker is killed while it checks an upload of photos: the next one loses and doubles nothing."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.worker.test_worker import WORKER

PHOTOS = 40
MAKE = f"""
import io
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from studies import tasks
from studies.services.photo_uploads import photo_uploads_begin
from tests.factories import make_photo_set, make_picture, png_bytes
photo_set = make_photo_set(photos=0)
files = [(f"{{i}}.png", io.BytesIO(png_bytes(make_picture(size=600, seed=i)))) for i in range({PHOTOS})]
tasks.photo_uploads_enqueue(photo_uploads_begin(photo_set=photo_set, files=files))
"""
LOOK = """
import django; django.setup()
from pathlib import Path
from django.conf import settings
from studies.models import Photo, PhotoUpload
upload = PhotoUpload.objects.get()
files = [path for path in Path(settings.MEDIA_ROOT).rglob("*.png")]
named = {Path(str(f.path)) for photo in Photo.objects.all() for f in (photo.high_res, photo.low_res)}
print(upload.state, upload.added, Photo.objects.count(), upload.findings, named <= set(files), upload.attempt)
"""


@pytest.mark.slow
@pytest.mark.worker
def test_an_upload_outlives_a_worker_that_is_killed(tmp_path: Path) -> None:
    environment = os.environ | {"EVALSITE_DATA_DIR": str(tmp_path), "EVALSITE_LOG_LEVEL": "WARNING"}

    def python(program: str) -> str:
        command = [sys.executable, "-c", program]
        return subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout.strip()

    @contextmanager
    def worker() -> "Iterator[subprocess.Popen[bytes]]":
        with (tmp_path / "log").open("a") as log:
            process = subprocess.Popen(WORKER, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def wait(process: "subprocess.Popen[bytes]", until: Callable[[str, int], bool]) -> None:
        deadline = time.monotonic() + 120
        with closing(sqlite3.connect(tmp_path / "evalsite.sqlite3")) as database:
            while not until(*database.execute("select state, files_checked from studies_photoupload").fetchone()):
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.005)

    python(MAKE)
    with worker() as first:
        wait(first, lambda _state, checked: checked >= 3)
    state, *_ = python(LOOK).split()
    assert state == "checking"
    with worker() as second:
        wait(second, lambda state, _checked: state != "checking")
    assert python(LOOK) == f"checked {PHOTOS} {PHOTOS} {{}} True 2", (tmp_path / "log").read_text()
