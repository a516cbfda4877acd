"""The network is causal, conditioned on its input, and its losses are what they say."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_models.pixel_recursive import PixelRecursive, PixelRecursiveConfig
from sr_models.pixels import downsample


def in_range(pictures: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).double() / 255 - 0.5


def logits_of(network: PixelRecursive, low: NDArray[np.uint8], high: NDArray[np.uint8]) -> Tensor:
    logits: Tensor = network(in_range(low), in_range(high))
    return logits.flatten(1, 3)  # (n, sub-pixels in raster order, 256)


def test_logits_move_with_earlier_sub_pixels_in_reach_and_with_no_later_one(
    network: PixelRecursive, photos: NDArray[np.uint8]
) -> None:
    count = 8 * 8 * 3
    moved = np.zeros((count, count), bool)  # [perturbed, logits of], for any of the photos: a ReLU may be shut for one
    for high in photos[:, None]:
        low = downsample(high, factor=4)
        others = high.repeat(count, axis=0)
        others.reshape(count, count)[np.arange(count), np.arange(count)] ^= 128
        change = logits_of(network, low.repeat(count, axis=0), others) - logits_of(network, low, high)
        moved |= change.abs().amax(dim=2).numpy() > 1e-12
    assert not np.tril(moved).any()  # neither itself nor anything later
    for row in range(8):
        for column in range(8):
            first = (row * 8 + column) * 3
            assert moved[first, first + 1]  # green sees the pixel's own red
            assert moved[first, first + 2]
            assert moved[first + 1, first + 2]  # blue sees its green
            if column:
                assert moved[first - 3 : first, first : first + 3].all()  # the whole pixel to the left
            if row:
                above = first - 24
                assert moved[above : above + 3, first : first + 3].all()


def test_input_reaches_every_sub_pixel_of_its_block(network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low = downsample(photos[:1], factor=4)
    other = low.copy()
    other[0, 0, 0, 1] ^= 128
    change = (logits_of(network, low, photos[:1]) - logits_of(network, other, photos[:1])).abs().amax(dim=2)
    assert (change.view(8, 8, 3)[:4, :4] > 1e-9).all()


def test_loss_at_all_positions_is_joint_plus_conditioning(network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low, high = in_range(downsample(photos, factor=4)), in_range(photos)
    targets = torch.from_numpy(photos)
    losses = network.losses(low, high, targets)
    assert network.loss(low, high, targets, positions=torch.arange(64)).item() == pytest.approx(
        losses.joint.item() + losses.conditioning.item(), rel=1e-6
    )
    log_probabilities = torch.log_softmax(logits_of(network, downsample(photos, factor=4), photos), dim=2)
    picked = log_probabilities.gather(2, targets.reshape(4, -1, 1).long())
    assert losses.joint.item() == pytest.approx(-picked.mean().item(), rel=1e-6)


def test_loss_at_random_positions_is_unbiased(network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low, high, targets = in_range(downsample(photos, factor=4)), in_range(photos), torch.from_numpy(photos)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    parts = [network.loss(low, high, targets, positions=part).item() for part in order.chunk(4)]
    assert np.mean(parts) == pytest.approx(
        network.loss(low, high, targets, positions=torch.arange(64)).item(), rel=1e-6
    )


def test_impossible_sizes_are_refused_with_their_value() -> None:
    with pytest.raises(ValueError, match="prior_channels must be a multiple of 3, one group a colour, got 32"):
        PixelRecursiveConfig(prior_channels=32)
    with pytest.raises(ValueError, match="power of two of at least 2, got 3"):
        PixelRecursiveConfig(factor=3)
    with pytest.raises(ValueError, match="prior_kernel must be odd and at least 3, got 4"):
        PixelRecursiveConfig(prior_kernel=4)
