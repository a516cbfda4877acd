"""Train a network: `python -m sr_models.train sr_models/configs/x.toml --data PHOTOS --out FOLDER`.

The batch of step s follows from the seed and s alone, so that a run that was stopped, by a signal, a crash or a full
disk, goes on with `--resume` where it was last kept, if its config and photos are the same; only `steps` and
`decay_steps` may change, to make a run longer or shorter. The folder holds `state.pt` (weights, averages, optimiser),
`best.safetensors` (the averaged weights with the lowest validation loss), `log.csv` and sample grids.
"""

import argparse
import copy
import csv
import hashlib
import io
import json
import math
import signal
import statistics
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from sr_models.checkpoints import checkpoint_save, file_replace, network_build
from sr_models.data import HELD_OUT_EVERY, DataError, pairs_make, photos_split
from sr_models.pixel_recursive import PixelRecursive
from sr_models.pixels import model_range, pixel_range
from sr_models.sampling import sample
from sr_models.srresnet import SRResNet

NATS_PER_BIT = math.log(2)

CHANGEABLE = frozenset({"steps", "decay_steps"})
"""What a resumed run may be given anew: how long it is."""


class ConfigError(Exception):
    """A training config cannot be used; the message names the key and the cure."""


@dataclass(frozen=True)
class TrainingConfig:
    """One run, as read from a TOML file.

    Attributes:
        network: Name of the network (key of `checkpoints.NETWORKS`).
        sizes: Fields of its config.
        steps: Updates in the run.
        decay_steps: The last updates, over which the learning rate falls to zero along a half cosine.
        warmup_steps: The first updates, over which it rises from zero.
        batch: Pictures an update.
        learning_rate: Its constant value in between.
        optimiser: "adam" or "rmsprop" (decay 0.95, momentum 0.9: Dahl et al. 2017).
        average_decay: Decay of the moving average of the weights, which is what is kept and shown.
        gradient_norm: Gradients are scaled down to this norm.
        positions: Share of the pixels at which the loss of the pixel recursive network is taken.
        bfloat16: Whether the network computes in bfloat16 where autocast allows.
        max_per_person: At most so many photos of one person.
        validate_every: Updates between validations.
        patience: Validations without a better loss after which the run stops.
        validation_photos: At most so many photos are used in each validation.
        seed: Of the initial weights, the batches and the positions.
    """

    network: str
    sizes: dict[str, Any] = field(default_factory=dict)
    steps: int = 10_000
    decay_steps: int = 2_000
    warmup_steps: int = 200
    batch: int = 16
    learning_rate: float = 1e-3
    optimiser: str = "adam"
    average_decay: float = 0.999
    gradient_norm: float = 1.0
    positions: float = 1.0
    bfloat16: bool = False
    max_per_person: int = 10
    validate_every: int = 1_000
    patience: int = 1_000
    validation_photos: int = 256
    seed: int = 0

    def rate(self, step: int) -> float:
        """Return the learning rate of update `step`, counted from 0."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        left = (self.steps - step) / max(1, self.decay_steps)
        return self.learning_rate * warm * (1.0 if left >= 1 else 0.5 - 0.5 * math.cos(math.pi * left))


def config_read(path: Path) -> TrainingConfig:
    """Read a run from a TOML file with the tables `[network]` (name and sizes) and `[training]`.

    Raises:
        ConfigError: If the file is missing, is no TOML, or has an unknown or impossible key.
    """
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"The config {path} cannot be read: {error}.") from error
    sizes = dict(tables.pop("network", {}))
    training = dict(tables.pop("training", {}))
    known = set(TrainingConfig.__dataclass_fields__) - {"network", "sizes"}
    unknown = [*tables, *(key for key in training if key not in known)]
    if unknown:
        raise ConfigError(
            f"The config {path.name} has the unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}."
        )
    try:
        config = TrainingConfig(network=sizes.pop("name", ""), sizes=sizes, **training)
        network_build(config.network, config.sizes)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"The config {path.name} cannot be used: {error}.") from error
    if config.optimiser not in ("adam", "rmsprop"):
        raise ConfigError(f"The config {path.name} asks for the optimiser {config.optimiser!r}; use adam or rmsprop.")
    if not 0 < config.positions <= 1:
        raise ConfigError(
            f"The config {path.name} takes the loss at a share of {config.positions} of the pixels; use 0 to 1."
        )
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


class Trainer:
    """One run: network, averages and optimiser, and the step that they have reached."""

    def __init__(
        self,
        config: TrainingConfig,
        *,
        photos: NDArray[np.uint8],
        validation: NDArray[np.uint8],
        out: Path,
        device: str,
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.out, self.device = config, out, torch.device(device)
        self.network = network_build(config.network, config.sizes).to(self.device)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(requires_grad=False)
        self.factor: int = self.network.config.factor  # type: ignore[union-attr, assignment] # a Module's attribute is Any
        self.digests = {"training": _photos_digest(photos), "validation": _photos_digest(validation)}
        self.low_res, self.high_res = (torch.from_numpy(a) for a in pairs_make(photos, factor=self.factor))
        spread = np.random.default_rng(0).permutation(len(validation))[: config.validation_photos]
        self.validation = [torch.from_numpy(a) for a in pairs_make(validation[np.sort(spread)], factor=self.factor)]
        self.optimiser: torch.optim.Optimizer = (
            torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
            if config.optimiser == "adam"
            else torch.optim.RMSprop(
                self.network.parameters(), lr=config.learning_rate, alpha=0.95, momentum=0.9, eps=1e-8
            )
        )
        self.step, self.best, self.stale = 0, math.inf, 0

    def run(self, *, log_every: int = 100) -> str:
        """Train to the end, a signal, or the end of patience; return a sentence that says which."""
        stopped = False

        def stop(_signal: int, _frame: FrameType | None) -> None:
            nonlocal stopped
            stopped = True

        previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            with tqdm(total=self.config.steps, initial=self.step, unit="step", disable=None) as bar:
                losses: list[float] = []
                seconds = 0.0
                while self.step < self.config.steps and self.stale < self.config.patience and not stopped:
                    begun = time.perf_counter()
                    losses.append(self.update())
                    seconds += time.perf_counter() - begun
                    self.step += 1
                    bar.update()
                    if self.step % log_every == 0:
                        loss, speed = statistics.fmean(losses), len(losses) * self.config.batch / seconds
                        bar.set_postfix(loss=f"{loss:.4f}", images_per_s=f"{speed:.0f}")
                        self.log(kind="train", loss=loss, images_per_s=speed)
                        losses, seconds = [], 0.0
                    if self.step % self.config.validate_every == 0 or self.step == self.config.steps:
                        self.validate(bar)
                        self.keep()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        self.keep()
        if stopped:
            return f"Stopped at step {self.step}; go on with --resume."
        if self.step < self.config.steps:
            return f"No better validation loss in {self.config.patience} validations; stopped at step {self.step}."
        return f"Finished {self.step} steps."

    def update(self) -> float:
        """Make one update and return its loss."""
        config = self.config
        pixels = self.high_res.shape[1] * self.high_res.shape[2]
        draw = batch_draw(
            seed=config.seed,
            step=self.step,
            photos=len(self.high_res),
            batch=config.batch,
            pixels=pixels,
            positions=max(1, round(config.positions * pixels)),
        )
        chosen, flipped = torch.from_numpy(draw.photos), torch.from_numpy(draw.flipped)[:, None, None, None]
        low, high = (
            torch.where(flipped, part[chosen].flip(2), part[chosen]).to(self.device)
            for part in (self.low_res, self.high_res)
        )
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate(self.step)
        with torch.autocast(self.device.type, torch.bfloat16) if config.bfloat16 else nullcontext():
            if isinstance(self.network, PixelRecursive):
                positions = torch.from_numpy(draw.positions).to(self.device)
                loss = self.network.loss(model_range(low), model_range(high), high, positions=positions)
            else:
                loss = self.network.loss(model_range(low), model_range(high))  # type: ignore[operator] # every network has one
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.network.parameters(), config.gradient_norm)
        self.optimiser.step()
        decay = min(config.average_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(value, 1 - decay)
                else:
                    mean.copy_(value)
        return float(loss.detach())

    @torch.inference_mode()
    def validate(self, bar: "tqdm[Any]") -> None:
        """Measure the averaged weights on the validation photos; keep them if they are the best so far."""
        figures = validation_figures(self.average, *self.validation, device=self.device)
        loss = next(iter(figures.values()))
        bar.write(
            f"step {self.step}: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()), sys.stderr
        )
        self.log(kind="validation", loss=loss, **figures)
        self.stale += 1
        if loss < self.best:
            self.best, self.stale = loss, 0
            metadata = {"step": self.step, "validation": figures, "training": self.summary()}
            checkpoint_save(self.out / "best.safetensors", self.average, metadata=metadata)
            picture = io.BytesIO()
            self.grid().save(picture, "PNG")
            file_replace(self.out / "samples.png", picture.getvalue())

    def summary(self) -> dict[str, Any]:
        """Return what one should know about the training of these weights, for the header of their file."""
        return {
            "network": self.config.network,
            "steps": self.config.steps,
            "batch": self.config.batch,
            "learning_rate": self.config.learning_rate,
            "seed": self.config.seed,
            "training_photos": len(self.high_res),
            "validation_photos": len(self.validation[0]),
        }

    def settings(self) -> dict[str, Any]:
        """Return the config flat and complete, as JSON brings it back; sizes are `network.<size>`."""
        sizes = asdict(self.network.config)  # type: ignore[call-overload] # a Module's attribute is Any
        flat = {key: value for key, value in asdict(self.config).items() if key != "sizes"}
        settings: dict[str, Any] = json.loads(json.dumps(flat | {f"network.{key}": sizes[key] for key in sizes}))
        return settings

    def grid(self, *, count: int = 12) -> Image.Image:
        """Draw validation photos, evenly spread over them, in columns: input, output of the averaged weights, truth."""
        available = len(self.validation[0])
        shown = min(count, available)
        spread = torch.arange(shown) * available // shown
        low, high = (part[spread].numpy() for part in self.validation)
        if isinstance(self.average, PixelRecursive):
            rows = [sample(self.average, low, seeds=range(len(low)), tau=tau) for tau in (1.0, 1.2)]
        else:
            rows = [pixel_range(self.average(model_range(torch.from_numpy(low)).to(self.device))).cpu().numpy()]
        blown_up = low.repeat(self.factor, axis=1).repeat(self.factor, axis=2)
        sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in (blown_up, *rows, high)])
        return Image.fromarray(sheet.repeat(4, axis=0).repeat(4, axis=1))

    def log(self, *, kind: str, loss: float, **figures: float) -> None:
        """Append a line to `log.csv`: step, kind, loss, and the other figures as name=value."""
        with (self.out / "log.csv").open("a", newline="") as file:
            csv.writer(file).writerow([self.step, kind, f"{loss:.6f}", *(f"{k}={v:.6g}" for k, v in figures.items())])

    def keep(self) -> None:
        """Write everything that a resumed run needs, all or nothing."""
        buffer = io.BytesIO()
        torch.save(
            {
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
                "best": self.best,
                "stale": self.stale,
                "config": json.dumps(self.settings(), sort_keys=True),
                "photos": self.digests,
            },
            buffer,
        )
        file_replace(self.out / "state.pt", buffer.getvalue())

    def resume(self) -> None:
        """Go back to what was kept last.

        The run goes on with the config and photos it was begun with, or not at all. Only `steps` and `decay_steps` may
        be others, to make it longer or shorter. What an older state file does not tell is taken to be the same.

        Raises:
            ConfigError: If nothing was kept in the folder, or it is another run's.
        """
        path = self.out / "state.pt"
        if not path.is_file():
            raise ConfigError(f"There is nothing to resume in {self.out}; start without --resume.")
        state = torch.load(path, map_location=self.device, weights_only=True)
        self._same_run_check(state)
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError as error:
            raise ConfigError(
                f"The run in {self.out} is of another shape than the config; give its own config."
            ) from error
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.best, self.stale = state["step"], state["best"], state["stale"]

    def _same_run_check(self, state: dict[str, Any]) -> None:
        is_adam = "betas" in state["optimiser"]["param_groups"][0]
        kept = {"optimiser": "adam" if is_adam else "rmsprop"} | json.loads(state.get("config", "{}"))
        given = self.settings()
        others = [
            f"{key} = {value!r} (now {given[key]!r})"
            for key, value in kept.items()
            if key not in CHANGEABLE and key in given and given[key] != value
        ]
        if others:
            raise ConfigError(
                f"The run in {self.out} was begun with {', '.join(others)}; resume it with its own config, or give "
                "another --out to begin anew."
            )
        for part, digest in state.get("photos", {}).items():
            if self.digests[part] != digest:
                raise ConfigError(
                    f"The {part} photos are not those with which the run in {self.out} was begun; give the same "
                    "--data, --validation and --size, or another --out to begin anew."
                )


def _photos_digest(photos: NDArray[np.uint8]) -> str:
    return hashlib.sha256(f"{photos.shape} ".encode() + photos.tobytes()).hexdigest()


def validation_figures(
    network: nn.Module, low_res: Tensor, high_res: Tensor, *, device: torch.device, batch: int = 16
) -> dict[str, float]:
    """Measure a network on photos; the first figure is the one to minimise.

    Args:
        network: The network, in evaluation mode.
        low_res: `(n, h, w, 3)` uint8.
        high_res: `(n, H, W, 3)` uint8.
        device: Where the network runs.
        batch: Photos at once.

    Returns:
        For pixel recursive super resolution, bits per sub-pixel: `joint`, `conditioning` alone, `prior` alone.
        For regression, `mse` on [0, 1].
    """
    sums: dict[str, float] = {}
    for low, high in _batches(low_res, high_res, size=batch):
        inputs, outputs, targets = model_range(low.to(device)), model_range(high.to(device)), high.to(device)
        if isinstance(network, PixelRecursive):
            losses = network.losses(inputs, outputs, targets)
            figures = {name: float(value) / NATS_PER_BIT for name, value in losses._asdict().items()}
        elif isinstance(network, SRResNet):
            figures = {"mse": float(network.loss(inputs, outputs))}
        else:
            raise TypeError(f"there is no validation figure for {type(network).__name__}")
        for name, value in figures.items():
            sums[name] = sums.get(name, 0.0) + value * len(low)
    return {name: total / len(low_res) for name, total in sums.items()}


def _batches(*parts: Tensor, size: int) -> Iterator[tuple[Tensor, ...]]:
    for start in range(0, len(parts[0]), size):
        yield tuple(part[start : start + size] for part in parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m sr_models.train", description="Train a super-resolution network.")
    parser.add_argument("config", type=Path, help="TOML file of the run")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder or .npz; may be repeated")
    parser.add_argument(
        "--validation",
        type=Path,
        action="append",
        default=[],
        help="folder or .npz to validate on, may be repeated; without it, the validation part of each --data .npz, and "
        f"of sets without parts about every {HELD_OUT_EVERY}th photo, which is then not trained on",
    )
    parser.add_argument("--size", type=int, default=32, help="side of the high-resolution photos in pixels")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in the folder, with the same photos and config; steps and decay_steps may differ",
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="processor threads")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        config = config_read(options.config)
        training, validation, notes = photos_split(
            options.data, options.validation, size=options.size, max_per_person=config.max_per_person
        )
        options.out.mkdir(parents=True, exist_ok=True)
        if (options.out / "state.pt").exists() and not options.resume:
            raise ConfigError(f"There is a run in {options.out} already; go on with --resume or give another --out.")
        trainer = Trainer(config, photos=training, validation=validation, out=options.out, device=options.device)
        if options.resume:
            trainer.resume()
        print(
            *notes,
            f"{len(training)} photos to train on, {len(validation)} to validate, "
            f"{sum(p.numel() for p in trainer.network.parameters()):,} parameters",
            sep="\n",
            file=sys.stderr,
        )
        print(trainer.run(), file=sys.stderr)
    except (ConfigError, DataError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
