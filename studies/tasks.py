"""Work for the Celery worker. Tasks take keys, and can be run again without harm.

`training_run` and `speed_measure` wait in the queue `training`, so that a worker can be started for them alone.
"""

import threading
from collections.abc import Iterable
from typing import Any

from celery import current_app, shared_task
from celery.contrib.django.task import DjangoTask
from celery.signals import worker_shutting_down

from studies.models import (
    ACTIVE,
    Bundle,
    BundleState,
    PhotoUpload,
    PlanCheck,
    PlanCheckState,
    SampleUpload,
    Study,
    StudyState,
    TrainingRun,
)
from studies.models.upload import UNDER_WAY
from studies.selectors.training import STALE_S
from studies.services import bundles, photo_uploads, plan_checks, samples, training, uploads

_shutting_down = threading.Event()


@worker_shutting_down.connect
def _shutdown_note(**_kwargs: Any) -> None:
    """Remember that this worker is asked to end: it keeps what it trains, and hands it back, within seconds."""
    _shutting_down.set()


@shared_task(base=DjangoTask)
def samples_plan(study_pk: int) -> None:
    """Plan the samples of a study that is preparing, and enqueue their making."""
    study = Study.objects.get(pk=study_pk)
    if study.state != StudyState.PREPARING:
        return
    chunks = samples.samples_plan(study=study)
    for keys in chunks:
        samples_generate.delay(study_pk, keys)
    if not chunks:
        samples.preparation_finish(study=study)


@shared_task(base=DjangoTask)
def samples_generate(study_pk: int, keys: list[int]) -> int:
    """Make a chunk of samples; the last one makes the study ready."""
    made = samples.samples_generate(keys=keys)
    samples.preparation_finish(study=Study.objects.get(pk=study_pk))
    return made


@shared_task(base=DjangoTask)
def upload_check(upload_pk: int) -> None:
    """Check the pictures that were uploaded for a condition."""
    uploads.upload_check(key=upload_pk)


@shared_task(base=DjangoTask)
def photo_upload_run(upload_pk: int) -> None:
    """Check an upload of photos for one slice, and enqueue the next one."""
    if photo_uploads.photo_upload_run(key=upload_pk):
        photo_upload_run.delay(upload_pk)


@shared_task(base=DjangoTask)
def plan_check(check_pk: int) -> None:
    """Simulate a plan of a study's size."""
    plan_checks.check_run(key=check_pk)


@shared_task(base=DjangoTask)
def training_run(run_pk: int, ticket: int) -> None:
    """Train a run for one slice, and enqueue the next one."""
    again = training.slice_train(
        run_pk=run_pk,
        ticket=ticket,
        is_shutting_down=_shutting_down.is_set,
        makes_samples=current_app.conf.task_default_queue in current_app.amqp.queues.consume_from,
    )
    if again:
        training_enqueue(TrainingRun.objects.get(pk=run_pk), countdown=0 if again == "now" else STALE_S + 1)


@shared_task(base=DjangoTask)
def speed_measure(config_name: str, size: int) -> None:
    """Measure how fast a config that comes with the platform trains here."""
    training.speed_measure(config_name=config_name, size=size)


@shared_task(base=DjangoTask)
def bundle_make(bundle_pk: int) -> None:
    """Make a bundle that was ordered."""
    bundles.bundle_make(key=bundle_pk)


@shared_task(base=DjangoTask)
def work_resume() -> None:
    """Take up every preparation, upload, bundle, check of a plan and training run that a stopped worker left behind."""
    for pk in Study.objects.filter(state=StudyState.PREPARING).values_list("pk", flat=True):
        samples_plan.delay(pk)
    for model, check in ((SampleUpload, upload_check), (PhotoUpload, photo_upload_run)):
        waiting = model.objects.filter(state__in=UNDER_WAY).exclude(file="")
        for pk in waiting.values_list("pk", flat=True):
            check.delay(pk)
    unfinished = PlanCheck.objects.filter(state__in=[PlanCheckState.WAITING, PlanCheckState.RUNNING])
    for pk in unfinished.values_list("pk", flat=True):
        plan_check.delay(pk)
    for pk in Bundle.objects.filter(state=BundleState.WAITING).values_list("pk", flat=True):
        bundle_make.delay(pk)
    for run in TrainingRun.objects.filter(state__in=ACTIVE):
        training_enqueue(run)


def training_enqueue(run: TrainingRun, *, countdown: float = 0) -> None:
    """Send the one message about a run that counts; earlier ones are void from now on."""
    arguments = (run.pk, training.ticket_draw(run=run))
    training_run.apply_async_on_commit(args=arguments, countdown=countdown)


def photo_uploads_enqueue(uploads: Iterable[PhotoUpload]) -> None:
    """Have uploads of photos checked."""
    for upload in uploads:
        photo_upload_run.delay_on_commit(upload.pk)
