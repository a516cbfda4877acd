"""Measure a checkpoint on photos: `python -m sr_models.evaluate CHECKPOINT --data PHOTOS [--json]`."""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sr_models.checkpoints import CheckpointError, checkpoint_load
from sr_models.data import SPLITS, DataError, Photos, pairs_make, photos_open
from sr_models.pixel_recursive import PixelRecursive
from sr_models.pixels import model_range
from sr_models.prefetch import prefetch
from sr_models.progress import progress_bar

NATS_PER_BIT = math.log(2)


@torch.inference_mode()
def figures_measure(
    network: nn.Module,
    photos: Photos,
    indices: NDArray[np.int64],
    *,
    device: torch.device,
    batch: int = 16,
    advance: Callable[[int], object] = lambda _count: None,
) -> dict[str, float]:
    """Measure a network on photos, which are read while it computes; the first figure is the one to minimise.

    Args:
        network: The network, in evaluation mode.
        photos: Where they come from.
        indices: (n,), which of them.
        device: Where the network runs.
        batch: Photos at once.
        advance: Told after each batch how many photos it held.

    Returns:
        Means over the photos. For pixel recursive super resolution, bits per sub-pixel: `joint`, `conditioning` alone,
        `prior` alone. For regression, `mse` on [0, 1].

    Raises:
        DataError: If a photo cannot be read.
    """
    factor: int = network.config.factor  # type: ignore[union-attr, assignment] # a Module's attribute is Any

    def pairs_read(chunk: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        return pairs_make(photos.read(chunk), factor=factor)

    sums: dict[str, float] = {}
    for pair in prefetch(pairs_read, np.split(indices, range(batch, len(indices), batch))):
        low, high = (torch.from_numpy(part).to(device) for part in pair)
        inputs, outputs = model_range(low), model_range(high)
        if isinstance(network, PixelRecursive):
            losses = network.losses(inputs, outputs, high)
            figures = {name: float(value) / NATS_PER_BIT for name, value in losses._asdict().items()}
        else:
            figures = {"mse": float(network.loss(inputs, outputs))}  # type: ignore[operator] # every regression has one
        for name, value in figures.items():
            sums[name] = sums.get(name, 0.0) + value * len(low)
        advance(len(low))
    return {name: total / len(indices) for name, total in sums.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m sr_models.evaluate",
        description="Measure a checkpoint: bits per sub-pixel (joint, conditioning alone, prior alone), or mean "
        "squared error for regression.",
    )
    parser.add_argument("checkpoint", type=Path)
    kinds = "folder, .zip, .npz, CelebA or LSUN; may be repeated"
    parser.add_argument("--data", type=Path, action="append", required=True, help=kinds)
    parser.add_argument("--size", type=int, default=32, help="side of the high-resolution photos in pixels")
    parser.add_argument("--crop", type=int, help="side of the centred square that becomes the photo, in its pixels")
    parser.add_argument("--split", choices=SPLITS, default="validation", help="part of a set that knows its parts")
    parser.add_argument(
        "--held-out",
        action="store_true",
        help="of a set without parts, only what training without --validation holds out",
    )
    parser.add_argument("--limit", type=_count, help="at most so many photos, the first ones")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        report = _measure(options)
    except (CheckpointError, DataError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name:>14}  {value:.4f}" if isinstance(value, float) else f"{name:>14}  {value}")
    return 0


def _measure(options: argparse.Namespace) -> dict[str, float | int | str]:
    checkpoint = checkpoint_load(options.checkpoint, device=options.device)
    factor: int = checkpoint.network.config.factor  # type: ignore[union-attr, assignment] # a Module's attribute is Any
    if options.size % factor:
        raise DataError(
            f"Photos of --size {options.size} cannot be reduced {factor} times; give a multiple of {factor}."
        )
    photos = photos_open(
        options.data, size=options.size, split=options.split, hold_out=options.held_out, crop=options.crop
    )
    indices = np.arange(len(photos), dtype=np.int64)[: options.limit]
    with progress_bar(label="measured", unit="photo", total=len(indices)) as bar:
        figures = figures_measure(
            checkpoint.network, photos, indices, device=torch.device(options.device), advance=bar.update
        )
    return {"checkpoint": options.checkpoint.name, "sha256": checkpoint.digest, "photos": len(indices), **figures}


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {count}")
    return count


if __name__ == "__main__":
    sys.exit(main())
