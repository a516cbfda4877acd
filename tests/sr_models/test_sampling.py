"""The sampler draws from the network's own distribution, exactly, each picture from its own stream."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from sr_models.pixel_recursive import PixelRecursive
from sr_models.pixels import downsample
from sr_models.sampling import Decoder, sample, uniforms
from tests.sr_models.conftest import FORMS, network_make
from tests.sr_models.test_pixel_recursive import in_range, logits_of


def forced_logits(network: PixelRecursive, high: NDArray[np.uint8]) -> Tensor:
    """Return what the sampler would draw from, (n, sub-pixels, 256), when it is made to take these pictures."""
    n, height, width, _ = high.shape
    wanted = torch.from_numpy(high).view(n, -1, 3).long()
    seen = torch.full((n, height * width, 3, 256), torch.nan, dtype=next(network.parameters()).dtype)

    def force(logits: Tensor, pixels: Tensor, colour: int) -> Tensor:
        seen[:, pixels, colour] = logits.transpose(0, 1)
        return wanted[:, pixels, colour].T

    made = Decoder(network)(in_range(downsample(high, factor=network.config.factor)), choose=force)
    assert (made.numpy() == high).all()
    return seen.flatten(1, 2)


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_forced_logits_equal_the_full_pass(any_network: PixelRecursive, photos: NDArray[np.uint8], batch: int) -> None:
    high = photos[:batch]
    full = logits_of(any_network, downsample(high, factor=4), high)
    assert (forced_logits(any_network, high) - full).abs().max().item() < 1e-9


def test_forced_logits_equal_the_full_pass_in_single_precision(
    any_network: PixelRecursive, photos: NDArray[np.uint8]
) -> None:
    network = any_network.float()
    full = network(in_range(downsample(photos, factor=4)).float(), in_range(photos).float()).flatten(1, 3)
    assert (forced_logits(network, photos) - full).abs().max().item() < 1e-4


@settings(max_examples=12, deadline=None)
@given(
    form=st.sampled_from(sorted(FORMS)),
    factor=st.sampled_from([2, 4, 8]),
    low=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_forced_logits_equal_the_full_pass_at_every_size(form: str, factor: int, low: tuple[int, int]) -> None:
    network = network_make(FORMS[form] | {"factor": factor})
    shape = (2, low[0] * factor, low[1] * factor, 3)
    high = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    full = logits_of(network, downsample(high, factor=factor), high)
    assert (forced_logits(network, high) - full).abs().max().item() < 1e-9


def test_log_likelihood_is_the_sum_of_the_sampler_s_conditionals(
    any_network: PixelRecursive, photos: NDArray[np.uint8]
) -> None:
    targets = torch.from_numpy(photos)
    losses = any_network.losses(in_range(downsample(photos, factor=4)), in_range(photos), targets)
    conditionals = torch.log_softmax(forced_logits(any_network, photos), dim=2)
    drawn = conditionals.gather(2, targets.view(4, -1, 1).long())
    assert drawn.sum().item() == pytest.approx(-losses.joint.item() * targets.numel(), rel=1e-6)


@pytest.mark.parametrize("tau", [1.0, 1.1])
def test_samples_equal_those_of_a_full_pass_for_each_sub_pixel(
    any_network: PixelRecursive, photos: NDArray[np.uint8], tau: float
) -> None:
    low = downsample(photos[:2], factor=4)
    seeds = [3, 2**63]
    noise = uniforms(seeds, height=8, width=8)
    slow = np.zeros((2, 8, 8, 3), np.uint8)
    inputs = in_range(low)
    for row, column, colour in np.ndindex(8, 8, 3):
        logits = any_network(inputs, in_range(slow))[:, row, column, colour]
        cumulative = torch.softmax(tau * logits, dim=1).cumsum(dim=1).numpy()
        for i in range(2):
            threshold = noise[i, row, column, colour] * cumulative[i, -1]
            slow[i, row, column, colour] = np.searchsorted(cumulative[i], threshold, side="right")
    assert (sample(any_network, low, seeds=seeds, tau=tau) == slow).all()


def test_samples_in_single_precision_differ_only_where_a_draw_lies_on_a_boundary(
    any_network: PixelRecursive, photos: NDArray[np.uint8]
) -> None:
    low = downsample(photos, factor=4)
    seeds = range(4)
    exact = sample(any_network, low, seeds=seeds, tau=1.0)
    rounded = sample(any_network.float(), low, seeds=seeds, tau=1.0)
    cumulative = torch.softmax(forced_logits(any_network.double(), exact), dim=2).cumsum(dim=2).numpy()
    noise = uniforms(seeds, height=8, width=8).reshape(4, -1)
    for picture in range(4):
        first = np.flatnonzero(exact[picture].ravel() != rounded[picture].ravel())[:1]
        for place in first:
            low_value, high_value = sorted((int(exact[picture].flat[place]), int(rounded[picture].flat[place])))
            assert high_value - low_value == 1
            assert abs(cumulative[picture, place, low_value] - noise[picture, place]) < 1e-6


def test_a_sample_depends_on_its_seed_and_not_on_its_neighbours(
    any_network: PixelRecursive, photos: NDArray[np.uint8]
) -> None:
    low = downsample(photos, factor=4)
    together = sample(any_network, low, seeds=[5, 6, 7, 8], tau=1.0)
    alone = sample(any_network, low[2:3], seeds=[7], tau=1.0)
    assert (together[2] == alone[0]).all()
    assert (together[2] != sample(any_network, low[2:3], seeds=[8], tau=1.0)[0]).any()


def test_a_batch_spans_photos_draws_and_temperatures(network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low = downsample(photos[:2], factor=4)
    taus, seeds = [1.0, 1.2, 50.0, 1.0, 1.2, 50.0], [1, 2, 3, 4, 5, 6]
    together = sample(network, low.repeat(3, axis=0), seeds=seeds, tau=taus)
    for place, (tau, seed) in enumerate(zip(taus, seeds, strict=True)):
        alone = sample(network, low[place // 3 : place // 3 + 1], seeds=[seed], tau=tau)
        assert (together[place] == alone[0]).all()


def test_an_input_that_occurs_often_is_conditioned_on_once(network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low = downsample(photos[:2], factor=4)
    batches: list[int] = []
    network.conditioning.register_forward_hook(lambda _module, inputs, _out: batches.append(len(inputs[0])))
    sample(network, low.repeat(5, axis=0), seeds=range(10), tau=1.0)
    assert batches == [2]


def test_frequencies_match_the_softmax(network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low = downsample(photos[:1], factor=4)
    count = 1000
    first: list[Tensor] = []

    def watch(logits: Tensor, _pixels: Tensor, _colour: int) -> Tensor:
        first.append(logits[0, 0].clone())
        return torch.zeros(logits.shape[:2], dtype=torch.long)

    Decoder(network)(in_range(low), choose=watch)
    drawn = sample(network.float(), low.repeat(count, axis=0), seeds=range(count), tau=1.0)[:, 0, 0, 0]
    expected = torch.softmax(first[0], dim=0).numpy()
    bins = np.add.reduceat(expected, np.arange(0, 256, 16))
    observed = np.bincount(drawn // 16, minlength=16)
    assert stats.chisquare(observed, count * bins).pvalue > 1e-3


def test_a_large_tau_takes_the_most_likely_value(any_network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low = downsample(photos[:1], factor=4)
    greedy = Decoder(any_network)(in_range(low), choose=lambda logits, *_: logits.argmax(dim=2)).numpy()
    assert (sample(any_network, low, seeds=[0], tau=1e6) == greedy).all()


def test_a_long_batch_tells_how_far_it_is(network: PixelRecursive) -> None:
    low = np.zeros((70, 1, 1, 3), np.uint8)
    told: list[int] = []
    sample(network, low, seeds=range(70), tau=1.0, progress=told.append)
    assert told == [16, 32, 48, 64, 65, 67, 68, 70]  # a row of the first 64 pictures after the other, then of the rest
    assert sample(network, low[:0], seeds=[], tau=1.0).shape == (0, 4, 4, 3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card")
def test_a_graphics_card_gives_the_same_samples(any_network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low = downsample(photos, factor=4)
    here = sample(any_network, low, seeds=range(4), tau=1.0)
    assert (sample(any_network.cuda(), low, seeds=range(4), tau=1.0) == here).all()


def test_wrong_input_is_named(network: PixelRecursive) -> None:
    low = np.zeros((1, 2, 2, 3), np.uint8)
    with pytest.raises(ValueError, match="tau must be positive and finite, got 0"):
        sample(network, low, seeds=[0], tau=0)
    with pytest.raises(ValueError, match="tau must be positive and finite, got nan"):
        sample(network, low, seeds=[0], tau=[float("nan")])
    with pytest.raises(ValueError, match="2 seeds for 1 pictures"):
        sample(network, low, seeds=[0, 1], tau=1)
    with pytest.raises(ValueError, match="2 taus for 1 pictures"):
        sample(network, low, seeds=[0], tau=[1.0, 1.1])
    with pytest.raises(ValueError, match=r"got .* float64"):
        sample(network, low.astype(float), seeds=[0], tau=1)
