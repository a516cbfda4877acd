"""Small training runs: photos, configs and commands for tests."""

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from sr_models import train

SIZES = {
    "pixel_recursive": {
        "conditioning_channels": 4,
        "conditioning_blocks": 1,
        "prior_channels": 12,
        "prior_layers": 2,
        "prior_first_kernel": 5,
        "prior_head": 12,
        "basis": 8,
    },
    "srresnet": {"channels": 8, "blocks": 1},
}
TRAINING = {
    "decay_steps": 4,
    "warmup_steps": 2,
    "batch": 4,
    "validate_every": 10,
    "positions": 0.5,
    "average_decay": 0.5,
    "log_every": 5,
}
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


def config_text(*, network: str = "pixel_recursive", sizes: dict[str, Any] | None = None, **training: Any) -> str:
    tables = {"network": {"name": network} | SIZES[network] | (sizes or {}), "training": TRAINING | training}
    lines = []
    for table, entries in tables.items():
        lines += [f"[{table}]", *(f"{key} = {_toml(value)}" for key, value in entries.items())]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


def config_write(path: Path, **config: Any) -> Path:
    path.write_text(config_text(**config))
    return path


def config_make(**config: Any) -> train.TrainingConfig:
    return train.config_parse(config_text(**config), name="c.toml")


def smooth_photos(count: int = 48, *, seed: int = 0) -> NDArray[np.uint8]:
    corners = np.random.default_rng(seed).integers(0, 256, (count, 2, 2, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(c).resize((8, 8), Image.Resampling.BILINEAR)) for c in corners])


def photos_write(path: Path) -> Path:
    """Write 40 photos of 8x8 pixels to train on and 8 to validate on."""
    np.savez(path, images=smooth_photos(), split=np.repeat([0, 1], [40, 8]))
    return path


def arguments(config: Path, data: Path, out: Path, *more: str) -> list[str]:
    return [str(config), "--data", str(data), "--size", "8", "--out", str(out), "--threads", "1", *more]


def run(config: Path, data: Path, out: Path, *more: str) -> int:
    return train.main(arguments(config, data, out, *more))


def log_read(out: Path) -> list[dict[str, str]]:
    with (out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def log_figures(out: Path) -> list[list[str]]:
    """Return the rows of a log without the time that they took."""
    return [[value for key, value in row.items() if key != "seconds"] for row in log_read(out)]


def state_read(out: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(out / "state.pt", weights_only=True)
    return state


def weights_equal(one: Path, two: Path) -> bool:
    """Tell whether two runs ended with the same weights, averages, optimiser and best checkpoint, to the last bit."""
    states = [state_read(out) for out in (one, two)]
    slots = [{(i, key): v for i, slot in s["optimiser"]["state"].items() for key, v in slot.items()} for s in states]
    best = [load_file(out / "best.safetensors") for out in (one, two)]
    pairs = [(s["network"], s["average"], slot, b) for s, slot, b in zip(states, slots, best, strict=True)]
    return all(
        a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a) for a, b in zip(*pairs, strict=True)
    )
