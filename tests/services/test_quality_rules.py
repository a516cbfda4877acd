"""Rules of exclusion at the end of a session, and what is kept of them."""

import json
from typing import Any

import pytest

from studies.models import Kind, Origin, RatingSession, Side
from studies.selectors.exports import responses_rows
from studies.selectors.results import result_table
from studies.services.responses import response_record
from tests.factories import make_open_study, make_session, make_small_study

pytestmark = pytest.mark.django_db


def session_of(*, rt_ms: int = 900, chosen: Side | None = None, correct: bool = True, **fields: Any) -> RatingSession:
    """Run a session of a new study to its end: on one side always, or rightly, or wrongly."""
    session = make_session(make_open_study(**fields), answers=[])
    for trial in session.trials.order_by("position"):
        photo = Side(trial.photo_side)
        response_record(
            session=session,
            trial_code=trial.code,
            chosen_side=chosen or (photo if correct else photo.other),
            rt_ms=rt_ms if trial.kind != Kind.PRACTICE else 100,
            exposure_first_ms=1000.0,
            exposure_second_ms=1000.0,
            was_hidden=False,
        )
    session.refresh_from_db()
    return session


@pytest.mark.parametrize(
    ("answers", "rules", "reason", "broken"),
    [
        ({}, {"fast_ms": 300, "median_ms_least": 400, "run_limit": 5}, "", ""),
        ({"rt_ms": 299}, {"fast_ms": 300}, "too_fast", "too_fast"),
        ({"rt_ms": 399}, {"median_ms_least": 400}, "too_fast", "too_fast"),
        ({"chosen": Side.FIRST}, {"golden_count": 0, "run_limit": 4}, "same_side_run", "same_side_run"),
        (
            {"correct": False, "rt_ms": 100},
            {"fast_ms": 300, "practice_count": 10, "practice_least": 6},
            "golden_missed",
            "golden_missed too_fast practice_failed",
        ),
        ({"chosen": Side.FIRST}, {"golden_count": 0, "practice_count": 10, "practice_least": 6}, "", "practice_failed"),
    ],
)
def test_session_is_judged_at_its_end_and_every_broken_rule_is_kept(
    answers: dict[str, Any], rules: dict[str, Any], reason: str, broken: str
) -> None:
    session = session_of(**answers, **rules)
    assert (session.exclusion_reason, session.broken_rules) == (reason, broken)
    assert session.state == ("excluded" if reason else "complete")
    assert session.completion_code  # whoever is left out of the table is still told that they are done


SIGNS: dict[str, dict[str, Any]] = {
    "left_page": {"focus_losses": 1},
    "not_in_front": {"lost_focus": True},
    "automated": {"automation": "webdriver"},
    "exposures_missed": {"exposure_second_ms": 1200.0},
}


@pytest.mark.parametrize("missed_exposure", ["keep", "leave_out"])
def test_what_browsers_reported_leaves_sessions_out_by_rules_fixed_before(missed_exposure: str) -> None:
    limits: dict[str, Any] = {"left_page_limit": 2, "not_in_front_limit": 2, "automated_limit": 2, "missed_limit": 2}
    study = make_small_study(practice_count=2, test_count=3, missed_exposure=missed_exposure, **limits)
    plain = {"rt_ms": 900, "exposure_first_ms": 1000.0, "exposure_second_ms": 1000.0, "was_hidden": False}
    for rule, sign in SIGNS.items():
        for count, reason in ((1, ""), (2, rule)):
            session = make_session(study, answers=[])
            for trial in session.trials.order_by("position"):
                # In practice everybody shows the sign: it is for learning, and counts for nothing.
                shows = trial.kind == Kind.PRACTICE or trial.position < 2 + count
                given = plain | (sign if shows else {})
                response_record(session=session, trial_code=trial.code, chosen_side=Side(trial.photo_side), **given)
            session.refresh_from_db()
            assert (session.exclusion_reason, session.broken_rules) == (reason, reason), (rule, count)
    table = result_table(study)
    assert dict(table.flow.excluded) == dict.fromkeys(SIGNS, 1)
    assert (table.flow.completed, table.flow.counted) == (8, 4)
    (row,) = [row for row in table.rows if row.role == "test"]
    assert row.n_responses_all > row.n_responses > 0


def test_one_sided_session_is_left_out_by_the_exact_test() -> None:
    session = session_of(chosen=Side.SECOND, golden_count=0, test_count=12, side_bias_p=0.001)
    assert session.exclusion_reason == "one_sided"
    header, *rows = responses_rows(session.study, origin=Origin.PERSON)
    cells = [dict(zip(header, row, strict=True)) for row in rows]
    assert {cell["exclusion_reason"] for cell in cells if cell["session"]} == {"one_sided"}
    table = result_table(session.study)
    assert table.flow.excluded == (("one_sided", 1),)
    assert (table.flow.completed, table.flow.counted) == (1, 0)
    assert json.loads(session.study.design)["exclusions"]["side_bias_p"] == 0.001
