"""Raters leave as they like: before consent, half-way, or at the end, told how they did if the study allows."""

import json
import re
from typing import Any
from urllib.parse import urljoin

import pytest
from django.test import Client
from django.urls import reverse

from studies.models import Kind, Origin, PanelEntry, RatingSession, Recruitment, Response, SessionState, Study
from studies.recruitment import Arrival
from studies.selectors.conduct import conduct_get
from studies.selectors.exports import responses_rows
from studies.selectors.recruitment import Arrivals, arrivals_get
from studies.selectors.responses import votes_get
from studies.selectors.sessions import passage_get
from studies.services.sessions import origin_sign, session_start, session_withdraw
from studies.services.studies import study_close
from tests.factories import answer_current, make_session, make_small_study
from tests.views.player import answer_body

pytestmark = pytest.mark.django_db

COMPLETE_URL = "https://app.prolific.com/submissions/complete?cc="


def address(name: str, session: RatingSession) -> str:
    return reverse(f"studies:{name}", args=[session.code])


def prolific_session(study: Study, **fields: Any) -> RatingSession:
    """Start a session from a panel, with its first answer."""
    exits = {"completed": "DONE", "no_consent": "NOPE", "wrong_device": "PHONE"}
    Recruitment.objects.create(study=study, panel="prolific", exits=exits, **fields)
    session = session_start(study=study, arrival=Arrival("pid1", "sub1"))
    answer_current(session)
    return session


def links_of_page(client: Client, session: RatingSession) -> list[str]:
    page = address("rate", session)
    return [urljoin(page, link) for link in re.findall(r'<a href="(.*?)"', client.get(page).content.decode())]


# --- Withdrawal -------------------------------------------------------------------------------------------------------


def test_asking_to_withdraw_says_what_will_happen_and_does_nothing_yet(client: Client) -> None:
    session = prolific_session(make_small_study())
    assert address("withdraw", session) in links_of_page(client, session)
    text = client.get(address("withdraw", session)).content.decode()
    assert "All answers that you gave are deleted" in text
    session.refresh_from_db()
    assert (session.state, Response.objects.count(), PanelEntry.objects.count()) == ("active", 1, 1)


@pytest.mark.parametrize(("policy", "left"), [("delete", 0), ("keep", 1)])
def test_who_withdraws_is_in_no_table_and_no_export_and_may_start_anew(policy: str, left: int) -> None:
    study = make_small_study()
    session = prolific_session(study, withdrawal=policy)
    response = Client(enforce_csrf_checks=True).post(address("withdraw", session))
    text = response.content.decode()
    assert "You have withdrawn" in text
    assert f'href="{COMPLETE_URL}NOPE"' in text
    session.refresh_from_db()
    assert (session.state, session.completion_code) == (SessionState.WITHDRAWN, "")
    assert (Response.objects.count(), PanelEntry.objects.count()) == (left, 0)
    assert len(votes_get(study, origin=Origin.PERSON).session) == 0
    assert not any(str(session) in row for row in responses_rows(study, origin=Origin.PERSON))
    assert conduct_get(study, origin=Origin.PERSON).responses == 0
    again = Client().get(address("rate", session)).content.decode()
    assert "You have withdrawn" in again
    assert 'id="state"' not in again
    assert session_start(study=study, arrival=Arrival("pid1", "sub1")) != session


def test_another_tab_cannot_answer_after_its_rater_withdrew(client: Client) -> None:
    session = session_start(study=make_small_study())
    code = passage_get(session).trials[0]
    client.post(address("withdraw", session))
    response = client.post(address("answer", session), json.dumps(answer_body(code)), content_type="application/json")
    assert response.status_code == 409
    assert "This session has ended" in response.json()["error"]
    assert not Response.objects.exists()


