"""Train a network: `python -m sr_models.train sr_models/configs/x.toml --data PHOTOS --out FOLDER`.

The batch of step s follows from the seed and s alone, so that a run that was stopped, by a signal, a crash or a full
disk, goes on with `--resume` where it was last kept and ends with the same weights, if its config and photos are the
same. The folder holds `state.pt` (weights, averages, optimiser), `best.safetensors` (the weights with the lowest
validation loss), `log.csv` and `samples.png`. `docs/training.md` tells all of it.
"""

import argparse
import copy
import csv
import io
import json
import math
import pickle
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from sr_models.checkpoints import (
    NETWORKS,
    CheckpointError,
    checkpoint_load,
    checkpoint_save,
    file_replace,
    network_build,
)
from sr_models.data import HELD_OUT_EVERY, DataError, PhotoSplit, pairs_make, photos_split
from sr_models.evaluate import NATS_PER_BIT, figures_measure
from sr_models.pixel_recursive import PixelRecursive
from sr_models.pixels import model_range, pixel_range
from sr_models.prefetch import prefetch
from sr_models.progress import progress_bar
from sr_models.ranks import Ranks, batch_norms_join, is_first, ranks_join
from sr_models.sampling import sample

CHANGEABLE = frozenset({"steps", "decay_steps", "patience", "keep_every_s"})
"""What a resumed run may be given anew: how long it is, and how often it is kept."""

PRIOR_EVERY = 10
"""The loss of the prior alone is not trained on and costs one more softmax (5 % of a step): one update in so many."""

REPORT_EVERY_S = 5.0
"""Seconds between two reports of a run."""

GRID_TAUS = (1.0, 1.2)
"""Of the samples in the grid, a row each."""

GRID_PIXELS = 128
"""Side of each picture in the grid, if it is not larger by itself."""


class ConfigError(Exception):
    """A run cannot be made as it is asked for; the message names the key and the cure."""


@dataclass(frozen=True)
class TrainingConfig:
    """One run, as read from a TOML file.

    Attributes:
        network: Name of the network (key of `checkpoints.NETWORKS`).
        sizes: Fields of its config.
        steps: Updates in the run.
        batch: Pictures an update, over all processes.
        optimiser: "adam", or "rmsprop" with decay 0.95, momentum 0.9 and epsilon 1e-8 (Dahl et al. 2017).
        learning_rate: After the warm-up, before it is lowered.
        warmup_steps: The first updates, over which it rises from zero.
        schedule: How it is lowered: "cosine" or "halving".
        decay_steps: With "cosine", the last updates, over which it falls to zero along a half cosine.
        halve_every: With "halving", after so many updates it is halved, again and again.
        gradient_norm: Gradients are scaled down to this norm; 0 leaves them as they are.
        average_decay: Decay of the moving average of the weights, which is what is kept and shown; 0 for none.
        positions: Share of the pixels at which the loss of the pixel recursive network is taken.
        bfloat16: Whether the network computes in bfloat16 where autocast allows, if the processor can.
        channels_last: Whether feature maps lie pixel by pixel in memory, not map by map.
        max_per_person: At most so many training photos of one person, where persons are known; 0 for all.
        validate_every: Updates between validations.
        validation_photos: At most so many photos are used in each validation.
        patience: Validations without a better loss after which the run stops.
        keep_every_s: Seconds after which the run is kept between validations, so that little is lost by a crash.
        log_every: Updates that a training row of `log.csv` is the mean of.
        seed: Of the initial weights, the batches and the positions.
    """

    network: str
    sizes: dict[str, Any] = field(default_factory=dict)
    steps: int = 10_000
    batch: int = 16
    optimiser: str = "adam"
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    schedule: str = "cosine"
    decay_steps: int = 2_000
    halve_every: int = 500_000
    gradient_norm: float = 1.0
    average_decay: float = 0.999
    positions: float = 1.0
    bfloat16: bool = False
    channels_last: bool = False
    max_per_person: int = 10
    validate_every: int = 1_000
    validation_photos: int = 256
    patience: int = 1_000
    keep_every_s: float = 300.0
    log_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values of another type or out of range."""
        for each in fields(self):
            value, kind = getattr(self, each.name), type(each.default)
            if kind is float and type(value) is int:
                object.__setattr__(self, each.name, float(value))
            elif each.default is not MISSING and type(value) is not kind:
                raise ValueError(f"{each.name} must be of type {kind.__name__}, got {value!r}")
        choices = {"optimiser": ("adam", "rmsprop"), "schedule": ("cosine", "halving")}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be {' or '.join(known)}, got {getattr(self, name)!r}")
        counts = ("steps", "batch", "halve_every", "validate_every", "validation_photos", "patience", "log_every")
        from_zero = ("warmup_steps", "decay_steps", "max_per_person", "seed")
        limits: list[tuple[str, Callable[[float], bool], str]] = [
            *((name, lambda value: value >= 1, "at least 1") for name in counts),
            *((name, lambda value: value >= 0, "at least 0") for name in from_zero),
            *((name, lambda value: 0 <= value < math.inf, "at least 0") for name in ("gradient_norm", "keep_every_s")),
            ("learning_rate", lambda value: 0 < value < math.inf, "above 0"),
            ("average_decay", lambda value: 0 <= value < 1, "at least 0 and below 1"),
            ("positions", lambda value: 0 < value <= 1, "above 0 and at most 1"),
        ]
        for name, is_possible, words in limits:
            if not is_possible(getattr(self, name)):
                raise ValueError(f"{name} must be {words}, got {getattr(self, name)}")

    def rate(self, step: int) -> float:
        """Return the learning rate of update `step`, counted from 0."""
        rate = self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup_steps))
        if self.schedule == "halving":
            return rate * 0.5 ** (step // self.halve_every)
        left = (self.steps - step) / max(1, self.decay_steps)
        return rate * (1.0 if left >= 1 else 0.5 - 0.5 * math.cos(math.pi * left))


def config_read(path: Path) -> TrainingConfig:
    """Read a run from a TOML file; see `config_parse`.

    Raises:
        ConfigError: If the file is missing, is no TOML, or has an unknown or impossible key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The config {path} cannot be read: {error}.") from error
    return config_parse(text, name=path.name)


