"""Raters arrive, answer and finish: each answer once, places shared out, golden misses excluded."""

from dataclasses import replace
from datetime import timedelta
from threading import Event
from unittest.mock import Mock

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from studies.errors import SessionUnknown, StudyFull, StudyNotOpen, TokenInvalid, TrialNotCurrent, TrialUnknown
from studies.models import Kind, Origin, Pair, Rater, RatingSession, Response, Side, StudyState, Trial
from studies.models.choices import token_make
from studies.selectors.pictures import picture_read
from studies.selectors.sessions import passage_get, session_get, still_running
from studies.selectors.stimuli import stimulus_get
from studies.selectors.studies import pair_options
from studies.services import admissions
from studies.services.admissions import Admission
from studies.services.responses import response_record
from studies.services.sessions import origin_sign, origin_verify, session_start
from studies.services.studies import study_close, study_pause
from tests.factories import answer_current, make_open_study, make_session, make_study

pytestmark = pytest.mark.django_db


def answer(session: RatingSession, code: str, side: Side = Side.FIRST) -> None:
    response_record(
        session=session,
        trial_code=code,
        chosen_side=side,
        rt_ms=500,
        exposure_first_ms=None,
        exposure_second_ms=None,
        was_hidden=False,
    )


def test_a_session_ends_with_a_code_once_everything_is_answered() -> None:
    session = make_session(make_open_study())
    assert session.state == "complete"
    passage = passage_get(session)
    assert (passage.phase, passage.trials) == ("finished", ())
    assert len(passage.completion_code) == 8
    assert session.finished_at is not None


def test_a_missed_golden_pair_excludes_and_still_gives_a_code() -> None:
    study = make_open_study()
    session = session_start(study=study)
    for trial in session.trials.order_by("position"):
        answer_current(session, correct=trial.kind != Kind.GOLDEN)
    session.refresh_from_db()
    assert (session.state, session.exclusion_reason) == ("excluded", "golden_missed")
    assert session.completion_code


def test_being_fooled_excludes_nobody() -> None:
    study = make_open_study()
    session = session_start(study=study)
    for trial in session.trials.order_by("position"):
        answer_current(session, correct=trial.kind == Kind.GOLDEN)
    session.refresh_from_db()
    assert session.state == "complete"


def test_the_first_answer_wins_and_a_repeat_gets_the_same_reply() -> None:
    session = session_start(study=make_open_study())
    trial = session.trials.get(position=0)
    side = Side(trial.photo_side)
    first = answer_current(session, correct=True)
    again = response_record(
        session=session,
        trial_code=trial.code,
        chosen_side=side.other,
        rt_ms=1,
        exposure_first_ms=None,
        exposure_second_ms=None,
        was_hidden=True,
    )
    assert again == first
    kept = Response.objects.get()
    assert (kept.chosen_side, kept.rt_ms, kept.was_hidden) == (side, 700, False)


def test_feedback_comes_with_practice_only() -> None:
    session = session_start(study=make_open_study())
    replies = [answer_current(session, correct=False) for _ in range(7)]
    told = [reply.feedback for reply in replies]
    assert [feedback is not None for feedback in told] == [True, True, False, False, False, False, False]
    assert [feedback.correct for feedback in told[:2] if feedback] == [False, False]


def test_trials_are_answered_in_their_order() -> None:
    session = session_start(study=make_open_study())
    with pytest.raises(TrialNotCurrent, match="Pair 3 cannot be answered now: pair 1 is next"):
        answer(session, session.trials.get(position=2).code)
    with pytest.raises(TrialUnknown):
        answer(session, make_session(session.study, answers=[]).trials.get(position=0).code)
    assert not Response.objects.exists()


def test_a_paused_study_lets_raters_finish_and_a_closed_one_does_not() -> None:
    study = make_open_study()
    session = make_session(study, answers=[True])
    study_pause(study=study)
    answer_current(session_get(code=session.code))
    with pytest.raises(StudyNotOpen):
        session_start(study=study)
    study_close(study=study)
    with pytest.raises(StudyNotOpen, match="earlier answers are kept"):
        answer_current(session_get(code=session.code))
    assert Response.objects.count() == 2


def test_conditions_fill_evenly_and_running_sessions_count() -> None:
    study = make_open_study()
    for _ in range(6):
        session_start(study=study)
    counts = [condition.sessions.count() for condition in study.conditions.filter(role="test")]
    assert counts == [3, 3]


def test_a_session_left_behind_frees_its_place() -> None:
    study = make_open_study(raters_wanted=1)
    session_start(study=study)
    session_start(study=study)
    with pytest.raises(StudyFull, match="all the participants it needs"):
        session_start(study=study)
    with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=False):
        assert session_start(study=study).condition is not None


def test_a_session_with_an_answer_holds_its_place_for_longer() -> None:
    study = make_open_study(raters_wanted=1, preset="founding_mixed")
    pair = make_session(study, answers=[True]).trials.get(position=0).pair_id

    def seen() -> int:
        conditions = list(study.conditions.values_list("pk", flat=True))
        options = pair_options(study, conditions=conditions, origin=Origin.PERSON)
        return next(option.seen for option in options if option.pair == pair)

    with time_machine.travel(timezone.now() + timedelta(minutes=59), tick=False):
        assert seen() == 1
        with pytest.raises(StudyFull):
            session_start(study=study)
    with time_machine.travel(timezone.now() + timedelta(minutes=61), tick=False):
        assert seen() == 0
        assert session_start(study=study).trials.count() == 7


