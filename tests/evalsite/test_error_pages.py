"""Addresses that lead nowhere, and the home address."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from studies.models import StudyState
from tests.factories import make_photo_set, make_study


@pytest.mark.django_db
def test_home_leads_to_the_admin(client: Client) -> None:
    response = client.get("/")
    assert (response.status_code, response["Location"]) == (302, "/admin/")


@pytest.mark.django_db
def test_an_address_that_leads_nowhere_gets_a_page_of_ours(client: Client) -> None:
    response = client.get("/nowhere")
    assert response.status_code == 404
    assert b"There is nothing at this address" in response.content


@pytest.mark.django_db
def test_what_is_not_allowed_gets_a_page_of_ours(client: Client) -> None:
    study = make_study(state=StudyState.OPEN)
    client.force_login(study.owner)
    response = client.get(reverse("admin:studies_study_delete", args=[study.pk]))
    assert response.status_code == 403
    assert b"Nothing was changed" in response.content


@pytest.mark.django_db
def test_more_files_than_a_form_takes_gets_a_page_that_says_the_cure(client: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 1
    photo_set = make_photo_set(photos=0)
    client.force_login(photo_set.owner)
    files = [SimpleUploadedFile(f"{i}.png", b"x") for i in range(3)]
    response = client.post(reverse("admin:studies_photoset_upload", args=[photo_set.pk]), {"files": files})
    assert response.status_code == 400
    assert b"send fewer at once, or one zip" in response.content


@pytest.mark.django_db
def test_a_fault_of_ours_gets_a_page_that_says_what_is_kept(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_kwargs: str) -> None:
        raise RuntimeError("made to fail")

    monkeypatch.setattr("studies.views.rating.session_get", fail)
    client.raise_request_exception = False
    response = client.get("/r/some-code/")
    assert response.status_code == 500
    assert b"Everything you answered before is kept" in response.content
