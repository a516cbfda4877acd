"""A worker is killed while it checks an upload of photos: the next one loses and doubles nothing."""

from pathlib import Path

import pytest

from tests.worker.embedded import Embedded

PHOTOS = 40
MAKE = f"""
import io
from studies import tasks
from studies.services.photo_uploads import photo_uploads_begin
from tests.factories import make_photo_set, make_picture, png_bytes
photo_set = make_photo_set(photos=0)
files = [(f"{{i}}.png", io.BytesIO(png_bytes(make_picture(size=600, seed=i)))) for i in range({PHOTOS})]
tasks.photo_uploads_enqueue(photo_uploads_begin(photo_set=photo_set, files=files))
"""
LOOK = """
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
    site = Embedded(tmp_path)
    site.make(MAKE)
    with site.worker() as first:
        site.wait(first, lambda: site.ask("select files_checked >= 3 from studies_photoupload") == [(1,)])
    assert site.ask("select state from studies_photoupload") == [("checking",)]
    with site.worker() as second:
        site.wait(second, lambda: site.ask("select state from studies_photoupload") != [("checking",)])
    assert site.python(LOOK) == ["checked", f"{PHOTOS}", f"{PHOTOS}", "{}", "True", "2"], site.said
