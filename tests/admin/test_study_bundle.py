"""The bundle on the results page: prepared by the worker, downloaded, and made anew once something has changed."""

import io
import zipfile

import pytest
from django.test import Client
from django.urls import reverse

from studies import tasks
from studies.models import About, Bundle, BundleState, Origin, Researcher, Study
from studies.services.bundles import bundle_order
from studies.services.events import event_record
from studies.services.studies import study_close
from tests.factories import make_open_study, make_session

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def study(researcher: Researcher) -> Study:
    study = make_open_study(owner=researcher)
    make_session(study)
    return study


def address(name: str, study: Study) -> str:
    return reverse(f"admin:studies_study_{name}", args=[study.pk])


def downloaded(client: Client, study: Study) -> bytes:
    response = client.get(address("bundle", study))
    assert response.headers["Content-Type"] == "application/zip"
    data = b"".join(response.streaming_content)  # type: ignore[attr-defined] # it streams
    response.close()
    return data


def test_bundle_is_prepared_then_downloaded_then_prepared_anew_after_a_change(client: Client, study: Study) -> None:
    study_close(study=study)
    assert "Prepare the bundle" in client.get(address("results", study)).content.decode()
    assert client.get(address("bundle_progress", study)).json()["version"] == "none"
    early = client.get(address("bundle", study), follow=True).content.decode()
    assert "This bundle is not there any more, or not yet" in early
    page = client.post(address("bundle", study), follow=True).content.decode()
    assert "Download the bundle" in page
    data = downloaded(client, study)
    assert f"{study.slug}/README.md" in zipfile.ZipFile(io.BytesIO(data)).namelist()
    old = Bundle.objects.get()
    assert old.sha256 in page

    event_record(study=study, about=About.OTHER, sentence="Something else was done.")
    assert "Prepare the bundle" in client.get(address("results", study)).content.decode()
    client.post(address("bundle", study))
    assert b"Something else was done." in zipfile.ZipFile(io.BytesIO(downloaded(client, study))).read(
        f"{study.slug}/events.csv"
    )
    assert not old.file.storage.exists(str(old.file.name))


def test_bundle_of_people_waits_for_the_end_of_the_study(client: Client, study: Study) -> None:
    assert "Prepare the bundle" not in client.get(address("results", study)).content.decode()
    page = client.post(address("bundle", study), follow=True).content.decode()
    assert "its bundle can be made once it is closed" in page
    assert not Bundle.objects.exists()
    make_session(study, origin=Origin.SIMULATED)
    client.post(address("bundle", study) + "?origin=simulated")
    assert Bundle.objects.get().state == BundleState.READY


def test_what_kept_a_bundle_from_being_made_is_said_and_it_can_be_tried_again(client: Client, study: Study) -> None:
    study_close(study=study)
    photo = study.photo_set.photos.earliest("pk")
    picture = photo.high_res.open("rb").read()
    photo.high_res.close()
    photo.high_res.storage.delete(str(photo.high_res.name))
    page = client.post(address("bundle", study), follow=True).content.decode()
    assert "bring it back from a backup" in page
    photo.high_res.storage.save(str(photo.high_res.name), io.BytesIO(picture))
    assert "Download the bundle" in client.post(address("bundle", study), follow=True).content.decode()


def test_a_bundle_that_a_stopped_worker_left_is_taken_up(study: Study) -> None:
    study_close(study=study)
    bundle = bundle_order(study=study, origin=Origin.PERSON)
    assert bundle_order(study=study, origin=Origin.PERSON).state == BundleState.WAITING
    tasks.work_resume()
    bundle.refresh_from_db()
    assert bundle.state == BundleState.READY
    tasks.bundle_make(bundle.pk)  # a message that comes twice
    assert Bundle.objects.get().sha256 == bundle.sha256
