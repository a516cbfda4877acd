"""Training runs are queued, trained slice by slice, stopped, finished and deleted.

A run is trained in slices: a worker claims it, trains for some minutes, keeps what it has, and hands the run back to
the queue. So several runs take turns, samples are made meanwhile, and no message is older than a slice.
"""

import contextlib
import fcntl
import logging
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.text import slugify

from studies import methods, training
from studies.errors import CheckpointInUse, EvalsiteError, TrainingImpossible, TrainingStateWrong
from studies.models import ACTIVE, PhotoSet, Researcher, TrainingRun, TrainingSpeed, TrainingState
from studies.selectors.pictures import picture_read
from studies.selectors.training import (
    CHECKPOINT_NAME,
    NETWORKS,
    PROGRESS_NAME,
    Entry,
    checkpoint_users,
    has_checkpoint,
    is_interrupted,
    samples_wait,
    start_path,
)
from studies.training import ConfigFacts, Progress

logger = logging.getLogger(__name__)

SLICE_S = 600.0
"""A slice ends after so many seconds."""
SHORT_SLICE_S = 20.0
"""The same while samples wait for the same worker."""
HEARTBEAT_S = 10.0
"""Seconds between the signs of life of a worker that trains."""
WATCH_S = 1.0
"""Seconds after which it looks whether it shall stop."""
CRASHES_MOST = 3
"""A run that has taken down its worker so often in a row is not tried again."""
SPEED_S = 30.0
"""A slice that was shorter tells nothing of the speed."""

Again = Literal["now", "later"]


# --- What researchers do --------------------------------------------------------------------------------------------


def run_create(
    *,
    owner: Researcher,
    name: str,
    photo_set: PhotoSet,
    config_name: str,
    config: str,
    facts: ConfigFacts,
    start_from: str = "",
) -> TrainingRun:
    """Make a run that waits for a worker; the caller enqueues it.

    Args:
        owner: Whose run it is.
        name: For people; the name of the checkpoint is made from it.
        photo_set: Photos to train on; about every 20th photograph is held out for validation.
        config_name: Of the config that it was made from.
        config: The TOML.
        facts: What `training.config_check` said of it.
        start_from: "network:name" of a checkpoint whose weights are the beginning, or "".

    Raises:
        TrainingImpossible: If the photos do not fit the config.
    """
    photos_check(photo_set=photo_set, facts=facts)
    return TrainingRun.objects.create(
        owner=owner,
        name=name,
        slug=_slug_make(name),
        photo_set=photo_set,
        config_name=config_name,
        config=config,
        start_from=start_from,
        queued_at=timezone.now(),
        **{key: getattr(facts, key) for key in ("network", "parameters", "steps", "batch", "speed_key")},
    )


def photos_check(*, photo_set: PhotoSet, facts: ConfigFacts) -> None:
    """Check that a photo set can be trained on.

    Raises:
        TrainingImpossible: If it has too few photos, or its sizes are not those of the config.
    """
    count = photo_set.photos.count()
    if count < 2:
        raise TrainingImpossible(
            f"The photo set “{photo_set.name}” has {count} photo{'' if count == 1 else 's'}, but one is trained on and "
            "another is held out; add photos to it."
        )
    if photo_set.factor != facts.factor:
        raise TrainingImpossible(
            f"The config enlarges {facts.factor} times, but the photo set “{photo_set.name}” needs "
            f"{photo_set.factor} times; set factor = {photo_set.factor} or choose another photo set."
        )


