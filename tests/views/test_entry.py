"""The landing page: what a rater is told, consent, and the start of a session."""

import pytest
from django.test import Client
from django.urls import reverse

from studies.models import Origin, RatingSession, Study, StudyState
from studies.services.sessions import origin_sign
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
