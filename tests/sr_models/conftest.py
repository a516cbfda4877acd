"""Tiny real networks with random weights."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sr_models.pixel_recursive import PixelRecursive, PixelRecursiveConfig

SIZES: dict[str, Any] = {
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

FORMS: dict[str, dict[str, Any]] = {
    "one-stack": SIZES,
    "one-stack-with-prediction": SIZES | {"offsets": 7},
    "one-stack-wide-layers": SIZES | {"prior_first_kernel": 3, "prior_kernel": 7},
    "uneven-groups-without-basis": SIZES | {"prior_channels": 16, "prior_head": 25, "basis": 0, "batch_norm": True},
    "two-stacks": SIZES | {"prior_stacks": 2, "prior_channels": 16, "basis": 0, "prior_kernel": 5},
    "two-stacks-with-prediction": SIZES | {"prior_stacks": 2, "offsets": 7},
}
"""Every form that the network can take, by name."""


def network_make(sizes: dict[str, Any]) -> PixelRecursive:
    """Return a pixel recursive network in float64 whose every weight matters."""
    torch.manual_seed(1)
    built = PixelRecursive(PixelRecursiveConfig(**sizes)).double().eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return built.requires_grad_(requires_grad=False)


@pytest.fixture
def network() -> PixelRecursive:
    """Return a network with a single stack."""
    return network_make(SIZES)


@pytest.fixture(params=FORMS)
def any_network(request: pytest.FixtureRequest) -> PixelRecursive:
    """Return a network of each form in turn."""
    return network_make(FORMS[request.param])


@pytest.fixture
def photos() -> NDArray[np.uint8]:
    """Return four random pictures (4, 8, 8, 3)."""
    return np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
