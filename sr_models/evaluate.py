"""Measure a checkpoint on photos: `python -m sr_models.evaluate CHECKPOINT --data PHOTOS [--json]`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from sr_models.checkpoints import CheckpointError, checkpoint_load
from sr_models.data import SPLITS, DataError, pairs_make, photos_load
from sr_models.train import validation_figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m sr_models.evaluate",
        description="Measure a checkpoint: bits per sub-pixel (joint, conditioning alone, prior alone), or mean "
        "squared error for regression.",
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder or .npz; may be repeated")
    parser.add_argument("--size", type=int, default=32, help="side of the high-resolution photos in pixels")
    parser.add_argument("--split", choices=SPLITS, default="validation", help="part of an .npz that knows its parts")
    parser.add_argument(
        "--held-out",
        action="store_true",
        help="of a set without parts, only what training without --validation holds out",
    )
    parser.add_argument("--limit", type=int, help="at most so many photos, the first ones")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        checkpoint = checkpoint_load(options.checkpoint, device=options.device)
        photos = photos_load(options.data, size=options.size, split=options.split, hold_out=options.held_out)
    except (CheckpointError, DataError) as error:
        print(error, file=sys.stderr)
        return 2
    photos = photos[: options.limit]
    factor: int = checkpoint.network.config.factor  # type: ignore[union-attr, assignment] # a Module's attribute is Any
    low_res, high_res = (torch.from_numpy(part) for part in pairs_make(photos, factor=factor))
    with torch.inference_mode():
        figures = validation_figures(checkpoint.network, low_res, high_res, device=torch.device(options.device))
    report = {"checkpoint": options.checkpoint.name, "sha256": checkpoint.digest, "photos": len(photos), **figures}
    if options.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name:>14}  {value:.4f}" if isinstance(value, float) else f"{name:>14}  {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
