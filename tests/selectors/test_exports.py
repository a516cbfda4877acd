"""Cells of the export of responses."""

import csv
import io
import time
from collections.abc import Generator

import pytest
from django.db import connection, transaction

from studies.models import Origin, Side
from studies.selectors import exports
from studies.selectors.exports import responses_csv, responses_rows
from studies.services.responses import response_record
from studies.statistics.responses_csv import COLUMNS
from tests.factories import make_open_study, make_session, make_small_study

pytestmark = pytest.mark.django_db


def test_scale_on_the_screen_is_exported_as_it_was_recorded() -> None:
    study = make_open_study()
    session = make_session(study, answers=[])
    for trial, (scale, ratio) in zip(
        session.trials.order_by("position"), [(21, 2.625), (8, 1.0), (None, None)], strict=False
    ):
        response_record(
            session=session,
            trial_code=trial.code,
            chosen_side=Side.FIRST,
            rt_ms=500,
            exposure_first_ms=None,
            exposure_second_ms=None,
            was_hidden=False,
            device_scale=scale,
            pixel_ratio=ratio,
        )
    header, *rows = responses_rows(study, origin=Origin.PERSON)
    cells = [dict(zip(header, row, strict=True)) for row in rows]
    answered = [cell for cell in cells if cell["kind"] != "none"]
    assert [(cell["device_scale"], cell["pixel_ratio"]) for cell in answered] == [("21", "2.625"), ("8", "1"), ("", "")]
    assert {cell["session"] for cell in answered} == {f"session-{session.pk}"}
    assert {cell["rater"] for cell in answered} == {f"rater-{session.rater_id}"}


def test_text_with_commas_quotes_and_lines_is_read_back_as_it_was_written() -> None:
    title, question = 'Kitchens, "sharp"; second try', 'Which one,\nwould\u2028you "guess"?'
    study = make_small_study(title=title, question=question)
    make_session(study, answers=[True])
    rows = list(csv.DictReader(io.StringIO("".join(responses_csv(study, origin=Origin.PERSON)), newline="")))
    assert len(rows) == 2  # an answer, and the condition that nobody has judged
    assert {(row["study_title"], row["question"]) for row in rows} == {(title, question)}
    assert all(len(row) == len(COLUMNS) and None not in row for row in rows)
    assert [list(row.values()) for row in rows] == list(responses_rows(study, origin=Origin.PERSON))[1:]


def test_sessions_come_in_their_order_whether_read_at_once_or_by_and_by(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_small_study(raters_wanted=8)
    sessions = [str(make_session(study)) for _ in range(3)]
    at_once = "".join(responses_csv(study, origin=Origin.PERSON))
    monkeypatch.setattr(exports, "SESSIONS_AT_ONCE", 1)
    assert "".join(responses_csv(study, origin=Origin.PERSON)) == at_once
    rows = list(csv.DictReader(io.StringIO(at_once)))
    assert [row["session"] for row in rows if row["position"] == "0"] == sessions
    assert len(rows) == 3 * (study.practice_count + study.main_count)


@pytest.mark.django_db(transaction=True)
def test_what_is_read_ahead_is_what_is_read_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL a thread reads ahead, but not within a transaction; whoever stops early leaves no connection."""
    study = make_small_study(raters_wanted=8)
    for _ in range(3):
        make_session(study)
    monkeypatch.setattr(exports, "SESSIONS_AT_ONCE", 1)
    with transaction.atomic():
        asked_for = list(responses_csv(study, origin=Origin.PERSON))
    before = connections_open()
    assert list(responses_csv(study, origin=Origin.PERSON)) == asked_for
    begun = responses_csv(study, origin=Origin.PERSON)
    assert isinstance(begun, Generator)
    assert [next(begun), next(begun)] == asked_for[:2]
    begun.close()
    assert connections_open() == before


def connections_open() -> int:
    """Return how many connections PostgreSQL serves to its database; 1 elsewhere."""
    if connection.vendor != "postgresql":
        return 1
    deadline = time.monotonic() + 10  # a connection that is closed is gone a moment later
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            number = int(cursor.fetchone()[0])
            if number == 1 or time.monotonic() > deadline:
                return number
            time.sleep(0.05)
