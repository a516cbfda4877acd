"""All work of the workers in one list: what each job says of itself, and that it can be stopped and run again."""

import html
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from studies import tasks
from studies.models import (
    Bundle,
    BundleState,
    Origin,
    PhotoUpload,
    PlanCheck,
    PlanCheckState,
    Researcher,
    Sample,
    SampleStatus,
    SampleUpload,
    SamplingClaim,
    Study,
    StudyState,
    TrainingRun,
    UploadState,
)
from studies.selectors.jobs import JobState, check_jobs, jobs_ordered, photo_jobs, sampling_jobs, training_jobs
from studies.services import photo_uploads, samples
from studies.services.bundles import bundle_order
from studies.services.photo_uploads import photo_upload_run, photo_uploads_begin
from studies.services.plan_checks import check_begin
from studies.services.studies import ConditionSpec, study_prepare
from studies.services.uploads import upload_begin
from studies.statistics.study_plan import PlanQuestion
from tests.factories import make_photo_set, make_picture, make_researcher, make_small_study, png_bytes
from tests.training import in_state, make_run, progress_write

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note what is sent to the workers, which are away."""
    names: list[str] = []
    for task in (
        *(tasks.samples_plan, tasks.photo_upload_run, tasks.upload_check, tasks.training_run, tasks.bundle_make),
        tasks.plan_check,
    ):
        name = str(task.name).rpartition(".")[2]
        for way in ("delay_on_commit", "apply_async_on_commit"):
            monkeypatch.setattr(task, way, lambda *_args, _name=name, **_options: names.append(_name))
    return names


def make_upload(owner: Researcher, *, files: int = 4) -> PhotoUpload:
    photos = [(f"{i}.png", io.BytesIO(png_bytes(make_picture(size=40, seed=i)))) for i in range(files)]
    (upload,) = photo_uploads_begin(photo_set=make_photo_set(owner=owner, photos=0), files=photos)
    return upload


def make_preparing(owner: Researcher) -> Study:
    study = make_small_study(owner=owner, state=StudyState.DRAFT)
    study_prepare(study=study)
    return study


def page(client: Client, kind: str = "", pk: int = 0, tail: str = "") -> str:
    address = reverse("admin:studies_job", args=[kind, pk]) if kind else reverse("admin:studies_jobs")
    response = client.get(address + tail)
    assert response.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.content.decode()))


def act(client: Client, kind: str, pk: int, name: str) -> str:
    response = client.post(reverse("admin:studies_job_act", args=[kind, pk, name]), follow=True)
    assert response.status_code == 200
    return re.sub(r"\s+", " ", response.content.decode())


def test_list_shows_every_kind_of_job_alive_ones_first(client: Client, researcher: Researcher) -> None:
    run = in_state(make_run(owner=researcher, steps=2_000), "running", step=500)
    study = make_preparing(researcher)
    finished = make_small_study(owner=researcher, state=StudyState.READY)
    upload = make_upload(researcher)
    draft = make_small_study(
        owner=researcher, state=StudyState.DRAFT, conditions=[ConditionSpec("uploaded", label="Diffusion")]
    )
    pictures = upload_begin(
        condition=draft.conditions.get(), name="out.zip", files=[("a.png", io.BytesIO(png_bytes(make_picture())))]
    )
    text = page(client)
    alive, ended = text.split(" Ended ")
    for part in (
        f"Training of “{run.name}”",
        "500 of 2,000 steps",
        f"Samples of “{study.title}”",
        "Photos from “4 files”",
    ):
        assert part in alive
    assert "Pictures from “out.zip” for Diffusion" in alive
    assert f"Samples of “{finished.title}” finished" in ended
    for kind, pk in (("training", run.pk), ("samples", study.pk), ("photos", upload.pk), ("pictures", pictures.pk)):
        assert page(client, kind, pk)
        progress = client.get(reverse("admin:studies_job_progress", args=[kind, pk])).json()
        assert progress["next_ms"] > 0
        assert f"progress-{kind}-{pk}" in progress["texts"]
    answer = client.get(reverse("admin:studies_jobs_progress")).json()
    assert answer["version"] in client.get(reverse("admin:studies_jobs")).content.decode()


def test_empty_list_says_what_makes_jobs(client: Client) -> None:
    assert "Nothing at the moment. Prepare a study" in page(client)


def test_jobs_of_others_are_not_there(client: Client) -> None:
    other = make_researcher()
    subjects = {
        "training": make_run(owner=other).pk,
        "samples": make_preparing(other).pk,
        "photos": make_upload(other).pk,
    }
    assert "Nothing at the moment" in page(client)
    for kind, pk in subjects.items():
        assert client.get(reverse("admin:studies_job", args=[kind, pk])).status_code == 404
        assert client.post(reverse("admin:studies_job_act", args=[kind, pk, "stop"])).status_code == 404
    assert client.get(reverse("admin:studies_job", args=["nothing", 1])).status_code == 404


def test_training_is_stopped_and_run_again(client: Client, researcher: Researcher, sent: list[str]) -> None:
    run = in_state(make_run(owner=researcher, steps=2_000), "running", step=500)
    progress_write(run)
    text = page(client, "training", run.pk)
    assert "train" in text.split(" Log ")[1]
    act(client, "training", run.pk, "stop")
    run.refresh_from_db()
    assert run.state == "stopping"
    in_state(run, "stopped", step=510)
    assert "Handed it to the workers again" in act(client, "training", run.pk, "again")
    run.refresh_from_db()
    assert (run.state, sent) == ("queued", ["training_run"])


def test_sampling_is_stopped_and_run_again_without_losing_what_was_made(
    client: Client, researcher: Researcher, sent: list[str]
) -> None:
    study = make_preparing(researcher)
    chunks = samples.samples_plan(study=study)
    made = samples.samples_generate(keys=chunks[0])
    total = sum(map(len, chunks))
    (job,) = sampling_jobs([study])
    assert (job.state, job.done, job.total) == (JobState.RUNNING, made, total)
    assert job.a_second is not None
    assert job.left_s == pytest.approx((total - made) / job.a_second)
    assert "took the study back to draft" in act(client, "samples", study.pk, "stop")
    study.refresh_from_db()
    assert study.state == StudyState.DRAFT
    assert samples.samples_generate(keys=chunks[1]) == 0  # the message was under way: nothing is made any more
    (job,) = sampling_jobs([study])
    assert (job.state, job.done) == (JobState.STOPPED, made)
    act(client, "samples", study.pk, "again")
    assert sent == ["samples_plan"]
    study.refresh_from_db()
    assert study.state == StudyState.PREPARING
    tasks.samples_generate(study.pk, chunks[1])
    study.refresh_from_db()
    assert study.state == StudyState.READY
    assert Sample.objects.filter(condition__study=study, status=SampleStatus.READY).count() == total


def test_failed_samples_are_told_with_their_reason(client: Client, researcher: Researcher) -> None:
    study = make_preparing(researcher)
    samples.samples_plan(study=study)
    Sample.objects.update(status=SampleStatus.FAILED, reason="The checkpoint “x” is missing.")
    (job,) = sampling_jobs([study])
    assert (job.state, job.reason) == (JobState.FAILED, "The checkpoint “x” is missing.")
    assert "The checkpoint “x” is missing." in page(client, "samples", study.pk)
    assert "failed" in page(client, "samples", study.pk).split(" Log ")[1]


def test_upload_is_stopped_run_again_and_put_away(
    client: Client, researcher: Researcher, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_uploads, "SLICE_S", -1.0)
    upload = make_upload(researcher)
    photo_upload_run(key=upload.pk)
    upload.refresh_from_db()
    (job,) = photo_jobs([upload])
    assert (job.state, job.done, job.total) == (JobState.RUNNING, 1, 4)
    assert job.left_s == pytest.approx(3 / job.a_second)  # type: ignore[operator] # one was done
    assert "can be let go" in act(client, "photos", upload.pk, "discard")
    act(client, "photos", upload.pk, "stop")
    assert "It was stopped; what was made stays" in page(client, "photos", upload.pk)
    assert "so there is nothing to stop" in act(client, "photos", upload.pk, "stop")
    act(client, "photos", upload.pk, "again")
    assert sent == ["photo_upload_run"]
    while photo_upload_run(key=upload.pk):
        pass
    upload.refresh_from_db()
    assert (upload.state, upload.added) == (UploadState.CHECKED, 4)
    act(client, "photos", upload.pk, "discard")
    assert not PhotoUpload.objects.exists()
    assert upload.photo_set.photos.count() == 4


def test_upload_of_pictures_is_stopped_and_run_again(client: Client, researcher: Researcher, sent: list[str]) -> None:
    study = make_small_study(
        owner=researcher, state=StudyState.DRAFT, conditions=[ConditionSpec("uploaded", label="Diffusion")]
    )
    upload = upload_begin(
        condition=study.conditions.get(), name="out.zip", files=[("a.png", io.BytesIO(png_bytes(make_picture())))]
    )
    act(client, "pictures", upload.pk, "stop")
    tasks.upload_check(upload.pk)
    upload.refresh_from_db()
    assert upload.state == UploadState.STOPPED
    act(client, "pictures", upload.pk, "again")
    assert sent == ["upload_check"]
    tasks.upload_check(upload.pk)
    upload.refresh_from_db()
    assert upload.state == UploadState.CHECKED
    act(client, "pictures", upload.pk, "discard")
    assert not SampleUpload.objects.exists()


def test_bundle_is_made_called_off_and_run_again(client: Client, researcher: Researcher, sent: list[str]) -> None:
    study = make_small_study(owner=researcher, state=StudyState.CLOSED)
    bundle = bundle_order(study=study, origin=Origin.PERSON)
    assert "It waits for a worker" in page(client, "bundles", bundle.pk)
    Bundle.objects.update(state=BundleState.FAILED, reason="The disk is full.")
    assert "The disk is full." in page(client, "bundles", bundle.pk)
    act(client, "bundles", bundle.pk, "again")
    assert sent == ["bundle_make"]
    assert f"Bundle of “{study.title}”, votes of persons waiting" in page(client)
    act(client, "bundles", bundle.pk, "stop")
    assert not Bundle.objects.exists()
    bundle = bundle_order(study=study, origin=Origin.PERSON)
    tasks.bundle_make(bundle.pk)
    assert "1 of 1 bundle" in page(client, "bundles", bundle.pk)
    act(client, "bundles", bundle.pk, "discard")
    assert not Bundle.objects.exists()


def test_worker_that_is_silent_leaves_an_interrupted_job(researcher: Researcher) -> None:
    upload = make_upload(researcher)
    PhotoUpload.objects.update(state=UploadState.CHECKING, heard_at=timezone.now() - timedelta(minutes=6))
    upload.refresh_from_db()
    (job,) = photo_jobs([upload])
    assert (job.state, job.can_run_again, job.is_alive) == (JobState.INTERRUPTED, True, True)
    run = in_state(make_run(owner=researcher), "running", step=1)
    TrainingRun.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=6))
    run.refresh_from_db()
    assert training_jobs([run])[0].state == JobState.INTERRUPTED


def test_worker_that_dies_while_it_samples_leaves_an_interrupted_job_until_the_next_goes_on(
    client: Client, researcher: Researcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_preparing(researcher)
    chunks = samples.samples_plan(study=study)
    claims: list[int] = []
    make = samples._batch_make

    def watched(batch: list[Sample]) -> int:
        claims.append(SamplingClaim.objects.filter(study=study).count())
        return make(batch)

    monkeypatch.setattr(samples, "_batch_make", watched)
    samples.samples_generate(keys=chunks[0])
    assert (claims, SamplingClaim.objects.filter(study=study).count()) == ([1], 0)
    dead = SamplingClaim.objects.create(study=study, heard_at=timezone.now() - timedelta(minutes=2))
    (job,) = sampling_jobs([study])
    assert (job.state, job.is_alive, job.can_run_again) == (JobState.INTERRUPTED, True, True)
    text = page(client, "samples", study.pk)
    assert "Its worker has not been heard of for some time. What was made is safe." in text
    assert "The next worker that starts goes on by itself" in text
    SamplingClaim.objects.create(study=study, heard_at=timezone.now())
    (job,) = sampling_jobs([study])
    assert job.state == JobState.RUNNING, "another worker goes on"
    samples.samples_plan(study=study)
    assert not SamplingClaim.objects.filter(pk=dead.pk).exists()
    assert SamplingClaim.objects.filter(study=study).count() == 1


def test_check_of_a_plan_is_listed_interrupted_run_again_and_put_away(
    client: Client, researcher: Researcher, sent: list[str]
) -> None:
    question = PlanQuestion(goal="half_width", target=0.07, rate=0.29, n_photos=60, exclusion_rate=0.1)
    check = check_begin(owner=researcher, question=question, studies=20)
    check_begin(owner=make_researcher(), question=question, studies=40)
    text = page(client)
    assert text.count("Check of a plan: 29 % to within 7 points") == 1
    assert "waiting" in text
    PlanCheck.objects.update(state=PlanCheckState.RUNNING, heard_at=timezone.now() - timedelta(minutes=6))
    check.refresh_from_db()
    (job,) = check_jobs([check])
    assert (job.state, job.can_run_again, job.can_stop) == (JobState.INTERRUPTED, True, True)
    assert "The next worker that starts begins it anew by itself" in page(client, "checks", check.pk)
    assert "it begins anew" in act(client, "checks", check.pk, "again")
    assert sent == ["plan_check"]
    tasks.plan_check(check.pk)
    check.refresh_from_db()
    (job,) = check_jobs([check])
    assert (job.state, job.done, job.total) == (JobState.FINISHED, 20, 20)
    assert "In 20 simulated studies" in page(client, "checks", check.pk).split(" Log ")[-1]
    shown = re.findall(r'href="(/admin/studies/study/plan/[^"]*)"', client_text(client, check))
    assert "In 20 simulated studies" in client.get(html.unescape(shown[0])).content.decode()
    act(client, "checks", check.pk, "discard")
    assert [left.owner for left in PlanCheck.objects.all()] != [researcher]
    assert PlanCheck.objects.count() == 1


def test_check_of_a_plan_that_waits_is_called_off(client: Client, researcher: Researcher) -> None:
    question = PlanQuestion(goal="equivalence", target=0.05, rate=0.5, n_photos=100)
    check = check_begin(owner=researcher, question=question)
    assert "50 % as 50 % to within 5 points" in page(client)
    assert "Called the check off" in act(client, "checks", check.pk, "stop")
    assert not PlanCheck.objects.exists()


def client_text(client: Client, check: PlanCheck) -> str:
    return client.get(reverse("admin:studies_job", args=["checks", check.pk])).content.decode()


def test_queries_do_not_grow_with_the_jobs(
    client: Client, researcher: Researcher, django_assert_max_num_queries: Any
) -> None:
    for _ in range(2):
        make_preparing(researcher)
        make_upload(researcher)
        make_run(owner=researcher)
        with django_assert_max_num_queries(14):
            client.get(reverse("admin:studies_jobs"))


def test_order_is_alive_then_newest(researcher: Researcher) -> None:
    jobs = jobs_ordered([*photo_jobs([make_upload(researcher), make_upload(researcher)])])
    assert jobs[0].at > jobs[1].at
