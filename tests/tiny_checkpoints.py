"""Checkpoints of tiny real networks with random weights, for tests of what loads them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sr_models.checkpoints import checkpoint_save, network_build
from tests.factories import make_picture

SIZES: dict[str, dict[str, Any]] = {
    "pixel_recursive": {
        "conditioning_channels": 4,
        "conditioning_blocks": 1,
        "prior_channels": 6,
        "prior_layers": 1,
        "prior_head": 6,
        "basis": 4,
    },
    "srresnet": {"channels": 4, "blocks": 1},
}


def make_checkpoint(path: Path, *, network: str = "pixel_recursive", factor: int = 4, seed: int = 0) -> Path:
    """Write a checkpoint of a tiny network and return its path."""
    torch.manual_seed(seed)
    built = network_build(network, {"factor": factor, **SIZES[network]})
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint_save(path, built.eval(), metadata={})
    return path


def make_photos(count: int, *, size: int = 16, seed: int = 0) -> NDArray[np.uint8]:
    """Return different pictures (count, size, size, 3) that look a little like photos."""
    return np.stack([make_picture(size=size, seed=1000 * seed + i) for i in range(count)])


def make_npz(path: Path, images: NDArray[np.uint8], **known: Any) -> Path:
    """Write photos as a set and return its path; `known` are further arrays, such as `split`."""
    np.savez(path, images=images, **known)
    return path
