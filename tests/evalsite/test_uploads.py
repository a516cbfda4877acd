"""Requests that bring too much are refused by their length."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from tests.factories import make_photo_set, make_researcher, make_study

pytestmark = pytest.mark.django_db

FILE = b"x" * 3_000_000


def test_a_researcher_may_send_files_up_to_a_limit_for_the_whole_request(client: Client, settings: Any) -> None:
    researcher = make_researcher()
    client.force_login(researcher)
    address = reverse("admin:studies_photoset_upload", args=[make_photo_set(owner=researcher, photos=0).pk])
    assert client.post(address, {"photos": SimpleUploadedFile("a.png", FILE)}).status_code == 302
    settings.UPLOAD_MAX_BYTES = 2_900_000
    assert client.post(address, {"photos": SimpleUploadedFile("a.png", FILE)}).status_code == 400


def test_raters_send_no_files(client: Client) -> None:
    address = reverse("studies:entry", args=[make_study().code])
    assert client.post(address, {"consent": SimpleUploadedFile("a.png", FILE)}).status_code == 400
    assert client.post(address, {"consent": SimpleUploadedFile("a.png", b"small")}).status_code < 500
