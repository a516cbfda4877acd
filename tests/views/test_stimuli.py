"""The pictures of a trial."""

from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from structlog.testing import capture_logs

from studies.models import RatingSession, Side, Trial
from studies.selectors.pictures import picture_read
from studies.services.sessions import session_start
from tests.factories import answer_current, make_open_study
from tests.views.player import answer_body

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> RatingSession:
    return session_start(study=make_open_study(practice_count=2, test_count=4, golden_count=1))


def address(session: RatingSession, trial: Trial) -> str:
    return reverse("studies:stimulus", args=[session.code, trial.code])


def test_bytes_are_the_first_then_the_second_picture(client: Client, session: RatingSession) -> None:
    sides = set()
    for trial in session.trials.select_related("photo", "pair__sample"):
        sides.add(trial.photo_side)
        body = client.get(address(session, trial)).content
        first, second = np.frombuffer(body, np.uint8).reshape(2, 32, 32, 3)
        photo, sample = picture_read(trial.photo.high_res), picture_read(trial.pair.sample.picture)
        expected = (photo, sample) if trial.photo_side == Side.FIRST else (sample, photo)
        np.testing.assert_array_equal(first, expected[0])
        np.testing.assert_array_equal(second, expected[1])
        answer_current(session)
    assert sides == {Side.FIRST, Side.SECOND}


def test_only_a_small_window_can_be_fetched(client: Client, session: RatingSession) -> None:
    trials = list(session.trials.order_by("position"))
    seen = [client.get(address(session, trial)).status_code for trial in trials]
    assert seen == [200, 200, 200, 404, 404, 404, 404]
    for _ in range(3):
        answer_current(session)
    seen = [client.get(address(session, trial)).status_code for trial in trials]
    assert seen == [404, 404, 200, 200, 200, 200, 404]


def test_refusal_is_a_sentence(client: Client, session: RatingSession) -> None:
    response = client.get(reverse("studies:stimulus", args=[session.code, "unknown"]))
    assert response.status_code == 404
    assert "reload" in response.json()["error"]


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\r\n\x1a\n no more"], ids=["gone", "empty", "broken"])
def test_picture_that_cannot_be_read_is_said_and_logged(
    client: Client, session: RatingSession, content: bytes | None
) -> None:
    trial = session.trials.get(position=0)
    file = trial.pair.sample.picture
    Path(file.path).unlink()
    if content is not None:
        Path(file.path).write_bytes(content)
    with capture_logs() as lines:
        response = client.get(address(session, trial))
    assert response.status_code == 410
    assert "missing on our side" in response.json()["error"]
    told = [line for line in lines if line["event"] == "picture_missing"]
    assert [(line["log_level"], line["trial"], line["files"][1]) for line in told] == [("error", trial.pk, file.name)]


def test_pair_is_shown_to_its_own_session_only(client: Client, session: RatingSession) -> None:
    other = session_start(study=session.study)
    trial = other.trials.get(position=0)
    assert client.get(reverse("studies:stimulus", args=[session.code, trial.code])).status_code == 404


def test_input_stands_between_the_two_pictures_where_the_layout_shows_it(client: Client) -> None:
    study = make_open_study(practice_count=0, test_count=2, golden_count=1, layout="input_between", exposure_ms=3000)
    session = session_start(study=study)
    for trial in session.trials.select_related("photo", "pair__sample"):
        body = client.get(address(session, trial)).content
        first, between, second = np.frombuffer(body, np.uint8).reshape(3, 32, 32, 3)
        photo, sample = picture_read(trial.photo.high_res), picture_read(trial.pair.sample.picture)
        expected = (photo, sample) if trial.photo_side == Side.FIRST else (sample, photo)
        np.testing.assert_array_equal((first, second), expected)
        np.testing.assert_array_equal(between, np.kron(picture_read(trial.photo.low_res), np.ones((4, 4, 1), np.uint8)))


def reply_to_first(client: Client, session: RatingSession) -> dict[str, Any]:
    trial = session.trials.get(position=0)
    response = client.post(
        reverse("studies:answer", args=[session.code]), answer_body(trial.code), content_type="application/json"
    )
    assert response.status_code == 200
    reply: dict[str, Any] = response.json()
    return reply


def test_a_reply_brings_the_pictures_that_may_be_loaded_from_now_on(client: Client, session: RatingSession) -> None:
    pictures = reply_to_first(client, session)["pictures"]
    new = session.trials.get(position=3)
    assert pictures["trial"] == new.code
    assert b64decode(pictures["values"]) == client.get(address(session, new)).content


@pytest.mark.parametrize(
    ("layout", "size", "comes"),
    [("sequential", 52, True), ("sequential", 56, False), ("input_between", 48, False), ("single", 72, True)],
)
def test_only_small_pictures_come_with_a_reply(client: Client, layout: str, size: int, comes: bool) -> None:
    study = make_open_study(layout=layout, size=size, practice_count=0, test_count=5, golden_count=0)
    session = session_start(study=study)
    assert (reply_to_first(client, session)["pictures"] is not None) == comes
    assert client.get(address(session, session.trials.get(position=3))).status_code == 200


def test_answer_is_kept_though_the_pictures_of_a_later_pair_are_missing(client: Client, session: RatingSession) -> None:
    new = session.trials.get(position=3)
    Path(new.pair.sample.picture.path).unlink()
    reply = reply_to_first(client, session)
    assert (reply["pictures"], reply["passage"]["position"]) == (None, 2)
    assert client.get(address(session, new)).status_code == 410


def test_nothing_more_comes_at_the_end(client: Client, session: RatingSession) -> None:
    for _ in range(4):
        answer_current(session)
    trial = session.trials.get(position=4)
    door = reverse("studies:answer", args=[session.code])
    reply = client.post(door, answer_body(trial.code), content_type="application/json").json()
    assert (reply["pictures"], len(reply["passage"]["trials"])) == (None, 2)
