"""The sampler against teacher-forced forward passes of the same batch.

Random weights: time does not depend on them. `--networks` and `--batches` pick rows.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sr_models.checkpoints import network_build
from sr_models.pixel_recursive import PixelRecursive, PixelRecursiveConfig
from sr_models.pixels import model_range
from sr_models.sampling import sample
from sr_models.train import config_read
from tests.benchmarks import harness
from tests.benchmarks.harness import Bar, Comparison

CONFIGS = Path(__file__).resolve().parents[2] / "sr_models" / "configs"
SUB_PIXELS = 32 * 32 * 3

BARS = {
    "paper-single": {1: Bar(most=6, aim=4), 16: Bar(most=1.8, aim=1.3), 64: Bar(most=1.3, aim=1)},
    "small": {1: Bar(most=5, aim=3.5), 16: Bar(most=1.5, aim=1.2), 64: Bar(most=1.25, aim=1)},
    "paper-two-stack": {1: Bar(most=12, aim=8), 16: Bar(most=3, aim=2.2), 64: Bar(most=2, aim=1.4)},
}
"""Network and batch -> at most so many times one forward pass."""

NAIVE_BARS = {1: Bar(least=400, aim=750), 64: Bar(least=2_200, aim=3_000)}
"""Batch of the paper's single stack -> at least so many times as fast as one forward pass a sub-pixel."""


def network_of(name: str) -> PixelRecursive:
    """Return an untrained network of these sizes."""
    file = "pixel_recursive_small" if name == "small" else "paper_faces"
    config = config_read(CONFIGS / f"{file}.toml")
    torch.manual_seed(0)
    network = network_build(config.network, config.sizes)
    assert isinstance(network, PixelRecursive)
    if name == "paper-single":
        network = PixelRecursive(replace(network.config, prior_stacks=1))
    return network.eval().requires_grad_(requires_grad=False)


def works_of(config: PixelRecursiveConfig, network: PixelRecursive, batch: int) -> tuple[Callable[[], object], ...]:
    """Return one run of the sampler and one of the forward pass."""
    low_res = np.random.default_rng(0).integers(0, 256, (batch, 8, 8, 3), np.uint8)
    inputs = model_range(torch.from_numpy(low_res))
    side = 8 * config.factor
    high_res = torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(0)) - 0.5

    def forward() -> None:
        with torch.inference_mode():
            network(inputs, high_res)

    return partial(sample, network, low_res, seeds=range(batch), tau=1.0), forward


def rows(networks: list[str], batches: list[int], *, pairs: int) -> Iterator[tuple[Comparison, Bar]]:
    """Measure, one row after the other."""
    for name in networks:
        network = network_of(name)
        for batch in batches:
            sampler, forward = works_of(network.config, network, batch)
            what = f"sampler, {name}, N = {batch}, over one forward"
            measured = harness.compare(what, sampler, forward, pairs=pairs)
            yield measured, BARS[name][batch]
            if name == "paper-single" and batch in NAIVE_BARS:
                naive = tuple(seconds * SUB_PIXELS for seconds in measured.baseline_s)
                what = f"sampler, {name}, N = {batch}, against a forward for each of {SUB_PIXELS:,} sub-pixels"
                yield replace(measured, what=what, baseline_s=naive), NAIVE_BARS[batch]


def main() -> int:
    """Run the benchmark."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--networks", nargs="+", choices=BARS, default=list(BARS))
    parser.add_argument("--batches", nargs="+", type=int, choices=(1, 16, 64), default=[1, 16, 64])
    options = harness.start(parser, packages=["numpy", "torch"])
    return harness.report(rows(options.networks, options.batches, pairs=options.pairs))


if __name__ == "__main__":
    sys.exit(main())
