"""A researcher brings photos in: files and zips, good and bad."""

import io
import zipfile
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, TestCase
from django.urls import reverse
from PIL import Image

from studies.models import PhotoSet, Researcher, StudyState
from tests.factories import make_photo_set, make_picture, make_study, png_bytes

pytestmark = pytest.mark.django_db


def page_of(photo_set: PhotoSet) -> str:
    return reverse("admin:studies_photoset_change", args=[photo_set.pk])


def upload(client: Client, photo_set: PhotoSet, *files: tuple[str, bytes]) -> str:
    """Upload files by the form, let the worker check them, and return the text of the page."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        response = client.post(
            reverse("admin:studies_photoset_upload", args=[photo_set.pk]),
            {"photos": [SimpleUploadedFile(name, data) for name, data in files]},
        )
    assert response.headers["Location"] == page_of(photo_set)
    return client.get(page_of(photo_set)).content.decode()


def test_new_set_leads_to_its_page(client: Client, researcher: Researcher) -> None:
    fields = {"name": "Rooms", "high_res_size": 32, "low_res_size": 8, "cropping": "centre"}
    response = client.post(reverse("admin:studies_photoset_add"), fields)
    photo_set = PhotoSet.objects.get()
    assert (photo_set.name, photo_set.owner) == ("Rooms", researcher)
    assert response.headers["Location"] == page_of(photo_set)
    assert "No photos yet" in client.get(page_of(photo_set)).content.decode()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"high_res_size": 32, "low_res_size": 32},
            "32 px do not go into 32 px a whole number of times; take 2, 4, 8, 16.",
        ),
        ({"high_res_size": 32, "low_res_size": 7}, "7 px do not go into 32 px"),
        ({"high_res_size": 5000, "low_res_size": 8}, "less than or equal to 1024"),
        ({"name": "Taken"}, "You have a photo set of this name already"),
    ],
)
def test_set_that_cannot_be_is_refused_at_its_form(
    client: Client, researcher: Researcher, fields: dict[str, str | int], sentence: str
) -> None:
    make_photo_set(owner=researcher, name="Taken", photos=0)
    given = {"name": "Rooms", "high_res_size": 32, "low_res_size": 8, "cropping": "centre"} | fields
    response = client.post(reverse("admin:studies_photoset_add"), given)
    assert response.status_code == 200
    assert sentence in response.content.decode()
    assert PhotoSet.objects.count() == 1


def test_good_files_of_an_upload_are_kept_and_each_bad_one_gets_a_sentence(
    client: Client, researcher: Researcher
) -> None:
    photo_set = make_photo_set(owner=researcher, photos=0)
    cmyk = io.BytesIO()
    Image.new("CMYK", (64, 64)).save(cmyk, "JPEG")
    good = png_bytes(make_picture(size=64, seed=1))
    text = upload(
        client,
        photo_set,
        ("good.png", good),
        ("again.png", good),
        ("other.png", png_bytes(make_picture(size=64, seed=2))),
        ("broken.jpg", b"no picture"),
        ("print.jpg", cmyk.getvalue()),
    )
    assert photo_set.photos.count() == 2
    assert "2 pictures added" in text
    assert "again.png" in text
    assert "broken.jpg&quot; is not a JPEG" in text
    assert "print.jpg&quot; is in CMYK" in text
    # The report stands until it is put away; the photos stay.
    report = photo_set.uploads.get()
    client.post(reverse("admin:studies_photoset_discard", args=[photo_set.pk, report.pk]))
    assert "broken.jpg" not in client.get(page_of(photo_set)).content.decode()
    assert photo_set.photos.count() == 2


def test_zip_is_unpacked_without_its_hostile_entries(client: Client, researcher: Researcher, tmp_path: Path) -> None:
    photo_set = make_photo_set(owner=researcher, photos=0)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("folder/one.png", png_bytes(make_picture(size=64, seed=1)))
        archive.writestr("folder/two.png", png_bytes(make_picture(size=64, seed=2)))
        archive.writestr("../out.png", png_bytes(make_picture(size=64, seed=3)))
    text = upload(client, photo_set, ("photos.zip", packed.getvalue()))
    assert sorted(photo_set.photos.values_list("name", flat=True)) == ["one.png", "two.png"]
    assert "../out.png&quot; has a path that leads outside" in text
    assert not list(tmp_path.rglob("out.png"))


def test_hostile_name_is_shown_as_text(client: Client, researcher: Researcher) -> None:
    photo_set = make_photo_set(owner=researcher, photos=0)
    text = upload(client, photo_set, ("<script>alert(1)</script>.png", b"no picture"))
    assert "<script>alert" not in text
    assert "1 file" in text


def test_upload_without_a_file_says_so(client: Client, researcher: Researcher) -> None:
    photo_set = make_photo_set(owner=researcher, photos=0)
    response = client.post(reverse("admin:studies_photoset_upload", args=[photo_set.pk]))
    assert response.status_code == 422
    assert "This field is required" in response.content.decode()


def test_upload_stands_in_the_history(client: Client, researcher: Researcher) -> None:
    photo_set = make_photo_set(owner=researcher, photos=0)
    upload(client, photo_set, ("good.png", png_bytes(make_picture(size=64, seed=1))))
    history = client.get(reverse("admin:studies_photoset_history", args=[photo_set.pk])).content.decode()
    assert "Uploaded 1 file of photos." in history
    assert researcher.username in history


@pytest.mark.parametrize(("size", "side"), [("high_res", 32), ("low_res", 8)])
def test_photos_are_served_as_png(client: Client, researcher: Researcher, size: str, side: int) -> None:
    photo = make_photo_set(owner=researcher, photos=1).photos.get()
    response = client.get(reverse(f"admin:studies_photo_{size}", args=[photo.pk]))
    assert response.headers["Content-Type"] == "image/png"
    assert "private" in response.headers["Cache-Control"]
    assert Image.open(io.BytesIO(response.content)).size == (side, side)


def test_contact_sheet_has_pages_and_both_sizes(
    client: Client, researcher: Researcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studies.admin.photo_set.PHOTOS_PER_PAGE", 3)
    photo_set = make_photo_set(owner=researcher, photos=4)
    first = client.get(page_of(photo_set)).content.decode()
    assert first.count("/high-res.png") == 3
    second = client.get(page_of(photo_set) + "?show=low_res&page=2").content.decode()
    assert second.count("/low-res.png") == 1


def test_photos_are_never_edited_or_deleted(client: Client, researcher: Researcher) -> None:
    photo_set = make_photo_set(owner=researcher, photos=1)
    photo = photo_set.photos.get()
    assert client.get(reverse("admin:studies_photo_change", args=[photo.pk])).status_code == 200
    assert client.post(reverse("admin:studies_photo_change", args=[photo.pk]), {"name": "x"}).status_code == 403
    assert client.post(reverse("admin:studies_photo_delete", args=[photo.pk]), {"post": "yes"}).status_code == 403
    assert client.get(reverse("admin:studies_photo_add")).status_code == 403
    assert client.post(reverse("admin:studies_photoset_delete", args=[photo_set.pk])).status_code == 403


def test_empty_set_can_be_deleted(client: Client, researcher: Researcher) -> None:
    photo_set = make_photo_set(owner=researcher, photos=0)
    client.post(reverse("admin:studies_photoset_delete", args=[photo_set.pk]), {"post": "yes"})
    assert not PhotoSet.objects.exists()


def test_set_names_the_studies_that_use_it(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    text = client.get(page_of(study.photo_set)).content.decode()
    assert reverse("admin:studies_study_change", args=[study.pk]) in text
