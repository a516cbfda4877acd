"""Pictures made elsewhere: matched by name, checked before anything is taken over, and samples like any others."""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from numpy.typing import NDArray

from studies import images, tasks
from studies.errors import MethodUnavailable, StudyIncomplete, StudyStateWrong, UploadStateWrong
from studies.evaluation.conditions import conditions_read
from studies.models import Condition, Photo, Sample, SampleUpload, Study, StudyState, UploadedPicture, UploadState
from studies.selectors.photos import photo_stems
from studies.selectors.pictures import picture_read
from studies.selectors.studies import design_get, study_problems
from studies.selectors.uploads import missing_stems
from studies.services import samples, uploads
from studies.services.photos import photo_set_create, photos_add
from studies.services.studies import (
    ConditionSpec,
    conditions_replace,
    study_open,
    study_prepare,
    study_reopen_draft,
)
from tests.factories import make_picture, make_researcher, make_small_study, png_bytes

pytestmark = pytest.mark.django_db

UPLOADED = (ConditionSpec("bicubic"), ConditionSpec("uploaded", label="Diffusion"))


def make_study(**options: object) -> Study:
    return make_small_study(state=StudyState.DRAFT, conditions=UPLOADED, **options)


def condition_of(study: Study) -> Condition:
    return study.conditions.get(method="uploaded")


def outputs(study: Study, *, seed: int = 0) -> dict[str, NDArray[np.uint8]]:
    """Return a picture for each photo of a study, by the name of its file."""
    size = study.photo_set.high_res_size
    stems = photo_stems(study.photo_set.photos.order_by("pk"))
    return {f"{stem}.png": make_picture(size=size, seed=seed + 900 + i) for i, stem in enumerate(stems.values())}


