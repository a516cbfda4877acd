"""What is named inside a form or behind an own object is not taken from others either."""

import io
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from studies.models import PhotoSet, PhotoUpload, Researcher, Study, StudyState, TrainingRun
from studies.services.photo_uploads import photo_uploads_begin
from tests.factories import make_photo_set, make_picture, make_researcher, make_study, png_bytes

pytestmark = pytest.mark.django_db


@pytest.fixture
def own(researcher: Researcher) -> PhotoSet:
    return make_photo_set(owner=researcher, photos=8)


@pytest.fixture
def foreign() -> PhotoSet:
    return make_photo_set(owner=make_researcher(), photos=8)


def begin(photo_set: PhotoSet) -> PhotoUpload:
    files = [("photo.png", io.BytesIO(png_bytes(make_picture(seed=photo_set.pk))))]
    return photo_uploads_begin(photo_set=photo_set, files=files)[0]


def test_study_is_made_of_own_photos_only(client: Client, own: PhotoSet, foreign: PhotoSet) -> None:
    form: dict[str, Any] = {"title": "Rooms", "seed": 3, "high_res_size": 32, "low_res_size": 8, "cropping": "centre"}
    client.post(reverse("admin:studies_study_add"), form | {"slug": "theirs", "photo_set": foreign.pk})
    client.post(reverse("admin:studies_study_add"), form | {"slug": "mine", "photo_set": own.pk})
    assert not Study.objects.filter(photo_set=foreign).exists()
    assert Study.objects.filter(photo_set=own).count() == 1


def test_bank_of_a_condition_is_an_own_one(
    client: Client, researcher: Researcher, own: PhotoSet, foreign: PhotoSet
) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    address = reverse("admin:studies_study_conditions", args=[study.pk])
    for bank, is_taken in ((foreign, False), (own, True)):
        row = {"method": "nearest_neighbour", "role": "test", "label": "Nearest", "bank": bank.pk, "ORDER": 1}
        fields = {"conditions-TOTAL_FORMS": 1, "conditions-INITIAL_FORMS": 0}
        response = client.post(address, fields | {f"conditions-0-{name}": value for name, value in row.items()})
        assert study.conditions.filter(bank=bank).exists() == is_taken, response.content


def test_network_is_trained_on_own_photos_only(client: Client, own: PhotoSet, foreign: PhotoSet) -> None:
    for photo_set, is_refused in ((foreign, True), (own, False)):
        response = client.post(reverse("admin:studies_trainingrun_add"), {"photo_set": photo_set.pk})
        assert ("photo_set" in response.context["form"].errors) == is_refused
    assert not TrainingRun.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_upload_of_others_is_not_reached_through_an_own_set(client: Client, own: PhotoSet, foreign: PhotoSet) -> None:
    theirs, mine = begin(foreign), begin(own)
    for photo_set, upload, status in (
        (own, theirs, 404),
        (foreign, theirs, 404),
        (foreign, mine, 404),
        (own, mine, 302),
    ):
        address = reverse("admin:studies_photoset_discard", args=[photo_set.pk, upload.pk])
        assert client.post(address).status_code == status
    assert list(PhotoUpload.objects.values_list("pk", flat=True)) == [theirs.pk]
