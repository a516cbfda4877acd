"""The rating page and the door for answers."""

import json
from typing import Any

import pytest
from django.db import connection
from django.template import Context, Template, TemplateSyntaxError
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studies.models import Origin, RatingSession, Recruitment, Response, SessionState, Side, StudyState
from studies.selectors.sessions import passage_get
from studies.services.sessions import session_start
from studies.services.studies import study_close, study_pause
from studies.templatetags.tight import KEPT_MOST
from tests.factories import make_open_study, make_session
from tests.views.player import answer_body, page_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> RatingSession:
    return session_start(study=make_open_study(practice_count=2, test_count=2, golden_count=1))


def post(client: Client, session: RatingSession, body: Any) -> Any:
    address = reverse("studies:answer", args=[session.code])
    return client.post(address, body if isinstance(body, (str, bytes)) else json.dumps(body), "application/json")


def current(session: RatingSession) -> str:
    return passage_get(session).trials[0]


def test_answer_is_kept_as_it_was_given(client: Client, session: RatingSession) -> None:
    code = current(session)
    body = answer_body(code, "second", rt_ms=431, exposure_first_ms=49.9, exposure_second_ms=66.7, was_hidden=True)
    body |= {"device_scale": 21, "pixel_ratio": 2.625, "frames_first": 3, "frames_second": 4}
    body |= {"frame_interval_ms": 16.6, "lost_focus": True, "focus_losses": 2, "automation": "webdriver scripted"}
    assert post(client, session, body).status_code == 200
    kept = Response.objects.get()
    assert (kept.device_scale, kept.pixel_ratio) == (21, 2.625)
    assert (kept.frames_first, kept.frames_second, kept.frame_interval_ms) == (3, 4, 16.6)
    assert (kept.lost_focus, kept.focus_losses, kept.automation) == (True, 2, "webdriver scripted")
    assert (kept.trial.code, kept.chosen_side, kept.rt_ms, kept.was_hidden) == (code, "second", 431, True)
    assert (kept.exposure_first_ms, kept.exposure_second_ms) == (49.9, 66.7)


def test_practice_is_answered_with_feedback_and_the_next_pair(client: Client, session: RatingSession) -> None:
    trial = session.trials.get(position=0)
    wrong = Side(trial.photo_side).other
    reply = post(client, session, answer_body(trial.code, wrong)).json()
    assert reply["feedback"] == {"correct": False, "photo_side": trial.photo_side}
    assert (reply["passage"]["phase"], reply["passage"]["position"], reply["passage"]["count"]) == ("practice", 2, 2)
    codes = list(session.trials.order_by("position").values_list("code", flat=True))
    assert reply["passage"]["trials"] == codes[1:4]


def test_main_pairs_are_answered_without_feedback(client: Client, session: RatingSession) -> None:
    for _ in range(2):
        post(client, session, answer_body(current(session)))
    for _ in range(3):
        assert post(client, session, answer_body(current(session))).json()["feedback"] is None


def test_last_answer_brings_the_completion_code(client: Client, session: RatingSession) -> None:
    reply = {}
    for _ in range(5):
        reply = post(client, session, answer_body(current(session))).json()
    session.refresh_from_db()
    assert session.state != SessionState.ACTIVE
    assert reply["passage"] == {
        "phase": "finished",
        "position": 0,
        "count": 0,
        "trials": [],
        "completion_code": session.completion_code,
        "completion_url": "",
        "is_first": False,
        "is_phase_start": False,
        "exposure_ms": 0,
        "block": 0,
        "is_block_start": False,
    }


def test_second_answer_to_a_pair_changes_nothing_and_gets_the_first_reply(
    client: Client, session: RatingSession
) -> None:
    code = current(session)
    first = post(client, session, answer_body(code, "first", rt_ms=500))
    second = post(client, session, answer_body(code, "second", rt_ms=900))
    without_pictures = first.json() | {"pictures": None}  # those are asked for, if the first reply was lost
    assert (second.status_code, second.json()) == (200, without_pictures)
    kept = Response.objects.get()
    assert (kept.chosen_side, kept.rt_ms) == ("first", 500)


