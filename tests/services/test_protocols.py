"""Published protocols: what each preset asks, and that its answers mean what they say."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from studies import images
from studies.forms import ProtocolForm
from studies.models import Kind, Origin, Side, Study
from studies.protocols import PRESETS, texts_of
from studies.reports import FORMATS
from studies.reports.figures.fool_rates import fool_rates
from studies.selectors.exports import responses_rows
from studies.selectors.responses import votes_get
from studies.selectors.results import result_table, summaries_get
from studies.selectors.sessions import passage_get
from studies.selectors.stimuli import stimulus_get
from studies.services.responses import response_record
from studies.services.sessions import session_start
from studies.services.studies import study_create
from tests.factories import make_open_study, make_photo_set, make_researcher, make_session

pytestmark = pytest.mark.django_db

SINGLE = {"layout": "single", "exposure_ms": 0, "golden_count": 0}
SMALL = {"practice_count": 2, "test_count": 3, "golden_count": 2, "golden_misses_allowed": 0}


def draft(preset: str) -> Study:
    researcher = make_researcher()
    photo_set = make_photo_set(owner=researcher, photos=1)
    return study_create(owner=researcher, title="Rooms", slug=f"a-{preset}", photo_set=photo_set, preset=preset)


def form_of(study: Study, **changes: Any) -> ProtocolForm:
    values = {name: getattr(study, name) for name in ProtocolForm.Meta.fields} | changes
    return ProtocolForm(values, instance=study)


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_makes_a_study_that_its_own_form_accepts(preset: str) -> None:
    study = draft(preset)
    form = form_of(study)
    assert form.is_valid(), form.errors
    assert len(PRESETS[preset].source) > 40
    assert {name: getattr(study, name) for name in PRESETS[preset].settings} == dict(PRESETS[preset].settings)


@pytest.mark.parametrize(
    ("preset", "published"),
    [
        ("founding", ("sequential", "photo", 1000, 10, 40, 5)),
        ("zhang2016", ("sequential", "sample", 1000, 10, 40, 4)),
        ("real_vs_fake", ("sequential", "sample", 1000, 10, 50, 0)),
        ("sr3_task1", ("input_between", "photo", 3000, 0, 50, 0)),
        ("sr3_task2", ("simultaneous", "photo", 3000, 0, 50, 0)),
        ("side_by_side", ("simultaneous", "photo", 0, 10, 40, 5)),
        ("hype_infinity", ("single", "photo", 0, 0, 100, 0)),
        ("hype_time", ("single", "photo", 500, 0, 450, 0)),
    ],
)
def test_preset_has_the_numbers_of_its_source(preset: str, published: tuple[str, str, int, int, int, int]) -> None:
    study = draft(preset)
    counts = (study.practice_count, study.test_count, study.golden_count)
    assert (study.layout, study.asks_for, study.exposure_ms, *counts) == published


def test_checks_of_zhang_leave_nobody_out_as_in_their_source() -> None:
    study = make_open_study(
        preset="zhang2016", practice_count=0, test_count=4, golden_count=2, golden_misses_allowed=2, spare_photos=0
    )
    session = make_session(study, answers=[False] * 6)
    assert session.state == "complete"
    assert study.quality_figures == ()


def test_texts_follow_layout_question_and_counts() -> None:
    settings = dict(PRESETS["founding"].settings)
    assert "one after the other" in texts_of(settings)["instructions_text"]
    together = settings | {"layout": "simultaneous", "exposure_ms": 3000, "asks_for": "sample", "practice_count": 0}
    words = texts_of(together)["instructions_text"]
    assert "side by side, for 3 s." in words
    assert "comes from a computer" in words
    assert "practice" not in words
    unlimited = texts_of(together | {"exposure_ms": 0})["instructions_text"]
    assert "for as long as you like" in unlimited
    alone = texts_of(together | {"layout": "single", "test_count": 100, "golden_count": 0})
    assert "Half of all the pictures are real" in alone["instructions_text"]
    assert "There are 100 pictures." in alone["instructions_text"]
    assert "pair" not in alone["instructions_text"] + alone["consent_text"]


@pytest.mark.parametrize("asks_for", ["photo", "sample"])
def test_press_means_what_the_question_asks_for(asks_for: str) -> None:
    study = make_open_study(asks_for=asks_for, **SMALL)
    session = session_start(study=study)
    for number in range(7):
        trial = session.trials.get(code=passage_get(session).trials[0])
        photo = Side(trial.photo_side)
        wanted = photo if asks_for == "photo" else photo.other
        is_right = trial.kind == Kind.GOLDEN or number % 2 == 0
        pressed = wanted if is_right else wanted.other
        told = response_record(
            session=session,
            trial_code=trial.code,
            chosen_side=pressed,
            rt_ms=500,
            exposure_first_ms=1000.0,
            exposure_second_ms=1000.0,
            was_hidden=False,
        )
        if trial.kind == Kind.PRACTICE:
            assert told.feedback is not None
            assert (told.feedback.correct, told.feedback.photo_side) == (is_right, photo)
        response = trial.response
        assert (response.pressed_side, response.asked_for) == (pressed, asks_for)
        assert (response.chosen_side == photo) is is_right
    session.refresh_from_db()
    assert session.state == "complete", "right answers to golden pairs were taken for wrong ones"
    votes = votes_get(study, origin=Origin.PERSON)
    expected = [kind != "golden" and number % 2 == 1 for number, kind in enumerate(votes.kind)]
    assert votes.fooled.tolist() == expected
    head, *rows = responses_rows(study, origin=Origin.PERSON)
    told_rows = [dict(zip(head, row, strict=True)) for row in rows if row[head.index("session")]]
    assert {row["asked_for"] for row in told_rows} == {asks_for}
    assert {row["shown"] for row in told_rows} == {"pair"}
    assert all((row["pressed_side"] == row["chosen_side"]) is (asks_for == "photo") for row in told_rows)


def test_one_picture_alone_is_judged_and_fool_rates_count_samples_only() -> None:
    study = make_open_study(preset="hype_infinity", practice_count=2, test_count=8, golden_count=0)
    session = session_start(study=study)
    shown: list[str] = []
    for number in range(10):
        trial = session.trials.get(code=passage_get(session).trials[0])
        is_real = trial.photo_side == Side.FIRST
        if trial.kind == Kind.TEST:
            shown.append("photo" if is_real else "sample")
            with (trial.photo.high_res if is_real else trial.pair.sample.picture).open("rb") as file:
                picture = images.decode(file.read(), name="picture")
            assert stimulus_get(session_code=session.code, trial_code=trial.code) == picture.tobytes()
        told = response_record(
            session=session,
            trial_code=trial.code,
            chosen_side=Side.FIRST,
            rt_ms=500 + number,
            exposure_first_ms=2500.0,
            exposure_second_ms=None,
            was_hidden=False,
        )
        if trial.kind == Kind.PRACTICE:
            assert told.feedback is not None
            assert told.feedback.correct is is_real, "“real” is right where the photo was shown"
    assert shown.count("photo") == 4
    row = next(row for row in result_table(study).rows if row.n_responses)
    assert (row.n_responses, row.fool_rate) == (4, 1.0), "a rater who says real throughout is fooled by every sample"
    (one,) = summaries_get(study, result_table(study))
    assert one.single is not None
    table = result_table(study)
    for name in ("text", "latex", "markdown", "html"):
        assert "who calls everything real is fooled by every sample" in FORMATS[name](table)
        assert "50 means that raters cannot tell" not in FORMATS[name](table)
    assert "cannot tell" not in fool_rates(table).decode()
    assert (one.single.photos.n_responses, one.single.photos.rate, one.single.both.rate) == (4, 0.0, 0.5)
    head, *rows = responses_rows(study, origin=Origin.PERSON)
    cells = [dict(zip(head, row, strict=True)) for row in rows]
    tests = [cell for cell in cells if cell["kind"] == "test"]
    assert [cell["shown"] for cell in tests] == shown
    assert [cell["fooled"] for cell in tests] == ["1" if what == "sample" else "0" for what in shown]
    assert {cell["exposure_second_ms"] for cell in tests} == {""}


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"exposure_ms": 0}, "exposure_ms", "come one after the other need a time"),
        ({"exposure_ms": 20, "layout": "simultaneous"}, "exposure_ms", "too short for a browser"),
        ({"exposure_ms": 0, "layout": "simultaneous", "mask_count": 4}, "mask_count", "4 masks cannot follow"),
        ({"golden_count": 41}, "golden_count", "only 40 test pairs"),
        ({"mask_count": 9}, "mask_count", "less than or equal to 8"),
        (SINGLE | {"golden_count": 4}, "golden_count", "no obvious pair, so 4 golden ones cannot be"),
        (SINGLE | {"asks_for": "sample"}, "asks_for", "real or fake, so nothing is pointed at"),
        (SINGLE | {"test_count": 41}, "test_count", "there cannot be 41; take 42"),
        (SINGLE | {"practice_pass": 7}, "practice_pass", "there cannot be 7; take 8"),
        (SINGLE | {"practice_count": 3}, "practice_count", "there cannot be 3; take 4"),
        (SINGLE | {"side_bias_p": 0.001}, "side_bias_p", "would leave them out for it"),
        (SINGLE | {"run_limit": 15}, "run_limit", "a rule of 15 on sides"),
        (SINGLE | {"mask_count": 4}, "mask_count", "4 masks cannot follow"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_words(changes: dict[str, Any], field: str, words: str) -> None:
    form = form_of(draft("founding"), **changes)
    assert not form.is_valid()
    assert words in str(form.errors[field])


@pytest.mark.parametrize(
    "fields",
    [
        {"exposure_ms": 0},
        {"exposure_ms": 0, "layout": "simultaneous", "mask_count": 1},
        {"layout": "diagonal"},
        {"asks_for": "both"},
        {"missed_exposure": "forget"},
        {"layout": "single"},
        {"layout": "single", "golden_count": 0, "asks_for": "sample"},
        {"layout": "single", "golden_count": 0, "side_bias_p": 0.01},
        {"layout": "single", "golden_count": 0, "run_limit": 12},
    ],
)
def test_database_refuses_protocols_that_make_no_sense(fields: dict[str, Any]) -> None:
    study = draft("founding")
    with pytest.raises((IntegrityError, ValidationError)), transaction.atomic():
        Study.objects.filter(pk=study.pk).update(**fields)


@pytest.mark.parametrize("exposure_ms", [0, 1000])
def test_exposure_without_limit_is_never_missed(exposure_ms: int) -> None:
    study = make_open_study(layout="simultaneous", exposure_ms=exposure_ms, missed_exposure="leave_out", **SMALL)
    session = session_start(study=study)
    trial = session.trials.get(code=passage_get(session).trials[0])
    response_record(
        session=session,
        trial_code=trial.code,
        chosen_side=Side.FIRST,
        rt_ms=500,
        exposure_first_ms=8000.0,
        exposure_second_ms=8000.0,
        was_hidden=False,
    )
    assert trial.response.exposure_missed is (exposure_ms > 0)
