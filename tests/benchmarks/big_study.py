"""A study as large as one gets: rows made in bulk around a small study that went through the services."""

from itertools import count, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import Model

    from studies.models import Study

TRIALS = 100
"""Test pairs of a session."""
CONDITIONS = 5
BATCH = 5_000


def big_study_make(*, raters: int = 10_000, photos: int = 20_000) -> "Study":
    """Make an open study with `raters` finished sessions of 100 votes, and 5 samples of each of `photos` photos.

    The rows are what the services would have written, but every photo has the picture of one of the first, and sessions
    draw their pairs at random. Django must be set up, on a database that may keep some gigabytes.
    """
    from studies.models import Kind, Origin, Pair, Photo, Rater, RatingSession, Response, Sample, SessionState, Trial
    from studies.services.studies import ConditionSpec
    from tests.factories import make_open_study

    conditions = [ConditionSpec("bicubic", role="test", label=f"Method {i}") for i in range(1, CONDITIONS + 1)]
    study = make_open_study(
        practice_count=0,
        test_count=TRIALS,
        golden_count=0,
        spare_photos=0,
        raters_wanted=raters + 1,
        conditions=conditions,
        preset="founding_mixed",
    )
    first = list(Photo.objects.filter(photo_set=study.photo_set).order_by("pk"))
    fakes = (f"{number:064x}" for number in count(1))
    copies = (
        Photo(
            photo_set=study.photo_set,
            name=f"copy-{i}.png",
            sha256=next(fakes),
            source_sha256=next(fakes),
            high_res=first[i % len(first)].high_res.name,
            low_res=first[i % len(first)].low_res.name,
        )
        for i in range(photos - len(first))
    )
    _insert(Photo, copies, total=photos - len(first))
    rng = np.random.default_rng(0)
    old = {sample.condition_id: sample for sample in Sample.objects.filter(condition__study=study)}
    rest = list(Photo.objects.filter(photo_set=study.photo_set).exclude(pk__in=[photo.pk for photo in first]))
    samples = (
        Sample(
            condition_id=condition,
            photo=photo,
            seed=0,
            status=sample.status,
            picture=sample.picture.name,
            sha256=next(fakes),
            psnr=float(rng.normal(24, 2)),
            ssim=float(rng.uniform(0.4, 0.9)),
            ms_ssim=sample.ms_ssim,
            ms_ssim_3=sample.ms_ssim_3,
            consistency=sample.consistency,
        )
        for condition, sample in old.items()
        for photo in rest
    )
    _insert(Sample, samples, total=len(old) * len(rest))
    made = Sample.objects.filter(condition__study=study, pair=None).iterator()
    _insert(Pair, (Pair(study=study, sample=sample, kind=Kind.TEST) for sample in made), total=len(old) * len(rest))
    _insert(Rater, (Rater(origin=Origin.PERSON) for _ in range(raters)), total=raters)
    sessions = (
        RatingSession(study=study, rater=rater, seed=0, consent_sha256=next(fakes), language="en")
        for rater in Rater.objects.filter(sessions=None, origin=Origin.PERSON)
    )
    _insert(RatingSession, sessions, total=raters)
    RatingSession.objects.filter(study=study).update(
        state=SessionState.COMPLETE, completion_code="made", finished_at=study.opened_at
    )
    pairs = np.array(list(Pair.objects.filter(study=study).values_list("pk", "sample__photo_id")))
    by_photo: dict[int, list[int]] = {}
    for pair, photo in pairs.tolist():
        by_photo.setdefault(photo, []).append(pair)
    ids = np.array(sorted(by_photo))
    trials = (
        Trial(
            session_id=session,
            position=position,
            pair_id=by_photo[photo][(session + position) % len(by_photo[photo])],
            photo_id=photo,
            kind=Kind.TEST,
            photo_side="first" if side else "second",
        )
        for session in RatingSession.objects.filter(study=study).order_by("pk").values_list("pk", flat=True)
        for position, (photo, side) in enumerate(
            zip(rng.choice(ids, TRIALS, replace=False).tolist(), rng.integers(0, 2, TRIALS).tolist(), strict=True)
        )
    )
    _insert(Trial, trials, total=raters * TRIALS)
    shown = Trial.objects.filter(session__study=study).order_by("pk").values_list("pk", "photo_side")
    responses = (
        Response(
            trial_id=trial,
            chosen_side=("first", "second")[(side == "first") ^ (rng.random() < 0.7)],
            rt_ms=int(rng.integers(300, 3000)),
            exposure_first_ms=1000.0,
            exposure_second_ms=1000.0,
            frames_first=60,
            frames_second=60,
            frame_interval_ms=16.7,
            device_scale=8,
            pixel_ratio=1.0,
        )
        for trial, side in shown.iterator()
    )
    _insert(Response, responses, total=raters * TRIALS)
    return study


def _insert(model: type["Model"], rows: "Iterable[Any]", *, total: int) -> None:
    remaining = iter(rows)
    with tqdm(total=total, unit=" rows", desc=model.__name__, disable=None) as bar:
        while batch := list(islice(remaining, BATCH)):
            model._default_manager.bulk_create(batch)
            bar.update(len(batch))