def test_answer_out_of_order_is_refused(client: Client, session: RatingSession) -> None:
    response = post(client, session, answer_body(session.trials.get(position=2).code))
    assert response.status_code == 409
    assert "pair 1 is next" in response.json()["error"]
    assert not Response.objects.exists()


def test_pair_of_another_session_is_unknown(client: Client, session: RatingSession) -> None:
    other = session_start(study=session.study)
    assert post(client, session, answer_body(current(other))).status_code == 404
    assert not Response.objects.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chosen_side": "left"}, "chosen_side is left"),
        ({"chosen_side": None}, "chosen_side is None"),
        ({"rt_ms": -1}, "rt_ms is -1"),
        ({"rt_ms": 12.5}, "rt_ms is 12.5"),
        ({"rt_ms": 10**12}, "rt_ms is 1000000000000"),
        ({"exposure_first_ms": "soon"}, "exposure_first_ms is soon"),
        ({"exposure_second_ms": float("nan")}, "exposure_second_ms is nan"),
        ({"trial": "a/b"}, "trial is a/b"),
        ({"trial": "\ud800"}, "trial is \ud800"),
        ({"exposure_first_ms": 10**400}, "exposure_first_ms is 1000"),
        ({"device_scale": 0}, "device_scale is 0"),
        ({"device_scale": 1025}, "device_scale is 1025"),
        ({"device_scale": 7.5}, "device_scale is 7.5"),
        ({"pixel_ratio": 0}, "pixel_ratio is 0"),
        ({"pixel_ratio": 33}, "pixel_ratio is 33"),
    ],
)
def test_answer_that_makes_no_sense_is_refused_in_one_sentence(
    client: Client, session: RatingSession, changes: dict[str, Any], words: str
) -> None:
    response = post(client, session, answer_body(current(session)) | changes)
    assert response.status_code == 400
    assert words in response.json()["error"]
    assert not Response.objects.exists()


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "3", b"\xff\xfe", "[" * 200_000, '{"trial": ' + "[" * 900 + "]" * 900 + "}"]
)
def test_answer_that_is_no_object_is_refused(client: Client, session: RatingSession, body: str | bytes) -> None:
    response = post(client, session, body)
    assert response.status_code == 400
    assert "JSON object" in response.json()["error"]


