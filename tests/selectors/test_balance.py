"""What each process remembers of how often pairs were planned is what the database says, whatever happens."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import time_machine
from django.utils import timezone

from studies.models import Condition, Origin, Role, Study, StudyState
from studies.selectors.balance import Balance, balance_get
from studies.selectors.studies import pair_options
from studies.services.sessions import session_start, session_withdraw
from studies.services.studies import ConditionSpec
from tests.factories import answer_current, make_open_study, make_session, make_small_study

pytestmark = pytest.mark.django_db


def conditions_of(study: Study) -> list[Condition]:
    return list(study.conditions.filter(role=Role.TEST).order_by("position"))


def assert_counts_as_the_database(balance: Balance, study: Study, origin: Origin = Origin.PERSON) -> None:
    conditions = conditions_of(study)
    counted = balance.options(conditions, most=10_000, rng=np.random.default_rng(0))
    assert counted == pair_options(study, conditions=[condition.pk for condition in conditions], origin=origin)


def test_counts_follow_sessions_that_begin_end_leave_and_come_back() -> None:
    study = make_open_study(preset="founding_mixed", raters_wanted=50)
    balance = Balance(study, Origin.PERSON)
    assert_counts_as_the_database(balance, study)
    session_start(study=study)
    gone, answered = session_start(study=study), make_session(study, answers=[True])
    make_session(study)
    session_start(study=study, origin=Origin.SIMULATED)
    assert_counts_as_the_database(balance, study)
    assert_counts_as_the_database(Balance(study, Origin.SIMULATED), study, Origin.SIMULATED)
    session_withdraw(session=gone)
    assert_counts_as_the_database(balance, study)
    with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=False):
        assert_counts_as_the_database(balance, study)  # who did not answer is waited for no more
    with time_machine.travel(timezone.now() + timedelta(minutes=61), tick=False):
        assert_counts_as_the_database(balance, study)
        while answered.trials.filter(response=None).exists():
            answer_current(answered)
        assert_counts_as_the_database(balance, study)  # who comes back and finishes counts again


@pytest.mark.parametrize("assignment", ["mixed", "one_condition"])
def test_started_sessions_keep_the_pairs_of_a_method_within_one(assignment: str) -> None:
    study = make_open_study(
        assignment=assignment,
        practice_count=0,
        golden_count=0,
        test_count=4,
        raters_wanted=50,
        conditions=[ConditionSpec("bicubic", role="test", label=f"Method {number}") for number in range(3)],
    )
    for _ in range(12):
        session_start(study=study)
        options = pair_options(study, conditions=[c.pk for c in conditions_of(study)], origin=Origin.PERSON)
        for condition in {option.condition for option in options}:
            seen = [option.seen for option in options if option.condition == condition]
            assert max(seen) - min(seen) <= 1


@pytest.mark.parametrize(
    ("fields", "is_remembered"),
    [({}, True), ({"practice_pass": 1}, False), ({"state": StudyState.READY}, False)],
    ids=["open", "second practice", "not frozen"],
)
def test_nothing_is_remembered_where_plans_may_grow_or_pairs_change(
    fields: dict[str, Any], is_remembered: bool
) -> None:
    assert (balance_get(make_small_study(**fields), origin=Origin.PERSON) is not None) == is_remembered
