"""Uploads: the good ones are kept, the others are named, and nothing is kept twice."""

import io
import zipfile

import numpy as np
import pytest
from django.core.files.storage import default_storage

from studies import images
from studies.models import Cropping, Photo
from studies.selectors.pictures import bank_get, picture_read
from studies.services.photos import photo_set_create, photos_add, uploads_expand
from tests.factories import make_photo_set, make_picture, make_researcher, png_bytes

pytestmark = pytest.mark.django_db


def test_good_photos_of_an_upload_are_kept_beside_bad_ones() -> None:
    photo_set = make_photo_set(photos=0)
    good = png_bytes(make_picture(size=40, seed=1))
    report = photos_add(
        photo_set=photo_set, files=[("a.png", good), ("b.png", b"no picture"), ("again.png", good), ("c.png", b"")]
    )
    assert (report.added, report.duplicates) == (1, ("again.png",))
    assert [name for name, _ in report.rejected] == ["b.png", "c.png"]
    assert all(f'"{name}"' in sentence for name, sentence in report.rejected)
    assert photo_set.photos.get().name == "a.png"


def test_a_photo_is_kept_with_its_low_resolution_version() -> None:
    photo_set = make_photo_set(photos=0)
    picture = make_picture(size=32, seed=2)
    photos_add(photo_set=photo_set, files=[("a.png", png_bytes(picture))])
    photo = photo_set.photos.get()
    assert (picture_read(photo.high_res) == picture).all()
    low_res = picture_read(photo.low_res)
    assert low_res.shape == (8, 8, 3)
    assert abs(low_res.mean() - picture.mean()) < 2
    assert photo.sha256 == images.sha256_of(picture)
    assert "a.png" not in str(photo.high_res.name)  # what was uploaded names no file of ours


def test_tiles_share_their_source() -> None:
    photo_set = photo_set_create(owner=make_researcher(), name="tiles", cropping=Cropping.TILES)
    picture = np.random.default_rng(0).integers(0, 256, (130, 200, 3), dtype=np.uint8)
    report = photos_add(photo_set=photo_set, files=[("room.png", png_bytes(picture))])
    assert report.added == Photo.objects.count() > 3
    assert Photo.objects.values("source_sha256").distinct().count() == 1
    assert Photo.objects.first().name.startswith("room.png, row 1")  # type: ignore[union-attr] # there are some


def test_a_zip_is_opened_and_what_is_wrong_in_it_reported() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("in/a.png", png_bytes(make_picture(seed=3)))
        file.writestr("../evil.png", png_bytes(make_picture(seed=4)))
        file.writestr("notes.txt", "hello")
    archive.seek(0)
    broken = io.BytesIO(b"PK\x03\x04 and no more")
    photo_set = make_photo_set(photos=0)
    report = photos_add(photo_set=photo_set, files=uploads_expand([("set.zip", archive), ("broken.zip", broken)]))
    assert report.added == 1
    assert [name for name, _ in report.rejected] == ["../evil.png", "notes.txt", "broken.zip"]


def test_the_same_photo_may_be_in_two_sets_and_each_file_is_on_the_disk() -> None:
    data = png_bytes(make_picture(seed=5))
    for _ in range(2):
        assert photos_add(photo_set=make_photo_set(photos=0), files=[("a.png", data)]).added == 1
    for photo in Photo.objects.all():
        assert default_storage.exists(str(photo.high_res))
        assert default_storage.exists(str(photo.low_res))


def test_a_bank_holds_its_photos_in_order_under_one_digest() -> None:
    photo_set = make_photo_set(photos=3)
    bank = bank_get(photo_set)
    assert (bank.low_res.shape, bank.high_res.shape) == ((3, 8, 8, 3), (3, 32, 32, 3))
    assert len(bank.digest) == 64
    assert bank_get(make_photo_set(photos=3)).digest != bank.digest