def test_finished_rater_can_withdraw_though_the_study_is_closed(client: Client) -> None:
    study = make_small_study()
    session = make_session(study)
    study_close(study=study)
    assert "write down your completion code first" in client.get(address("withdraw", session)).content.decode()
    client.post(address("withdraw", session))
    client.post(address("withdraw", session))  # sent twice
    session.refresh_from_db()
    assert session.state == SessionState.WITHDRAWN
    assert not Response.objects.exists()


def test_place_of_who_withdrew_is_free() -> None:
    study = make_small_study(raters_wanted=1, preset="founding_mixed")
    session_withdraw(session=make_session(study))
    assert make_session(study).state == SessionState.COMPLETE


# --- How a rater did --------------------------------------------------------------------------------------------------


def test_rater_is_told_score_and_pairs_at_the_end_if_the_study_allows(client: Client) -> None:
    study = make_small_study(test_count=5, preset="founding_mixed")
    Recruitment.objects.create(study=study, shows_score=True, shows_pairs=True)
    other = session_start(study=study)
    for _ in range(other.trials.count()):
        answer_current(other, correct=True)
    session = session_start(study=study)
    missed = [trial.photo_id for trial in session.trials.filter(kind=Kind.TEST).order_by("position")[:2]]
    for trial in session.trials.order_by("position"):
        assert client.get(address("debrief", session)).status_code == 404
        answer_current(session, correct=trial.photo_id not in missed)
    text = client.get(address("debrief", session)).content.decode()
    assert address("debrief", session) in links_of_page(client, session)
    assert "You found the photo in <strong>3</strong> of 5 pairs" in text
    hardest, easiest = text.split("The easiest of your pairs")
    assert (hardest.count("You took the other one."), easiest.count("You took the other one.")) == (2, 0)
    assert (hardest.count("<li>"), easiest.count("<li>")) == (3, 2)
    assert len(re.findall(r'src="data:image/png;base64,iVBORw0KGgo', text)) == 10


def test_without_leave_of_the_study_nothing_is_told(client: Client) -> None:
    session = make_session(make_small_study())
    assert client.get(address("debrief", session)).status_code == 404
    assert "See how you did" not in client.get(address("rate", session)).content.decode()


# --- Devices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sent", "fits"), [({"window_px": "1024"}, True), ({"window_px": "1023"}, False), ({}, False)])
def test_window_that_is_too_narrow_or_says_nothing_starts_nothing_and_leads_back(
    sent: dict[str, str], fits: bool
) -> None:
    study = make_small_study()
    Recruitment.objects.create(study=study, panel="connect", exits={"wrong_device": "PHONE"}, window_minimum_px=1024)
    page = Client().get(reverse("studies:entry", args=[study.code]), {"participantId": "p1"}).content.decode()
    ticket = page.split('name="ticket" value="')[1].split('"')[0]
    assert 'data-minimum="1024"' in page
    form = {"agrees": "on", "ticket": ticket}
    if sent:  # without a script nothing tells of an arrival
        Client().post(reverse("studies:arrived", args=[study.code]))
    response = Client().post(reverse("studies:entry", args=[study.code]), form | sent)
    assert RatingSession.objects.exists() == fits
    if not fits:
        text = response.content.decode()
        assert (response.status_code, "at least 1024 pixels wide" in text, "PHONE" in text) == (409, True, True)
        assert arrivals_get(study) == Arrivals(1 if sent else 0, 0, 0, 1)


def test_simulated_rater_has_no_window() -> None:
    study = make_small_study()
    Recruitment.objects.create(study=study, window_minimum_px=1024)
    token = origin_sign(study=study, origin=Origin.SIMULATED)
    Client().post(f"{reverse('studies:entry', args=[study.code])}?origin={token}", {"agrees": "on"})
    assert RatingSession.objects.exists()


def test_rater_whose_device_will_not_do_leaves_without_agreeing() -> None:
    study = make_small_study()
    response = Client().post(reverse("studies:entry", args=[study.code]), {"wrong_device": "1", "agrees": "on"})
    assert "This device will not do" in response.content.decode()
    assert not RatingSession.objects.exists()
