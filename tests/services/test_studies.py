"""A study goes from draft to closed in order, and its design freezes when it opens."""

import hashlib
import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from studies import methods, tasks
from studies.errors import MethodUnavailable, ParameterInvalid, StudyIncomplete, StudyStateWrong
from studies.models import Condition, Origin, Pair, RatingSession, Role, Sample, SampleStatus, Study, StudyState
from studies.protocols import PRESETS
from studies.selectors.studies import design_json, study_problems
from studies.services.sessions import session_start
from studies.services.studies import (
    ConditionSpec,
    conditions_replace,
    study_close,
    study_create,
    study_open,
    study_pause,
    study_prepare,
    study_reopen_draft,
    study_resume,
)
from tests.factories import make_photo_set, make_researcher, make_session, make_study

pytestmark = pytest.mark.django_db


def test_a_new_study_holds_the_founding_protocol_and_comparison() -> None:
    owner = make_researcher()
    bank = make_photo_set(owner=owner)
    study = study_create(owner=owner, title="Rooms", slug="rooms", photo_set=make_photo_set(owner=owner), bank=bank)
    assert (study.practice_count, study.test_count, study.golden_count, study.exposure_ms) == (10, 40, 5, 1000)
    assert study.question == "Which image, would you guess, is from a camera?"
    assert study.assignment == "one_condition"
    assert "10 pairs" in study.instructions_text
    assert "45 pairs" in study.instructions_text
    rows = list(study.conditions.values_list("slug", "role", "parameters__tau"))
    assert rows == [
        ("bicubic", "golden", None),
        ("nearest-neighbour", "test", None),
        ("regression", "test", None),
        ("pixel-recursive-tau-1-0", "test", 1.0),
        ("pixel-recursive-tau-1-1", "test", 1.1),
        ("pixel-recursive-tau-1-2", "test", 1.2),
    ]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_makes_a_valid_study(preset: str) -> None:
    study = study_create(
        owner=make_researcher(), title="T", slug="t", photo_set=make_photo_set(photos=1), preset=preset
    )
    study.full_clean()
    assert study.preset == preset


def test_a_slug_is_taken_once() -> None:
    study = make_study(state=StudyState.DRAFT)
    with pytest.raises(ValidationError, match="Slug"):
        study_create(owner=study.owner, title="Again", slug=study.slug, photo_set=study.photo_set)


def test_states_follow_one_another_and_no_other_way() -> None:
    study = make_study(state=StudyState.DRAFT)
    for step in (study_open, study_pause, study_resume, study_close, study_reopen_draft):
        with pytest.raises(StudyStateWrong, match=r"is draft; it must be"):
            step(study=study)
    study_prepare(study=study)
    assert study.state == "preparing"
    tasks.samples_plan(study.pk)
    study.refresh_from_db()
    assert study.state == "ready"
    study_reopen_draft(study=study)
    study_prepare(study=study)
    tasks.samples_plan(study.pk)
    study_open(study=study)
    with pytest.raises(StudyStateWrong, match="is open; it must be preparing or ready to change it"):
        study_reopen_draft(study=study)
    study_pause(study=study)
    study_resume(study=study)
    study_close(study=study)
    with pytest.raises(StudyStateWrong, match="is closed"):
        study_resume(study=study)


