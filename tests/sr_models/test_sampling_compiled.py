"""The compiled sampler draws what the sampler of torch draws, and says clearly where it cannot."""

import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from sr_models.pixel_recursive import PixelRecursive
from sr_models.pixels import downsample, model_range
from sr_models.sampling import Decoder, sample, uniforms
from tests.sr_models.conftest import FORMS, SIZES, network_make
from tests.sr_models.test_pixel_recursive import in_range

numba = pytest.importorskip("numba", reason="the compiled sampler needs numba, from requirements-extras.txt")

from sr_models import sampling_compiled as compiled  # noqa: E402 -- it needs numba

ONE_STACK = sorted(name for name, sizes in FORMS.items() if sizes.get("prior_stacks", 1) == 1)


@pytest.fixture(params=ONE_STACK)
def one_stack(request: pytest.FixtureRequest) -> PixelRecursive:
    """Return a network of each form with a single stack in turn."""
    return network_make(FORMS[request.param])


def full_pass(network: PixelRecursive, low: NDArray[np.uint8], high: NDArray[np.uint8]) -> Tensor:
    kind = next(network.parameters()).dtype
    with torch.inference_mode():
        logits: Tensor = network(model_range(torch.from_numpy(low)).to(kind), in_range(high).to(kind))
    return logits


def difference(network: PixelRecursive, high: NDArray[np.uint8]) -> float:
    """Return how far the logits that the program draws from are from those of a full pass."""
    low = downsample(high, factor=network.config.factor)
    forced = torch.from_numpy(compiled.logits_compiled(network, low, high))
    full = full_pass(network, low, high)
    assert forced.shape == full.shape
    assert forced.dtype == full.dtype
    return float((forced - full).abs().max())


