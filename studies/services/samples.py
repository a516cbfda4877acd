"""Samples are planned, made and kept."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from django.core.files.base import ContentFile
from django.db import transaction
from numpy.typing import NDArray

from studies import images, methods
from studies.errors import EvalsiteError, PictureTooSmall
from studies.models import Condition, Photo, Sample, SampleStatus, Study, StudyState
from studies.selectors.pictures import bank_get, pictures_read
from studies.services.pairs import pairs_build
from studies.statistics import fidelity

CHUNK = 64
"""Samples made together, by one task."""


def samples_plan(*, study: Study) -> list[list[int]]:
    """Enter one pending sample for each photo and condition that has none, and return those to make, in chunks.

    Calling it again is harmless: what is ready stays, what failed is tried again.

    Returns:
        Primary keys of pending samples, each list of one condition.
    """
    conditions = list(study.conditions.order_by("position"))
    photos = list(Photo.objects.filter(study_photos__study=study).order_by("pk"))
    with transaction.atomic():
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
    chunks = []
    for condition in conditions:
        pending = condition.samples.filter(status=SampleStatus.PENDING).order_by("pk").values_list("pk", flat=True)
        keys = list(pending)
        chunks += [keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK)]
    return chunks


def seed_of(*, study: Study, condition: Condition, photo: Photo) -> int:
    """Return the seed of a sample, in [0, 2**63): it follows from the study's seed, the condition and the photo."""
    words = f"{study.seed}/{condition.slug}/{photo.sha256}".encode()
    return int.from_bytes(hashlib.sha256(words).digest()[:8], "big") >> 1


def samples_generate(*, keys: Sequence[int]) -> int:
    """Make pending samples and keep them with their pixel metrics; a failure is kept with its reason.

    Args:
        keys: Primary keys of samples. Those that are no longer pending, or no longer there, are passed over.

    Returns:
        How many were made.
    """
    samples = list(
        Sample.objects.filter(pk__in=keys, status=SampleStatus.PENDING)
        .select_related("condition__study__photo_set", "condition__bank", "photo")
        .order_by("condition", "pk")
    )
    made = 0
    for condition in {sample.condition.pk: sample.condition for sample in samples}.values():
        batch = [sample for sample in samples if sample.condition_id == condition.pk]
        try:
            upscaler = upscaler_load(condition)
            made += len(_batch_make(batch, upscaler))
        except EvalsiteError as error:
            Sample.objects.filter(pk__in=[sample.pk for sample in batch]).update(
                status=SampleStatus.FAILED, reason=str(error)
            )
    return made


def upscaler_load(condition: Condition) -> methods.Upscaler:
    """Load a condition's method.

    Raises:
        MethodUnavailable: If its checkpoint or bank is missing or of another shape.
        ParameterInvalid: If its parameters cannot be used.
    """
    method = methods.method_get(condition.method)
    return method.load(
        methods.Need(
            factor=condition.study.photo_set.factor,
            parameters=method.parameters_check(condition.parameters),
            bank=bank_get(condition.bank) if condition.bank else None,
        )
    )


def _batch_make(batch: Sequence[Sample], upscaler: methods.Upscaler) -> list[Sample]:
    """Make the samples of one condition."""
    condition = batch[0].condition
    low_res = pictures_read(sample.photo.low_res for sample in batch)
    photos = pictures_read(sample.photo.high_res for sample in batch)
    begun = time.perf_counter()
    high_res = upscaler(low_res, seeds=[sample.seed for sample in batch])
    duration_s = (time.perf_counter() - begun) / len(batch)
    figures = fidelity_figures(high_res, photos, low_res, factor=condition.study.photo_set.factor)
    kept = []
    for i, sample in enumerate(batch):
        sample.status, sample.reason, sample.duration_s = SampleStatus.READY, "", duration_s
        sample.sha256 = images.sha256_of(high_res[i])
        for name, values in figures.items():
            setattr(sample, name, float(values[i]))
        sample.picture.save(f"{sample.sha256[:16]}.png", ContentFile(images.encode_png(high_res[i])), save=False)
        kept.append(sample)
    Condition.objects.filter(pk=condition.pk).update(digest=upscaler.digest)
    Sample.objects.bulk_update(kept, ["status", "reason", "duration_s", "sha256", "picture", *figures])
    return kept


def fidelity_figures(
    samples: NDArray[np.uint8], photos: NDArray[np.uint8], low_res: NDArray[np.uint8], *, factor: int
) -> Mapping[str, NDArray[np.float64]]:
    """Return the pixel metrics of samples (n, H, W, 3) against their photos; those too small for one lack it."""
    metrics: dict[str, Callable[[], NDArray[np.float64]]] = {
        "psnr": lambda: fidelity.psnr(samples, photos),
        "ssim": lambda: fidelity.ssim(samples, photos),
        "ms_ssim": lambda: fidelity.ms_ssim(samples, photos),
        "ms_ssim_3": lambda: fidelity.ms_ssim_3(samples, photos),
        "consistency": lambda: fidelity.consistency(low_res, methods.downsample(samples, factor=factor)),
    }
    figures = {}
    for name, metric in metrics.items():
        with contextlib.suppress(PictureTooSmall):
            figures[name] = metric()
    return figures


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
    return True
