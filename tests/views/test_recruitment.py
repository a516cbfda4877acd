"""Raters come from panels and go back to them: by id and not by cookie, once each, with the code of their outcome."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from studies.models import (
    ArrivalCount,
    Kind,
    Origin,
    PanelEntry,
    RatingSession,
    Recruitment,
    SessionState,
    Study,
    StudyState,
)
from studies.recruitment import Arrival, Outcome
from studies.selectors.exports import responses_rows
from studies.selectors.recruitment import Arrivals, HandIns, arrivals_get, hand_ins_get
from studies.services.recruitment import panel_ids_delete, ticket_sign
from studies.services.sessions import session_start
from studies.services.studies import study_close, study_pause
from tests.factories import answer_current, make_session, make_small_study
from tests.views.player import page_state

pytestmark = pytest.mark.django_db

PID = "5f1b2c3d4e5f6a7b8c9d0e1f"
IDS = {"PROLIFIC_PID": PID, "SESSION_ID": "60aa11bb22cc33dd44ee55ff", "STUDY_ID": "61ff00ee11dd22cc33bb44aa"}
TURK = {"workerId": "W1", "assignmentId": "A1", "hitId": "H1", "turkSubmitTo": "https://www.mturk.com/"}
CODES = {outcome.value: f"CODE-{outcome.value}" for outcome in Outcome}
COMPLETE_URL = "https://app.prolific.com/submissions/complete?cc="


def recruit(study: Study, panel: str = "prolific", **fields: Any) -> Study:
    """Open a study to a panel, with a code of its own for each outcome."""
    Recruitment.objects.create(study=study, panel=panel, **{"exits": CODES} | fields)
    return study


def entrance(study: Study) -> str:
    return reverse("studies:entry", args=[study.code])


def ticket_on(page: Any) -> str:
    found = re.findall(r'<input type="hidden" name="ticket" value="([^"]+)">', page.content.decode())
    assert len(set(found)) == 1
    return str(found[0])


def consent(study: Study, ids: dict[str, str] = IDS, client: Client | None = None) -> Any:
    """Come from the panel and agree, in a browser of one's own."""
    client = client or Client(enforce_csrf_checks=True)
    page = client.get(entrance(study), ids)
    if page.status_code != 200:
        return page
    return client.post(entrance(study), {"agrees": "on", "ticket": ticket_on(page)})


def finish(session: RatingSession, *, attentive: bool = True) -> RatingSession:
    for trial in session.trials.order_by("position"):
        answer_current(session, correct=attentive or trial.kind != Kind.GOLDEN)
    session.refresh_from_db()
    return session


def end_of(session: RatingSession) -> tuple[str, str]:
    """Return the code and the address that the rating page leads to."""
    passage = page_state(Client().get(reverse("studies:rate", args=[session.code])))["passage"]
    return passage["completion_code"], passage["completion_url"]


# --- One session per participant --------------------------------------------------------------------------------------


def test_participant_starts_one_session_and_the_form_carries_the_ids_sealed() -> None:
    study = recruit(make_small_study())
    page = Client().get(entrance(study), IDS)
    assert f'action="{entrance(study)}"' in page.content.decode()
    assert "declines" in page.content.decode()
    response = consent(study)
    session = RatingSession.objects.get()
    assert (response.status_code, response["Location"]) == (303, reverse("studies:rate", args=[session.code]))
    assert not response.cookies
    entry = PanelEntry.objects.get()
    assert entry.session == session
    assert entry.arrival == Arrival(*IDS.values())


def test_participant_on_another_device_goes_on_where_they_were() -> None:
    study = recruit(make_small_study())
    first = consent(study)
    session = RatingSession.objects.get()
    answer_current(session)
    assert Client().get(entrance(study), IDS)["Location"] == first["Location"]
    again = Client().post(entrance(study), {"agrees": "on", "ticket": ticket_sign(study=study, arrival=Arrival(PID))})
    assert again["Location"] == first["Location"]
    assert RatingSession.objects.count() == 1