def test_forced_logits_equal_the_full_pass(one_stack: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    assert difference(one_stack, photos) < 1e-9


def test_forced_logits_equal_the_full_pass_in_single_precision(
    one_stack: PixelRecursive, photos: NDArray[np.uint8]
) -> None:
    assert difference(one_stack.float(), photos) < 1e-4


@settings(max_examples=12, deadline=None)
@given(
    form=st.sampled_from(ONE_STACK),
    factor=st.sampled_from([2, 4, 8]),
    low=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_forced_logits_equal_the_full_pass_at_every_size(form: str, factor: int, low: tuple[int, int]) -> None:
    network = network_make(FORMS[form] | {"factor": factor})
    shape = (2, low[0] * factor, low[1] * factor, 3)
    assert difference(network, np.random.default_rng(0).integers(0, 256, shape, np.uint8)) < 1e-9


@pytest.mark.parametrize("tau", [1.0, 1.1])
def test_samples_equal_those_of_torch(one_stack: PixelRecursive, photos: NDArray[np.uint8], tau: float) -> None:
    low = downsample(photos, factor=4)
    seeds = [3, 2**63, 0, 1]
    drawn = compiled.sample_compiled(one_stack, low, seeds=seeds, tau=tau)
    assert (drawn == sample(one_stack, low, seeds=seeds, tau=tau)).all()


def test_samples_in_single_precision_differ_only_where_a_draw_lies_on_a_boundary(
    one_stack: PixelRecursive, photos: NDArray[np.uint8]
) -> None:
    low = downsample(photos, factor=4)
    exact = sample(one_stack, low, seeds=range(4), tau=1.0)
    cumulative = torch.softmax(full_pass(one_stack, low, exact), dim=4).cumsum(dim=4).view(4, -1, 256).numpy()
    noise = uniforms(range(4), height=8, width=8).reshape(4, -1)
    rounded = compiled.sample_compiled(one_stack.float(), low, seeds=range(4), tau=1.0)
    for picture in range(4):
        first = np.flatnonzero(exact[picture].ravel() != rounded[picture].ravel())[:1]
        for place in first:
            low_value, high_value = sorted((int(exact[picture].flat[place]), int(rounded[picture].flat[place])))
            assert high_value - low_value == 1
            assert abs(cumulative[picture, place, low_value] - noise[picture, place]) < 1e-6


def test_a_sample_depends_on_its_input_seed_and_tau_alone(network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low = downsample(photos[:2], factor=4).repeat(3, axis=0)
    taus, seeds = [1.0, 1.2, 50.0, 1.0, 1.2, 50.0], [1, 2, 3, 4, 5, 6]
    together = compiled.sample_compiled(network, low, seeds=seeds, tau=taus)
    assert (compiled.sample_compiled(network, low, seeds=seeds, tau=taus, threads=2) == together).all()
    for place, (tau, seed) in enumerate(zip(taus, seeds, strict=True)):
        alone = compiled.sample_compiled(network, low[place : place + 1], seeds=[seed], tau=tau)
        assert (together[place] == alone[0]).all()
    assert (together[0] != compiled.sample_compiled(network, low[:1], seeds=[9], tau=1.0)[0]).any()


def test_an_input_that_occurs_often_is_conditioned_on_once(network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low = downsample(photos[:2], factor=4)
    batches: list[int] = []
    network.conditioning.register_forward_hook(lambda _module, inputs, _out: batches.append(len(inputs[0])))
    compiled.sample_compiled(network, low.repeat(5, axis=0), seeds=range(10), tau=1.0)
    assert batches == [2]


def test_frequencies_match_the_softmax(network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low = downsample(photos[:1], factor=4)[:, :1, :1]
    count = 1000
    expected = torch.softmax(full_pass(network, low, np.zeros((1, 4, 4, 3), np.uint8))[0, 0, 0, 0], dim=0).numpy()
    drawn = compiled.sample_compiled(network.float(), low.repeat(count, axis=0), seeds=range(count), tau=1.0)
    bins = np.add.reduceat(expected, np.arange(0, 256, 16))
    observed = np.bincount(drawn[:, 0, 0, 0] // 16, minlength=16)
    assert stats.chisquare(observed, count * bins).pvalue > 1e-3


@pytest.mark.parametrize("kind", [torch.float32, torch.float64], ids=str)
def test_a_large_tau_takes_the_most_likely_value(
    one_stack: PixelRecursive, photos: NDArray[np.uint8], kind: torch.dtype
) -> None:
    network = one_stack.to(kind)
    low = downsample(photos[:1], factor=4)
    greedy = Decoder(network)(model_range(torch.from_numpy(low)), choose=lambda logits, *_: logits.argmax(dim=2))
    assert (compiled.sample_compiled(network, low, seeds=[0], tau=1e6) == greedy.numpy()).all()


def test_weights_that_change_are_seen_by_the_next_call(network: PixelRecursive, photos: NDArray[np.uint8]) -> None:
    low = downsample(photos[:1], factor=4)
    before = compiled.logits_compiled(network, low, photos[:1])
    with torch.no_grad():
        network.prior.exit.bias.add_(1)
    assert np.abs(compiled.logits_compiled(network, low, photos[:1]) - before).max() > 0.1


def test_progress_is_told_picture_by_picture(network: PixelRecursive) -> None:
    low = np.zeros((66, 1, 1, 3), np.uint8)
    told: list[int] = []
    compiled.sample_compiled(network, low, seeds=range(66), tau=1.0, progress=told.append, threads=2)
    assert told == list(range(1, 67))
    assert compiled.sample_compiled(network, low[:0], seeds=[], tau=1.0).shape == (0, 4, 4, 3)


def test_wrong_input_is_named(network: PixelRecursive) -> None:
    low = np.zeros((1, 2, 2, 3), np.uint8)
    with pytest.raises(ValueError, match="tau must be positive and finite, got 0"):
        compiled.sample_compiled(network, low, seeds=[0], tau=0)
    with pytest.raises(ValueError, match="2 seeds for 1 pictures"):
        compiled.sample_compiled(network, low, seeds=[0, 1], tau=1)
    with pytest.raises(ValueError, match="2 taus for 1 pictures"):
        compiled.sample_compiled(network, low, seeds=[0], tau=[1.0, 1.1])
    with pytest.raises(ValueError, match=r"got .* float64"):
        compiled.sample_compiled(network, low.astype(float), seeds=[0], tau=1)
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        compiled.sample_compiled(network, low, seeds=[0], tau=1, threads=0)
    with pytest.raises(ValueError, match=r"high_res must be \(1, 8, 8, 3\) uint8, got \(1, 8, 7, 3\) uint8"):
        compiled.logits_compiled(network, low, np.zeros((1, 8, 7, 3), np.uint8))


def test_networks_that_it_cannot_sample_are_refused() -> None:
    low = np.zeros((1, 2, 2, 3), np.uint8)
    with pytest.raises(
        ValueError, match=r"with a single stack, this network's has two: use sr_models\.sampling\.sampl"
    ):
        compiled.sample_compiled(network_make(FORMS["two-stacks"]), low, seeds=[0], tau=1)
    with pytest.raises(ValueError, match=r"float32 and float64, got a network in torch\.bfloat16"):
        compiled.sample_compiled(network_make(SIZES).bfloat16(), low, seeds=[0], tau=1)


def module_afresh() -> ModuleType:
    """Return the module as a process that imports it for the first time gets it."""
    spec = importlib.util.spec_from_file_location("sampling_compiled_afresh", Path(compiled.__file__))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_numba_one_is_told_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(ImportError, match=r"needs numba, .*: pip install -r requirements-extras\.txt"):
        module_afresh()


def test_where_nothing_can_be_written_it_does_without_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module_afresh()._picture.stats.cache_path is not None
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "ZipCacheLocator")  # no folder will do
    assert module_afresh()._picture.stats.cache_path is None


@pytest.mark.parametrize("disk_is_full", [False, True])
def test_a_long_compilation_is_told_of(
    network: PixelRecursive, monkeypatch: pytest.MonkeyPatch, *, disk_is_full: bool
) -> None:
    told = threading.Event()
    sentences: list[str] = []

    class Slow:
        def compile(self, _signature: Any) -> None:
            assert told.wait(20)
            if disk_is_full:
                raise OSError(28, "No space left on device")

    def notice(sentence: str) -> None:
        sentences.append(sentence)
        told.set()

    monkeypatch.setattr(compiled, "_picture", Slow())
    monkeypatch.setattr(compiled, "_READY", set())
    monkeypatch.setattr(compiled, "NOTICE_S", 0.01)
    low = np.zeros((0, 2, 2, 3), np.uint8)
    compiled.sample_compiled(network, low, seeds=[], tau=1.0, notice=notice)
    compiled.sample_compiled(network, low, seeds=[], tau=1.0, notice=notice)
    assert len(sentences) == 1
    assert "made ready" in sentences[0]
