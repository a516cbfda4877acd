"""Results without an account: only by a link that is switched on, only of a closed study, and nothing beyond them."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from studies.errors import SharingImpossible
from studies.models import Origin, PublicLink, Recruitment, Saw, Study, StudyState
from studies.services.looks import look_record
from studies.services.sharing import public_link_close, public_link_open
from studies.services.studies import study_close
from tests.factories import make_crowd, make_open_study, make_small_study

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def study() -> Study:
    study = make_open_study(preset="founding_mixed", test_count=6, golden_count=1)
    Recruitment.objects.create(study=study, panel="prolific", exits={"completed": "SECRET1"})
    make_crowd(study, raters=4)
    look_record(study=study, who="ada.lovelace", saw=Saw.RATES, shown="table", origin=Origin.PERSON)
    study_close(study=study)
    return study


def page_of(link: PublicLink) -> str:
    response = Client().get(reverse("studies:public", args=[link.code]))
    assert response.status_code == 200
    return response.content.decode()


def test_link_shows_results_and_every_file_on_the_page_leaves(study: Study) -> None:
    link = public_link_open(study=study, gives_bundle=False)
    page = page_of(link)
    assert "Results by condition" in page
    assert "account-1" in page
    for secret in ("ada.lovelace", "SECRET1", study.code, study.owner.username, reverse("admin:index") + "studies"):
        assert secret not in page, secret
    for never in ("responses.csv", "<script", "<form", "style="):
        assert never not in page, never
    addresses = {found.replace("&amp;", "&") for found in re.findall(rf'"(/p/{link.code}/[^"]+)"', page)}
    assert len(addresses) > 20
    for address in addresses:
        response = Client().get(address)
        assert response.status_code == 200, address
        assert response.headers["X-Robots-Tag"] == "noindex, nofollow"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "Cookie" not in response.headers.get("Vary", "")
        assert "default-src" in response.headers["Content-Security-Policy"]
    for nothing in ("figures/other.svg", "figures/fool-rates.gif", "table/excel", "table/other.csv", "bundle/"):
        assert Client().get(f"/p/{link.code}/{nothing}").status_code == 404, nothing
    assert Client().post(f"/p/{link.code}/").status_code == 405


def test_link_that_is_switched_off_never_works_again(study: Study) -> None:
    link = public_link_open(study=study, gives_bundle=False)
    assert public_link_open(study=study, gives_bundle=False).code == link.code
    public_link_close(study=study)
    again = public_link_open(study=study, gives_bundle=False)
    assert again.code != link.code
    assert len(again.code) >= 20
    for tail in ("", "table/csv", "figures/fool-rates.svg", "samples.png"):
        assert Client().get(f"/p/{link.code}/{tail}").status_code == 404
    assert [event.sentence for event in study.events.filter(about="sharing")] == [
        "Let anybody with the public link read the results.",
        "Switched the public link off.",
        "Let anybody with the public link read the results.",
    ]


@pytest.mark.parametrize("state", [StudyState.DRAFT, StudyState.OPEN, StudyState.PAUSED])
def test_results_that_are_hidden_are_not_public(state: StudyState) -> None:
    study = make_small_study(state=state)
    with pytest.raises(SharingImpossible, match="once the study is closed"):
        public_link_open(study=study, gives_bundle=False)
    link = PublicLink.objects.create(study=study)  # past the service
    assert Client().get(reverse("studies:public", args=[link.code])).status_code == 404


def test_owner_switches_the_link_on_with_the_bundle_after_a_question_and_off(study: Study) -> None:
    client = Client()
    client.force_login(study.owner)

    def address(name: str) -> str:
        return reverse(f"admin:studies_study_{name}", args=[study.pk])

    assert "Switch the link on" in client.get(address("sharing")).content.decode()
    page = client.post(address("link_open"), {"gives_bundle": "on"}, follow=True).content.decode()
    assert "Tick that the results may be public" in page
    assert not PublicLink.objects.exists()
    page = client.post(address("link_open"), {"gives_bundle": "on", "is_sure": "on"}, follow=True).content.decode()
    link = PublicLink.objects.get()
    assert f"http://testserver/p/{link.code}/" in page
    assert "Download the bundle" in page_of(link)
    response = Client().get(f"/p/{link.code}/bundle/")
    assert response.headers["Content-Type"] == "application/zip"
    assert b"".join(response.streaming_content).startswith(b"PK")  # type: ignore[attr-defined] # it streams
    response.close()
    client.post(address("link_close"))
    assert not PublicLink.objects.exists()
    assert Client().get(f"/p/{link.code}/bundle/").status_code == 404
