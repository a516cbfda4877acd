"""Exposures that follow the answers: set by the server, by the rule alone, and the same however answers come."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from studies.errors import DesignInvalid
from studies.forms import ProtocolForm
from studies.models import Kind, Origin, RatingSession, Response, SessionState, Side, Study, StudyState
from studies.reports.methods_text import methods_paragraphs
from studies.selectors.exports import responses_rows
from studies.selectors.sessions import passage_get
from studies.selectors.studies import PROTOCOL, design_get, design_json
from studies.selectors.wording import texts_get
from studies.services.designs import design_import
from studies.services.responses import Recorded, response_record
from studies.services.sessions import session_start
from studies.services.studies import study_create
from tests.factories import make_open_study, make_photo_set, make_researcher, make_small_study, make_study
from tests.views.player import answer_body, page_state

pytestmark = pytest.mark.django_db

BLOCK = 4


def study_of(**fields: Any) -> Study:
    """Make an open study of two blocks of four pictures, from 500 ms, 30 ms up and 10 ms down."""
    counts = {"practice_count": 0, "test_count": 2 * BLOCK, "golden_count": 0, "staircase_blocks": 2}
    return make_open_study(preset="hype_time", **counts | fields)


def answer(session: RatingSession, *, correct: bool, achieved_ms: float | None = None) -> Recorded:
    """Answer the current trial, whose picture stood for as long as was asked, or for another time."""
    passage = passage_get(session)
    trial = session.trials.get(code=passage.trials[0])
    side = Side(trial.photo_side)
    return response_record(
        session=session,
        trial_code=trial.code,
        chosen_side=side if correct else side.other,
        rt_ms=500,
        exposure_first_ms=float(passage.exposure_ms) if achieved_ms is None else achieved_ms,
        exposure_second_ms=None,
        was_hidden=False,
        frame_interval_ms=16.7,
    )


def asked(session: RatingSession) -> list[int | None]:
    responses = Response.objects.filter(trial__session=session).order_by("trial__position")
    return list(responses.values_list("exposure_asked_ms", flat=True))


@pytest.mark.parametrize(
    ("fields", "answers", "expected"),
    [
        ({}, [1, 1, 0, 1, 0, 1, 1, 1], [500, 490, 480, 510, 500, 530, 520, 510]),
        ({"staircase_least_ms": 485, "staircase_most_ms": 515}, [1, 1, 0, 0] * 2, [500, 490, 485, 515] * 2),
        ({"staircase_rights": 2, "staircase_up_ms": 20}, [1, 1, 1, 0] * 2, [500, 500, 490, 490] * 2),
    ],
)
def test_each_exposure_follows_from_the_answers_of_its_block(
    fields: dict[str, int], answers: Sequence[int], expected: list[int]
) -> None:
    session = session_start(study=study_of(**fields))
    starts = []
    for right, exposure_ms in zip(answers, expected, strict=True):
        passage = passage_get(session)
        assert passage.exposure_ms == exposure_ms
        starts.append((passage.block, passage.is_block_start))
        told = answer(session, correct=bool(right))
        assert told.feedback is not None
        assert told.feedback.correct is bool(right)
    assert asked(session) == expected
    assert starts == [(1, True), (1, False), (1, False), (1, False), (2, True), (2, False), (2, False), (2, False)]
    session.refresh_from_db()
    assert (session.state, passage_get(session).exposure_ms) == (SessionState.COMPLETE, 0)


def test_half_of_each_block_is_real() -> None:
    study = study_of(test_count=16, staircase_blocks=2)
    for _ in range(3):
        trials = list(session_start(study=study).trials.order_by("position"))
        assert [trial.block for trial in trials] == [1] * 8 + [2] * 8
        for block in (1, 2):
            assert sum(t.photo_side == Side.FIRST for t in trials if t.block == block) == 4


def test_repeats_reloads_and_other_devices_get_the_same_exposure(client: Client) -> None:
    session = session_start(study=study_of())
    rate, door = (reverse(f"studies:{name}", args=[session.code]) for name in ("rate", "answer"))
    first = page_state(client.get(rate))["passage"]
    assert (first["exposure_ms"], first["block"], first["is_block_start"]) == (500, 1, True)
    trial = session.trials.get(code=first["trials"][0])
    wrong = answer_body(trial.code, Side(trial.photo_side).other, exposure_second_ms=None)
    right = answer_body(trial.code, Side(trial.photo_side), exposure_second_ms=None)
    replies = [client.post(door, json.dumps(body), content_type="application/json").json() for body in (wrong, right)]
    assert replies[0] == replies[1], "the first answer counts, for the staircase too"
    assert replies[0]["passage"]["exposure_ms"] == 530
    assert replies[0]["feedback"] == {"correct": False, "photo_side": trial.photo_side}
    assert page_state(Client().get(rate))["passage"] == replies[0]["passage"]
    lying = answer_body(replies[0]["passage"]["trials"][0], exposure_asked_ms=5, exposure_ms=5)
    client.post(door, json.dumps(lying), content_type="application/json")
    assert asked(session) == [500, 530], "what a browser says was asked for counts for nothing"


def test_practice_shows_every_picture_for_the_exposure_of_the_start() -> None:
    session = session_start(study=study_of(practice_count=4, practice_pass=4))
    for _ in range(4):
        assert (passage_get(session).exposure_ms, passage_get(session).block) == (500, 0)
        answer(session, correct=False)
    for _ in range(4):
        answer(session, correct=True)
    passage = passage_get(session)
    assert (passage.phase, passage.exposure_ms, passage.block, passage.is_block_start) == ("main", 500, 1, True)
    for _ in range(BLOCK):
        answer(session, correct=True)
    passage = passage_get(session)
    assert (passage.exposure_ms, passage.block, passage.is_block_start) == (500, 2, True)


@pytest.mark.parametrize(("rule", "expected"), [("keep", [500, 490, 480]), ("leave_out", [500, 500, 490])])
def test_missed_exposures_move_the_staircase_unless_they_are_left_out(rule: str, expected: list[int]) -> None:
    session = session_start(study=study_of(missed_exposure=rule))
    answer(session, correct=True, achieved_ms=900.0)
    answer(session, correct=True)
    answer(session, correct=True)
    assert asked(session) == expected
    missed = Response.objects.filter(trial__session=session).order_by("trial__position")
    assert list(missed.values_list("exposure_missed", flat=True)) == [True, False, False]


def test_miss_is_told_from_the_exposure_asked_for_not_from_the_start() -> None:
    session = session_start(study=study_of(staircase_down_ms=100, staircase_up_ms=300))
    answer(session, correct=True)
    answer(session, correct=True, achieved_ms=500.0)  # 400 were asked for
    last = Response.objects.filter(trial__session=session).latest("trial__position")
    assert (last.exposure_asked_ms, last.exposure_missed) == (400, True)


def test_export_says_what_was_asked_for_and_in_which_block() -> None:
    study = study_of()
    session = session_start(study=study)
    for _ in range(BLOCK + 1):
        answer(session, correct=True)
    head, *rows = responses_rows(study, origin=Origin.PERSON)
    cells = [dict(zip(head, row, strict=True)) for row in rows if row[head.index("session")]]
    assert [cell["exposure_asked_ms"] for cell in cells] == ["500", "490", "480", "470", "500"]
    assert [cell["block"] for cell in cells] == ["1", "1", "1", "1", "2"]


def test_export_of_other_studies_says_their_one_exposure_also_of_old_answers() -> None:
    study = make_small_study(exposure_ms=700)
    session = session_start(study=study)
    answer(session, correct=True)
    answer(session, correct=True)
    assert asked(session) == [700, 700]
    Response.objects.filter(trial__position=0).update(exposure_asked_ms=None)  # kept before there was such a column
    head, *rows = responses_rows(study, origin=Origin.PERSON)
    cells = [dict(zip(head, row, strict=True)) for row in rows if row[head.index("session")]]
    assert {(cell["exposure_asked_ms"], cell["block"]) for cell in cells} == {("700", "")}


def test_design_has_the_staircase_only_where_there_is_one_and_travels_with_it() -> None:
    assert set(design_get(make_study(state=StudyState.DRAFT))["protocol"]) == set(PROTOCOL)
    study = study_of()
    design = json.loads(study.design)
    extra = design["protocol"].keys() - set(PROTOCOL)
    assert {name: design["protocol"][name] for name in extra} == {
        "feedback": "every",
        "staircase_blocks": 2,
        "staircase_least_ms": 100,
        "staircase_most_ms": 1000,
        "staircase_up_ms": 30,
        "staircase_down_ms": 10,
        "staircase_rights": 1,
    }
    bank = study.conditions.exclude(bank=None).get().bank
    data = design_json(study).encode()
    copy = design_import(data=data, owner=study.owner, photo_set=study.photo_set, bank=bank, slug="copy")
    assert (copy.staircase, copy.staircase_blocks, copy.feedback) == (study.staircase, 2, "every")
    del design["protocol"]["staircase_up_ms"]
    with pytest.raises(DesignInvalid, match="Protocol lacks “staircase_up_ms”"):
        design_import(data=json.dumps(design).encode(), owner=study.owner, photo_set=study.photo_set, slug="other")


def test_texts_and_methods_section_tell_the_rule() -> None:
    study = study_of()
    text = texts_get(study, language="en").instructions_text
    for sentence in ("for a moment: 0.1 to 1 s", "in 3 blocks", "After each answer you are told"):
        assert sentence in text
    told = " ".join(methods_paragraphs(json.loads(study.design)))
    assert "for 100 to 1000 ms, as a staircase set it" in told
    assert "Each of 2 blocks began at 500 ms; an error made the next exposure 30 ms longer" in told
    assert "a right answer made it 10 ms shorter, so that 75 % right answers hold it" in told
    assert "with feedback after every answer" in told
    assert "without feedback" not in told


def draft(preset: str = "hype_time") -> Study:
    researcher = make_researcher()
    photo_set = make_photo_set(owner=researcher, photos=1)
    return study_create(owner=researcher, title="Rooms", slug="rooms", photo_set=photo_set, preset=preset)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"layout": "simultaneous"}, "staircase_blocks", "pictures that are shown alone"),
        ({"assignment": "mixed"}, "staircase_blocks", "take one method a session"),
        ({"missed_exposure": "repeat"}, "missed_exposure", "no picture can be shown again"),
        ({"missed_exposure": "repeat"}, "feedback", "whose answer was told cannot be shown again"),
        ({"test_count": 100}, "test_count", "3 blocks are real, so there cannot be 100; take 102"),
        ({"exposure_ms": 90}, "exposure_ms", "from 100 to 1000 ms cannot begin at 90 ms"),
        ({"exposure_ms": 0, "mask_count": 0}, "exposure_ms", "cannot begin at 0 ms"),
        ({"staircase_most_ms": 100}, "staircase_most_ms", "From 100 to 100 ms no exposure can move"),
        ({"staircase_least_ms": 20}, "staircase_least_ms", "greater than or equal to 50"),
        ({"staircase_up_ms": 10, "staircase_down_ms": 30}, "staircase_up_ms", "cancel at 25 % right answers"),
        ({"staircase_up_ms": 10, "staircase_down_ms": 10}, "staircase_up_ms", "cancel at 50 % right answers"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_words(changes: dict[str, Any], field: str, words: str) -> None:
    study = draft()
    values = {name: getattr(study, name) for name in ProtocolForm.Meta.fields}
    assert ProtocolForm(values, instance=study).is_valid()
    form = ProtocolForm(values | changes, instance=study)
    assert not form.is_valid()
    assert words in str(form.errors[field])


def test_printed_steps_can_be_had_after_three_right_answers_in_a_row() -> None:
    study = draft()
    values = {name: getattr(study, name) for name in ProtocolForm.Meta.fields}
    printed = {"staircase_up_ms": 10, "staircase_down_ms": 30, "staircase_rights": 3}
    form = ProtocolForm(values | printed, instance=study)
    assert form.is_valid(), form.errors
    rule = form.save(commit=False).staircase
    assert rule is not None
    assert rule.settles_at == pytest.approx(0.63, abs=0.001)


@pytest.mark.parametrize(
    "fields",
    [
        {"layout": "simultaneous"},
        {"assignment": "mixed"},
        {"missed_exposure": "repeat", "feedback": "practice"},
        {"missed_exposure": "repeat", "staircase_blocks": 0},
        {"exposure_ms": 90},
        {"exposure_ms": 1001},
        {"staircase_up_ms": 10, "staircase_down_ms": 30},
        {"staircase_down_ms": 0},
        {"feedback": "never"},
    ],
)
def test_database_refuses_staircases_that_make_no_sense(fields: dict[str, Any]) -> None:
    study = draft()
    with pytest.raises((IntegrityError, ValidationError)), transaction.atomic():
        Study.objects.filter(pk=study.pk).update(**fields)


def test_pairs_can_be_told_of_after_every_answer_too() -> None:
    session = session_start(study=make_small_study(feedback="every"))
    for _ in range(session.trials.count()):
        trial = session.trials.get(code=passage_get(session).trials[0])
        told = answer(session, correct=trial.kind == Kind.GOLDEN)
        assert told.feedback is not None
        assert told.feedback.correct is (trial.kind == Kind.GOLDEN)
