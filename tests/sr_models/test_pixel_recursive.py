"""The network is causal, conditioned on its input, and its losses are what they say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sr_models.checkpoints import checkpoint_load, network_build
from sr_models.pixel_recursive import (
    MaskedConv2d,
    NormalisedResidualBlock,
    PixelRecursive,
    PixelRecursiveConfig,
    TwoStackPrior,
    predicted_intensities,
)
from sr_models.pixels import downsample
from sr_models.train import config_read
from tests.sr_models.conftest import FORMS, network_make

WEIGHTS = Path(__file__).resolve().parents[2] / "sr_models" / "weights"
CONFIGS = WEIGHTS.parent / "configs"


def in_range(pictures: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).double() / 255 - 0.5


def logits_of(network: PixelRecursive, low: NDArray[np.uint8], high: NDArray[np.uint8]) -> Tensor:
    logits: Tensor = network(in_range(low), in_range(high))
    return logits.flatten(1, 3)  # (n, sub-pixels in raster order, 256)


def neighbours(*, reach: int, itself: bool) -> NDArray[np.bool_]:
    """Return [seen, seer] of the pixels of an 8x8 picture: which ones a masked kernel sees, by definition."""
    sees = np.zeros((64, 64), bool)
    for seen, seer in np.ndindex(64, 64):
        up, right = seer // 8 - seen // 8, seen % 8 - seer % 8
        sees[seen, seer] = up <= reach and abs(right) <= reach and (seen < seer or (itself and seen == seer))
    return sees


def pixels_in_reach(config: PixelRecursiveConfig, *, colour: int) -> NDArray[np.bool_]:
    """Return [seen, seer]: in which pixels a colour is seen from which others, following the kernels."""
    first, layer = config.prior_first_kernel // 2, config.prior_kernel // 2
    if config.prior_stacks == 2:  # no blind spot: the whole half-plane before the pixel, as far as the kernels add up
        return neighbours(reach=first + config.prior_layers * layer, itself=False)
    # In the first layer, red and green reach the later colours of their own pixel; blue reaches none.
    reached = neighbours(reach=first, itself=colour < 2)
    for _ in range(config.prior_layers):
        reached = reached @ neighbours(reach=layer, itself=True)
    if config.offsets:  # what is expected of a pixel hangs on its neighbours to the left, above and to the upper left
        for seen, seer in np.ndindex(64, 64):
            left, up = seer % 8 - seen % 8, seer // 8 - seen // 8
            reached[seen, seer] |= seen != seer and left in (0, 1) and up in (0, 1)
    return reached


def test_logits_move_with_every_earlier_sub_pixel_in_reach_and_with_no_later_one(
    any_network: PixelRecursive, photos: NDArray[np.uint8]
) -> None:
    count = 8 * 8 * 3
    moved = np.zeros((count, count), bool)  # [perturbed, logits of], for any of the photos: a ReLU may be shut for one
    for high in photos[:, None]:
        low = downsample(high, factor=4)
        others = high.repeat(count, axis=0)
        others.reshape(count, count)[np.arange(count), np.arange(count)] ^= 128
        change = logits_of(any_network, low.repeat(count, axis=0), others) - logits_of(any_network, low, high)
        moved |= change.abs().amax(dim=2).numpy() > 1e-12
    assert not np.tril(moved).any()  # neither itself nor anything later
    in_reach = [pixels_in_reach(any_network.config, colour=colour) for colour in range(3)]
    pixels = moved.reshape(64, 3, 64, 3)
    for seen, seer in np.ndindex(64, 64):
        if seen == seer:
            assert (pixels[seen, :, seer] == np.triu(np.ones((3, 3), bool), 1)).all()  # red, then green, then blue
        elif seen < seer:
            for colour in range(3):
                assert (pixels[seen, colour, seer] == in_reach[colour][seen, seer]).all()


def test_input_reaches_every_sub_pixel_of_its_block(network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low = downsample(photos[:1], factor=4)
    other = low.copy()
    other[0, 0, 0, 1] ^= 128
    change = (logits_of(network, low, photos[:1]) - logits_of(network, other, photos[:1])).abs().amax(dim=2)
    assert (change.view(8, 8, 3)[:4, :4] > 1e-9).all()


def test_joint_loss_is_that_of_the_logits(any_network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low, high, targets = in_range(downsample(photos, factor=4)), in_range(photos), torch.from_numpy(photos)
    losses = any_network.losses(low, high, targets)
    log_probabilities = torch.log_softmax(logits_of(any_network, downsample(photos, factor=4), photos), dim=2)
    picked = log_probabilities.gather(2, targets.reshape(4, -1, 1).long())
    assert losses.joint.item() == pytest.approx(-picked.mean().item(), rel=1e-6)
    assert losses.objective.item() == pytest.approx(losses.joint.item() + losses.conditioning.item(), rel=1e-6)


def test_logits_of_both_networks_are_added(any_network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low, high = downsample(photos, factor=4), photos
    alone = any_network.logits(any_network.conditioning(in_range(low))).flatten(1, 3)
    other = downsample(photos[::-1].copy(), factor=4)
    alone_other = any_network.logits(any_network.conditioning(in_range(other))).flatten(1, 3)
    difference = logits_of(any_network, low, high) - logits_of(any_network, other, high)
    assert (difference - (alone - alone_other)).abs().max().item() < 1e-9


def test_losses_at_random_positions_are_unbiased(any_network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low, high, targets = in_range(downsample(photos, factor=4)), in_range(photos), torch.from_numpy(photos)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    parts = [any_network.losses(low, high, targets, positions=part) for part in order.chunk(4)]
    whole = any_network.losses(low, high, targets)
    for name in ("joint", "conditioning", "prior"):
        mean = np.mean([getattr(part, name).item() for part in parts])
        assert mean == pytest.approx(getattr(whole, name).item(), rel=1e-6)
    assert np.isnan(any_network.losses(low, high, targets, prior=False).prior.item())


@settings(deadline=None)
@given(arrays(np.uint8, st.tuples(st.just(1), st.integers(1, 5), st.integers(1, 5), st.just(3))))
def test_predictions_are_those_of_the_median_edge_detector(picture: NDArray[np.uint8]) -> None:
    planes = picture[0].astype(int)
    planes[:, :, 1:] -= picture[0, :, :, :-1]  # red, green less red, blue less green
    _, height, width, _ = picture.shape
    expected = np.zeros((height, width, 3), int)
    for row, column, colour in np.ndindex(height, width, 3):
        plane = planes[:, :, colour]
        if row == column == 0:
            median = 128 if colour == 0 else 0
        elif row == 0:
            median = plane[0, column - 1]
        elif column == 0:
            median = plane[row - 1, 0]
        else:
            west, north, north_west = plane[row, column - 1], plane[row - 1, column], plane[row - 1, column - 1]
            if north_west >= max(west, north):
                median = min(west, north)
            elif north_west <= min(west, north):
                median = max(west, north)
            else:
                median = west + north - north_west
        before = 0 if colour == 0 else int(picture[0, row, column, colour - 1])
        expected[row, column, colour] = np.clip(median + before, 0, 255)
    assert (predicted_intensities(torch.from_numpy(picture).long())[0].numpy() == expected).all()


@pytest.mark.parametrize("weights", sorted(WEIGHTS.glob("pixel_recursive_*.safetensors")), ids=lambda path: path.stem)
def test_shipped_weights_use_the_input(weights: Path) -> None:
    network = checkpoint_load(weights, network="pixel_recursive").network
    assert isinstance(network, PixelRecursive)
    high = np.stack([np.asarray(Image.fromarray(picture).resize((32, 32))) for picture in real_photos()])
    low = downsample(high, factor=4)
    targets = torch.from_numpy(high)

    def joint(inputs: NDArray[np.uint8]) -> float:
        return float(network.losses(in_range(inputs).float(), in_range(high).float(), targets).joint)

    assert joint(low) + 0.05 < joint(np.roll(low, 1, axis=0))


def real_photos() -> list[NDArray[np.uint8]]:
    """Return square parts of photographs that come with scikit-image."""
    parts = []
    for name in ("astronaut", "coffee", "chelsea"):
        photo = getattr(skimage.data, name)()
        parts += [photo[:240, :240], photo[:240, -240:], photo[60:300, 100:340]]
    return parts


def test_counted_parameters_leave_out_what_masks_hold_at_zero() -> None:
    network = network_make(FORMS["two-stacks"])
    counts = network.parameter_counts()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1)
    held = sum(int((m.masked_weight() == 0).sum()) for m in network.modules() if isinstance(m, MaskedConv2d))
    assert counts["all"] == sum(p.numel() for p in network.parameters()) - held
    assert counts["all"] == counts["conditioning"] + counts["prior"]


@pytest.mark.parametrize(("name", "blocks"), [("paper_faces", 18), ("paper_bedrooms", 30)])
def test_paper_configs_have_the_paper_s_sizes(name: str, blocks: int) -> None:
    config = config_read(CONFIGS / f"{name}.toml")
    network = network_build(config.network, config.sizes)
    assert isinstance(network, PixelRecursive)
    assert sum(isinstance(module, NormalisedResidualBlock) for module in network.modules()) == blocks
    prior = network.prior
    assert isinstance(prior, TwoStackPrior)
    assert len(prior.layers) == 20
    assert prior.first_vertical.kernel_size == (3, 7)
    assert (prior.head.weight.shape[0], prior.exit.weight.shape[0]) == (1024, 3 * 256)


def test_the_input_may_have_any_size(any_network: PixelRecursive) -> None:
    low = np.zeros((1, 3, 5, 3), np.uint8)
    high = np.zeros((1, 12, 20, 3), np.uint8)
    assert any_network(in_range(low), in_range(high)).shape == (1, 12, 20, 3, 256)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"prior_channels": 2}, "prior_channels must be at least 3, got 2"),
        ({"factor": 3}, "factor must be a power of two of at least 2, got 3"),
        ({"prior_kernel": 4}, "prior_kernel must be odd and at least 3, got 4"),
        ({"prior_stacks": 3}, "prior_stacks must be 1 or 2, got 3"),
        ({"basis": 1}, "basis must be 0, or between 2 and 256, got 1"),
        ({"offsets": 8}, "offsets must be 0, or odd and between 3 and 255, got 8"),
        ({"initialisation": "zeros"}, "initialisation must be fan_in or truncated_normal, got 'zeros'"),
    ],
)
def test_impossible_sizes_are_refused_with_their_value(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PixelRecursiveConfig(**sizes)
