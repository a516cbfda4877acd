"""The sampler draws from the network's own distribution, exactly, each picture from its own stream."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from sr_models.pixel_recursive import PixelRecursive
from sr_models.pixels import downsample, model_range
from sr_models.sampling import decode, sample, uniforms
from tests.sr_models.test_pixel_recursive import in_range, logits_of


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_forced_logits_equal_the_full_pass(network: PixelRecursive, photos: NDArray[np.uint8], batch: int) -> None:
    high = photos[:batch]
    low = downsample(high, factor=4)
    full = logits_of(network, low, high).view(batch, 8, 8, 3, 256)
    seen = torch.zeros_like(full)

    def force(logits: Tensor, row: int, column: int, colour: int) -> Tensor:
        seen[:, row, column, colour] = logits
        return torch.from_numpy(high[:, row, column, colour]).long()

    assert (decode(network, in_range(low), choose=force).numpy() == high).all()
    assert (seen - full).abs().max().item() < 1e-9


def test_samples_equal_those_of_a_full_pass_for_each_sub_pixel(
    network: PixelRecursive, photos: NDArray[np.uint8]
) -> None:
    low = downsample(photos[:2], factor=4)
    seeds, tau = [3, 2**63], 1.1
    noise = uniforms(seeds, height=8, width=8)
    slow = np.zeros((2, 8, 8, 3), np.uint8)
    inputs = model_range(torch.from_numpy(low)).double()
    for row, column, colour in np.ndindex(8, 8, 3):
        logits = network(inputs, in_range(slow))[:, row, column, colour]
        cumulative = torch.softmax(tau * logits, dim=1).cumsum(dim=1).numpy()
        for i in range(2):
            threshold = noise[i, row, column, colour] * cumulative[i, -1]
            slow[i, row, column, colour] = np.searchsorted(cumulative[i], threshold, side="right")
    assert (sample(network, low, seeds=seeds, tau=tau) == slow).all()


def test_a_sample_depends_on_its_seed_and_not_on_its_neighbours(
    network: PixelRecursive, photos: NDArray[np.uint8]
) -> None:
    low = downsample(photos, factor=4)
    together = sample(network, low, seeds=[5, 6, 7, 8], tau=1.0)
    alone = sample(network, low[2:3], seeds=[7], tau=1.0)
    assert (together[2] == alone[0]).all()
    assert (together[2] != sample(network, low[2:3], seeds=[8], tau=1.0)[0]).any()


def test_frequencies_match_the_softmax(network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low = downsample(photos[:1], factor=4)
    count = 1000
    first: list[Tensor] = []

    def watch(logits: Tensor, row: int, column: int, colour: int) -> Tensor:
        if not first:
            first.append(logits[0])
        return torch.zeros(len(logits), dtype=torch.long)

    decode(network, in_range(low), choose=watch)
    drawn = sample(network.float(), low.repeat(count, axis=0), seeds=range(count), tau=1.0)[:, 0, 0, 0]
    expected = torch.softmax(first[0], dim=0).numpy()
    bins = np.add.reduceat(expected, np.arange(0, 256, 16))
    observed = np.bincount(drawn // 16, minlength=16)
    assert stats.chisquare(observed, count * bins).pvalue > 1e-3


def test_a_large_tau_takes_the_most_likely_value(network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low = downsample(photos[:1], factor=4)
    greedy = decode(network, in_range(low), choose=lambda logits, *_: logits.argmax(dim=1)).numpy()
    assert (sample(network, low, seeds=[0], tau=1e6) == greedy).all()


def test_wrong_input_is_named(network: PixelRecursive) -> None:
    low = np.zeros((1, 2, 2, 3), np.uint8)
    with pytest.raises(ValueError, match="tau must be positive, got 0"):
        sample(network, low, seeds=[0], tau=0)
    with pytest.raises(ValueError, match="2 seeds for 1 pictures"):
        sample(network, low, seeds=[0, 1], tau=1)
    with pytest.raises(ValueError, match=r"got .* float64"):
        sample(network, low.astype(float), seeds=[0], tau=1)
