"""An evaluation: every condition on every photo, measured and timed, a batch at a time."""

import functools
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from studies.errors import EvaluationImpossible
from studies.evaluation.conditions import EvaluationCondition
from studies.evaluation.measure import fidelity_figures
from studies.evaluation.photo_sets import EvaluationPhotos, factor_check
from studies.evaluation.table import EvaluationRow, EvaluationTable
from studies.images import sha256_of
from studies.methods import Bank, Need, Upscaler, downsample, downsampling_operator
from studies.statistics.detail import detail, mean_absolute_gradient

Pictures = NDArray[np.uint8]

PIXELS_AT_ONCE = 2**20
"""Pixels of photos that are in memory together: 1,024 photos of 32 x 32."""

NETWORK_BATCH, NETWORK_PIXELS = 64, 2**18
"""Most photos, and most pixels of them, that a network gets together."""


class Evaluated(NamedTuple):
    """What came of an evaluation.

    Attributes:
        table: The means.
        samples: Name of a condition -> its samples of the photos that are to be shown, (k, size, size, 3) uint8 sRGB.
    """

    table: EvaluationTable
    samples: dict[str, Pictures]


def evaluate(
    conditions: Sequence[EvaluationCondition],
    evaluated: EvaluationPhotos,
    *,
    factor: int,
    seed: int = 0,
    bank: Bank | None = None,
    folder: Path | None = None,
    device: str = "cpu",
    threads: int = 1,
    notes: Sequence[str] = (),
    shown: Sequence[int] = (),
    progress: Callable[[EvaluationCondition, int], None] = lambda _condition, _done: None,
) -> Evaluated:
    """Run conditions on photos and return the means of their metrics.

    A photo's random numbers follow from the seed and its pixels alone: not from the photos beside it, and not from the
    condition, so that the taus of one photo begin with the same numbers.

    Time is what the methods take, once loaded and after a first photo that is not counted; making the inputs and
    measuring are not in it. On a CPU it is processor time, summed over threads: what else the machine does is not in
    it. Elsewhere it is wall time.

    Args:
        conditions: What is compared.
        evaluated: The photos.
        factor: How many times the methods enlarge.
        seed: Where the random numbers begin.
        bank: Photos among which the nearest one is searched, if a condition needs them.
        folder: Folder of the researchers' own checkpoints, by name.
        device: Where networks run, as torch names it.
        threads: Threads that a network may use.
        notes: Sentences for the table.
        shown: Numbers of the photos whose samples are returned.
        progress: Called with a condition and the number of its photos that are done.

    Raises:
        EvaluationImpossible: If the factor does not divide the photos, or a photo cannot be read.
        MethodUnavailable: If a method cannot be loaded.
    """
    photos = evaluated.photos
    factor_check(photos.size, factor)
    upscalers = [
        condition.method.load(Need(factor, condition.parameters, bank, checkpoints=folder, device=device))
        for condition in conditions
    ]
    clock = "processor" if device == "cpu" else "wall"
    rows, samples = [], {}
    with _threads(threads, conditions):
        for condition, upscaler in zip(conditions, upscalers, strict=True):
            row, samples[condition.name] = _condition_run(
                condition,
                upscaler,
                evaluated,
                factor=factor,
                seed=seed,
                now=time.process_time if clock == "processor" else time.perf_counter,
                shown=shown,
                progress=functools.partial(progress, condition),
            )
            rows.append(row)
    table = EvaluationTable(
        rows=rows,
        photos=evaluated.about,
        photos_digest=photos.digest,
        n_photos=len(photos),
        size=photos.size,
        factor=factor,
        downsampling=downsampling_operator(),
        seed=seed,
        device=device,
        threads=threads,
        clock=clock,
        notes=[*notes, *_row_notes(rows)],
    )
    return Evaluated(table, samples)


def draws_make(
    condition: EvaluationCondition,
    inputs: Pictures,
    *,
    count: int,
    factor: int,
    seed: int = 0,
    folder: Path | None = None,
    device: str = "cpu",
    threads: int = 1,
    **parameters: float,
) -> list[Pictures]:
    """Draw several samples of each input with a condition, some of whose parameters are set otherwise.

    Args:
        condition: What is drawn with.
        inputs: (n, h, w, 3) uint8 sRGB.
        count: Draws of each input.
        factor: How many times the method enlarges.
        seed: Where the random numbers begin; draw k of an input follows from the seed, the input and k.
        folder: Folder of the researchers' own checkpoints, by name.
        device: Where networks run, as torch names it.
        threads: Threads that a network may use.
        parameters: What is set otherwise.

    Returns:
        `count` times (n, H, W, 3) uint8 sRGB.
    """
    need = Need(factor, {**condition.parameters, **parameters}, None, checkpoints=folder, device=device)
    upscaler = condition.method.load(need)
    seeds = [seed_of(seed, picture, draw=k) for k in range(count) for picture in inputs]
    with _threads(threads, [condition]):
        return np.split(upscaler(np.concatenate([inputs] * count), seeds=seeds), count)