def test_opening_freezes_the_design_under_its_hash() -> None:
    study = make_study()
    assert hashlib.sha256(study.design.encode()).hexdigest() == study.design_sha256
    design = json.loads(study.design)
    assert study.design == json.dumps(design, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert design["protocol"]["question"] == study.question
    assert design["exclusions"] == {
        "golden_misses_allowed": 0,
        "fast_ms": 0,
        "fast_share": 0.2,
        "median_ms_least": 0,
        "side_bias_p": 0.0,
        "run_limit": 0,
        "left_page_limit": 0,
        "not_in_front_limit": 0,
        "automated_limit": 0,
        "missed_limit": 0,
        "practice_least": 0,
        "incomplete": True,
        "missed_exposure": "keep",
    }
    assert design["analysis"] == {
        "interval": "two_way_wilson",
        "estimand": "new",
        "alpha": 0.05,
        "comparisons": "reference",
        "reference": "nearest-neighbour",
        "equivalence_margin": 0.05,
        "stopping_rule": "planned",
    }
    assert len(design["pairs"]) == Pair.objects.filter(study=study).count()
    assert {pair["sample"] for pair in design["pairs"]} <= set(Sample.objects.values_list("sha256", flat=True))
    Study.objects.filter(pk=study.pk).update(exposure_ms=500)
    study.refresh_from_db()
    assert json.loads(design_json(study))["protocol"]["exposure_ms"] == 1000


def test_two_studies_alike_have_samples_alike_and_any_change_changes_the_hash() -> None:
    study = make_study(state=StudyState.READY)
    before = design_json(study)
    study_reopen_draft(study=study)
    study_prepare(study=study)
    tasks.samples_plan(study.pk)
    study.refresh_from_db()
    assert design_json(study) == before
    study.exposure_ms = 999
    assert design_json(study) != before


def test_conditions_of_a_frozen_study_cannot_change() -> None:
    study = make_study()
    with pytest.raises(StudyStateWrong, match="must be draft to change its conditions"):
        conditions_replace(study=study, conditions=[ConditionSpec("bicubic")])


def test_replacing_conditions_keeps_the_samples_of_those_that_stay() -> None:
    study = make_study(state=StudyState.READY)
    study_reopen_draft(study=study)
    kept = set(Sample.objects.filter(condition__slug="smooth").values_list("pk", flat=True))
    assert kept
    conditions_replace(
        study=study, conditions=[ConditionSpec("bicubic", role="test", label="Smooth"), ConditionSpec("bicubic")]
    )
    assert list(study.conditions.values_list("slug", "position")) == [("smooth", 0), ("bicubic", 1)]
    assert set(Sample.objects.filter(condition__slug="smooth").values_list("pk", flat=True)) == kept


def test_labels_in_any_script_have_names_in_exports_and_no_two_the_same() -> None:
    study = make_study(state=StudyState.DRAFT)
    conditions_replace(
        study=study, conditions=[ConditionSpec("bicubic", label="双三次"), ConditionSpec("bicubic", label="最近")]
    )
    assert list(study.conditions.values_list("slug", flat=True)) == ["bicubic-1", "bicubic-2"]
    with pytest.raises(ParameterInvalid, match=r"“A b” and “a B” would have one name, a-b, in exports"):
        conditions_replace(
            study=study, conditions=[ConditionSpec("bicubic", label="a B"), ConditionSpec("bicubic", label="A b")]
        )


@pytest.mark.parametrize(
    ("spec", "error", "sentence"),
    [
        (ConditionSpec("gan"), MethodUnavailable, "no method 'gan'; choose one of bicubic"),
        (ConditionSpec("pixel_recursive", {"tau": 0}), ParameterInvalid, "tau of Pixel recursive must lie between"),
        (ConditionSpec("pixel_recursive", {"tau": "hot"}), ParameterInvalid, "must be a number, not 'hot'"),
        (ConditionSpec("pixel_recursive", {"heat": 1}), ParameterInvalid, "no parameter 'heat'; it has tau"),
        (ConditionSpec("regression", {"checkpoint": "x"}), ParameterInvalid, "must be one of .*small, not"),
    ],
)
def test_impossible_conditions_are_refused_in_one_sentence(
    spec: ConditionSpec, error: type[Exception], sentence: str
) -> None:
    study = make_study(state=StudyState.DRAFT)
    with pytest.raises(error, match=sentence):
        conditions_replace(study=study, conditions=[spec])
    assert study.conditions.count() == 3


def test_what_is_missing_is_said_before_anything_starts() -> None:
    study = make_study(state=StudyState.DRAFT, spare_photos=0)
    study.test_count = 50
    study.save()
    conditions_replace(
        study=study, conditions=[ConditionSpec("nearest_neighbour", role="golden"), ConditionSpec("bicubic")]
    )
    with pytest.raises(StudyIncomplete) as raised:
        study_prepare(study=study)
    words = str(raised.value)
    assert "shows 53 different photos" in words
    assert "No condition is tested" in words
    assert "exactly one condition must have the role “golden”, but 2 have" in words
    assert "needs a bank of training photos" in words
    study.refresh_from_db()
    assert study.state == "draft"


def test_a_bank_that_holds_the_judged_photos_is_refused() -> None:
    study = make_study(state=StudyState.DRAFT)
    conditions_replace(
        study=study, conditions=[ConditionSpec("bicubic"), ConditionSpec("nearest_neighbour", bank=study.photo_set)]
    )
    assert any("would find the very answer" in problem for problem in study_problems(study))


def test_a_missing_checkpoint_fails_its_samples_with_the_file_and_the_cure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(methods, "checkpoints_folder", lambda: tmp_path)
    study = make_study(state=StudyState.DRAFT)
    conditions_replace(study=study, conditions=[ConditionSpec("bicubic"), ConditionSpec("regression")])
    study_prepare(study=study)
    tasks.samples_plan(study.pk)
    study.refresh_from_db()
    assert study.state == "preparing"
    reasons = set(Sample.objects.filter(status=SampleStatus.FAILED).values_list("reason", flat=True))
    assert reasons == {
        (
            f"The checkpoint regression_small.safetensors is missing from the folder {tmp_path.name}; "
            "put it there or choose another one."
        )
    }
    assert Sample.objects.filter(condition__slug="bicubic", status=SampleStatus.READY).count() == 9
    monkeypatch.undo()
    study_prepare(study=study)  # the cure, and again
    tasks.samples_plan(study.pk)
    study.refresh_from_db()
    assert study.state == "ready"


def test_going_back_to_draft_removes_previews_and_nothing_else() -> None:
    study = make_study(state=StudyState.READY)
    make_session(study, origin=Origin.PREVIEW)
    study_reopen_draft(study=study)
    assert not RatingSession.objects.exists()
    assert not Pair.objects.exists()
    assert Sample.objects.filter(status=SampleStatus.READY).count() == 27


def test_a_preview_is_possible_before_opening_and_a_person_is_not() -> None:
    study = make_study(state=StudyState.READY)
    assert session_start(study=study, origin=Origin.PREVIEW).trials.count() == 7
    with pytest.raises(Exception, match="has not opened yet"):
        session_start(study=study)


@pytest.mark.parametrize(
    "change",
    [
        {"golden_count": 5, "test_count": 4},
        {"golden_count": 2, "golden_misses_allowed": 3},
        {"state": "open"},
        {"state": "closed"},
        {"state": "lost"},
        {"exposure_ms": 0},
    ],
)
def test_the_database_refuses_an_impossible_study(change: dict[str, Any]) -> None:
    study = make_study(state=StudyState.DRAFT)
    with pytest.raises(IntegrityError), transaction.atomic():
        Study.objects.filter(pk=study.pk).update(**change)


def test_the_database_refuses_two_conditions_of_one_name_or_place() -> None:
    study = make_study(state=StudyState.DRAFT)
    for position, slug in ((0, "new"), (9, "bicubic")):
        with pytest.raises(IntegrityError), transaction.atomic():
            Condition.objects.create(
                study=study, position=position, slug=slug, label="x", method="bicubic", role=Role.TEST
            )