def config_parse(text: str, *, name: str) -> TrainingConfig:
    """Take a run from TOML with the tables `[network]` (name and sizes) and `[training]`.

    Args:
        text: The TOML.
        name: What sentences call it.

    Raises:
        ConfigError: If it is no TOML, or has an unknown or impossible key.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The config {name} cannot be read: {error}.") from error
    given = {table: tables.pop(table, {}) for table in ("network", "training")}
    for table, entries in given.items():
        if not isinstance(entries, dict):
            raise ConfigError(f"The config {name} has {table} = {entries!r}; make it a table, [{table}].")
    sizes, training = given["network"], given["training"]
    known = {each.name for each in fields(TrainingConfig)} - {"network", "sizes"}
    unknown = [*tables, *(key for key in training if key not in known)]
    if unknown:
        raise ConfigError(
            f"The config {name} has the unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}."
        )
    try:
        config = TrainingConfig(network=sizes.pop("name", ""), sizes=sizes, **training)
        network_build(config.network, config.sizes)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"The config {name} cannot be used: {error}.") from error
    return config


class Draw(NamedTuple):
    """What chance decides in one update.

    Attributes:
        photos: (batch,) int64, numbers of the training photos.
        flipped: (batch,) bool, which of them are mirrored left to right.
        positions: (positions,) int64, the different pixels at which the loss of the pixel recursive network is taken.
    """

    photos: NDArray[np.int64]
    flipped: NDArray[np.bool_]
    positions: NDArray[np.int64]


def batch_draw(*, seed: int, step: int, photos: int, batch: int, pixels: int, positions: int) -> Draw:
    """Draw the batch of one update, from a stream of its own that follows from the seed and the step alone.

    Args:
        seed: Of the run.
        step: Number of the update, from 0.
        photos: How many there are to draw from.
        batch: How many to draw, with replacement.
        pixels: How many a photo has.
        positions: How many of them to draw, without replacement.
    """
    rng = np.random.default_rng((seed, step))
    return Draw(rng.integers(photos, size=batch), rng.random(batch) < 0.5, rng.permutation(pixels)[:positions])


class Batch(NamedTuple):
    """This process's share of the photos of one update.

    Attributes:
        low_res: (n, h, w, 3) uint8.
        high_res: (n, H, W, 3) uint8.
        positions: (p,) int64 pixel numbers, of all processes alike; None for all pixels.
    """

    low_res: Tensor
    high_res: Tensor
    positions: Tensor | None


class Progress(NamedTuple):
    """What a run tells while it goes on.

    Attributes:
        step: Updates made.
        steps: Updates in the run.
        figures: Means over the training photos since the last report: "joint", "conditioning" and "prior" in bits per
            sub-pixel, or "mse" on [0, 1].
        images_per_s: Photos a second since the last report, validations not counted.
        seconds_left: Until the last update, validations counted.
        validation: The same figures on the validation photos, if they were just measured.
    """

    step: int
    steps: int
    figures: dict[str, float]
    images_per_s: float
    seconds_left: float
    validation: dict[str, float] | None


class Outcome(NamedTuple):
    """How a run ended: why, after which update, and a sentence that says so."""

    reason: Literal["finished", "stopped", "patience"]
    step: int
    sentence: str


def train(
    config: TrainingConfig,
    *,
    data: Sequence[Path],
    validation: Sequence[Path] = (),
    size: int,
    out: Path,
    resume: bool,
    device: str = "cpu",
    start_from: Path | None = None,
    crop: int | None = None,
    leave_out_duplicates: bool = False,
    report: Callable[[Progress], object] = lambda _progress: None,
    should_stop: Callable[[], bool] = lambda: False,
    say: Callable[[str], object] = lambda _sentence: None,
    compared: Callable[[int, int], None] = lambda _done, _total: None,
) -> Outcome:
    """Train in a folder, from its beginning or from what was kept there last, until the end or until told to stop.

    Where torchrun started several processes and these have joined (`ranks_join`), each calls this in the same way.

    Args:
        config: The run.
        data: Sets of photos to train on; see `photos_split`.
        validation: Sets to validate on; if there are none, a part of `data`.
        size: Side of the high-resolution photos in pixels.
        out: Folder of the run; made if absent.
        resume: Whether to go on with the run in the folder.
        device: Where the network runs.
        start_from: A checkpoint whose weights are the beginning of a new run; a resumed one has its own.
        crop: Side of the centred square that becomes the photo, in pixels of the picture; see `photos_open`.
        leave_out_duplicates: Whether training photos that are validation photos too are left out, not refused.
        report: Told every few seconds and after each validation how the run goes on; by the first process only.
        should_stop: Asked before each update.
        say: Told, a sentence at a time, what photos and parameters there are before the first update.
        compared: Told how many photos have been compared, and of how many, while duplicates are looked for.

    Raises:
        ConfigError: If the config does not fit the photos, the folder, the checkpoint or the number of processes, or
            the weights are no longer finite.
        DataError: If a set of photos cannot be used.
        CheckpointError: If `start_from` cannot be used.
        OSError: If the folder cannot be written, as on a full disk; the message says what was kept before.
    """
    ranks = Ranks.current()
    if ranks.rank == 0:
        _folder_check(out, resume=resume)
    if config.batch % ranks.count:
        raise ConfigError(
            f"A batch of {config.batch} cannot be shared equally by {ranks.count} processes; make batch a multiple of "
            f"{ranks.count}."
        )
    photos = photos_split(
        data,
        validation,
        size=size,
        max_per_person=config.max_per_person or None,
        crop=crop,
        leave_out_duplicates=leave_out_duplicates,
        progress=compared,
    )
    trainer = Trainer(config, photos=photos, out=out, device=device, ranks=ranks)
    if resume:
        trainer.resume()
    elif start_from is not None:
        trainer.start_from(start_from)
    if not ranks.alike(json.dumps([trainer.settings(), trainer.digests, trainer.begun_from])):
        raise ConfigError("The processes were given different configs, photos or checkpoints; give all hosts the same.")
    for sentence in (*photos.notes, *trainer.sentences()):
        say(sentence)
    return trainer.run(report=report, should_stop=should_stop)


def _folder_check(out: Path, *, resume: bool) -> None:
    is_begun = (out / "state.pt").is_file()
    if resume and not is_begun:
        raise ConfigError(f"There is nothing to resume in {out}; start without --resume.")
    if is_begun and not resume:
        raise ConfigError(f"There is a run in {out} already; go on with --resume or give another --out.")
    out.mkdir(parents=True, exist_ok=True)


class Trainer:
    """One run: network, average and optimiser, and the step that they have reached."""

    def __init__(self, config: TrainingConfig, *, photos: PhotoSplit, out: Path, device: str, ranks: Ranks) -> None:
        self.config, self.photos, self.out, self.ranks = config, photos, out, ranks
        self.device = torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = network_build(config.network, config.sizes)
        self.factor: int = self.network.config.factor  # type: ignore[union-attr, assignment] # a Module's attribute is Any
        if photos.training.size % self.factor:
            raise ConfigError(
                f"Photos of {photos.training.size} pixels a side cannot be reduced by the config's factor of "
                f"{self.factor}; give a --size that is a multiple of it."
            )
        if ranks.count > 1:
            batch_norms_join(self.network)
        self.network.to(self.device)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(requires_grad=False)
        if config.channels_last:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # its types leave that out
        self.is_bfloat16 = config.bfloat16 and _has_bfloat16(self.device)
        self.parameters = list(self.network.parameters())
        self.optimiser: torch.optim.Optimizer = (
            torch.optim.Adam(self.parameters, lr=config.learning_rate)
            if config.optimiser == "adam"
            else torch.optim.RMSprop(self.parameters, lr=config.learning_rate, alpha=0.95, momentum=0.9, eps=1e-8)
        )
        self.figure_names = ("joint", "conditioning", "prior") if isinstance(self.network, PixelRecursive) else ("mse",)
        self.digests = {"training": photos.training.digest, "validation": photos.validation.digest}
        spread = np.random.default_rng(0).permutation(len(photos.validation))[: config.validation_photos]
        self.validated = np.sort(spread)
        self.begun_from = ""
        self.step, self.best, self.stale, self.seconds = 0, math.inf, 0, 0.0
        self.kept_step, self.kept_s = 0, time.monotonic()
        self.row: list[Tensor] = []
        self.columns = ["step", "part", *self.figure_names, "learning_rate", "seconds"]
        self.is_logged = False

    # --- One update -----------------------------------------------------------------------------------------------

    def batch_read(self, step: int) -> Batch:
        """Read this process's share of the batch of one update; done ahead by a thread."""
        config, size = self.config, self.photos.training.size
        draw = batch_draw(
            seed=config.seed,
            step=step,
            photos=len(self.photos.training),
            batch=config.batch,
            pixels=size * size,
            positions=max(1, round(config.positions * size * size)),
        )
        share = self.ranks.share(config.batch)
        flipped = draw.flipped[share, None, None, None]
        low, high = (
            torch.from_numpy(np.where(flipped, part[:, :, ::-1], part))
            for part in pairs_make(self.photos.training.read(draw.photos[share]), factor=self.factor)
        )
        return Batch(low, high, torch.from_numpy(draw.positions) if config.positions < 1 else None)

    def update(self, batch: Batch) -> Tensor:
        """Make one update; return the figures of its joint batch, (figures,), in nats where they are likelihoods."""
        config = self.config
        low, high = batch.low_res.to(self.device), batch.high_res.to(self.device)
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        inputs, outputs = (model_range(part).contiguous(memory_format=layout) for part in (low, high))
        with torch.autocast(self.device.type, torch.bfloat16) if self.is_bfloat16 else nullcontext():
            if isinstance(self.network, PixelRecursive):
                positions = None if batch.positions is None else batch.positions.to(self.device)
                prior = self.step % PRIOR_EVERY == 0
                losses = self.network.losses(inputs, outputs, high, positions=positions, prior=prior)
                objective, figures = losses.objective, torch.stack([loss.float() for loss in losses])
            else:
                objective = self.network.loss(inputs, outputs)  # type: ignore[operator] # every regression has one
                figures = objective[None]
        figures = figures.detach().float()
        self.optimiser.zero_grad(set_to_none=True)
        objective.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        gradients = [each.grad for each in self.parameters if each.grad is not None]
        self.ranks.average([*gradients, figures])
        if config.gradient_norm:
            nn.utils.clip_grad_norm_(self.parameters, config.gradient_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate(self.step)
        self.optimiser.step()
        self._average_move()
        self.step += 1
        return figures

    @torch.no_grad()
    def _average_move(self) -> None:
        decay = min(self.config.average_decay, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    # --- The run --------------------------------------------------------------------------------------------------

    def run(self, *, report: Callable[[Progress], object], should_stop: Callable[[], bool]) -> Outcome:
        """Train to the end, the end of patience, or until told to stop; see `train`."""
        config, first = self.config, self.step
        begun_s, reported_s, busy_s = time.monotonic(), -math.inf, 0.0
        told: list[Tensor] = []
        known: dict[str, float] = {}
        with closing(prefetch(self.batch_read, range(self.step, config.steps))) as batches:
            while self.step < config.steps and self.stale < config.patience:
                if self.ranks.any(should_stop(), device=self.device):
                    self.keep()
                    return Outcome("stopped", self.step, f"Stopped at step {self.step}; go on with --resume.")
                lap_s = time.monotonic()
                figures = self.update(next(batches))
                told.append(figures)
                self.row.append(figures)
                is_last = self.step == config.steps
                is_validated = is_last or self.step % config.validate_every == 0
                is_reported = is_validated or time.monotonic() - reported_s >= REPORT_EVERY_S
                if is_reported:
                    known |= self._means(told)
                lap_s = time.monotonic() - lap_s
                self.seconds += lap_s
                busy_s += lap_s
                if self.step % config.log_every == 0 or is_last:
                    self._log("train", self._means(self.row))
                    self.row = []
                validation = self.validate() if is_validated else None
                if is_validated or time.monotonic() - self.kept_s >= config.keep_every_s:
                    self.keep()
                if is_reported and self.ranks.rank == 0:
                    speed = len(told) * config.batch / max(busy_s, 1e-9)
                    left_s = (config.steps - self.step) * (time.monotonic() - begun_s) / (self.step - first)
                    report(Progress(self.step, config.steps, dict(known), speed, left_s, validation))
                if is_reported:
                    told, busy_s, reported_s = [], 0.0, time.monotonic()
        if self.step < config.steps:
            sentence = f"No better validation loss in {config.patience} validations; stopped at step {self.step}."
            return Outcome("patience", self.step, sentence)
        return Outcome("finished", self.step, f"Finished {self.step} steps.")

    def _means(self, rows: list[Tensor]) -> dict[str, float]:
        """Return the means of figures, in bits where they are likelihoods; of the prior those that were measured.

        Raises:
            ConfigError: If they are not finite.
        """
        unit = NATS_PER_BIT if isinstance(self.network, PixelRecursive) else 1.0
        means = (torch.stack(rows).cpu().double().nanmean(dim=0) / unit).tolist()
        lost = torch.stack(rows)[:, 0].isfinite().logical_not().any()
        if lost:
            raise self._diverged()
        return {name: mean for name, mean in zip(self.figure_names, means, strict=True) if math.isfinite(mean)}

    def _diverged(self) -> ConfigError:
        return ConfigError(
            f"The loss or the weights are no longer finite at step {self.step}; lower learning_rate, or set "
            f"gradient_norm, and begin anew. {self._kept_sentence()}"
        )

    def _kept_sentence(self) -> str:
        if not self.kept_step:
            return "Nothing of the run was kept yet."
        return f"The run is kept as it was at step {self.kept_step}."

    def validate(self) -> dict[str, float]:
        """Measure the averaged weights on the validation photos; keep them if they are the best so far."""
        figures: dict[str, float] = {}
        if self.ranks.rank == 0:
            validated = self.photos.validation
            figures = figures_measure(self.average, validated, self.validated, device=self.device)
            self._log("validation", figures)
        figures = self.ranks.from_first(figures)
        loss = next(iter(figures.values()))
        self.stale += 1
        if loss < self.best:
            self.best, self.stale = loss, 0
            if self.ranks.rank == 0:
                metadata = {"step": self.step, "validation": figures, "training": self.summary()}
                picture = io.BytesIO()
                self.grid().save(picture, "PNG")
                with self._writing():
                    checkpoint_save(self.out / "best.safetensors", self.average, metadata=metadata)
                    file_replace(self.out / "samples.png", picture.getvalue())
        return figures

    @torch.inference_mode()
    def grid(self, *, count: int = 12) -> Image.Image:
        """Draw validation photos, evenly spread over them, in columns: input, output of the averaged weights, truth."""
        available = len(self.validated)
        shown = min(count, available)
        chosen = self.validated[np.arange(shown) * available // shown]
        low, high = pairs_make(self.photos.validation.read(chosen), factor=self.factor)
        if isinstance(self.average, PixelRecursive):
            rows = len(GRID_TAUS)
            taus = np.repeat(GRID_TAUS, shown).tolist()
            drawn = sample(self.average, np.tile(low, (rows, 1, 1, 1)), seeds=[*range(shown)] * rows, tau=taus)
            outputs = np.split(drawn, rows)
        else:
            inputs = model_range(torch.from_numpy(low)).to(self.device)
            outputs = [pixel_range(self.average(inputs)).numpy(force=True)]
        blown_up = low.repeat(self.factor, axis=1).repeat(self.factor, axis=2)
        sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in (blown_up, *outputs, high)])
        scale = max(1, GRID_PIXELS // high.shape[1])
        return Image.fromarray(sheet.repeat(scale, axis=0).repeat(scale, axis=1))

    # --- What is said and written ---------------------------------------------------------------------------------

    def sentences(self) -> list[str]:
        """Say what there is to train, and on what."""
        photos = f"{len(self.photos.training):,} photos to train on, {len(self.photos.validation):,} to validate"
        parameters = ", ".join(f"{name} {count:,}" for name, count in parameter_counts(self.network).items())
        said = [f"{photos}.", f"Parameters: {parameters}."]
        if self.config.bfloat16 and not self.is_bfloat16:
            said.append("There is no arithmetic for bfloat16 here, so the run computes in float32, which is faster.")
        if self.ranks.count > 1:
            share = self.config.batch // self.ranks.count
            said.append(
                f"{self.ranks.count} processes, each with {share} of the {self.config.batch} photos of a batch."
            )
        if self.step:
            said.append(f"Goes on after step {self.step:,} of {self.config.steps:,}.")
        return said

    def summary(self) -> dict[str, Any]:
        """Return what one should know about the training of these weights, for the header of their file."""
        own = {key: value for key, value in self.settings().items() if not key.startswith("network.")}
        photos = {"training_photos": len(self.photos.training), "validation_photos": len(self.validated)}
        return own | photos | {"processes": self.ranks.count, "start_from": self.begun_from or None}

    def settings(self) -> dict[str, Any]:
        """Return the config flat and complete, as JSON brings it back; sizes are `network.<size>`."""
        sizes = asdict(self.network.config)  # type: ignore[call-overload] # a Module's attribute is Any
        return _flat(self.config, sizes)

    def _log(self, part: str, figures: dict[str, float]) -> None:
        """Append a row to `log.csv`, which begins with its header; figures that were not measured stay empty."""
        if self.ranks.rank:
            return
        path = self.out / "log.csv"
        cells = [f"{figures[name]:.6f}" if name in figures else "" for name in self.figure_names]
        row = [self.step, part, *cells, f"{self.config.rate(self.step - 1):.6g}", f"{self.seconds:.1f}"]
        with self._writing(), path.open("a" if self.is_logged else "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([row] if self.is_logged else [self.columns, row])
        self.is_logged = True

    def keep(self) -> None:
        """Write everything that a resumed run needs, all or nothing; done by the first process.

        Raises:
            ConfigError: If the weights are no longer finite.
            OSError: If the folder cannot be written; what was kept before stays whole.
        """
        if self.ranks.rank:
            return
        if not all(bool(each.isfinite().all()) for each in self.parameters):
            raise self._diverged()
        buffer = io.BytesIO()
        torch.save(
            {
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
                "best": self.best,
                "stale": self.stale,
                "seconds": self.seconds,
                "row": [figures.cpu() for figures in self.row],
                "config": json.dumps(self.settings(), sort_keys=True),
                "photos": self.digests,
                "start_from": self.begun_from,
            },
            buffer,
        )
        with self._writing():
            file_replace(self.out / "state.pt", buffer.getvalue())
        self.kept_step, self.kept_s = self.step, time.monotonic()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(
                f"{self.out} cannot be written ({error.strerror}): make room or mend that, then go on with --resume. "
                f"{self._kept_sentence()}"
            ) from error

    # --- Beginnings -----------------------------------------------------------------------------------------------

    def start_from(self, path: Path) -> None:
        """Begin with the weights of a checkpoint.

        Raises:
            CheckpointError: If the file cannot be used, or holds another network.
            ConfigError: If its network has other sizes than the config.
        """
        checkpoint = checkpoint_load(path, device=str(self.device), network=self.config.network)
        given, own = (_flat(self.config, asdict(each.config)) for each in (checkpoint.network, self.network))  # type: ignore[call-overload] # a Module's attribute is Any
        weights = checkpoint.network.state_dict()
        try:
            self.network.load_state_dict(weights)
        except RuntimeError as error:
            others = [f"{key} = {given[key]!r} (config: {own[key]!r})" for key in own if given[key] != own[key]]
            raise ConfigError(
                f"The checkpoint {path.name} has {', '.join(others)}; give the config the sizes of the checkpoint."
            ) from error
        self.average.load_state_dict(weights)
        self.begun_from = checkpoint.digest

    def resume(self) -> None:
        """Go back to what was kept last.

        The run goes on with the config and photos it was begun with, or not at all; only what `CHANGEABLE` names may
        be other. What a key was that an older state does not tell is its default.

        Raises:
            ConfigError: If it is another run's.
            CheckpointError: If it cannot be read.
        """
        path = self.out / "state.pt"
        data = self.ranks.from_first(path.read_bytes() if self.ranks.rank == 0 else b"")
        try:
            state = torch.load(io.BytesIO(data), map_location=self.device, weights_only=True)
        except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"{path} is damaged; begin anew, from best.safetensors with --start-from if it is there."
            ) from error
        self._same_run_check(state)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.best, self.stale, self.seconds = (state[key] for key in ("step", "best", "stale", "seconds"))
        self.row, self.begun_from = [figures.to(self.device) for figures in state["row"]], state["start_from"]
        self.kept_step = self.step
        if self.ranks.rank == 0:
            self._log_cut()

    def _log_cut(self) -> None:
        """Take from `log.csv` what was written after the state: it is about to be written again."""
        path = self.out / "log.csv"
        rows = list(csv.reader(path.read_text().splitlines())) if path.is_file() else []
        if rows and rows[0] != self.columns:
            raise ConfigError(f"{path} has other columns than this version writes; move it away and resume again.")
        kept = [row for row in rows[1:] if len(row) == len(self.columns) and int(row[0]) <= self.step]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *kept])
        with self._writing():
            file_replace(path, text.getvalue().encode())
        self.is_logged = True

    def _same_run_check(self, state: dict[str, Any]) -> None:
        network_config = NETWORKS[self.config.network][1]
        defaults = _flat(TrainingConfig(self.config.network), asdict(network_config()))
        kept, given = defaults | json.loads(state["config"]), self.settings()
        others = [
            f"{key} = {kept[key]!r} (now {given[key]!r})"
            for key in given
            if key not in CHANGEABLE and kept.get(key) != given[key]
        ]
        if others:
            raise ConfigError(
                f"The run in {self.out} was begun with {', '.join(others)}; resume it with its own config, or give "
                "another --out to begin anew."
            )
        for part, digest in state["photos"].items():
            if self.digests[part] != digest:
                raise ConfigError(
                    f"The {part} photos are not those with which the run in {self.out} was begun; give the same "
                    "--data, --validation and --size, or another --out to begin anew."
                )