@pytest.mark.parametrize("change", [study_pause, study_close])
def test_participant_who_finished_finds_the_code_again_though_the_study_takes_nobody(change: Any) -> None:
    study = recruit(make_small_study())
    consent(study)
    finish(RatingSession.objects.get())
    change(study=study)
    page = Client().get(entrance(study), IDS, follow=True)
    assert page_state(page)["passage"]["completion_code"] == CODES["completed"]


def test_each_participant_has_a_session_of_their_own_even_with_anothers_form() -> None:
    study = recruit(make_small_study())
    token = "t" * 22
    for pid in ("a1", "b2"):
        ticket = ticket_sign(study=study, arrival=Arrival(pid))
        Client().post(entrance(study), {"agrees": "on", "ticket": ticket, "entry_token": token})
    assert RatingSession.objects.count() == PanelEntry.objects.count() == 2


def test_participant_takes_part_in_one_study_of_a_group() -> None:
    first = recruit(make_small_study(), group="rooms")
    second = recruit(make_small_study(owner=first.owner), group="rooms")
    other = recruit(make_small_study(owner=first.owner), group="faces")
    foreign = recruit(make_small_study(), group="rooms")
    ticket = ticket_sign(study=second, arrival=Arrival(PID))  # of a page that was open before
    consent(first)
    for refused in (consent(second), Client().post(entrance(second), {"agrees": "on", "ticket": ticket})):
        page = refused.content.decode()
        assert refused.status_code == 409
        assert "You have been here before" in page
        assert f"{COMPLETE_URL}{CODES['screened_out']}" in page
    assert consent(other).status_code == consent(foreign).status_code == 303
    assert not second.sessions.exists()


def test_preview_needs_no_id_and_remembers_none(client: Client) -> None:
    study = recruit(make_small_study(state=StudyState.READY))
    session = session_start(study=study, origin=Origin.PREVIEW)
    assert not PanelEntry.objects.exists()
    assert end_of(finish(session)) == (CODES["completed"], COMPLETE_URL + CODES["completed"])


# --- Links that are not whole, and forged forms -----------------------------------------------------------------------


@pytest.mark.parametrize("ids", [{}, {"PROLIFIC_PID": "{{%PROLIFIC_PID%}}"}, {"PROLIFIC_PID": "a b"}])
def test_link_without_an_id_that_can_be_has_a_page(ids: dict[str, str]) -> None:
    response = Client().get(entrance(recruit(make_small_study())), ids)
    assert response.status_code == 400
    assert "This link is not whole" in response.content.decode()
    assert "from its page at Prolific once more" in response.content.decode()
    assert not ArrivalCount.objects.exists()


def test_forged_foreign_and_stale_forms_have_a_page_and_start_nothing() -> None:
    study, other = recruit(make_small_study()), recruit(make_small_study())
    ticket = ticket_sign(study=study, arrival=Arrival(PID))
    foreign = ticket_sign(study=other, arrival=Arrival(PID))
    sentences = {
        "": "changed on its way",
        ticket[:-1] + ("A" if ticket[-1] != "A" else "B"): "changed on its way",
        foreign: "belongs to another study",
    }
    for sent, words in sentences.items():
        response = Client().post(entrance(study), {"agrees": "on", "ticket": sent})
        assert (response.status_code, words in response.content.decode()) == (403, True)
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        response = Client().post(entrance(study), {"agrees": "on", "ticket": ticket})
        assert (response.status_code, "open for too long" in response.content.decode()) == (403, True)
    assert not RatingSession.objects.exists()


def test_ids_in_the_address_of_an_open_study_are_nobodys_business() -> None:
    study = make_small_study()
    Client().post(f"{entrance(study)}?PROLIFIC_PID={PID}", {"agrees": "on"})
    assert RatingSession.objects.exists()
    assert not PanelEntry.objects.exists()


# --- An outcome, its code, and its address ----------------------------------------------------------------------------


def test_completed_leads_back_once_everything_is_kept() -> None:
    study = recruit(make_small_study())
    consent(study)
    session = RatingSession.objects.get()
    answer_current(session)
    assert end_of(session) == ("", "")
    finish_rest(session)
    assert end_of(session) == (CODES["completed"], COMPLETE_URL + CODES["completed"])


def finish_rest(session: RatingSession) -> None:
    for _ in range(session.trials.filter(response=None).count()):
        answer_current(session)


