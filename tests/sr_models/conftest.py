"""Tiny real networks with random weights."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sr_models.pixel_recursive import PixelRecursive, PixelRecursiveConfig

SIZES = {
    "factor": 4,
    "conditioning_channels": 4,
    "conditioning_blocks": 1,
    "prior_channels": 24,
    "prior_layers": 2,
    "prior_first_kernel": 5,
    "prior_kernel": 3,
    "prior_head": 24,
    "basis": 8,
}


@pytest.fixture
def network() -> PixelRecursive:
    """Return a pixel recursive network in float64 whose every weight matters."""
    torch.manual_seed(1)
    built = PixelRecursive(PixelRecursiveConfig(**SIZES)).double().eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return built.requires_grad_(requires_grad=False)


@pytest.fixture
def photos() -> NDArray[np.uint8]:
    """Return four random pictures (4, 8, 8, 3)."""
    return np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