def test_a_running_session_counts_once_however_much_it_has_answered() -> None:
    session = make_session(make_open_study(), answers=[True] * 5)
    assert list(RatingSession.objects.filter(still_running())) == [session]
    assert list(Trial.objects.filter(still_running("session__"), position=0)) == [session.trials.get(position=0)]


def test_who_loses_the_race_with_the_same_form_gets_the_session_of_who_won(monkeypatch: pytest.MonkeyPatch) -> None:
    study, token = make_open_study(), token_make()
    admit = admissions.admission_get
    winners: list[RatingSession] = []

    def admit_after_the_other(asked: Admission) -> RatingSession:
        if not winners:
            winners.append(admit(replace(asked, turn=Event())))
        return admit(asked)

    monkeypatch.setattr("studies.services.sessions.admission_get", admit_after_the_other)
    assert [session_start(study=study, entry_token=token)] == winners
    assert Rater.objects.count() == RatingSession.objects.count() == 1


def test_what_else_the_database_refuses_is_not_taken_for_a_race(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_open_study()
    monkeypatch.setattr(admissions, "rows_insert", Mock(side_effect=IntegrityError("something else")))
    with pytest.raises(IntegrityError, match="something else"):
        session_start(study=study)


def test_simulated_raters_take_no_place_from_people() -> None:
    study = make_open_study(raters_wanted=1, preset="founding_mixed")
    for _ in range(3):
        make_session(study, origin=Origin.SIMULATED)
    assert make_session(study).rater.origin == "person"


def test_a_mixed_session_shows_every_condition_and_one_method_a_session_only_one() -> None:
    mixed = session_start(study=make_open_study(preset="founding_mixed"))
    assert mixed.condition is None
    tested = mixed.trials.filter(kind=Kind.TEST).values_list("pair__sample__condition", flat=True)
    assert len(set(tested)) == 2
    single = session_start(study=make_open_study())
    tested = single.trials.exclude(kind=Kind.GOLDEN).values_list("pair__sample__condition", flat=True)
    assert set(tested) == {single.condition_id}


def test_stimuli_hold_the_photo_on_its_side_and_only_near_ones_can_be_had() -> None:
    session = session_start(study=make_open_study())
    trials = list(session.trials.select_related("photo", "pair__sample").order_by("position"))
    length = 32 * 32 * 3
    for trial in trials[:3]:
        data = stimulus_get(session_code=session.code, trial_code=trial.code)
        first, second = data[:length], data[length:]
        assert len(data) == 2 * length
        photo = first if trial.photo_side == "first" else second
        assert photo == picture_read(trial.photo.high_res).tobytes()
    with pytest.raises(TrialUnknown):
        stimulus_get(session_code=session.code, trial_code=trials[3].code)
    for _ in range(2):
        answer_current(session)
    stimulus_get(session_code=session.code, trial_code=trials[3].code)
    with pytest.raises(TrialUnknown):
        stimulus_get(session_code=session.code, trial_code=trials[0].code)


def test_origin_tokens_are_bound_to_their_study_and_cannot_be_changed() -> None:
    study, other = make_study(state=StudyState.DRAFT), make_study(state=StudyState.DRAFT)
    token = origin_sign(study=study, origin=Origin.PREVIEW)
    assert origin_verify(study=study, token=token) is Origin.PREVIEW
    for wrong, of in ((token[:-1] + "x", study), ("", study), (token, other)):
        with pytest.raises(TokenInvalid):
            origin_verify(study=of, token=wrong)
    with time_machine.travel(timezone.now() + timedelta(days=2)), pytest.raises(TokenInvalid):
        origin_verify(study=study, token=token)


def test_an_unknown_session_is_said() -> None:
    with pytest.raises(SessionUnknown, match="open the link to the study once more"):
        session_get(code="nobody")


def test_a_photo_that_a_trial_shows_cannot_be_deleted() -> None:
    trial = session_start(study=make_open_study()).trials.select_related("photo", "pair__sample").get(position=0)
    assert trial.photo_id == trial.pair.sample.photo_id
    with pytest.raises(ProtectedError):
        trial.photo.delete()


def test_the_database_refuses_what_a_session_cannot_be() -> None:
    session = make_session(make_open_study(), answers=[])
    first = session.trials.get(position=0)
    second = session.trials.get(position=1)
    for wrong in (
        lambda: RatingSession.objects.filter(pk=session.pk).update(state="complete"),
        lambda: RatingSession.objects.filter(pk=session.pk).update(exclusion_reason="golden_missed"),
        lambda: RatingSession.objects.create(study=session.study, rater=session.rater, seed=0, consent_sha256="0" * 64),
        lambda: Trial.objects.filter(pk=second.pk).update(position=0),
        lambda: Trial.objects.filter(pk=second.pk).update(photo=first.photo),
        lambda: Trial.objects.filter(pk=second.pk).update(photo_side="left"),
        lambda: Pair.objects.create(study=session.study, sample=first.pair.sample, kind="test"),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            wrong()