def packed(files: Iterable[tuple[str, bytes]]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    file.seek(0)
    return file


def bring(study: Study, files: dict[str, bytes]) -> SampleUpload:
    """Upload files as a zip and let the worker check them."""
    archive = packed(files.items())
    upload = uploads.upload_begin(condition=condition_of(study), name="outputs.zip", files=[("outputs.zip", archive)])
    tasks.upload_check(upload.pk)
    upload.refresh_from_db()
    return upload


def bring_all(study: Study, *, seed: int = 0) -> None:
    bring(study, {name: png_bytes(picture) for name, picture in outputs(study, seed=seed).items()})
    uploads.upload_take(condition=condition_of(study))


def stored() -> list[str]:
    """Return every file that is kept of uploads."""
    folders = (Path(settings.INCOMING_DIR), Path(default_storage.path("uploaded")))
    return [str(path) for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_uploaded_pictures_become_samples_with_metrics_and_go_into_the_hash() -> None:
    study = make_study()
    made = outputs(study)
    bring_all(study)
    study_prepare(study=study)
    tasks.samples_plan(study.pk)
    study.refresh_from_db()
    assert study.state == StudyState.READY
    stems = photo_stems(study.photo_set.photos.order_by("pk"))
    for sample in Sample.objects.filter(condition=condition_of(study)).select_related("photo"):
        picture = made[f"{stems[sample.photo_id]}.png"]
        assert np.array_equal(picture_read(sample.picture), picture)
        assert sample.sha256 == images.sha256_of(picture)
        error = np.square(picture_read(sample.photo.high_res).astype(float) - picture).mean()
        assert sample.psnr == pytest.approx(10 * np.log10(255**2 / error))
        assert sample.ssim is not None
        assert sample.consistency is not None
    digest = design_get(study)["conditions"][1]["digest"]
    assert len(digest) == 64
    study_open(study=study)
    with pytest.raises(StudyStateWrong, match="is open; its pictures can change only while it is a draft"):
        uploads.upload_begin(condition=condition_of(study), name="late.zip")


def test_other_pictures_have_another_digest_and_file_names_do_not_matter() -> None:
    study = make_study()
    digests = []
    for seed, ending in ((0, ".png"), (0, ".PNG"), (50, ".png")):
        files = {
            f"deep/er/{name.upper().replace('.PNG', ending)}": png_bytes(picture)
            for name, picture in outputs(study, seed=seed).items()
        }
        upload = bring(study, files)
        assert not any(upload.findings.values())
        uploads.upload_take(condition=condition_of(study))
        study_prepare(study=study)
        tasks.samples_plan(study.pk)
        study.refresh_from_db()
        digests.append(design_get(study)["conditions"][1]["digest"])
        study_reopen_draft(study=study)
    assert digests[0] == digests[1] != digests[2]


def test_report_names_every_file_that_gives_no_picture_and_nothing_is_taken_over_before() -> None:
    study = make_study()
    (first, second, third, fourth), pictures = list(outputs(study)), list(outputs(study).values())
    upload = bring(
        study,
        {
            first: png_bytes(pictures[0]),
            f"again/{first}": png_bytes(pictures[1]),
            second: png_bytes(make_picture(size=64)),
            third: b"no picture at all",
            "stranger.png": png_bytes(pictures[3]),
            "../outside.png": png_bytes(pictures[3]),
        },
    )
    assert upload.state == UploadState.CHECKED
    assert upload.findings["wrong_size"] == [
        f'"{second}" is 64 x 64 pixels, but the photos are 32 x 32: make it in that size.'
    ]
    assert [sentence.split()[0] for sentence in upload.findings["broken"]] == [f'"{third}"', '"../outside.png"']
    assert upload.findings["extra"] == [
        "“stranger.png” has the name of no photo of the study; rename it or leave it out."
    ]
    assert f"“again/{first}” is a second picture of the photo" in upload.findings["unclear"][0]
    left = [name.removesuffix(".png") for name in (second, third, fourth)]
    assert missing_stems(condition_of(study), upload=upload) == left
    assert len(missing_stems(condition_of(study))) == 4
    assert upload.file.name == ""  # what came is gone once it is checked


@pytest.mark.django_db(transaction=True)
def test_uploads_complete_each_other_and_no_study_is_prepared_before() -> None:
    study = make_study()
    files = [(name, png_bytes(picture)) for name, picture in outputs(study).items()]
    bring(study, dict(files[:3]))
    assert uploads.upload_take(condition=condition_of(study)) == (3, 0)
    last = files[3][0].removesuffix(".png")
    sentence = f"“Diffusion” lacks the pictures of 1 of 4 photos ({last}); upload them."
    assert sentence in study_problems(study)
    with pytest.raises(StudyIncomplete, match="lacks the pictures of 1 of 4 photos"):
        study_prepare(study=study)
    bring(study, dict(files[2:]))
    assert uploads.upload_take(condition=condition_of(study)) == (2, 1)
    assert study_problems(study) == []
    assert UploadedPicture.objects.count() == 4
    assert len(stored()) == 4  # one replaced, and both zips, are gone from the disk


@pytest.mark.django_db(transaction=True)
def test_upload_that_is_discarded_leaves_what_was_there_and_no_file() -> None:
    study = make_study()
    bring_all(study)
    before = set(UploadedPicture.objects.values_list("sha256", flat=True))
    bring(study, {name: png_bytes(picture) for name, picture in outputs(study, seed=70).items()})
    assert len(stored()) == 8
    uploads.upload_discard(condition=condition_of(study))
    assert set(UploadedPicture.objects.values_list("sha256", flat=True)) == before
    assert len(stored()) == 4


@pytest.mark.django_db(transaction=True)
def test_check_of_an_upload_that_was_discarded_meanwhile_keeps_nothing() -> None:
    study = make_study()
    upload = uploads.upload_begin(condition=condition_of(study), name="folder")

    def files() -> Iterable[tuple[str, bytes]]:
        for name, picture in outputs(study).items():
            yield name, png_bytes(picture)
        uploads.upload_discard(condition=condition_of(study))

    uploads.upload_check(key=upload.pk, files=files())
    assert not UploadedPicture.objects.exists()
    assert stored() == []


@pytest.mark.django_db(transaction=True)
def test_check_that_a_worker_left_behind_is_taken_up_and_a_slow_first_one_changes_nothing() -> None:
    study = make_study()
    files = {name: png_bytes(picture) for name, picture in outputs(study).items()}
    upload = uploads.upload_begin(condition=condition_of(study), name="a.zip", files=[("a.zip", packed(files.items()))])

    def slow() -> Iterable[tuple[str, bytes]]:
        yield next(iter(files)), files[next(iter(files))]
        tasks.work_resume()

    uploads.upload_check(key=upload.pk, files=slow())
    upload.refresh_from_db()
    assert (upload.state, upload.attempt, upload.pictures.count()) == (UploadState.CHECKED, 2, 4)
    assert len(stored()) == 4


@pytest.mark.django_db(transaction=True)
def test_check_that_breaks_says_so_and_keeps_nothing() -> None:
    study = make_study()
    upload = bring(study, {})
    assert upload.state == UploadState.FAILED
    assert upload.reason == '"outputs.zip" is empty: put photos in it and upload it again.'
    bring(study, {"stranger.png": b"?"})
    with pytest.raises(UploadStateWrong, match="has no picture of a photo of the study"):
        uploads.upload_take(condition=condition_of(study))

    def files() -> Iterable[tuple[str, bytes]]:
        yield from ((name, png_bytes(picture)) for name, picture in outputs(study).items())
        raise OSError("the disk is gone")

    upload = uploads.upload_begin(condition=condition_of(study), name="folder")
    uploads.upload_check(key=upload.pk, files=files())
    upload.refresh_from_db()
    assert upload.state == UploadState.FAILED
    assert "could not be checked (OSError: the disk is gone); run it again, or upload it anew" in upload.reason
    assert stored() == []
    with pytest.raises(UploadStateWrong, match="since it is failed; upload first"):
        uploads.upload_take(condition=condition_of(study))


def test_check_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "WORK_S", -1)
    study = make_study()
    upload = bring(study, {name: png_bytes(picture) for name, picture in outputs(study).items()})
    assert upload.state == UploadState.FAILED
    assert "1 files in; upload it in smaller parts" in upload.reason


def test_photos_of_one_name_are_told_apart_by_their_digest() -> None:
    photo_set = photo_set_create(owner=make_researcher(), name="Twins")
    files = [(f"{folder}/room.png", png_bytes(make_picture(seed=i))) for i, folder in enumerate("abcd")]
    photos_add(photo_set=photo_set, files=files)
    stems = photo_stems(photo_set.photos.all())
    assert len(set(stems.values())) == 4
    assert all(stem == f"room-{Photo.objects.get(pk=pk).sha256[:12]}" for pk, stem in stems.items())
    study = make_study()
    study.photo_set = photo_set
    study.save()
    upload = bring(study, {"room.png": png_bytes(make_picture())})
    assert "“room.png” could be of several photos of that name" in upload.findings["unclear"][0]
    bring_all(study)
    assert missing_stems(condition_of(study)) == []


def test_parts_of_one_photo_have_names_of_their_own() -> None:
    photo_set = photo_set_create(owner=make_researcher(), name="Tiles", cropping="tiles")
    photos_add(photo_set=photo_set, files=[("Bed room.v2.png", png_bytes(make_picture(size=64)))])
    names = sorted(photo_stems(photo_set.photos.all()).values())
    assert names[0] == "Bed room.v2-row-1-column-1"
    assert len(set(names)) == 4


def test_pictures_go_along_when_their_condition_gets_another_label() -> None:
    study = make_study()
    bring_all(study)
    spec = ConditionSpec("uploaded", label="GAN", was="diffusion")
    conditions_replace(study=study, conditions=[spec, ConditionSpec("bicubic")])
    assert list(study.conditions.values_list("slug", "label")) == [("gan", "GAN"), ("bicubic", "Bicubic")]
    assert missing_stems(condition_of(study)) == []


def test_other_methods_take_no_uploads_and_uploads_no_other_photos() -> None:
    study = make_study()
    with pytest.raises(
        MethodUnavailable, match="“Bicubic” is made by Bicubic; pictures can be uploaded for conditions"
    ):
        uploads.upload_begin(condition=study.conditions.get(method="bicubic"), name="x.zip")
    with pytest.raises(Exception, match="uploaded cannot be evaluated here"):
        conditions_read(["uploaded"])


def test_large_pictures_are_made_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study()
    bring_all(study)
    study_prepare(study=study)
    monkeypatch.setattr(samples, "CHUNK_PIXELS", 2 * 32**2)
    assert [len(keys) for keys in samples.samples_plan(study=study)] == [2, 2, 2, 2]