@pytest.mark.parametrize(("is_told", "outcome"), [(False, "completed"), (True, "failed_attention")])
def test_being_left_out_and_not_being_paid_are_two_decisions(is_told: bool, outcome: str) -> None:
    study = recruit(make_small_study(), sends_failed_attention=is_told)
    consent(study)
    session = finish(RatingSession.objects.get(), attentive=False)
    assert session.state == SessionState.EXCLUDED
    assert end_of(session) == (CODES[outcome], COMPLETE_URL + CODES[outcome])


def test_declining_keeps_nothing_and_leads_back() -> None:
    study = recruit(make_small_study())
    page = Client().get(entrance(study), IDS)
    response = Client().post(entrance(study), {"declines": "1", "agrees": "on", "ticket": ticket_on(page)})
    text = response.content.decode()
    assert "You do not take part" in text
    assert f'href="{COMPLETE_URL}{CODES["no_consent"]}"' in text
    assert CODES["no_consent"] in text
    assert not RatingSession.objects.exists()
    assert not PanelEntry.objects.exists()


def test_declining_by_the_open_link_ends_on_a_page_of_ours() -> None:
    text = Client().post(entrance(make_small_study()), {"declines": "1"}).content.decode()
    assert "You do not take part" in text
    assert "One last step" not in text


def test_full_study_says_so_before_anybody_reads_the_consent_and_leads_back() -> None:
    study = recruit(make_small_study(raters_wanted=1, preset="founding_mixed"))
    ticket = ticket_sign(study=study, arrival=Arrival("late"))
    make_session(study)
    for response in (consent(study), Client().post(entrance(study), {"agrees": "on", "ticket": ticket})):
        assert response.status_code == 409
        assert f'href="{COMPLETE_URL}{CODES["full"]}"' in response.content.decode()


@pytest.mark.parametrize("state", [StudyState.PAUSED, StudyState.CLOSED])
def test_closed_study_leads_back(state: StudyState) -> None:
    response = consent(recruit(make_small_study(state=state)))
    assert response.status_code == 409
    assert f'href="{COMPLETE_URL}{CODES["closed"]}"' in response.content.decode()


def test_any_panel_has_names_and_addresses_of_its_own() -> None:
    url = "https://credits.example/done?who={participant}"
    study = recruit(make_small_study(), "generic", participant_parameter="survey_code", exits={"completed": url})
    consent(study, {"survey_code": "77"})
    assert end_of(finish(RatingSession.objects.get())) == ("", "https://credits.example/done?who=77")


def test_panel_without_any_code_gives_the_sessions_own() -> None:
    study = recruit(make_small_study(), "connect", exits={})
    consent(study, {"participantId": "p1"})
    session = finish(RatingSession.objects.get())
    assert end_of(session) == (session.completion_code, "")


# --- Mechanical Turk --------------------------------------------------------------------------------------------------


def test_worker_who_only_looks_starts_nothing(settings: Any) -> None:
    settings.MTURK = True
    study = recruit(make_small_study(), "mturk")
    response = Client().get(entrance(study), {"assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE", "hitId": "H1"})
    assert response.status_code == 200
    assert "Accept the task to take part" in response.content.decode()
    assert "<form" not in response.content.decode()
    assert not ArrivalCount.objects.exists()


def test_worker_hands_in_by_a_form_as_often_as_need_be(settings: Any) -> None:
    settings.MTURK = True
    study = recruit(make_small_study(), "mturk", exits={})
    consent(study, TURK)
    session = RatingSession.objects.get()
    hand_in = reverse("studies:hand_in", args=[session.code])
    assert Client().get(hand_in).status_code == 404
    finish(session)
    assert end_of(session)[1] == hand_in
    for _ in range(2):
        page = Client().get(hand_in)
        text = page.content.decode()
        assert '<form method="post" action="https://www.mturk.com/mturk/externalSubmit"' in text
        assert '<input type="hidden" name="assignmentId" value="A1">' in text
        assert f'<input type="hidden" name="session" value="{session}">' in text
        policy = dict(part.split(" ", 1) for part in page["Content-Security-Policy"].split("; "))
        assert policy["form-action"] == "'self' https://www.mturk.com https://workersandbox.mturk.com"


