"""The compiled sampler against teacher-forced forward passes of the same pictures by torch.

The small network, as its configuration is and with 31 offsets. Random weights: time does not depend on them. A run
includes what a call does once: laying out the weights and the conditioning network. Compiling is not in it.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from sr_models.pixel_recursive import PixelRecursive
from sr_models.pixels import model_range
from sr_models.sampling_compiled import sample_compiled
from tests.benchmarks import harness
from tests.benchmarks.bench_sampler import network_of
from tests.benchmarks.harness import Bar, Comparison

BAR = Bar(most=1.5, aim=0.5)


def rows(batches: list[int], *, pairs: int) -> Iterator[tuple[Comparison, Bar]]:
    """Measure, one row after the other."""
    torch.manual_seed(0)
    small = network_of("small")
    with_offsets = PixelRecursive(replace(small.config, offsets=31)).eval().requires_grad_(requires_grad=False)
    for name, network in {"small": small, "small with 31 offsets": with_offsets}.items():
        for batch in batches:
            low_res = np.random.default_rng(0).integers(0, 256, (batch, 8, 8, 3), np.uint8)
            inputs = model_range(torch.from_numpy(low_res))
            side = 8 * network.config.factor
            high_res = torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(0)) - 0.5
            measured = harness.compare(
                f"compiled sampler, {name}, N = {batch}, over one forward",
                partial(sample_compiled, network, low_res, seeds=range(batch), tau=1.0),
                partial(torch.inference_mode()(network), inputs, high_res),
                pairs=pairs,
            )
            yield measured, BAR


def main() -> int:
    """Run the benchmark."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--batches", nargs="+", type=int, default=[1], metavar="N", help="pictures of a run (1)")
    options = harness.start(parser, packages=["numba", "numpy", "torch"])
    return harness.report(rows(options.batches, pairs=options.pairs))


if __name__ == "__main__":
    sys.exit(main())
