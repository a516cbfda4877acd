"""Samples are made once, by whoever is first, and never change in a study that went on."""

from typing import Any

import numpy as np
import pytest
from django.core.files.storage import default_storage

from studies import methods, tasks
from studies.errors import MethodUnavailable
from studies.models import Kind, Photo, Sample, SampleStatus, Study, StudyState
from studies.selectors.studies import design_get
from studies.services import samples
from studies.services.photos import photo_set_create, photos_add
from studies.services.studies import ConditionSpec, conditions_replace, study_open, study_prepare, study_reopen_draft
from tests.factories import make_photo_set, make_picture, make_researcher, make_study, png_bytes

pytestmark = pytest.mark.django_db(transaction=True)


def bicubic_study(**options: Any) -> Study:
    conditions = (ConditionSpec("bicubic"), ConditionSpec("bicubic", role="test", label="Smooth"))
    return make_study(state=StudyState.PREPARING, conditions=conditions, **options)


def test_a_slow_worker_changes_nothing_in_a_study_that_went_on(monkeypatch: pytest.MonkeyPatch) -> None:
    study = bicubic_study()
    chunk = samples.samples_plan(study=study)[0]
    fill = samples._batch_fill

    def slow(batch: list[Sample], upscaler: methods.Upscaler) -> None:
        monkeypatch.setattr(samples, "_batch_fill", fill)
        fill(batch, upscaler)
        tasks.samples_plan(study.pk)  # another worker does all of it meanwhile, and the study opens
        study_open(study=study)

    monkeypatch.setattr(samples, "_batch_fill", slow)
    assert samples.samples_generate(keys=chunk) == 0
    kept = Sample.objects.filter(condition__study=study)
    assert {sample.status for sample in kept} == {SampleStatus.READY}
    _, files = default_storage.listdir(kept.first().picture.name.rpartition("/")[0])  # type: ignore[union-attr] # there are some
    assert len(files) == kept.count()  # the slow one's files are gone
    assert all(default_storage.exists(str(sample.picture)) for sample in kept)


def test_a_slow_failure_fails_nothing_in_a_study_that_went_on(monkeypatch: pytest.MonkeyPatch) -> None:
    study = bicubic_study()
    chunk = samples.samples_plan(study=study)[0]

    def slow(condition: Any) -> methods.Upscaler:
        monkeypatch.undo()
        tasks.samples_plan(study.pk)
        raise MethodUnavailable("gone")

    monkeypatch.setattr(samples, "upscaler_load", slow)
    assert samples.samples_generate(keys=chunk) == 0
    assert not Sample.objects.filter(status=SampleStatus.FAILED).exists()


def test_one_bad_photo_fails_alone_with_its_reason() -> None:
    study = bicubic_study()
    bad = Photo.objects.filter(study_photos__study=study).first()
    assert bad is not None
    default_storage.delete(str(bad.low_res))
    tasks.samples_plan(study.pk)
    failed = Sample.objects.filter(status=SampleStatus.FAILED)
    assert {sample.photo_id for sample in failed} == {bad.pk}
    assert all(f"The sample of {bad.name} could not be made (FileNotFoundError" in s.reason for s in failed)
    assert Sample.objects.filter(status=SampleStatus.READY).count() == 2 * (study.study_photos.count() - 1)


def test_samples_of_another_bank_are_made_again() -> None:
    owner = make_researcher()
    bank = make_photo_set(owner=owner, photos=8)
    conditions = (ConditionSpec("bicubic"), ConditionSpec("nearest_neighbour", bank=bank))
    study = make_study(owner=owner, state=StudyState.READY, conditions=conditions)
    before = {c["slug"]: c["digest"] for c in design_get(study)["conditions"]}
    kept = set(Sample.objects.filter(condition__slug="bicubic").values_list("picture", flat=True))
    study_reopen_draft(study=study)
    photos_add(photo_set=bank, files=[(f"{i}.png", png_bytes(make_picture(seed=900 + i))) for i in range(20)])
    study_prepare(study=study)
    tasks.samples_plan(study.pk)
    study.refresh_from_db()
    after = {c["slug"]: c["digest"] for c in design_get(study)["conditions"]}
    assert study.state == "ready"
    assert after["nearest-neighbour"] != before["nearest-neighbour"]
    digests = Sample.objects.filter(condition__slug="nearest-neighbour").values_list("source_digest", flat=True)
    assert set(digests) == {after["nearest-neighbour"]}
    assert set(Sample.objects.filter(condition__slug="bicubic").values_list("picture", flat=True)) == kept


def test_a_sample_that_equals_its_photo_gives_no_pair() -> None:
    study = bicubic_study(spare_photos=4)
    photo = Photo.objects.filter(study_photos__study=study, study_photos__use="main").first()
    assert photo is not None
    tasks.samples_plan(study.pk)
    Sample.objects.filter(photo=photo).update(sha256=photo.sha256)
    study_reopen_draft(study=study)
    study_prepare(study=study)
    tasks.samples_plan(study.pk)
    assert not study.pairs.filter(sample__photo=photo).exists()
    assert study.pairs.filter(kind=Kind.TEST).exists()


def test_photos_of_one_photograph_are_all_for_practice_or_all_judged() -> None:
    owner = make_researcher()
    photo_set = photo_set_create(owner=owner, name="Rooms", cropping="tiles")
    rng = np.random.default_rng(0)
    rooms = [(f"{i}.png", png_bytes(rng.integers(0, 256, (80, 130, 3), dtype=np.uint8))) for i in range(5)]
    photos_add(photo_set=photo_set, files=rooms)
    study = make_study(owner=owner, state=StudyState.DRAFT)
    study.photo_set = photo_set
    study.save()
    conditions_replace(
        study=study, conditions=[ConditionSpec("bicubic"), ConditionSpec("bicubic", role="test", label="S")]
    )
    study_prepare(study=study)
    sources: dict[str, set[str]] = {}
    for row in study.study_photos.select_related("photo"):
        sources.setdefault(row.photo.source_sha256, set()).add(row.use)
    assert len(sources) == 5
    assert all(len(uses) == 1 for uses in sources.values())
    assert study.study_photos.filter(use="practice").count() >= study.practice_count


def test_files_go_with_their_rows() -> None:
    study = make_study(state=StudyState.READY)
    study_reopen_draft(study=study)
    pictures = [str(sample.picture) for sample in Sample.objects.all()]
    assert pictures
    assert all(default_storage.exists(name) for name in pictures)
    study.delete()
    assert not any(default_storage.exists(name) for name in pictures)
