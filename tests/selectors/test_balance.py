"""What each process remembers of how often pairs were planned is what the database says, whatever happens."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import time_machine
from django.db import transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.models import Condition, Origin, Role, SessionState, Study, StudyState
from studies.planning import PairOption, PlannedTrial
from studies.selectors import balance as balances
from studies.selectors.balance import Balance, balance_get
from studies.selectors.studies import pair_options
from studies.services.places import places_taken
from studies.services.retention import rater_erase
from studies.services.sessions import session_start, session_withdraw
from studies.services.studies import ConditionSpec
from tests.factories import answer_current, make_open_study, make_session, make_small_study

pytestmark = pytest.mark.django_db


def conditions_of(study: Study) -> list[Condition]:
    return list(study.conditions.filter(role=Role.TEST).order_by("position"))


def assert_counts_as_the_database(
    balance: Balance, study: Study, origin: Origin = Origin.PERSON, *, is_exact: bool = False
) -> None:
    conditions = conditions_of(study)
    draft = balance.draft(is_exact=is_exact)
    positions = {condition.position for condition in conditions}
    counted = draft.table.least_seen(draft.seen, conditions=positions, most=10_000, rng=np.random.default_rng(0))
    assert counted == pair_options(study, conditions=[condition.pk for condition in conditions], origin=origin)
    taken = places_taken(study, origin=origin)
    assert {condition: draft.places[condition] for condition in taken} == taken


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


@pytest.fixture
def _many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every study for one of so many sessions that they are looked at once in a while."""
    monkeypatch.setattr(balances, "FEW", -1)


@pytest.mark.usefixtures("_many")
@pytest.mark.parametrize("assignment", ["mixed", "one_condition"])
def test_among_many_sessions_new_ones_are_counted_at_once_and_the_others_within_a_second(assignment: str) -> None:
    study = make_open_study(assignment=assignment, practice_count=0, golden_count=0, test_count=4, raters_wanted=500)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        balance = Balance(study, Origin.PERSON)
        assert_counts_as_the_database(balance, study)
        first, _ = session_start(study=study), session_start(study=study)
        assert_counts_as_the_database(balance, study)
        session_withdraw(session=first)
        assert balance.draft().places.total() == 2
        clock.shift(0.9)
        session_start(study=study)
        assert balance.draft().places.total() == 3
        clock.shift(120)
        assert_counts_as_the_database(balance, study)
        session_start(study=study)
        clock.shift(-3600)  # somebody sets the clock right
        assert_counts_as_the_database(balance, study)


@pytest.mark.usefixtures("_many")
def test_whatever_sessions_do_a_process_that_follows_them_counts_as_one_that_reads_them_all() -> None:
    study = make_open_study(preset="founding_mixed", raters_wanted=500)

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.sampled_from(["start", "elsewhere", "answer", "finish", "withdraw", "erase", "wait"])))
    def follows(steps: list[str]) -> None:
        with transaction.atomic(), time_machine.travel(timezone.now(), tick=False) as clock:
            here, rng = Balance(study, Origin.PERSON), np.random.default_rng(len(steps))
            for step in steps:
                under_way = list(study.sessions.filter(state=SessionState.ACTIVE).order_by("pk"))
                chosen = under_way[int(rng.integers(len(under_way)))] if under_way else None
                if step == "start":  # by this process, which counts it itself
                    session = session_start(study=study)
                    planned = [
                        PlannedTrial(PairOption(trial.pair_id, trial.photo_id, 0, trial.kind, "", 0), trial.photo_side)
                        for trial in session.trials.all()
                    ]
                    here.add(session.pk, condition=session.condition_id, planned=planned)
                elif step == "elsewhere":
                    session_start(study=study, origin=Origin.SIMULATED if rng.random() < 0.2 else Origin.PERSON)
                elif step == "wait":
                    clock.shift(60 * float(rng.integers(1, 30)))
                elif chosen is None:
                    continue
                elif step == "answer":
                    answer_current(chosen)
                elif step == "finish":
                    while chosen.trials.filter(response=None).exists():
                        answer_current(chosen)
                elif step == "withdraw":
                    session_withdraw(session=chosen)
                else:
                    rater_erase(rater=chosen.rater)
                assert here.draft().places.total() >= 0
            assert_counts_as_the_database(here, study, is_exact=True)
            transaction.set_rollback(True)

    follows()


def test_sessions_of_before_plans_were_kept_are_counted_by_their_trials() -> None:
    study = make_open_study(preset="founding_mixed", raters_wanted=50)
    make_session(study)
    session_start(study=study)
    assert study.sessions.exclude(plan="").count() == 2
    study.sessions.update(plan="")
    assert_counts_as_the_database(Balance(study, Origin.PERSON), study)


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
