"""Samples are planned, made and kept."""

import contextlib
import hashlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from studies import images, methods
from studies.errors import EvalsiteError
from studies.evaluation.measure import fidelity_figures
from studies.models import About, Change, Condition, Photo, Sample, SampleStatus, SamplingClaim, Study, StudyState
from studies.models.files import file_delete_on_commit
from studies.selectors.pictures import bank_get, pictures_read
from studies.selectors.results import FIDELITY
from studies.selectors.training import STALE_S
from studies.selectors.uploads import pictures_digest, uploaded_get
from studies.services.events import event_record
from studies.services.pairs import pairs_build

logger = logging.getLogger(__name__)

CHUNK = 64
"""Samples made together, by one task."""

HEARTBEAT_S = 10.0
"""So often a worker that makes samples gives a sign of life."""

CHUNK_PIXELS = CHUNK * 256**2
"""Most pixels of samples made together: of large pictures fewer fit in memory."""


def samples_plan(*, study: Study) -> list[list[int]]:
    """Enter one pending sample for each photo and condition that has none, and return those to make, in chunks.

    Calling it again is harmless: what is ready stays, unless it was made with another checkpoint or bank than the
    condition has now; what failed is tried again.

    Returns:
        Primary keys of pending samples, each list of one condition; none if the study is not preparing.
    """
    conditions = list(study.conditions.select_related("study__photo_set", "bank").order_by("position"))
    sources = {condition.pk: _source_digest(condition) for condition in conditions}
    with transaction.atomic():
        if Study.objects.select_for_update().get(pk=study.pk).state != StudyState.PREPARING:
            return []
        SamplingClaim.objects.filter(study=study, heard_at__lt=timezone.now() - timedelta(seconds=STALE_S)).delete()
        photos = list(Photo.objects.filter(study_photos__study=study).order_by("pk"))
        Sample.objects.bulk_create(
            [
                Sample(condition=condition, photo=photo, seed=seed_of(study=study, condition=condition, photo=photo))
                for condition in conditions
                for photo in photos
            ],
            ignore_conflicts=True,
        )
        Sample.objects.filter(condition__study=study, status=SampleStatus.FAILED).update(
            status=SampleStatus.PENDING, reason=""
        )
        for condition in conditions:
            made = condition.samples.filter(status=SampleStatus.READY)
            for sample in made.exclude(source_digest=sources[condition.pk]):
                file_delete_on_commit(sample.picture)
                sample.picture, sample.sha256, sample.status = "", "", SampleStatus.PENDING
                sample.save(update_fields=["picture", "sha256", "status"])
    chunks = []
    size = max(1, min(CHUNK, CHUNK_PIXELS // study.photo_set.high_res_size**2))
    for condition in conditions:
        pending = condition.samples.filter(status=SampleStatus.PENDING).order_by("pk").values_list("pk", flat=True)
        keys = list(pending)
        chunks += [keys[start : start + size] for start in range(0, len(keys), size)]
    return chunks


def _source_digest(condition: Condition) -> str:
    """Return the digest of what the condition is made with now; what cannot be loaded has none and fails later."""
    try:
        return pictures_digest(condition) if _is_uploaded(condition) else upscaler_load(condition).digest
    except EvalsiteError:
        return ""


def _is_uploaded(condition: Condition) -> bool:
    return methods.method_get(condition.method).needs == "files"


def seed_of(*, study: Study, condition: Condition, photo: Photo) -> int:
    """Return the seed of a sample, in [0, 2**63): it follows from the study's seed, the condition and the photo."""
    words = f"{study.seed}/{condition.slug}/{photo.sha256}".encode()
    return int.from_bytes(hashlib.sha256(words).digest()[:8], "big") >> 1


def samples_generate(*, keys: Sequence[int]) -> int:
    """Make pending samples and keep them with their pixel metrics; a failure is kept with its reason.

    Args:
        keys: Primary keys of samples. Those that are no longer pending, or no longer there, or whose study is not
            preparing any more, are passed over.

    Returns:
        How many were made.
    """
    samples = list(
        Sample.objects.filter(pk__in=keys, status=SampleStatus.PENDING, condition__study__state=StudyState.PREPARING)
        .select_related("condition__study__photo_set", "condition__bank", "photo")
        .order_by("condition", "pk")
    )
    conditions = {sample.condition_id for sample in samples}
    if not samples:
        return 0
    with _claimed(study_pk=samples[0].condition.study_id):
        return sum(_batch_make([s for s in samples if s.condition_id == condition]) for condition in sorted(conditions))


@contextlib.contextmanager
def _claimed(*, study_pk: int) -> Iterator[None]:
    """Say that a worker makes samples of a study while the block runs, with a sign of life now and then.

    That is done beside the sampling, since a batch may take minutes.
    """
    claim = SamplingClaim.objects.create(study_id=study_pk, heard_at=timezone.now())
    mine, done = SamplingClaim.objects.filter(pk=claim.pk), threading.Event()

    def watch() -> None:
        while not done.wait(HEARTBEAT_S):
            try:
                mine.update(heard_at=timezone.now())
            except DatabaseError:
                logger.warning("The database is away while samples are made", exc_info=True)
        connection.close()

    thread = threading.Thread(target=watch, name=f"watch-samples-{study_pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        mine.delete()


def upscaler_load(condition: Condition) -> methods.Upscaler:
    """Load a condition's method.

    Raises:
        MethodUnavailable: If its checkpoint or bank is missing or of another shape.
        ParameterInvalid: If its parameters cannot be used.
    """
    method = methods.method_get(condition.method)
    checkpoints = Path(settings.CHECKPOINTS_DIR)
    return method.load(
        methods.Need(
            factor=condition.study.photo_set.factor,
            parameters=method.parameters_check(condition.parameters, checkpoints=checkpoints),
            bank=bank_get(condition.bank) if condition.bank else None,
            checkpoints=checkpoints,
        )
    )


def _upscaler_of(batch: list[Sample]) -> methods.Upscaler:
    """Return what makes the samples of a batch of one condition; of uploaded pictures, what reads them."""
    condition = batch[0].condition
    if not _is_uploaded(condition):
        return upscaler_load(condition)
    photos = [sample.photo for sample in batch]
    return methods.Upscaler(lambda _low_res, _seeds: uploaded_get(condition, photos=photos), pictures_digest(condition))


def _batch_make(batch: list[Sample]) -> int:
    """Make samples of one condition. What fails together is tried one by one, so that one bad photo fails alone."""
    try:
        _batch_fill(batch, _upscaler_of(batch))
    except EvalsiteError as error:
        reason = str(error)
    except Exception as error:  # whatever it is, the researcher must see it, not only the worker's log
        if len(batch) > 1:
            return sum(_batch_make([sample]) for sample in batch)
        logger.exception("A sample could not be made", extra={"sample": batch[0].pk})
        reason = (
            f"The sample of {batch[0].photo} could not be made ({type(error).__name__}: {error}); "
            "mend that and run it again."
        )
    else:
        return _batch_keep(batch)
    with _preparing(batch) as still_pending:
        Sample.objects.filter(pk__in=still_pending).update(status=SampleStatus.FAILED, reason=reason)
    return 0


def _batch_fill(batch: list[Sample], upscaler: methods.Upscaler) -> None:
    """Set picture, digests and metrics of samples of one condition, writing the files but not the rows."""
    low_res = pictures_read(sample.photo.low_res for sample in batch)
    photos = pictures_read(sample.photo.high_res for sample in batch)
    begun = time.perf_counter()
    high_res = upscaler(low_res, seeds=[sample.seed for sample in batch])
    duration_s = (time.perf_counter() - begun) / len(batch)
    figures = fidelity_figures(high_res, photos, low_res, factor=batch[0].condition.study.photo_set.factor)
    for i, sample in enumerate(batch):
        sample.status, sample.duration_s, sample.source_digest = SampleStatus.READY, duration_s, upscaler.digest
        sample.sha256 = images.sha256_of(high_res[i])
        for name, values in figures.items():
            setattr(sample, name, float(values[i]))
        sample.picture.save(f"{sample.sha256[:16]}.png", ContentFile(images.encode_png(high_res[i])), save=False)


def _batch_keep(batch: list[Sample]) -> int:
    """Keep finished samples, unless another worker was faster or the study went on without them."""
    fields = ["status", "duration_s", "source_digest", "sha256", "picture", *FIDELITY]
    with _preparing(batch) as still_pending:
        Sample.objects.bulk_update([sample for sample in batch if sample.pk in still_pending], fields)
    for sample in batch:
        if sample.pk not in still_pending:
            sample.picture.delete(save=False)
    return len(still_pending)


@contextlib.contextmanager
def _preparing(batch: list[Sample]) -> Iterator[set[int]]:
    """Hold the study of a batch fast, and give the samples of the batch that may still be written."""
    with transaction.atomic():
        study = Study.objects.select_for_update().get(pk=batch[0].condition.study_id)
        pending = Sample.objects.filter(pk__in=[sample.pk for sample in batch], status=SampleStatus.PENDING)
        yield set(pending.values_list("pk", flat=True)) if study.state == StudyState.PREPARING else set()


def preparation_finish(*, study: Study) -> bool:
    """Make a study ready once every sample of it is; return whether it is ready now."""
    with transaction.atomic():
        study = Study.objects.select_for_update().get(pk=study.pk)
        if study.state != StudyState.PREPARING:
            return study.state == StudyState.READY
        wanted = study.conditions.count() * study.study_photos.count()
        if Sample.objects.filter(condition__study=study, status=SampleStatus.READY).count() < wanted:
            return False
        pairs_build(study=study)
        study.state = StudyState.READY
        study.save(update_fields=["state"])
        change = Change("State", StudyState.PREPARING.value, StudyState.READY.value)
        event_record(study=study, about=About.STEP, sentence="Finished the preparation.", changes=[change])
    return True
