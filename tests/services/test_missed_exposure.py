"""Answers whose pictures showed too long or too short: kept, shown again or left out, by the study's rule."""

from typing import Any

import pytest

from studies.models import Kind, Origin, RatingSession, Response, SessionState, Side, Trial
from studies.protocols import exposure_missed
from studies.selectors.exports import responses_rows
from studies.selectors.responses import votes_get
from studies.selectors.sessions import passage_get
from studies.services.responses import response_record
from studies.services.sessions import session_start
from studies.statistics.results import SET_ASIDE
from tests.factories import make_open_study

pytestmark = pytest.mark.django_db


def answer(session: RatingSession, *, second_ms: float | None = 1000.0, correct: bool = True) -> Trial:
    """Answer the current trial, whose second picture stood for so long; return the trial."""
    trial = session.trials.get(code=passage_get(session).trials[0])
    side = Side(trial.photo_side)
    response_record(
        session=session,
        trial_code=trial.code,
        chosen_side=side if correct else side.other,
        rt_ms=500,
        exposure_first_ms=1000.0,
        exposure_second_ms=second_ms,
        was_hidden=False,
        frame_interval_ms=16.7,
    )
    return trial


def start(**options: Any) -> RatingSession:
    return session_start(study=make_open_study(practice_count=1, test_count=3, golden_count=1, **options))


@pytest.mark.parametrize(
    ("achieved", "interval", "is_missed"),
    [
        (1000.0, 16.7, False),
        (1033.3, 16.7, False),
        (1033.5, 16.7, True),
        (966.5, 16.7, True),
        (1016.0, 6.9, True),
        (1060.0, 33.3, False),
        (1070.0, 250.0, True),  # a browser that draws four times a second has no excuse in its own slowness
        (1033.0, None, False),
        (1034.0, None, True),
        (None, 16.7, False),
    ],
)
def test_miss_is_more_than_two_frames(achieved: float | None, interval: float | None, is_missed: bool) -> None:
    assert exposure_missed(1000, 1000.0, achieved, frame_interval_ms=interval) is is_missed
    assert exposure_missed(1000, achieved, 1000.0, frame_interval_ms=interval) is is_missed


def test_kept_answer_is_marked_and_counts() -> None:
    session = start(missed_exposure="keep")
    answer(session)
    missed = answer(session, second_ms=1200)
    assert (missed.response.exposure_missed, missed.response.is_set_aside) == (True, False)
    for _ in range(3):
        answer(session)
    session.refresh_from_db()
    assert session.state == SessionState.COMPLETE
    assert SET_ASIDE not in votes_get(session.study, origin=Origin.PERSON).kind


def test_answer_left_out_stays_in_the_export_and_counts_for_nothing() -> None:
    session = start(missed_exposure="leave_out", golden_misses_allowed=0)
    answer(session)
    missed = [answer(session, second_ms=700, correct=False) for _ in range(4)]
    assert sum(trial.kind == Kind.GOLDEN for trial in missed) == 1
    session.refresh_from_db()
    assert session.state == SessionState.COMPLETE, "a golden pair that was not properly shown excluded its rater"
    assert session.trials.count() == 5
    votes = votes_get(session.study, origin=Origin.PERSON)
    assert votes.kind.tolist() == ["practice"] + [SET_ASIDE] * 4
    head, *rows = responses_rows(session.study, origin=Origin.PERSON)
    told = [dict(zip(head, row, strict=True)) for row in rows if row[head.index("session")]]
    assert [(row["exposure_missed"], row["set_aside"]) for row in told] == [("0", "0")] + [("1", "1")] * 4
    assert [row["kind"] for row in told].count("golden") == 1


def test_missed_pair_is_shown_once_more_at_the_end() -> None:
    session = start(missed_exposure="repeat")
    answer(session)
    missed = answer(session, second_ms=1200, correct=False)
    assert passage_get(session).position == 2
    assert passage_get(session).count == 5, "the rater is not told of the pair that is shown again"
    for _ in range(3):
        answer(session)
    assert passage_get(session).phase == "main"
    again = answer(session)
    assert again.repeat_of == missed
    assert (again.pair_id, again.photo_side, again.kind) == (missed.pair_id, missed.photo_side, missed.kind)
    assert again.code != missed.code
    session.refresh_from_db()
    assert session.state == SessionState.COMPLETE
    counted = Response.objects.filter(trial__photo=missed.photo_id, is_set_aside=False)
    assert [response.trial for response in counted] == [again]


def test_pair_that_misses_again_is_not_shown_a_third_time() -> None:
    session = start(missed_exposure="repeat")
    for _ in range(9):
        answer(session, second_ms=1200)
    session.refresh_from_db()
    assert session.state == SessionState.COMPLETE
    assert session.trials.filter(repeat_of=None).count() == 5
    assert session.trials.exclude(repeat_of=None).count() == 4, "practice is not shown again"
    assert Response.objects.filter(is_set_aside=False).count() == 1


def test_sessions_of_programs_without_a_screen_miss_nothing() -> None:
    session = start(missed_exposure="repeat")
    answer(session, second_ms=None)
    assert not answer(session, second_ms=None).response.exposure_missed
    assert not Trial.objects.exclude(repeat_of=None).exists()