def _slug_make(name: str) -> str:
    """Return a name for a checkpoint that no other has."""
    stem = slugify(name)[:40].strip("-_") or "run"
    taken = {
        other for network in NETWORKS for other in methods.checkpoint_names(network, Path(settings.CHECKPOINTS_DIR))
    }
    taken.update(TrainingRun.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
    number, slug = 1, stem
    while slug in taken:
        number += 1
        slug = f"{stem}-{number}"
    return slug


def ticket_draw(*, run: TrainingRun) -> int:
    """Make every message to the workers about a run void but the one that carries the returned number."""
    TrainingRun.objects.filter(pk=run.pk).update(ticket=F("ticket") + 1, queued_at=timezone.now())
    run.refresh_from_db()
    return run.ticket


def run_stop(*, run: TrainingRun) -> None:
    """Stop a run; a worker that trains it first keeps what it has.

    Raises:
        TrainingStateWrong: If no worker has it and none is to have it.
    """
    with _fast(run):
        if not run.is_active or (run.state == TrainingState.STOPPING and not is_interrupted(run)):
            raise TrainingStateWrong(f"The training run “{run}” is {run.state}, so there is nothing to stop.")
        if run.state == TrainingState.RUNNING and not is_interrupted(run):
            run.state = TrainingState.STOPPING
        else:
            run.state, run.claim, run.ended_at = TrainingState.STOPPED, "", timezone.now()
        run.save(update_fields=["state", "claim", "ended_at"])


def run_resume(*, run: TrainingRun) -> None:
    """Queue a run again that was stopped, failed or lost its worker; the caller enqueues it.

    Raises:
        TrainingStateWrong: If a worker has it, or it is finished.
    """
    with _fast(run):
        if run.state not in (TrainingState.STOPPED, TrainingState.FAILED) and not is_interrupted(run):
            raise TrainingStateWrong(f"The training run “{run}” is {run.state}; only one that rests can be resumed.")
        run.state, run.reason, run.claim = TrainingState.QUEUED, "", ""
        run.crashes, run.ended_at, run.queued_at = 0, None, timezone.now()
        run.save(update_fields=["state", "reason", "claim", "crashes", "ended_at", "queued_at"])


def run_finish(*, run: TrainingRun) -> None:
    """End a run that rests before its last step, and let conditions choose the best checkpoint that it kept.

    Raises:
        TrainingStateWrong: If it does not rest, or has kept no checkpoint yet.
    """
    with _fast(run):
        if run.state not in (TrainingState.STOPPED, TrainingState.FAILED):
            raise TrainingStateWrong(f"The training run “{run}” is {run.state}; stop it first.")
        if not has_checkpoint(run):
            raise TrainingStateWrong(f"The training run “{run}” has not kept a checkpoint yet; resume it.")
        _checkpoint_publish(run)
        run.state, run.reason = TrainingState.FINISHED, f"Ended by hand at step {run.step:,} of {run.steps:,}."
        run.ended_at = timezone.now()
        run.save(update_fields=["state", "reason", "ended_at"])
    _note(run, run.reason)


def run_delete(*, run: TrainingRun) -> None:
    """Delete a run with its folder and its checkpoint.

    Raises:
        TrainingStateWrong: If a worker has it or is to have it.
        CheckpointInUse: If a study or another run needs its checkpoint.
    """
    with _fast(run):
        if run.is_active and not is_interrupted(run):
            raise TrainingStateWrong(f"The training run “{run}” is {run.state}; stop it first.")
        users = checkpoint_users(run) if run.state == TrainingState.FINISHED else []
        if users:
            raise CheckpointInUse(
                f"The checkpoint “{run.slug}” is needed by {', '.join(users)}; the run stays as long as that is so."
            )
        run.delete()


@contextmanager
def _fast(run: TrainingRun) -> Iterator[None]:
    """Run the block in one transaction that nobody else can change the run in."""
    with transaction.atomic():
        run.refresh_from_db(from_queryset=TrainingRun.objects.select_for_update())
        yield


# --- What workers do ------------------------------------------------------------------------------------------------


def slice_train(*, run_pk: int, ticket: int, is_shutting_down: Callable[[], bool], makes_samples: bool) -> Again | None:
    """Train a run for one slice, unless another worker has it or the message is void.

    Args:
        run_pk: Primary key of the run.
        ticket: Of the message.
        is_shutting_down: Whether the worker is asked to end.
        makes_samples: Whether this worker makes samples too: then it trains less while some wait.

    Returns:
        "now" if the run wants another slice, "later" if it has to be asked again in `STALE_S` seconds, whether the
        worker that seems to have it is alive; else None.
    """
    run = TrainingRun.objects.filter(pk=run_pk, ticket=ticket, state__in=ACTIVE).select_related("photo_set").first()
    if run is None:
        return None
    if is_shutting_down():
        return "now"
    run.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(run.folder / "lock") as is_ours:
        if not is_ours:  # it is trained on this very machine; a run that is queued again is about to be let go
            return "later" if run.state == TrainingState.QUEUED else None
        claim = _claim(run)
        if claim is None:
            return "later" if run.is_active else None
        begun, first = time.monotonic(), run.step
        updates_begun: list[float] = []

        def is_over() -> bool:
            if is_shutting_down() or not updates_begun:
                return is_shutting_down()
            lasts_s = time.monotonic() - updates_begun[0]
            return lasts_s > SLICE_S or (makes_samples and lasts_s > SHORT_SLICE_S and samples_wait())

        with _watched(run, claim=claim, is_over=is_over) as stop:

            def should_stop() -> bool:
                if (
                    not updates_begun
                ):  # what comes before may take long with many photos; a slice makes an update at least
                    updates_begun.append(time.monotonic())
                return stop.is_set()

            state, reason = _train(run, claim=claim, should_stop=should_stop)
        lasts_s = time.monotonic() - begun
        return _hand_back(run, claim=claim, state=state, reason=reason, lasts_s=lasts_s, steps_made=run.step - first)


def speed_measure(*, config_name: str, size: int) -> None:
    """Measure how fast a config that comes with the platform trains here, and keep it."""
    config = next(config for config in training.configs_list() if config.name == config_name)
    facts = training.config_check(config.text, name=config.name)
    images_per_s = training.speed_measure(config.text, name=config.name, size=size)
    TrainingSpeed.objects.update_or_create(key=facts.speed_key, size=size, defaults={"images_per_s": images_per_s})


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold a file's lock, which ends with the process however that ends; give False if another process holds it."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _claim(run: TrainingRun) -> str | None:
    """Claim a run whose lock is held, and return the claim; None if it is another's, or shall not be trained.

    As the lock is ours, a claim from this machine was left by a worker that died.
    """
    host = socket.gethostname()
    with _fast(run):
        if not run.is_active:
            return None
        if run.claim and run.claim.partition("/")[0] != host and not is_interrupted(run):
            return None
        if run.state == TrainingState.STOPPING:
            run.state, run.claim, run.ended_at = TrainingState.STOPPED, "", timezone.now()
        elif run.claim and run.crashes + 1 >= CRASHES_MOST:
            run.state, run.claim, run.ended_at = TrainingState.FAILED, "", timezone.now()
            run.reason = (
                f"The worker died {CRASHES_MOST} times in a row while it trained this run, perhaps for want of "
                "memory; run it again with a smaller batch or a smaller network."
            )
        else:
            run.crashes += bool(run.claim)
            run.state, run.claim = TrainingState.RUNNING, f"{host}/{os.getpid()}/{uuid.uuid4().hex}"
            run.heartbeat_at = timezone.now()
        run.save(update_fields=["state", "claim", "reason", "crashes", "heartbeat_at", "ended_at"])
    return run.claim or None


@contextmanager
def _watched(run: TrainingRun, *, claim: str, is_over: Callable[[], bool]) -> Iterator[threading.Event]:
    """Give signs of life while the block trains, and set the event when it shall stop.

    That is done beside the training, since a validation or a sample grid may take minutes.
    """
    stop, done = threading.Event(), threading.Event()

    def watch() -> None:
        sign_s = time.monotonic()
        while not done.wait(WATCH_S):
            try:
                mine = TrainingRun.objects.filter(pk=run.pk, claim=claim)
                if not mine.filter(state=TrainingState.RUNNING).exists() or is_over():
                    stop.set()
                if time.monotonic() - sign_s >= HEARTBEAT_S:
                    mine.update(heartbeat_at=timezone.now())
                    sign_s = time.monotonic()
            except DatabaseError:
                logger.warning("The database is away while a run is trained", extra={"run": run.pk}, exc_info=True)
        connection.close()

    thread = threading.Thread(target=watch, name=f"watch-run-{run.pk}", daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        done.set()
        thread.join()


def _train(run: TrainingRun, *, claim: str, should_stop: Callable[[], bool]) -> tuple[TrainingState, str]:
    """Train until the end or until told to stop; return the state that this leaves the run in, and why."""
    furthest = run.step
    _note(run, f"Trains on {socket.gethostname()}" + (f", going on from about step {run.step:,}." if run.step else "."))
    try:
        _photos_keep(run)
        outcome = training.train(
            run.config,
            name=run.config_name,
            photos=run.folder / "photos.npz",
            size=run.photo_set.high_res_size,
            out=run.folder,
            start_from=start_path(run.start_from),
            report=lambda progress: _progress_keep(run, claim=claim, progress=progress, furthest=furthest),
            should_stop=should_stop,
            say=lambda sentence: None if furthest else _note(run, sentence),
        )
        run.step = outcome.step
        if outcome.reason == "stopped":
            return TrainingState.QUEUED, ""
        _checkpoint_publish(run)
    except EvalsiteError as error:
        return TrainingState.FAILED, str(error)
    except OSError as error:
        words = error.strerror or str(error)
        return TrainingState.FAILED, f"Training could not go on ({words}); mend that, then resume it."
    except Exception as error:  # whatever it is, the researcher must see it, not only the worker's log
        logger.exception("A training run failed", extra={"run": run.pk})
        words = " ".join(str(error).split())[:300]
        return TrainingState.FAILED, f"Training failed ({type(error).__name__}: {words}); mend that, then resume it."
    return TrainingState.FINISHED, outcome.sentence


def _photos_keep(run: TrainingRun) -> None:
    """Write the photos of the run's set into its folder, once: what is added to the set later changes no run."""
    path = run.folder / "photos.npz"
    if path.exists():
        return
    photos = list(run.photo_set.photos.order_by("pk"))
    held_out = training.hold_out([photo.source_sha256 for photo in photos], [photo.sha256 for photo in photos])
    pictures = (picture_read(photo.high_res) for photo in photos)
    training.photos_write(path, pictures, held_out=held_out, size=run.photo_set.high_res_size)


def _progress_keep(run: TrainingRun, *, claim: str, progress: Progress, furthest: int) -> None:
    """Write what a run tells into its folder and its row; beyond the furthest step so far, earlier crashes are past."""
    now = timezone.now()
    entries = (
        [Entry(now, "train", progress.step, progress.figures, progress.images_per_s, "")] if progress.figures else []
    )
    if progress.validation:
        entries.append(Entry(now, "validation", progress.step, progress.validation, 0.0, ""))
    _entries_write(run, entries)
    run.step = progress.step
    if progress.step > furthest:
        run.crashes = 0
    TrainingRun.objects.filter(pk=run.pk, claim=claim).update(
        step=progress.step,
        steps=progress.steps,
        images_per_s=progress.images_per_s,
        seconds_left=progress.seconds_left,
        heartbeat_at=now,
        crashes=run.crashes,
    )


def _hand_back(
    run: TrainingRun, *, claim: str, state: TrainingState, reason: str, lasts_s: float, steps_made: int
) -> Again | None:
    """Leave a run after a slice, unless it was taken from us meanwhile."""
    made, steps = run.step, run.steps
    with _fast(run):
        if run.claim != claim:
            return None
        if state == TrainingState.QUEUED and run.state == TrainingState.STOPPING:
            state, reason = TrainingState.STOPPED, f"Stopped at step {made:,} of {steps:,}."
        run.state, run.reason, run.claim, run.step, run.crashes = state, reason, "", made, 0
        run.trained_s += lasts_s
        run.ended_at = None if state == TrainingState.QUEUED else timezone.now()
        run.save(update_fields=["state", "reason", "claim", "step", "crashes", "trained_s", "ended_at"])
    if lasts_s > SPEED_S and steps_made > 0:
        speed = {"images_per_s": steps_made * run.batch / lasts_s}
        size = run.photo_set.high_res_size
        TrainingSpeed.objects.update_or_create(key=run.speed_key, size=size, defaults=speed)
    if reason:
        _note(run, reason)
    return "now" if state == TrainingState.QUEUED else None


def _checkpoint_publish(run: TrainingRun) -> None:
    """Put the best checkpoint of a run where conditions find it, whole or not at all.

    Raises:
        OSError: If the disk is full.
    """
    target = run.checkpoint_path
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    shutil.copyfile(run.folder / CHECKPOINT_NAME, partial)
    partial.replace(target)


def _note(run: TrainingRun, text: str) -> None:
    _entries_write(run, [Entry(timezone.now(), "note", run.step, {}, 0.0, text)])


def _entries_write(run: TrainingRun, entries: list[Entry]) -> None:
    """Add lines to a run's progress; a full disk stops the training where it keeps the state, not here."""
    with contextlib.suppress(OSError), (run.folder / PROGRESS_NAME).open("a", encoding="utf-8") as file:
        file.writelines(f"{entry.to_json()}\n" for entry in entries)