def test_attempts_to_hand_in_are_kept_apart_from_answers_that_are_complete(settings: Any) -> None:
    settings.MTURK = True
    study = recruit(make_small_study(), "mturk", exits={})
    consent(study, TURK)
    session = RatingSession.objects.get()
    hand_in = reverse("studies:hand_in", args=[session.code])
    assert Client(enforce_csrf_checks=True).post(hand_in).status_code == 404  # there is nothing to hand in yet
    finish(session)
    assert hand_ins_get(study) == HandIns(answered=1, attempted=0)
    assert Client(enforce_csrf_checks=True).post(hand_in).status_code == 204
    first = PanelEntry.objects.get().submit_attempted_at
    Client().post(hand_in)
    assert PanelEntry.objects.get().submit_attempted_at == first is not None
    page = Client()
    page.force_login(study.owner)
    text = page.get(reverse("admin:studies_study_change", args=[study.pk])).content.decode()
    assert "1 answered everything, 1 of them pressed “Hand in”" in text
    consent(study, TURK | {"assignmentId": "A2"})  # another assignment, which nobody has tried to hand in
    assert hand_ins_get(study) == HandIns(answered=1, attempted=0)


def test_assignment_given_back_comes_again_under_another_id_to_the_same_session(settings: Any) -> None:
    settings.MTURK = True
    study = recruit(make_small_study(), "mturk")
    first = consent(study, TURK)
    assert consent(study, TURK | {"assignmentId": "A2"})["Location"] == first["Location"]
    assert PanelEntry.objects.get().panel_session == "A2"
    consent(study, TURK | {"workerId": "W2"})  # the first assignment, now another worker's
    assert RatingSession.objects.count() == 2


def test_answers_are_handed_in_at_mechanical_turk_alone_and_only_where_it_is_switched_on(settings: Any) -> None:
    study = recruit(make_small_study(), "mturk")
    assert "switched off" in consent(study, TURK).content.decode()
    settings.MTURK = True
    response = consent(study, TURK | {"turkSubmitTo": "https://evil.example"})
    assert response.status_code == 400
    assert not RatingSession.objects.exists()


# --- What is kept, and what is forgotten ------------------------------------------------------------------------------


def test_ids_stand_in_no_export_and_are_deleted_after_a_time_while_answers_stay() -> None:
    study = recruit(make_small_study())
    consent(study)
    finish(RatingSession.objects.get())
    rows = list(responses_rows(study, origin=Origin.PERSON))
    assert not any(value in cell for row in rows for cell in row for value in IDS.values())
    assert panel_ids_delete(before=timezone.now() - timedelta(days=90)) == 0
    with time_machine.travel(timezone.now() + timedelta(days=91)):
        assert (
            panel_ids_delete(before=timezone.now() - timedelta(days=90), study=make_small_study(state=StudyState.DRAFT))
            == 0
        )
        assert panel_ids_delete(before=timezone.now() - timedelta(days=90), study=study) == 1
    assert list(responses_rows(study, origin=Origin.PERSON)) == rows


def shown(study: Study) -> None:
    """Get the first page, and tell what its script tells."""
    told = re.search(r'data-count-address="([^"]+)"', Client().get(entrance(study)).content.decode())
    assert told is not None
    assert Client(enforce_csrf_checks=True).post(told[1]).status_code == 204


def test_arrivals_are_counted_by_day_without_any_id() -> None:
    study = make_small_study(raters_wanted=1, preset="founding_mixed")
    with time_machine.travel(date(2026, 3, 1)):
        for _ in range(2):
            shown(study)
        Client().get(entrance(study))  # by a program that runs no script
        Client().head(entrance(study))
        Client().post(entrance(study), {"declines": "1"})
    with time_machine.travel(date(2026, 3, 2)):
        shown(study)
        make_session(study)
        shown(study)
    days = study.arrivals.values_list("day", "arrived", "declined", "turned_away", "wrong_device")
    assert list(days) == [(date(2026, 3, 1), 2, 1, 0, 0), (date(2026, 3, 2), 1, 0, 1, 0)]
    assert arrivals_get(study) == Arrivals(arrived=3, declined=1, turned_away=1, wrong_device=0)
