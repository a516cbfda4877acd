"""Prolific is asked for its keys and submissions; here it is a server on this machine with the documented shapes."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from studies.errors import StudyFull
from studies.models import PanelEntry, RatingSession, Recruitment, SessionState, Study
from studies.recruitment import Arrival
from studies.recruitment.prolific_api import ProlificClient
from studies.services.sessions import session_start
from tests.factories import answer_current, make_session, make_small_study
from tests.recruitment.test_prolific_token import OTHER, key_set, sign

pytestmark = pytest.mark.django_db


class Prolific:
    """What the fake says, and what it was asked."""

    def __init__(self) -> None:
        self.keys = key_set()
        self.statuses: dict[str, str] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.address = ""
        self.is_down = False

    def answer(self, method: str, path: str, token: str | None, body: Any) -> tuple[int, Any]:
        self.asked.append((method, path, body))
        if self.is_down:
            return 503, {}
        if path == "/jwks.json":
            return 200, self.keys
        if token != "Token t0k":
            return 401, {"error": {"detail": "Authentication credentials were not provided."}}
        submission = path.split("/")[4]
        if submission not in self.statuses:
            return 404, {"error": {"detail": "Not found."}}
        status = self.statuses[submission]
        return 200, {"id": submission, "status": status, "participant": f"p-{submission}", "started_at": "2026-11-25"}


@pytest.fixture
def prolific(settings: Any) -> Iterator[Prolific]:
    fake = Prolific()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, told = fake.answer(self.command, self.path, self.headers.get("Authorization"), body)
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer  # noqa: N815 -- the names that the server calls

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    fake.address = f"http://127.0.0.1:{server.server_port}"
    settings.PROLIFIC_JWKS_URL = f"{fake.address}/jwks.json"
    settings.PROLIFIC_API_URL = f"{fake.address}/api/v1"
    settings.PROLIFIC_TOKEN = "t0k"
    cache.clear()
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()
    cache.clear()


def prolific_study(**fields: Any) -> Study:
    study = make_small_study(raters_wanted=2, preset="founding_mixed")
    Recruitment.objects.create(study=study, panel="prolific", **fields)
    return study


def come(study: Study, token: str | None = None, **ids: str) -> Any:
    address = reverse("studies:entry", args=[study.code])
    given = {"PROLIFIC_PID": "pid1", "SESSION_ID": "sub1", "STUDY_ID": "study1"} | ids
    return Client().get(address, given | ({} if token is None else {"prolific_token": token}))


def token_for(study: Study, **changes: Any) -> str:
    return sign(**{"aud": f"http://testserver{reverse('studies:entry', args=[study.code])}"} | changes)


# --- Signed arrivals --------------------------------------------------------------------------------------------------


def test_only_signed_arrivals_come_in_where_the_study_asks_for_it(prolific: Prolific) -> None:
    study, open_to_all = prolific_study(checks_tokens=True), prolific_study()
    assert come(study, token_for(study)).status_code == 200
    assert come(open_to_all).status_code == 200
    for token in (None, "", token_for(open_to_all), token_for(study, key=OTHER), token_for(study, exp=1)):
        response = come(study, token)
        assert (response.status_code, "This link cannot be used" in response.content.decode()) == (403, True)
    assert come(study, token_for(study), PROLIFIC_PID="pid2").status_code == 403
    assert [path for _, path, _ in prolific.asked] == ["/jwks.json"]  # kept for a day


def test_consent_may_take_longer_than_a_token_lives(prolific: Prolific) -> None:
    study = prolific_study(checks_tokens=True)
    page = come(study, token_for(study)).content.decode()
    ticket = page.split('name="ticket" value="')[1].split('"')[0]
    response = Client().post(reverse("studies:entry", args=[study.code]), {"agrees": "on", "ticket": ticket})
    assert response.status_code == 303


def test_new_keys_are_fetched_when_a_token_names_one_but_not_for_each_forged_one(prolific: Prolific) -> None:
    study = prolific_study(checks_tokens=True)
    assert come(study, token_for(study)).status_code == 200
    prolific.keys = key_set(OTHER, "k2")
    cache.delete("prolific-keys-fresh")  # a minute later
    assert come(study, token_for(study, key=OTHER, kid="k2")).status_code == 200
    for _ in range(3):
        assert come(study, token_for(study, kid="forged")).status_code == 403
    assert len(prolific.asked) == 2


def test_prolific_that_does_not_answer_has_a_page(prolific: Prolific) -> None:
    study = prolific_study(checks_tokens=True)
    prolific.is_down = True
    response = come(study, token_for(study))
    assert response.status_code == 503
    assert "Load this page again in a minute" in response.content.decode()


# --- Submissions ------------------------------------------------------------------------------------------------------


def session_of(study: Study, submission: str) -> RatingSession:
    return session_start(study=study, arrival=Arrival(f"p-{submission}", submission, "st"))


def finish(session: RatingSession, *, correct: bool = True) -> None:
    for _ in range(session.trials.count()):
        answer_current(session, correct=correct)


@pytest.mark.parametrize("status", ["RETURNED", "TIMED-OUT", "REJECTED"])
def test_place_of_a_submission_given_back_is_free_and_its_participant_may_come_again(
    prolific: Prolific, status: str, capsys: Any
) -> None:
    study = prolific_study()
    make_session(study)
    session = session_of(study, "s1")
    answer_current(session)
    with pytest.raises(StudyFull):
        session_of(study, "s2")
    prolific.statuses = {"s1": "ACTIVE"}
    call_command("prolific_sync", study.slug)
    prolific.statuses = {"s1": status}
    call_command("prolific_sync", study.slug)
    assert f"{status}: 1\nPlaces freed: 1." in capsys.readouterr().out
    session.refresh_from_db()
    assert session.state == SessionState.RETURNED
    page = Client().get(reverse("studies:rate", args=[session.code])).content.decode()
    assert "You gave this study back" in page
    assert session_of(study, "s1") == session  # comes again before anybody else
    session.refresh_from_db()
    assert (session.state, session.trials.filter(response__isnull=False).count()) == (SessionState.ACTIVE, 1)
    with pytest.raises(StudyFull):
        session_of(study, "s2")


def test_who_gave_it_back_finds_the_place_taken(prolific: Prolific) -> None:
    study = prolific_study()
    make_session(study)
    session_of(study, "s1")
    prolific.statuses = {"s1": "RETURNED"}
    call_command("prolific_sync", study.slug)
    make_session(study)
    with pytest.raises(StudyFull):
        session_of(study, "s1")


def test_finished_visits_are_approved_left_out_or_not_and_others_asked_back(prolific: Prolific, capsys: Any) -> None:
    study = prolific_study()
    finish(session_of(study, "good"))
    finish(session_of(study, "missed"), correct=False)
    session_of(study, "unfinished")
    prolific.statuses = dict.fromkeys(("good", "missed", "unfinished"), "AWAITING REVIEW")
    call_command("prolific_sync", study.slug)
    assert {method for method, _, _ in prolific.asked} == {"GET"}
    call_command("prolific_sync", study.slug, "--approve", "--request-return", "Did not finish.")
    assert "Approved: 2. Asked to return: 1." in capsys.readouterr().out
    posted = [(path, body) for method, path, body in prolific.asked if method == "POST"]
    assert posted == [
        ("/api/v1/submissions/good/transition/", {"action": "APPROVE"}),
        ("/api/v1/submissions/missed/transition/", {"action": "APPROVE"}),
        ("/api/v1/submissions/unfinished/request-return/", {"request_return_reasons": ["Did not finish."]}),
    ]


def test_what_prolific_refuses_is_said_and_the_others_are_looked_at(prolific: Prolific, settings: Any) -> None:
    study = prolific_study()
    session_of(study, "unknown")
    session_of(study, "s1")
    prolific.statuses = {"s1": "RETURNED"}
    with pytest.raises(CommandError, match=r"refused \(404\) for submission unknown: .*Not found"):
        call_command("prolific_sync", study.slug)
    assert PanelEntry.objects.get(panel_session="s1").session.state == SessionState.RETURNED
    settings.PROLIFIC_TOKEN = "wrong"
    with pytest.raises(CommandError, match=r"refused \(401\).*and 1 more"):
        call_command("prolific_sync", study.slug)
    settings.PROLIFIC_TOKEN = ""
    with pytest.raises(CommandError, match="EVALSITE_PROLIFIC_TOKEN is empty"):
        call_command("prolific_sync", study.slug)


def test_participant_who_is_not_fit_can_be_screened_out(prolific: Prolific, settings: Any) -> None:
    prolific.statuses = {"s1": "ACTIVE"}
    client = ProlificClient(token="t0k", address=settings.PROLIFIC_API_URL)
    client.screen_out("s1")
    assert prolific.asked == [("POST", "/api/v1/submissions/s1/transition/", {"action": "SCREEN_OUT"})]


def test_study_that_recruits_elsewhere_has_nothing_to_ask_prolific(prolific: Prolific) -> None:
    with pytest.raises(CommandError, match="does not recruit on Prolific"):
        call_command("prolific_sync", make_small_study().slug)