JSON_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 2000)
    | st.just(10**400)
    | st.floats()
    | st.text()
    | st.text(st.characters(codec=None), max_size=30)
    | st.sampled_from(["first", "second", "1e400", "9" * 5000, "\u0663", " 12 "])
)
JSON_VALUES = st.recursive(
    JSON_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_values_are_kept_as_they_are_or_refused(
    client: Client, session: RatingSession, data: st.DataObject
) -> None:
    valid = answer_body(current(session))
    names = data.draw(st.sets(st.sampled_from(sorted(valid)), max_size=3))
    sent = valid | {name: data.draw(JSON_VALUES) for name in names}
    response = post(client, session, sent)
    kept = list(Response.objects.all())
    if response.status_code == 200:
        assert [(answer.trial.code, answer.chosen_side) for answer in kept] == [(sent["trial"], sent["chosen_side"])]
        assert kept[0].rt_ms == float(sent["rt_ms"])
        for name in ("exposure_first_ms", "exposure_second_ms", "device_scale", "pixel_ratio"):
            assert getattr(kept[0], name) == (None if sent[name] in {None, ""} else float(sent[name]))
    else:
        assert response.status_code in {400, 404}
        assert response.json()["error"]
        assert kept == []
    Response.objects.all().delete()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary() | st.text().map(str.encode) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_refused(client: Client, session: RatingSession, body: bytes) -> None:
    response = post(client, session, body)
    assert response.status_code in {400, 404}
    assert response.json()["error"]
    assert not Response.objects.exists()


@pytest.mark.parametrize("is_left_out", [False, True])
def test_browser_that_measures_nothing_may_answer(client: Client, session: RatingSession, is_left_out: bool) -> None:
    body = answer_body(current(session))
    for name in ("exposure_first_ms", "exposure_second_ms", "device_scale", "pixel_ratio"):
        if is_left_out:
            del body[name]
        else:
            body[name] = None
    assert post(client, session, body).status_code == 200
    kept = Response.objects.get()
    assert (kept.exposure_first_ms, kept.exposure_second_ms) == (None, None)
    assert (kept.device_scale, kept.pixel_ratio) == (None, None)


def test_answer_needs_no_cookie_and_no_csrf_token(session: RatingSession) -> None:
    assert post(Client(enforce_csrf_checks=True), session, answer_body(current(session))).status_code == 200


def test_page_and_answer_bring_the_same_state(client: Client, session: RatingSession) -> None:
    reply = post(client, session, answer_body(current(session))).json()
    page = client.get(reverse("studies:rate", args=[session.code]))
    assert page_state(page)["passage"] == reply["passage"]


def test_page_shows_where_the_session_stands(client: Client) -> None:
    study = make_open_study(practice_count=2, test_count=2, golden_count=1, lead_in_ms=300, gap_ms=20, kernel="bicubic")
    session = make_session(study, answers=[True, True])
    state = page_state(client.get(reverse("studies:rate", args=[session.code])))
    assert state["display"] == {"layout": "sequential", "size": 32, "displayScale": 8, "kernel": "bicubic"}
    assert state["timing"] == {"lead_in_ms": 300, "gap_ms": 20, "mask_count": 0, "mask_ms": 30, "telling_ms": 1000}
    assert state["passage"]["exposure_ms"] == 1000
    passage = state["passage"]
    assert (passage["phase"], passage["position"], passage["count"]) == ("main", 1, 3)
    assert (passage["is_phase_start"], passage["is_first"]) == (True, False)


def test_running_session_may_finish_while_the_study_is_paused(client: Client, session: RatingSession) -> None:
    study_pause(study=session.study)
    assert client.get(reverse("studies:rate", args=[session.code])).status_code == 200
    assert post(client, session, answer_body(current(session))).status_code == 200


def test_closed_study_takes_no_answer_and_says_so(client: Client, session: RatingSession) -> None:
    study_close(study=session.study)
    page = client.get(reverse("studies:rate", args=[session.code]))
    assert page.status_code == 409
    assert "closed before you had finished" in page.content.decode()
    assert post(client, session, answer_body(current(session))).status_code == 409
    assert not Response.objects.exists()


def test_finished_rater_still_finds_the_completion_code_after_closing(client: Client) -> None:
    study = make_open_study()
    session = make_session(study)
    study_close(study=study)
    page = client.get(reverse("studies:rate", args=[session.code]))
    assert page.status_code == 200
    assert page_state(page)["passage"]["completion_code"] == session.completion_code


def test_unknown_session_has_a_page_and_a_sentence(client: Client) -> None:
    page = client.get(reverse("studies:rate", args=["unknown"]))
    assert page.status_code == 404
    assert "Nothing is kept at this address" in page.content.decode()
    response = client.post(reverse("studies:answer", args=["unknown"]), "{}", "application/json")
    assert response.status_code == 404
    assert "error" in response.json()


def test_preview_is_marked_on_the_rating_page(client: Client) -> None:
    session = session_start(study=make_open_study(), origin=Origin.PREVIEW)
    assert (
        "Preview: answers are stored apart" in client.get(reverse("studies:rate", args=[session.code])).content.decode()
    )


def test_looking_writes_nothing(client: Client, session: RatingSession) -> None:
    stimulus = reverse("studies:stimulus", args=[session.code, current(session)])
    for address in (
        reverse("studies:entry", args=[session.study.code]),
        reverse("studies:rate", args=[session.code]),
        stimulus,
    ):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get(address).status_code == 200
        assert queries.captured_queries
        for query in queries.captured_queries:
            assert query["sql"].startswith("SELECT"), query["sql"]


def test_no_rater_answer_sets_a_cookie(client: Client, session: RatingSession) -> None:
    code = current(session)
    study_address = reverse("studies:entry", args=[session.study.code])
    responses = [
        client.get(study_address),
        client.post(study_address, {}),
        client.post(study_address, {"agrees": "on"}),
        client.get(reverse("studies:rate", args=[session.code])),
        client.get(reverse("studies:stimulus", args=[session.code, code])),
        post(client, session, answer_body(code)),
        post(client, session, "{"),
        client.get(reverse("studies:rate", args=["unknown"])),
        client.get(reverse("studies:entry", args=["unknown"])),
    ]
    assert [response.status_code for response in responses] == [200, 400, 303, 200, 200, 200, 400, 404, 404]
    for response in responses:
        assert not response.cookies
        assert "Cookie" not in response.get("Vary", "")


def test_pages_are_not_cached_and_not_framed(client: Client, session: RatingSession) -> None:
    response = client.get(reverse("studies:rate", args=[session.code]))
    assert "no-store" in response["Cache-Control"]
    assert response["X-Frame-Options"] == "DENY"
    assert "unsafe" not in response["Content-Security-Policy"]


@pytest.mark.parametrize("state", [StudyState.OPEN, StudyState.PAUSED])
def test_pictures_are_one_question_to_the_database_and_an_answer_two(
    client: Client, session: RatingSession, state: StudyState, django_assert_num_queries: Any
) -> None:
    if state == StudyState.PAUSED:
        study_pause(study=session.study)
    code = current(session)
    pictures = reverse("studies:stimulus", args=[session.code, code])
    with django_assert_num_queries(1) as asked:
        assert client.get(pictures).status_code == 200
    assert asked.captured_queries[0]["sql"].startswith("SELECT")
    with django_assert_num_queries(2) as asked:
        assert post(client, session, answer_body(code)).status_code == 200
    assert [query["sql"].split()[0] for query in asked.captured_queries] == ["SELECT", "INSERT"]


def test_page_of_a_session_does_not_read_the_whole_design(client: Client, session: RatingSession) -> None:
    client.get(reverse("studies:rate", args=[session.code]))  # its texts are read once in a process
    with CaptureQueriesContext(connection) as asked:
        assert client.get(reverse("studies:rate", args=[session.code])).status_code == 200
    assert not [query["sql"] for query in asked if '"studies_study"."design",' in query["sql"]]


def test_page_is_made_once_and_says_at_once_what_was_changed_of_its_study(client: Client) -> None:
    study = make_open_study(practice_count=2, test_count=2, golden_count=1)
    one, other, spanish = (session_start(study=study, language=language) for language in ("en", "en", "es"))

    def page(session: RatingSession) -> str:
        content: str = client.get(reverse("studies:rate", args=[session.code])).content.decode()
        return content

    def body(session: RatingSession) -> str:
        return page(session).partition("<main")[2]

    assert body(one) == body(other) != body(spanish)
    for session in (one, other):
        opened = client.get(reverse("studies:rate", args=[session.code]))
        assert page_state(opened)["passage"]["trials"][0] == current(session)
    assert "See how you did" not in page(one)
    Recruitment.objects.update_or_create(study=study, defaults={"shows_score": True})
    assert "See how you did" in page(one)
    assert "See how you did" not in page(spanish)


@pytest.mark.parametrize("source", ["{% tight one two %}{% endtight %}", "{% tight 'one' 'two' %}{% endtight %}"])
def test_tight_takes_one_key(source: str) -> None:
    with pytest.raises(TemplateSyntaxError, match="one key or none"):
        Template("{% load tight %}" + source)


def test_tight_keeps_what_it_made_under_a_key_until_many_others_came() -> None:
    template = Template("{% load tight %}{% tight key %}<p>\n {{ word }}</p>  <p></p>{% endtight %}")

    def made(key: object, word: str) -> str:
        return template.render(Context({"key": key, "word": word}))

    assert made(1, "first") == made(1, "second") == "<p> first</p><p></p>"
    assert made(None, "second") == "<p> second</p><p></p>"
    for key in range(2, 2 + KEPT_MOST):
        assert str(key) in made(key, str(key))
    assert "second" in made(1, "second")