def device_check(device: str) -> None:
    """Make sure that networks can run where they shall.

    Raises:
        EvaluationImpossible: If there is no such device here.
    """
    if device == "cpu":
        return
    import torch  # noqa: PLC0415 -- only where it is asked for

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise EvaluationImpossible(
            f"The device {device!r} cannot be used ({reason}); leave --device out to use the processor."
        ) from error


def seed_of(seed: int, picture: Pictures, *, draw: int = 0) -> int:
    """Return the seed of a sample, in [0, 2**63): by the given seed, a picture and the number of a draw."""
    words = f"{seed}/{sha256_of(picture)}/{draw}".encode()
    return int.from_bytes(hashlib.sha256(words).digest()[:8], "big") >> 1


def photos_read(evaluated: EvaluationPhotos, indices: Sequence[int] | NDArray[np.int64]) -> Pictures:
    """Read some of the photos, (k, size, size, 3) uint8 sRGB.

    Raises:
        EvaluationImpossible: If one cannot be read.
    """
    from sr_models.data import DataError  # noqa: PLC0415 -- sr_models is reached only from inside functions

    try:
        return evaluated.photos.read(np.asarray(indices, np.int64))
    except DataError as error:
        raise EvaluationImpossible(str(error)) from error


def _condition_run(
    condition: EvaluationCondition,
    upscaler: Upscaler,
    evaluated: EvaluationPhotos,
    *,
    factor: int,
    seed: int,
    now: Callable[[], float],
    shown: Sequence[int],
    progress: Callable[[int], None],
) -> tuple[EvaluationRow, Pictures]:
    """Run one condition on all photos; return its row, and its samples of the photos that are shown."""
    count, size = len(evaluated.photos), evaluated.photos.size
    figures: dict[str, list[NDArray[np.float64]]] = {}
    kept = np.empty((len(shown), size, size, 3), np.uint8)
    elapsed_s, done = 0.0, 0
    for numbers in _batches(count, at_once=max(1, PIXELS_AT_ONCE // size**2)):
        photos = photos_read(evaluated, numbers)
        low_res = downsample(photos, factor=factor)
        seeds = [seed_of(seed, photo) for photo in photos]
        samples = np.empty_like(photos)
        if not done:
            upscaler(low_res[:1], seeds=seeds[:1])
        at_once = len(photos)
        if condition.method.needs == "checkpoint":
            at_once = max(1, min(NETWORK_BATCH, NETWORK_PIXELS // size**2))
        for batch in _batches(len(photos), at_once=at_once):
            begun = now()
            samples[batch] = upscaler(low_res[batch], seeds=[seeds[i] for i in batch])
            elapsed_s += now() - begun
            done += len(batch)
            progress(done)
        measured = {
            **fidelity_figures(samples, photos, low_res, factor=factor),
            "gradient": mean_absolute_gradient(samples),
            "photo_gradient": mean_absolute_gradient(photos),
        }
        for name, values in measured.items():
            figures.setdefault(name, []).append(values)
        for place, number in enumerate(shown):
            if numbers[0] <= number <= numbers[-1]:
                kept[place] = samples[number - numbers[0]]
    joined = {name: np.concatenate(parts) for name, parts in figures.items()}
    means = {name: float(joined[name].mean()) if name in joined else None for name in FIDELITY}
    row = EvaluationRow(
        condition=condition.name,
        label=condition.label,
        method=condition.method.slug,
        parameters={
            name: str(value) if isinstance(value, Path) else value for name, value in condition.parameters.items()
        },
        digest=upscaler.digest,
        detail=detail(joined["gradient"], joined["photo_gradient"]),
        seconds_per_image=elapsed_s / count,
        **means,
    )
    return row, kept


FIDELITY = ("psnr", "ssim", "ms_ssim", "ms_ssim_3", "consistency")
"""The fidelity metrics of a row."""


def _row_notes(rows: Sequence[EvaluationRow]) -> list[str]:
    """Return what must be said of figures that are not there, or not finite."""
    notes = []
    missing = [name for name in FIDELITY if getattr(rows[0], name) is None]
    if missing:
        notes.append(f"The photos are too small for {' and '.join(missing)}.")
    equal = [row.condition for row in rows if row.psnr is not None and np.isinf(row.psnr)]
    if equal:
        notes.append(f"pSNR is infinite, since a sample equals its photo: {', '.join(equal)}.")
    if rows[0].detail is None:
        notes.append("The photos are flat, so that detail has no measure.")
    return notes


def _batches(count: int, *, at_once: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, count, at_once):
        yield np.arange(start, min(start + at_once, count), dtype=np.int64)


@contextmanager
def _threads(threads: int, conditions: Sequence[EvaluationCondition]) -> Iterator[None]:
    """Let torch use so many threads, if a condition is a network; afterwards as many as before."""
    if not any(condition.method.needs == "checkpoint" for condition in conditions):
        yield
        return
    import torch  # noqa: PLC0415 -- only where a network runs

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
