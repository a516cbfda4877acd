"""Most answers are kept by one statement; whatever else one may mean is left to the longer way, which says the same."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from studies.errors import SessionEnded, StudyNotOpen, TrialNotCurrent
from studies.models import RatingSession, Response, Side, Study
from studies.selectors.ballots import Ballot, ballot_get
from studies.selectors.sessions import passage_get
from studies.services.responses import Recorded, ballot_cast, last_ballot_cast, response_record
from studies.services.sessions import session_start, session_withdraw
from studies.services.studies import study_close
from tests.factories import make_open_study, make_session

pytestmark = pytest.mark.django_db

MEASURED: dict[str, Any] = {
    "exposure_first_ms": 1000.0,
    "exposure_second_ms": None,
    "was_hidden": True,
    "device_scale": 8,
    "pixel_ratio": 1.5,
    "frames_first": 60,
    "frames_second": None,
    "frame_interval_ms": 16.7,
    "lost_focus": True,
    "focus_losses": 2,
    "automation": "webdriver",
}
OF_ONE_ANSWER = ("trial", "answered_at")
"""Fields in which two responses that were kept alike differ."""


def close(session: RatingSession) -> None:
    study_close(study=Study.objects.get(pk=session.study_id))


@pytest.fixture
def study() -> Study:
    return make_open_study(practice_count=2, test_count=3, golden_count=1)


def ballot_of(session: RatingSession) -> Ballot:
    ballot = ballot_get(session_code=session.code)
    assert ballot is not None
    return ballot


def cast(ballot: Ballot, side: Side = Side.FIRST, **changes: Any) -> Recorded | None:
    return ballot_cast(
        ballot=ballot, trial_code=ballot.ahead[0].code, chosen_side=side, rt_ms=700, **{**MEASURED, **changes}
    )


def cast_last(session: RatingSession, ballot: Ballot, side: Side = Side.FIRST, **changes: Any) -> Recorded | None:
    given = {**MEASURED, **changes}
    code = ballot.ahead[0].code
    return last_ballot_cast(ballot=ballot, session=session, trial_code=code, chosen_side=side, rt_ms=700, **given)


def record(session: RatingSession, code: str, side: Side = Side.FIRST, **changes: Any) -> Recorded:
    return response_record(session=session, trial_code=code, chosen_side=side, rt_ms=700, **{**MEASURED, **changes})


@pytest.mark.parametrize("asks_for", ["photo", "sample"])
@pytest.mark.parametrize("missed_exposure", ["keep", "leave_out"])
def test_short_way_keeps_and_answers_what_the_long_way_does(asks_for: str, missed_exposure: str) -> None:
    study = make_open_study(
        practice_count=2, test_count=3, golden_count=1, asks_for=asks_for, missed_exposure=missed_exposure
    )
    short, long = (session_start(study=study) for _ in range(2))
    twins = zip(short.trials.order_by("position"), long.trials.order_by("position"), strict=True)
    for one, other in twins:  # the same pairs on the same sides, so that only the ways differ
        other.photo_side = one.photo_side
        other.kind = one.kind
        other.save(update_fields=["photo_side", "kind"])
    for position in range(6):
        ballot = ballot_of(short)
        changes = {"exposure_first_ms": 1000.0 + 200 * position}  # too long from the second on
        side = (Side.FIRST, Side.SECOND)[position % 2]
        told = cast(ballot, side, **changes)
        by_last = cast_last(short, ballot, side, **changes)
        assert (told is None, by_last is None) == ((False, True) if position < 5 else (True, False))
        told = told or by_last
        by_record = record(long, passage_get(long).trials[0], side, **changes)
        assert told is not None
        assert told.feedback == by_record.feedback
        short.refresh_from_db()
        assert told.passage == passage_get(short)
        passages = [replace(one.passage, trials=(), completion_code="") for one in (told, by_record)]
        assert passages[0] == passages[1]
    assert responses_of_session(short) == responses_of_session(long)
    long.refresh_from_db()
    judged = [(one.state, one.exclusion_reason, one.broken_rules) for one in (short, long)]
    assert judged[0] == judged[1]
    assert short.finished_at
    assert len(short.completion_code) == len(long.completion_code) > 0


def responses_of_session(session: RatingSession) -> list[dict[str, Any]]:
    names = [field.name for field in Response._meta.concrete_fields if field.name not in OF_ONE_ANSWER]
    return list(Response.objects.filter(trial__session=session).order_by("trial__position").values(*names))


def test_answer_sent_twice_at_once_is_kept_once(study: Study) -> None:
    session = session_start(study=study)
    ballot = ballot_of(session)
    first = cast(ballot, Side.FIRST)
    assert first is not None
    assert cast(ballot, Side.SECOND) is None  # the other copy read where it stood before the first was kept
    again = record(session, ballot.ahead[0].code, Side.SECOND)
    assert (again.feedback, again.passage) == (first.feedback, first.passage)
    assert [answer.chosen_side for answer in Response.objects.all()] == ["first"]


def before_last(study: Study) -> tuple[RatingSession, Ballot]:
    session = session_start(study=study)
    while not (ballot := ballot_of(session)).is_last:
        cast(ballot)
    return session, ballot


def test_last_answer_sent_twice_at_once_ends_the_session_once(study: Study) -> None:
    session, ballot = before_last(study)
    copy = RatingSession.objects.get(pk=session.pk)
    first = cast_last(session, ballot, Side.FIRST)
    assert first is not None
    assert cast_last(copy, ballot, Side.SECOND) is None
    again = record(copy, ballot.ahead[0].code, Side.SECOND)
    assert again == first
    assert Response.objects.get(trial__code=ballot.ahead[0].code).chosen_side == "first"


def test_last_answer_is_not_kept_if_the_session_cannot_be_judged(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    session, ballot = before_last(study)

    def fail(*, session: RatingSession) -> None:
        raise OSError(f"no way to judge {session}")

    monkeypatch.setattr("studies.services.responses.session_finish", fail)
    with pytest.raises(OSError, match="no way to judge"):
        cast_last(session, ballot)
    assert ballot_of(session) == ballot


def test_trial_that_is_not_current_is_left_to_the_long_way(study: Study) -> None:
    session = session_start(study=study)
    ballot = ballot_of(session)
    later = ballot.ahead[1].code
    assert ballot_cast(ballot=ballot, trial_code=later, chosen_side=Side.FIRST, rt_ms=1, **MEASURED) is None
    with pytest.raises(TrialNotCurrent):
        record(session, later)
    assert not Response.objects.exists()


@pytest.mark.parametrize(
    ("end", "error"),
    [(lambda session: session_withdraw(session=session), SessionEnded), (close, StudyNotOpen)],
    ids=["withdrawn", "closed"],
)
def test_answer_that_comes_while_the_session_or_the_study_ends_is_not_kept(
    study: Study, end: Callable[[RatingSession], None], error: type[Exception]
) -> None:
    session = session_start(study=study)
    ballot = ballot_of(session)
    end(session)
    assert cast(ballot) is None
    session.refresh_from_db()
    with pytest.raises(error):
        record(session, ballot.ahead[0].code)
    assert not Response.objects.exists()


@pytest.mark.parametrize("end", [lambda session: session_withdraw(session=session), close], ids=["withdrawn", "closed"])
def test_last_answer_that_comes_while_the_session_or_the_study_ends_is_not_kept(
    study: Study, end: Callable[[RatingSession], None]
) -> None:
    session, ballot = before_last(study)
    end(RatingSession.objects.get(pk=session.pk))
    kept = Response.objects.count()
    assert cast_last(session, ballot) is None
    assert Response.objects.count() == kept
    assert RatingSession.objects.get(pk=session.pk).completion_code == ""


def test_what_is_judged_or_counted_anew_is_left_to_the_long_way() -> None:
    for fields in ({"practice_pass": 1}, {"missed_exposure": "repeat"}):
        session = session_start(study=make_open_study(practice_count=2, test_count=3, golden_count=0, **fields))
        assert cast(ballot_of(session)) is None
    assert not Response.objects.exists()


def test_finished_or_unknown_session_waits_for_no_answer(study: Study) -> None:
    assert ballot_get(session_code=make_session(study).code) is None
    assert ballot_get(session_code="unknown") is None
