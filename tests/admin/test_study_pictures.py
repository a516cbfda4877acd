"""A researcher brings pictures made elsewhere into a study: inputs out, pictures in, a report, and a question first."""

import io
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from studies.images import Limits
from studies.models import Researcher, Study, StudyState, UploadedPicture
from studies.services.studies import ConditionSpec
from tests.factories import make_picture, make_researcher, make_small_study, png_bytes

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def study(researcher: Researcher) -> Study:
    conditions = (ConditionSpec("bicubic"), ConditionSpec("uploaded", label="Diffusion"))
    return make_small_study(owner=researcher, state=StudyState.DRAFT, conditions=conditions)


def address(study: Study, tail: str = "") -> str:
    return reverse("admin:studies_study_pictures", args=[study.pk, "diffusion"]) + tail


def names_of_inputs(client: Client, study: Study) -> list[str]:
    response = client.get(address(study, "inputs.zip"))
    assert response.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as archive:  # type: ignore[attr-defined] # it streams
        return archive.namelist()


def upload(client: Client, study: Study, files: dict[str, bytes]) -> str:
    sent = {"pictures": [SimpleUploadedFile(name, data) for name, data in files.items()]}
    response = client.post(address(study), sent, follow=True)
    return " ".join(response.content.decode().split())


def test_pictures_are_reported_on_then_taken_over_then_replaced_after_a_question(client: Client, study: Study) -> None:
    page = client.get(reverse("admin:studies_study_change", args=[study.pk])).content.decode()
    assert "Pictures of “Diffusion” are missing." in page
    assert address(study) in page
    names = names_of_inputs(client, study)
    assert len(names) == 4
    good = {name: png_bytes(make_picture(seed=i)) for i, name in enumerate(names)}

    page = upload(client, study, dict(list(good.items())[:3]) | {"stranger.png": b"?"})
    assert "3 pictures belong to photos of the study." in page
    assert "Of no photo of this study: 1" in page
    assert "Still missing afterwards: 1</h3>" in page
    assert "Take over 3 pictures </button>" in page
    assert not UploadedPicture.objects.filter(upload=None).exists()

    page = client.post(address(study, "take/"), follow=True).content.decode()
    assert "Took over 3 pictures of “Diffusion”, 0 of them replaced." in page
    assert "3 of 4 photos have a picture made elsewhere" in page
    picture = UploadedPicture.objects.get(name=names[0])
    served = client.get(address(study, f"{picture.pk}.png"))
    assert served.headers["Content-Type"] == "image/png"
    assert served.content != good[names[0]] or served.content.startswith(b"\x89PNG")

    page = upload(client, study, good)
    assert "Take over 4 pictures, replacing 3 </button>" in page
    client.post(address(study, "take/"))
    page = client.get(reverse("admin:studies_study_change", args=[study.pk])).content.decode()
    assert "All set: 4 photos, 2 conditions." in page
    history = client.get(reverse("admin:studies_study_history", args=[study.pk])).content.decode()
    assert "Took over 4 pictures of “Diffusion”, 3 of them replaced." in history


def test_upload_can_be_discarded_and_its_progress_asked_for(client: Client, study: Study) -> None:
    upload(client, study, {"stranger.png": b"?"})
    progress = client.get(address(study, "progress.json")).json()
    assert progress["texts"] == {"checked": "1"}
    page = client.post(address(study, "discard/"), follow=True).content.decode()
    assert "The upload is gone" in page
    assert client.get(address(study, "progress.json")).json()["version"] == "none"
    page = client.post(address(study, "take/"), follow=True).content.decode()
    assert "No upload of “Diffusion” can be taken over, since there is none; upload first." in page


def test_what_cannot_be_taken_in_is_said_at_the_form(
    client: Client, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "This field is required" in upload(client, study, {})
    monkeypatch.setattr("studies.forms.DEFAULT_LIMITS", Limits(archive_bytes=1_000_000))
    page = upload(client, study, {"large.zip": bytes(2_000_000)})
    assert "These are 2 MB, of at most 1: upload them in several parts." in page


def test_pictures_of_others_and_of_other_methods_are_not_there(client: Client, study: Study) -> None:
    name = names_of_inputs(client, study)[0]
    upload(client, study, {name: png_bytes(make_picture())})
    client.post(address(study, "take/"))
    picture = UploadedPicture.objects.get()
    assert client.get(address(study).replace("diffusion", "bicubic")).status_code == 404
    stranger = Client()
    stranger.force_login(make_researcher())
    for tail in ("", "inputs.zip", "progress.json", f"{picture.pk}.png"):
        assert stranger.get(address(study, tail)).status_code == 404
    assert stranger.post(address(study, "take/")).status_code == 404
    for tail in ("take/", "discard/"):
        assert client.get(address(study, tail)).status_code == 405


def test_condition_form_leads_to_its_pictures_and_keeps_them_under_a_new_label(client: Client, study: Study) -> None:
    conditions = reverse("admin:studies_study_conditions", args=[study.pk])
    assert address(study) in client.get(conditions).content.decode()
    names = names_of_inputs(client, study)
    upload(client, study, {name: png_bytes(make_picture(seed=i)) for i, name in enumerate(names)})
    client.post(address(study, "take/"))
    form = {
        "conditions-TOTAL_FORMS": 1,
        "conditions-INITIAL_FORMS": 1,
        "conditions-0-method": "uploaded",
        "conditions-0-label": "GAN",
        "conditions-0-role": "test",
        "conditions-0-was": "diffusion",
        "conditions-0-ORDER": 1,
    }
    client.post(conditions, form)
    page = client.get(address(study).replace("diffusion", "gan")).content.decode()
    assert "GAN: 4 of 4 photos have a picture made elsewhere" in page


def test_study_that_is_no_draft_shows_its_pictures_and_takes_none(client: Client, study: Study) -> None:
    Study.objects.filter(pk=study.pk).update(state=StudyState.PREPARING)
    assert "Take the study back to draft to change its pictures." in client.get(address(study)).content.decode()
    page = upload(client, study, {"a.png": b"?"})
    assert "is preparing; its pictures can change only while it is a draft." in page
