"""Raters who come at the same moment: never more than there are places, pairs shared out evenly, plans kept whole."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.db import connections

from studies.errors import EvalsiteError, StudyFull
from studies.models import Kind, PanelEntry, RatingSession, Recruitment, Study, Trial
from studies.models.choices import token_make
from studies.recruitment import Arrival
from studies.selectors import balance
from studies.services.admissions import Admission, Gate
from studies.services.sessions import session_start, session_withdraw
from studies.services.studies import ConditionSpec
from studies.services.trials import trials_complete_all
from tests.factories import make_open_study, make_small_study

THREADS = 8


def start_at_once(study: Study, arguments: list[dict[str, Any]]) -> list[RatingSession | EvalsiteError]:
    """Start sessions in threads of their own; return what each got."""

    def start(options: dict[str, Any]) -> RatingSession | EvalsiteError:
        try:
            return session_start(study=study, **options)
        except EvalsiteError as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(start, arguments))


def gaps_of(study: Study) -> list[int]:
    """Return for each method by how much its pairs differ in showings."""
    shown = Counter(Trial.objects.filter(session__study=study).values_list("pair_id", flat=True))
    of_method: dict[int, list[int]] = {}
    for pair, method in study.pairs.filter(kind=Kind.TEST).values_list("pk", "sample__condition_id"):
        of_method.setdefault(method, []).append(shown[pair])
    return [max(counts) - min(counts) for counts in of_method.values()]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("assignment", ["mixed", "one_condition"])
def test_raters_at_once_never_get_more_places_than_there_are_nor_uneven_pairs(assignment: str) -> None:
    study = make_open_study(
        assignment=assignment,
        practice_count=0,
        golden_count=0,
        test_count=4,
        conditions=[ConditionSpec("bicubic", role="test", label=f"Method {number}") for number in range(2)],
        raters_wanted=10 if assignment == "mixed" else 5,
    )
    outcomes = start_at_once(study, [{} for _ in range(24)])
    started = [outcome for outcome in outcomes if isinstance(outcome, RatingSession)]
    assert len(started) == RatingSession.objects.count() == 10
    assert [type(outcome) for outcome in outcomes if not isinstance(outcome, RatingSession)] == [StudyFull] * 14
    assert {session.trials.count() for session in started} == {4}
    assert max(gaps_of(study)) <= 1


@pytest.mark.django_db(transaction=True)
def test_a_form_or_a_participant_that_comes_often_at_once_starts_one_session() -> None:
    study = make_small_study(raters_wanted=50)
    forms = start_at_once(study, [{"entry_token": token} for token in [token_make()] * 6 + [token_make()] * 6])
    assert len({session.pk for session in forms if isinstance(session, RatingSession)}) == 2
    Recruitment.objects.update_or_create(study=study, defaults={"panel": "prolific"})
    panel = Study.objects.get(pk=study.pk)
    people = start_at_once(panel, [{"arrival": Arrival(f"p{number % 3}", "s", "st")} for number in range(12)])
    assert len({session.pk for session in people if isinstance(session, RatingSession)}) == 3
    assert PanelEntry.objects.count() == 3
    assert RatingSession.objects.count() == 5
    assert Trial.objects.count() == 5 * 4


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields", [{}, {"layout": "single", "golden_count": 0, "test_count": 4, "staircase_blocks": 2}], ids=["", "blocks"]
)
def test_a_session_that_was_cut_short_before_its_trials_gets_them_from_its_plan(fields: dict[str, Any]) -> None:
    study, token = make_open_study(**{"practice_count": 2, "test_count": 4, "golden_count": 1} | fields), token_make()
    session = session_start(study=study, entry_token=token)
    columns = ("position", "pair_id", "photo_id", "kind", "photo_side", "block")
    planned = list(session.trials.values_list(*columns))
    for again in (lambda: session_start(study=study, entry_token=token), trials_complete_all):
        Trial.objects.all().delete()
        again()
        assert list(session.trials.values_list(*columns)) == planned
        assert len(set(session.trials.values_list("code", flat=True))) == len(planned)
    assert trials_complete_all() == 0


def admission(study: Study) -> Admission:
    return Admission(study=study, origin="person", entry_token=token_make(), arrival=None, language="en")  # type: ignore[arg-type] # the gate does not look


def test_who_comes_while_others_are_let_in_goes_in_with_the_next_ones() -> None:
    is_inside, may_end = Event(), Event()
    groups: list[int] = []

    def admit(together: Any) -> None:
        groups.append(len(together))
        is_inside.set()
        assert may_end.wait(60)
        for each in together:
            each.session = RatingSession()

    gate, study = Gate(admit), Study()
    asked = [admission(study) for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(gate.enter, asked[0])
        assert is_inside.wait(60)
        others = [pool.submit(gate.enter, each) for each in asked[1:]]
        while gate.waiting < len(others):
            pass
        may_end.set()
        for done in (first, *others):
            done.result(60)
    assert groups == [1, 4]
    assert all(each.is_decided for each in asked)


def test_what_stops_one_of_those_let_in_together_leaves_each_to_try_alone() -> None:
    def admit(together: Any) -> None:
        together[0].session = RatingSession()
        raise OSError("the disk is full")

    gate, one = Gate(admit), admission(Study())
    gate.enter(one)
    assert (one.is_left, one.session) == (True, None)
    two = admission(Study())
    gate.enter(two)  # nobody waits for ever at the gate
    assert two.is_left


@pytest.mark.django_db
def test_a_place_of_a_nearly_full_study_is_free_at_once_however_many_sessions_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(balance, "FEW", -1)
    study = make_small_study(raters_wanted=3)
    first, *_ = [session_start(study=study) for _ in range(3)]
    with pytest.raises(StudyFull):
        session_start(study=study)
    session_withdraw(session=first)
    assert session_start(study=study).plan
    with pytest.raises(StudyFull):
        session_start(study=study)
