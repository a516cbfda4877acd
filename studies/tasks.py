"""Work for the Celery worker. Tasks take keys, and can be run again without harm."""

from celery import shared_task
from celery.contrib.django.task import DjangoTask

from studies.models import Study, StudyState
from studies.services import samples


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
def preparations_resume() -> None:
    """Take up every preparation that a stopped worker left behind."""
    for pk in Study.objects.filter(state=StudyState.PREPARING).values_list("pk", flat=True):
        samples_plan.delay(pk)
