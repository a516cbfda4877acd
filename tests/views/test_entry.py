"""The landing page: what a rater is told, consent, and the start of a session."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse

from studies.models import Origin, RatingSession, Study, StudyState
from studies.models.choices import token_make
from studies.services.sessions import origin_sign
from studies.services.studies import study_close, study_pause
from tests.factories import make_open_study, make_session, make_study

pytestmark = pytest.mark.django_db


def landing(study: Study, origin: Origin | None = None) -> str:
    query = f"?origin={origin_sign(study=study, origin=origin)}" if origin else ""
    return reverse("studies:entry", args=[study.code]) + query


def test_landing_says_what_is_asked_and_starts_nothing(client: Client) -> None:
    study = make_open_study(practice_count=2, test_count=4, golden_count=1, consent_text="One.\n\nTwo & <three>.")
    response = client.get(landing(study))
    page = response.content.decode()
    assert response.status_code == 200
    assert study.title in page
    assert "<p>One.</p>" in page
    assert "<p>Two &amp; &lt;three&gt;.</p>" in page
    assert "<strong>5</strong> pairs of pictures" in page
    assert not RatingSession.objects.exists()


def test_estimate_of_the_time_is_that_of_showings_and_answers(client: Client) -> None:
    study = make_open_study(practice_count=2, test_count=4, golden_count=1, exposure_ms=10_000)
    # 7 x (0.9 + 2 x 10 + 0.6 + 1.5) s = 161 s
    assert "<strong>3</strong> minutes" in client.get(landing(study)).content.decode()


def test_consent_starts_a_session_and_leads_to_it(client: Client) -> None:
    study = make_open_study()
    response = client.post(landing(study), {"agrees": "on"})
    session = RatingSession.objects.get()
    assert (response.status_code, response["Location"]) == (303, reverse("studies:rate", args=[session.code]))
    assert (session.study, session.rater.origin) == (study, Origin.PERSON)


def test_without_consent_nothing_starts(client: Client) -> None:
    study = make_open_study()
    response = client.post(landing(study), {})
    assert response.status_code == 400
    assert "Please tick the box first" in response.content.decode()
    assert not RatingSession.objects.exists()


def token_on(page: Any) -> str:
    found = re.findall(r'<input type="hidden" name="entry_token" value="([-\w]{22})">', page.content.decode())
    assert len(found) == 1
    return str(found[0])


def test_each_page_has_a_token_of_its_own(client: Client) -> None:
    study = make_open_study()
    assert token_on(client.get(landing(study))) != token_on(client.get(landing(study)))


def test_form_that_is_sent_twice_starts_one_session(client: Client) -> None:
    study = make_open_study(raters_wanted=1, preset="founding_mixed")
    form = {"agrees": "on", "entry_token": token_on(client.get(landing(study)))}
    first = client.post(landing(study), form)
    second = client.post(landing(study), form)  # though the study is full now
    assert (first.status_code, second.status_code) == (303, 303)
    assert first["Location"] == second["Location"]
    study_pause(study=study)
    assert client.post(landing(study), form)["Location"] == first["Location"]
    study_close(study=study)
    assert client.post(landing(study), form)["Location"] == first["Location"]
    assert RatingSession.objects.get().entry_token == form["entry_token"]


def test_form_that_was_refused_keeps_its_token(client: Client) -> None:
    study = make_open_study()
    token = token_on(client.get(landing(study)))
    assert token_on(client.post(landing(study), {"entry_token": token})) == token


def test_form_without_a_token_starts_a_session_each_time(client: Client) -> None:
    study = make_open_study()
    places = {client.post(landing(study), {"agrees": "on"})["Location"] for _ in range(2)}
    assert len(places) == RatingSession.objects.count() == 2


def test_token_of_another_study_or_origin_is_no_session_here(client: Client) -> None:
    study, other = make_open_study(), make_open_study()
    form = {"agrees": "on", "entry_token": token_make()}
    addresses = (landing(study), landing(other), landing(study, Origin.PREVIEW))
    places = {client.post(address, form)["Location"] for address in addresses}
    assert len(places) == RatingSession.objects.count() == 3


@pytest.mark.parametrize("token", ["short", "x" * 23, "a b" + "x" * 19, "\0" * 22, "é" * 22])
def test_token_that_no_page_made_is_refused_in_a_sentence(client: Client, token: str) -> None:
    study = make_open_study()
    response = client.post(landing(study), {"agrees": "on", "entry_token": token})
    assert response.status_code == 400
    assert 'role="alert"' in response.content.decode()
    assert token_on(response) != token
    assert not RatingSession.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_form_that_is_sent_many_times_at_once_starts_one_session() -> None:
    study = make_open_study()
    form = {"agrees": "on", "entry_token": token_make()}

    def send(_: int) -> str:
        try:
            return str(Client().post(landing(study), form)["Location"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        places = set(pool.map(send, range(8)))
    assert len(places) == RatingSession.objects.count() == 1


def test_consent_needs_no_cookie_and_no_csrf_token() -> None:
    study = make_open_study()
    response = Client(enforce_csrf_checks=True).post(landing(study), {"agrees": "on"})
    assert response.status_code == 303


@pytest.mark.parametrize("state", [StudyState.READY, StudyState.OPEN, StudyState.PAUSED])
def test_preview_can_be_had_before_opening_and_is_marked(client: Client, state: StudyState) -> None:
    study = make_study(state=state)
    address = landing(study, Origin.PREVIEW)
    assert "Preview: answers are stored apart" in client.get(address).content.decode()
    response = client.post(address, {"agrees": "on"}, follow=True)
    assert RatingSession.objects.get().rater.origin == Origin.PREVIEW
    assert "Preview: answers are stored apart" in response.content.decode()


def test_form_of_a_preview_goes_where_the_preview_is(client: Client) -> None:
    study = make_open_study()
    address = landing(study, Origin.PREVIEW)
    assert f'action="{address}"' in client.get(address).content.decode()


def test_simulated_rater_is_marked(client: Client) -> None:
    study = make_open_study()
    address = landing(study, Origin.SIMULATED)
    assert "Simulated rater" in client.get(address).content.decode()
    client.post(address, {"agrees": "on"})
    assert RatingSession.objects.get().rater.origin == Origin.SIMULATED


def test_forged_or_foreign_token_is_refused(client: Client) -> None:
    study, other = make_open_study(), make_open_study()
    foreign = origin_sign(study=other, origin=Origin.PREVIEW)
    for token in ("preview", foreign, foreign + "x"):
        response = client.post(f"{landing(study)}?origin={token}", {"agrees": "on"})
        assert response.status_code == 403
        assert "This link cannot be used" in response.content.decode()
    assert not RatingSession.objects.exists()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (StudyState.DRAFT, "It has not opened yet"),
        (StudyState.PREPARING, "It has not opened yet"),
        (StudyState.READY, "It has not opened yet"),
        (StudyState.PAUSED, "It is paused"),
        (StudyState.CLOSED, "It is closed"),
    ],
)
def test_study_that_is_not_open_says_so_and_starts_nothing(client: Client, state: StudyState, words: str) -> None:
    study = make_study(state=state)
    response = client.get(landing(study))
    assert response.status_code == 409
    assert words in response.content.decode()
    assert client.post(landing(study), {"agrees": "on"}).status_code == 409
    assert not RatingSession.objects.exists()


def test_full_study_says_so(client: Client) -> None:
    study = make_open_study(raters_wanted=1)
    make_session(study)
    make_session(study)  # two methods, one rater each
    response = client.post(landing(study), {"agrees": "on"})
    assert response.status_code == 409
    assert "Every place is taken" in response.content.decode()


def test_unknown_study_has_a_page(client: Client) -> None:
    response = client.get(reverse("studies:entry", args=["no-such-study"]))
    assert response.status_code == 404
    assert "There is no study at this address" in response.content.decode()
