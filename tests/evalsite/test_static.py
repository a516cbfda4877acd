"""Static files have plain names until they are collected, hashed names afterwards."""

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.templatetags.static import static
from django.test import Client

pytestmark = pytest.mark.django_db  # closing a response looks at the connection that an earlier test may have opened


@pytest.fixture
def static_root(settings: Any, tmp_path: Path) -> Path:
    root = settings.STATIC_ROOT = tmp_path / "static"
    root.mkdir()
    staticfiles_storage._setup()  # type: ignore[attr-defined] # the storage made by an earlier test knows another folder
    return root


@pytest.mark.usefixtures("static_root")
def test_uncollected_file_keeps_its_name_and_is_served(client: Client) -> None:
    address = static("admin/css/base.css")
    assert address == "/static/admin/css/base.css"
    with contextlib.closing(client.get(address)) as response:
        assert response.status_code == 200


@pytest.mark.usefixtures("static_root")
def test_browser_that_asks_for_an_icon_is_led_to_one(client: Client) -> None:
    with contextlib.closing(client.get("/favicon.ico", follow=True)) as response:
        assert (response.status_code, response["Content-Type"]) == (200, "image/svg+xml")


def test_collected_file_has_a_hashed_name_that_never_goes_stale(static_root: Path) -> None:
    call_command("collectstatic", interactive=False, stdout=io.StringIO())
    staticfiles_storage._setup()  # type: ignore[attr-defined] # as a process does that starts after collectstatic
    address = static("admin/css/base.css")
    assert address != "/static/admin/css/base.css"
    assert (static_root / address.removeprefix("/static/")).exists()
    with contextlib.closing(Client().get(address)) as response:
        assert response.status_code == 200
        assert "immutable" in response["Cache-Control"]
