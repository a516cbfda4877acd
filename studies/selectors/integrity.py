"""Whether what is kept fits together: for an operator, after a restore or a fault."""

import hashlib
from collections.abc import Iterator
from typing import Any

from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet
from django.db.models.fields.files import FieldFile

from studies.models import FINISHED, Photo, RatingSession, Response, Sample, SampleStatus, Study, Trial, UploadedPicture


def faults_find() -> Iterator[str]:
    """Give a sentence for each thing that does not fit; nothing if all is well."""
    yield from _designs()
    yield from _sessions()
    yield from _pictures()


def _designs() -> Iterator[str]:
    for study in Study.objects.exclude(design_sha256="").only("slug", "design", "design_sha256").iterator():
        if hashlib.sha256(study.design.encode()).hexdigest() != study.design_sha256:
            yield f"The design of the study {study.slug} is not the one that was frozen."


def _sessions() -> Iterator[str]:
    open_trials = Trial.objects.filter(session=OuterRef("pk"), response=None)
    for session in RatingSession.objects.filter(Exists(open_trials), state__in=FINISHED).iterator():
        yield f"{session} is finished, and has pairs without an answer."
    answered = RatingSession.objects.annotate(
        first_open=Count("trials", filter=Q(trials__response__isnull=False)),
        last=Max("trials__position", filter=Q(trials__response__isnull=False)),
    )
    for session in answered.filter(first_open__gt=0).exclude(last=F("first_open") - 1).iterator():
        yield f"{session} has an answer after a pair without one."
    without = RatingSession.objects.filter(~Exists(Trial.objects.filter(session=OuterRef("pk"))))
    for session in without.filter(plan="").iterator():  # those with a plan are just starting, or were cut short there
        yield f"{session} has no pairs."
    if Response.objects.filter(trial__session__isnull=True).exists():
        yield "There are answers that belong to no session."


def _pictures() -> Iterator[str]:
    ready = Sample.objects.filter(status=SampleStatus.READY).only("pk", "picture")
    photos = Photo.objects.only("pk", "high_res", "low_res")
    uploaded = UploadedPicture.objects.only("pk", "picture")
    kept: tuple[tuple[QuerySet[Any], str], ...] = (
        (photos, "high_res"),
        (photos, "low_res"),
        (ready, "picture"),
        (uploaded, "picture"),
    )
    for rows, field in kept:
        for row in rows.iterator():
            file: FieldFile = getattr(row, field)
            if not file or not file.storage.exists(str(file.name)):
                yield f"The file {file.name or '(none)'} of {row._meta.verbose_name} {row.pk} is missing."  # noqa: SLF001
