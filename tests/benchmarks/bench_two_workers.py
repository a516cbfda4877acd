"""Two worker processes that sample at once against one that does the same pictures alone."""

import multiprocessing
import sys
from multiprocessing.pool import Pool

import numpy as np
import torch

from sr_models.sampling import sample
from tests.benchmarks import harness
from tests.benchmarks.bench_sampler import network_of
from tests.benchmarks.harness import Bar

BATCH = 64


def work(seed: int) -> int:
    """Sample a batch in this process, one thread."""
    torch.set_num_threads(1)
    low_res = np.random.default_rng(seed).integers(0, 256, (BATCH, 8, 8, 3), np.uint8)
    return int(sample(network_of("small"), low_res, seeds=range(BATCH), tau=1.0).sum())


def main() -> int:
    """Run the benchmark."""
    options = harness.start(harness.arguments(__doc__), packages=["numpy", "torch"])
    context = multiprocessing.get_context("spawn")

    def run(pool: Pool) -> None:
        pool.map(work, range(4), chunksize=1)

    with context.Pool(2) as two, context.Pool(1) as one:
        row = harness.compare(
            "two workers, 4 x 64 pictures, small",
            lambda: run(two),
            lambda: run(one),
            pairs=options.pairs,
            clock="wall",
        )
    return harness.report([(row, Bar(least=1.8, aim=2))])


if __name__ == "__main__":
    sys.exit(main())
