"""Addresses that lead nowhere, and the home address."""

import pytest
from django.test import Client


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
def test_a_fault_of_ours_gets_a_page_that_says_what_is_kept(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_kwargs: str) -> None:
        raise RuntimeError("made to fail")

    monkeypatch.setattr("studies.views.rating.session_get", fail)
    client.raise_request_exception = False
    response = client.get("/r/some-code/")
    assert response.status_code == 500
    assert b"Everything you answered before is kept" in response.content