def _flat(config: TrainingConfig, sizes: dict[str, Any]) -> dict[str, Any]:
    """Return a run's config as JSON brings it back, with the network's sizes as `network.<size>`."""
    own = {key: value for key, value in asdict(config).items() if key != "sizes"}
    flat: dict[str, Any] = json.loads(json.dumps(own | {f"network.{key}": value for key, value in sizes.items()}))
    return flat


def parameter_counts(network: nn.Module) -> dict[str, int]:
    """Return how many numbers are learned, by part and in all."""
    if isinstance(network, PixelRecursive):
        return network.parameter_counts()
    return {"all": sum(parameter.numel() for parameter in network.parameters())}


def _has_bfloat16(device: torch.device) -> bool:
    """Return whether bfloat16 is faster than float32 there: with AVX2 alone it is emulated, some nine times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type != "cpu" or torch.backends.cpu.get_cpu_capability() != "AVX2"


class _Watcher:
    """What the command line shows of a run, and when it tells it to stop."""

    def __init__(self, *, is_shown: bool) -> None:
        self.is_shown = is_shown
        self.is_training = self.is_asked_to_stop = False
        self.bar: tqdm[Any] | None = None

    def signalled(self, _signal: int, _frame: FrameType | None) -> None:
        """Ask the run to stop; before the first update there is nothing to keep, so the process ends at once."""
        self.is_asked_to_stop = True
        if not self.is_training:
            raise KeyboardInterrupt

    def should_stop(self) -> bool:
        self.is_training = True
        return self.is_asked_to_stop

    def say(self, sentence: str) -> None:
        self.close()
        if self.is_shown:
            print(sentence, file=sys.stderr)

    def compared(self, done: int, total: int) -> None:
        self._show(done, total, "compared with the photos to validate on", delay_s=2.0)

    def report(self, progress: Progress) -> None:
        left = tqdm.format_interval(progress.seconds_left)
        words = f"{left} left {progress.images_per_s:.0f} images/s {_figures_text(progress.figures)}"
        bar = self._show(progress.step, progress.steps, words)
        if bar is not None and progress.validation:
            bar.write(f"step {progress.step}: validation {_figures_text(progress.validation)}", sys.stderr)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _show(self, done: int, total: int, words: str, *, delay_s: float = 0.0) -> "tqdm[Any] | None":
        if self.is_shown and self.bar is None:
            form = "{n_fmt}/{total_fmt} {desc} |{bar}|"
            self.bar = progress_bar(label=words, total=total, initial=done, form=form, delay_s=delay_s)
        if self.bar is not None:
            self.bar.set_description_str(words, refresh=False)
            self.bar.update(done - self.bar.n)
        return self.bar


def _figures_text(figures: dict[str, float]) -> str:
    if "mse" in figures:
        return f"mse {figures['mse']:.6f}"
    names = {"joint": "A+B", "conditioning": "A", "prior": "B"}
    return " ".join(f"loss({names[name]}) {value:.3f}" for name, value in figures.items()) + " bits"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m sr_models.train", description="Train a super-resolution network.")
    parser.add_argument("config", type=Path, help="TOML file of the run")
    kinds = "folder, .zip, .npz, CelebA or LSUN; may be repeated"
    parser.add_argument("--data", type=Path, action="append", required=True, help=kinds)
    parser.add_argument(
        "--validation",
        type=Path,
        action="append",
        default=[],
        help="the same, to validate on; without it, the validation part of each --data that knows its parts, and of "
        f"others about every {HELD_OUT_EVERY}th photo, which is then not trained on",
    )
    parser.add_argument("--size", type=int, default=32, help="side of the high-resolution photos in pixels")
    parser.add_argument("--crop", type=int, help="side of the centred square that becomes the photo, in its pixels")
    parser.add_argument(
        "--leave-out-duplicates",
        action="store_true",
        help="leave out training photos that are validation photos too, which are refused otherwise",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument(
        "--resume",
        action="store_true",
        help=f"go on with the run in the folder, with the same photos and config; {', '.join(sorted(CHANGEABLE))} may "
        "differ",
    )
    begin.add_argument("--start-from", type=Path, help="checkpoint whose weights are the beginning of a new run")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="processor threads")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    watcher = _Watcher(is_shown=is_first())
    previous = {number: signal.signal(number, watcher.signalled) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        config = config_read(options.config)
        with ranks_join(options.device) as device:
            outcome = train(
                config,
                data=options.data,
                validation=options.validation,
                size=options.size,
                out=options.out,
                resume=options.resume,
                device=device,
                start_from=options.start_from,
                crop=options.crop,
                leave_out_duplicates=options.leave_out_duplicates,
                report=watcher.report,
                should_stop=watcher.should_stop,
                say=watcher.say,
                compared=watcher.compared,
            )
        watcher.say(outcome.sentence)
    except (ConfigError, DataError, CheckpointError, OSError) as error:
        watcher.close()
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        watcher.close()
        print("Stopped before the first update.", file=sys.stderr)
        return 130
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return 0


if __name__ == "__main__":
    sys.exit(main())
