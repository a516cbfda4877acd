"""How far a training run is, and who needs what it made."""

import json
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from studies import methods
from studies.models import (
    ACTIVE,
    Condition,
    Researcher,
    Sample,
    SampleStatus,
    Study,
    StudyState,
    TrainingRun,
    TrainingSpeed,
    TrainingState,
)
from studies.training import ConfigFacts

STALE_S = 60
"""A worker that was not heard of for so many seconds is taken for dead."""

NETWORKS = ("pixel_recursive", "regression")
"""What checkpoints are of, as `methods.checkpoint_names` has it."""

PROGRESS_NAME = "progress.jsonl"
CHECKPOINT_NAME = "best.safetensors"
GRID_NAME = "samples.png"


class Entry(NamedTuple):
    """A line of a run's progress.

    Attributes:
        at: When, in UTC.
        kind: "train" (means since the last such line), "validation" or "note".
        step: Updates made.
        figures: Name -> value; the first is what is minimised.
        images_per_s: Photos a second, of a "train" line.
        text: Of a "note".
    """

    at: datetime
    kind: str
    step: int
    figures: dict[str, float]
    images_per_s: float
    text: str

    @classmethod
    def from_json(cls, line: str) -> "Entry":
        """Read a line."""
        value: dict[str, Any] = json.loads(line)
        return cls(**value | {"at": datetime.fromisoformat(value["at"])})

    def to_json(self) -> str:
        """Return the line."""
        return json.dumps(self._asdict() | {"at": self.at.isoformat(timespec="seconds")})

    def __str__(self) -> str:
        """Return the line for people."""
        head = f"{self.at:%d %b %H:%M:%S}  "
        if self.kind == "note":
            return head + self.text
        figures = ", ".join(f"{name} {value:.4g}" for name, value in self.figures.items())
        speed = f"; {self.images_per_s:.1f} images/s" if self.kind == "train" else ""
        return f"{head}step {self.step:,}: {self.kind} {figures}{speed}"


def progress_read(run: TrainingRun) -> list[Entry]:
    """Return the lines of a run's progress, in order; a line that a crash left unfinished is passed over."""
    try:
        lines = (run.folder / PROGRESS_NAME).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    entries = []
    for line in lines:
        try:
            entries.append(Entry.from_json(line))
        except (ValueError, TypeError, KeyError):
            continue
    return entries


def curve_points(entries: Sequence[Entry], *, kind: str) -> list[tuple[int, float]]:
    """Return (step, figure to be minimised) of the "train" or "validation" lines, by step.

    A run that went on from what was kept makes some steps twice: the later line counts.
    """
    points: list[tuple[int, float]] = []
    first = math.inf
    for entry in reversed(entries):
        value = next(iter(entry.figures.values()), math.nan)
        if entry.kind == kind and entry.step < first and math.isfinite(value):
            first = entry.step
            points.append((entry.step, value))
    return points[::-1]


def figure_name(entries: Sequence[Entry]) -> str:
    """Return the name of the figure that is minimised, such as "joint" or "mse"; "" before there is one."""
    return next((name for entry in reversed(entries) for name in entry.figures), "")


def is_interrupted(run: TrainingRun) -> bool:
    """Return whether the worker that trains the run has not been heard of for `STALE_S` seconds."""
    is_claimed = run.state in (TrainingState.RUNNING, TrainingState.STOPPING)
    return is_claimed and (run.heartbeat_at is None or timezone.now() - run.heartbeat_at > timedelta(seconds=STALE_S))


def has_checkpoint(run: TrainingRun) -> bool:
    """Return whether the run has kept a checkpoint."""
    return (run.folder / CHECKPOINT_NAME).is_file()


def checkpoint_users(run: TrainingRun) -> list[str]:
    """Return who needs the checkpoint that the run gave, such as "the study “Rooms”"; none if nobody does."""
    studies = Study.objects.filter(
        Exists(Condition.objects.filter(study=OuterRef("pk"), parameters__checkpoint=run.slug))
    )
    starts = [f"{network}:{run.slug}" for network in NETWORKS]
    runs = TrainingRun.objects.filter(start_from__in=starts, state__in=ACTIVE, step=0)
    return [f"the study “{study}”" for study in studies] + [f"the training run “{other}”" for other in runs]


def checkpoint_choices(network: str, *, researcher: Researcher) -> tuple[str, ...]:
    """Return the names of the checkpoints that a researcher can choose.

    Args:
        network: "pixel_recursive" or "regression".
        researcher: Sees those that come with the platform, their own, and those that an operator has put into the
            folder; a superuser sees all.
    """
    hidden: set[str] = set()
    if not researcher.sees_all:
        hidden = set(TrainingRun.objects.exclude(owner=researcher).values_list("slug", flat=True))
    names = methods.checkpoint_names(network, Path(settings.CHECKPOINTS_DIR))
    return tuple(name for name in names if name not in hidden)


def start_path(start_from: str) -> Path | None:
    """Return the checkpoint of "network:name", or None of ""."""
    if not start_from:
        return None
    network, _, name = start_from.partition(":")
    return methods.checkpoint_path(name, network=network, folder=Path(settings.CHECKPOINTS_DIR))


def seconds_estimate(facts: ConfigFacts, *, size: int) -> float | None:
    """Return how long a run on photos of a size would take here, by a speed measured here; None if none was."""
    speed = TrainingSpeed.objects.filter(key=facts.speed_key, size=size).first()
    return facts.steps * facts.batch / speed.images_per_s if speed else None


def samples_wait() -> bool:
    """Return whether samples of a study wait to be made."""
    preparing = Study.objects.filter(state=StudyState.PREPARING)
    return (
        Sample.objects.filter(condition__study__in=preparing, status=SampleStatus.PENDING).exists()
        or preparing.exclude(conditions__samples__isnull=False).exists()
    )
