"""Whatever is sent to a rater's door gets an answer that the door has: never an error of ours, and nothing half kept.

The requests are drawn by hypothesis: codes, queries, headers, forms and JSON with zero bytes, lone surrogates, bytes
that are no UTF-8, numbers beyond any type, words of SQL, HTML and paths, in all methods. Each is undone.
"""

import base64
import json
from typing import Any
from urllib.parse import quote, quote_from_bytes

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from studies.models import Origin, RatingSession, Recruitment, Response, SessionState, Study
from studies.recruitment import Arrival
from studies.services.recruitment import ticket_sign
from studies.services.sessions import origin_sign, session_start, session_withdraw
from tests.factories import make_session, make_small_study
from tests.views.player import answer_body

pytestmark = pytest.mark.django_db

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
HOSTILE = (
    *("", "0", "-1", "9" * 5000, "1e400", "NaN", "\u0663", "null", "true", "[]"),
    *("\0", "a\0b", "\r\nSet-Cookie: a=b", "\x1b[31m", "\u202e", "\ufeff", "\U0010ffff", "e\u0301" * 400),
    *("' OR 1=1 --", "{{ 7|add:7 }}", "<script>alert(1)</script>", "../../../etc/passwd", "%00", "%ff%fe"),
    *("https://[", "https://www.mturk.com/", "ASSIGNMENT_ID_NOT_AVAILABLE", "en-US;q=x", "x" * 70_000),
)
BYTES = st.binary(max_size=40) | st.sampled_from(HOSTILE).map(str.encode) | st.text(max_size=20).map(str.encode)
NAMES = st.sampled_from(
    [
        *("origin", "ticket", "agrees", "declines", "wrong_device", "window_px", "entry_token", "prolific_token"),
        *("PROLIFIC_PID", "SESSION_ID", "STUDY_ID", "workerId", "assignmentId", "hitId", "turkSubmitTo", "pid"),
    ]
)
JSON_SCALARS: SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=20)
    | st.sampled_from(HOSTILE)
)
JSON_VALUES = st.recursive(
    JSON_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
HEADER_NAMES = st.sampled_from(
    [
        *("HTTP_ACCEPT_LANGUAGE", "HTTP_COOKIE", "HTTP_REFERER", "HTTP_ORIGIN", "HTTP_HOST", "HTTP_RANGE"),
        *("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_USER_AGENT", "HTTP_X_FORWARDED_FOR"),
        *("HTTP_X_FORWARDED_PROTO", "HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_ACCEPT_ENCODING", "HTTP_X_CSRFTOKEN"),
        *("CONTENT_TYPE", "REMOTE_ADDR"),  # no Content-Length: the server in front lets none through that is no number
    ]
)
CONTENT_TYPES = st.sampled_from(
    [
        *("application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x", "text/plain"),
        *("multipart/form-data", "multipart/form-data; boundary=" + "x" * 300, "application/json; charset=utf-32", ""),
        *("application/x-www-form-urlencoded; charset=utf-16", "application/x-www-form-urlencoded; charset=no-such"),
    ]
)


@st.composite
def queries(draw: DrawFn, valid: dict[str, str]) -> str:
    """Draw a query or a form: pairs of names and any bytes, some of the valid ones, and now and then mere bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="#\r\n"), max_size=60))
    kept = draw(st.sets(st.sampled_from(sorted(valid)))) if valid else set()
    pairs = [(name, quote(valid[name])) for name in sorted(kept)]
    others = st.tuples(NAMES | st.text(max_size=5).map(quote), BYTES.map(quote_from_bytes))
    pairs += draw(st.lists(others, max_size=4))
    return "&".join(f"{name}={value}" for name, value in draw(st.permutations(pairs)))


@st.composite
def headers(draw: DrawFn) -> dict[str, str]:
    """Draw headers as a server hands them over: bytes above 127 as Latin-1, no line breaks."""
    values = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60) | st.sampled_from(
        ["*", "a" * 5000, "bytes=0-", "de-DE,de;q=0.9,*;q=0.1", "-" * 600, "en," * 600, "sessionid=\xe4; csrftoken=x"]
    )
    return draw(st.dictionaries(HEADER_NAMES, values, max_size=3))


@pytest.fixture
def study() -> Study:
    """Make a study whose raters come from Prolific."""
    study = make_small_study()
    Recruitment.objects.create(study=study, panel="prolific", exits={"completed": "C0DE"}, shows_score=True)
    return study


@pytest.fixture
def sessions(study: Study) -> dict[SessionState, RatingSession]:
    """Make a session of that study under way, one that is complete, and one that was withdrawn."""
    active, withdrawn = (session_start(study=study, arrival=Arrival(f"p{i}", f"s{i}", "st")) for i in range(2))
    session_withdraw(session=withdrawn)
    complete = make_session(study, origin=Origin.SIMULATED)
    assert complete.state == SessionState.COMPLETE
    return {SessionState.ACTIVE: active, SessionState.COMPLETE: complete, SessionState.WITHDRAWN: withdrawn}


def sent(client: Client, method: str, path: str, query: str, body: bytes, content_type: str, extra: Any) -> Any:
    """Send a request, keep nothing of it, and return the answer."""
    with transaction.atomic():
        response = client.generic(method, path, body, content_type, **{"QUERY_STRING": query} | extra)
        transaction.set_rollback(True)
    return response


def doubt(response: Any) -> str:
    """Return what to say of an answer that should not be."""
    request = response.wsgi_request
    return f"{request.method} {request.META['PATH_INFO']}?{request.META['QUERY_STRING']}: {response.status_code}"


TIMES = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}


@settings(max_examples=250, **TIMES)  # type: ignore[arg-type] # one dict for options of several types
@given(data=st.data())
def test_the_way_in_answers_whatever_is_sent(client: Client, study: Study, data: st.DataObject) -> None:
    cache.set("prolific-keys", {"keys": []}, 60)
    cache.set("prolific-keys-fresh", True, 60)
    panel = data.draw(st.sampled_from(["open", "prolific", "generic", "connect", "mturk"]))
    checks = data.draw(st.booleans())
    Recruitment.objects.filter(study=study).update(panel=panel, checks_tokens=checks, window_minimum_px=500)
    valid = {
        "origin": origin_sign(study=study, origin=data.draw(st.sampled_from([Origin.PREVIEW, Origin.SIMULATED]))),
        "ticket": ticket_sign(study=study, arrival=Arrival("p9", "s9", "st")),
        "agrees": "on",
        "entry_token": "a" * 22,
        "window_px": "1000",
        "PROLIFIC_PID": "p9",
        "SESSION_ID": "s9",
        "STUDY_ID": "st",
    }
    method = data.draw(st.sampled_from(METHODS))
    door = data.draw(st.sampled_from(["entry", "entry", "entry", "arrived", "turned_away"]))
    body = data.draw(queries(valid).map(lambda text: text.encode("latin-1", "replace")) | BYTES)
    content_type = data.draw(CONTENT_TYPES) if data.draw(st.booleans()) else "application/x-www-form-urlencoded"
    path = reverse(f"studies:{door}", args=[study.code])
    response = sent(client, method, path, data.draw(queries(valid)), body, content_type, data.draw(headers()))
    assert response.status_code in {200, 204, 301, 303, 400, 403, 405, 409, 503}, doubt(response)
    assert response.status_code != 503 or checks, "only the panel's keys can be missing"
    assert not response.cookies


@settings(max_examples=250, **TIMES)  # type: ignore[arg-type] # as above
@given(data=st.data())
def test_the_doors_of_a_session_answer_whatever_is_sent(
    client: Client, sessions: dict[SessionState, RatingSession], data: st.DataObject
) -> None:
    session = sessions[data.draw(st.sampled_from(sorted(sessions)))]
    code = session.trials.get(position=0).code
    door = data.draw(st.sampled_from([*["answer"] * 3, "rate", "stimulus", "withdraw", "debrief", "hand_in"]))
    path = reverse(f"studies:{door}", args=[session.code, *([code] if door == "stimulus" else [])])
    method = data.draw(st.sampled_from([*METHODS, "POST", "POST"]))
    valid = answer_body(code)
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(valid)) | st.text(max_size=8), JSON_VALUES, max_size=4))
    body = data.draw(st.sampled_from([json.dumps(valid | changed).encode()]) | BYTES)
    if data.draw(st.integers(0, 9)) == 0:
        body = json.dumps(valid | changed).encode(data.draw(st.sampled_from(["utf-16", "utf-32", "utf-8-sig"])))
    content_type = data.draw(CONTENT_TYPES) if data.draw(st.booleans()) else "application/json"
    response = sent(client, method, path, data.draw(queries({})), body, content_type, data.draw(headers()))
    assert response.status_code in {200, 204, 400, 404, 405, 409, 410}, doubt(response)
    assert not response.cookies
    if door == "answer" and response.status_code not in {200, 405}:
        if response["Content-Type"] == "application/json":
            assert response.json()["error"]
        assert response.status_code in {400, 404, 409}


@settings(max_examples=200, **TIMES)  # type: ignore[arg-type] # as above
@given(data=st.data())
def test_any_code_and_any_path_are_answered(
    client: Client, sessions: dict[SessionState, RatingSession], data: st.DataObject
) -> None:
    session = sessions[SessionState.ACTIVE]
    codes = st.sampled_from([session.code, session.study.code]).map(str.encode) | BYTES
    tails = st.sampled_from([b"", b"/", b"/answer", b"/t/", b"/withdraw", b"/debrief", b"/hand-in", b"/arrived", b"//"])
    pieces = [data.draw(st.sampled_from([b"/r/", b"/s/", b"/"])), data.draw(codes), data.draw(tails)]
    pieces.append(data.draw(BYTES) if data.draw(st.booleans()) else b"")
    as_server = {"PATH_INFO": b"".join(pieces).decode("latin-1")}  # how WSGI hands bytes over
    method = data.draw(st.sampled_from(METHODS))
    response = sent(client, method, "/", "", data.draw(BYTES), "application/json", as_server)
    assert response.status_code in {200, 204, 301, 302, 400, 403, 404, 405, 409}, doubt(response)


TOKEN_HEADERS = (b"{}", b"[]", b"null", b'{"kid": 7}', b'{"alg": "none", "kid": "k"}', b'{"alg": "HS256"}', b'"\\ud8"')


@pytest.mark.parametrize(
    "token",
    [
        "a.b.c",
        *(f"{base64.urlsafe_b64encode(header).decode().rstrip('=')}.e30.c2ln" for header in TOKEN_HEADERS),
        "\0",
        "\u00e9" * 50,
        "." * 5000,
    ],
)
def test_forged_signatures_of_a_panel_are_refused(client: Client, study: Study, token: str) -> None:
    Recruitment.objects.filter(study=study).update(checks_tokens=True)
    cache.set("prolific-keys", {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256"}]}, 60)
    cache.set("prolific-keys-fresh", True, 60)
    query = {"PROLIFIC_PID": "p", "SESSION_ID": "s", "STUDY_ID": "st", "prolific_token": token}
    response = client.get(reverse("studies:entry", args=[study.code]), query)
    assert response.status_code == 403, response.content
    assert not RatingSession.objects.exists()


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"trial":' * 50_000, b"\xff" * 1000, b"\0" * 1000, b'{"trial": "\\ud800"}', b'"' * 9]
)
def test_answers_that_are_deep_or_broken_are_refused_with_a_sentence(
    client: Client, sessions: dict[SessionState, RatingSession], body: bytes
) -> None:
    session = sessions[SessionState.ACTIVE]
    kept = Response.objects.filter(trial__session=session)
    response = client.post(reverse("studies:answer", args=[session.code]), body, "application/json")
    assert response.status_code == 400
    assert response.json()["error"]
    assert not kept.exists()


def test_an_answer_of_megabytes_is_refused(client: Client, sessions: dict[SessionState, RatingSession]) -> None:
    body = json.dumps({"trial": "x" * 3_000_000})
    address = reverse("studies:answer", args=[sessions[SessionState.ACTIVE].code])
    response = client.post(address, body, "application/json")
    assert response.status_code == 400
