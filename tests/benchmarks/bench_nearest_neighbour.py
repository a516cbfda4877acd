"""The nearest of 200,000 and of 2,000,000 pictures of 8 x 8 for 1,000 queries, exact, against faiss-cpu IndexFlatL2.

faiss is not among the project's tools; README.md beside this file says how to put it beside the environment.
"""

import importlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.bank import bank_open, bank_write
from baselines.nearest_example import NearestExample
from tests.benchmarks import harness

QUERIES = 1_000
SIDE = 8
DIMENSIONS = SIDE * SIDE * 3
PART = 50_000

Pictures = NDArray[np.uint8]


def photo_like(n: int, rng: np.random.Generator) -> Pictures:
    """Return pictures (n, 8, 8, 3) that are as alike as photos are.

    Their cosine transform falls off with frequency as that of photos does, colours differ less than brightness, and
    some have more contrast than others: 32 directions hold 93 % of their energy, of rooms 93 % and of faces 96 %.
    """
    frequency = np.hypot(*np.meshgrid(np.arange(SIDE), np.arange(SIDE)))
    amplitude = (1 / (0.62 + frequency) ** 1.22).astype(np.float32)
    wave = np.cos(np.pi * (np.arange(SIDE)[:, None] + 0.5) * np.arange(SIDE) / SIDE) * np.sqrt(2 / SIDE)
    wave[:, 0] /= np.sqrt(2)
    colours = np.array([[1, 1, 1], [0.25, 0, -0.25], [0.08, -0.16, 0.08]])  # brightness, and two differences of colours
    parts = rng.standard_normal((n, 3, SIDE, SIDE), np.float32) * amplitude
    waves = np.einsum("yv,nkvu,xu,kc->nyxc", wave, parts, wave, colours, optimize=True)
    contrast = rng.gamma(4, 0.25, (n, 1, 1, 1)) * 55 / waves.std()
    pictures: Pictures = np.clip(128 + contrast * waves, 0, 255).astype(np.uint8)
    return pictures


def noise(n: int, rng: np.random.Generator) -> Pictures:
    """Return pictures (n, 8, 8, 3) of even noise, which have nothing in common that a search could use."""
    return rng.integers(0, 256, (n, SIDE, SIDE, 3), np.uint8)


KINDS = {"pictures like photos": photo_like, "noise": noise}

BARS = {
    "pictures like photos": harness.Bar(least=1, aim=2),
    "noise": harness.Bar(least=1),  # nothing can be passed over: both do the same matrix product
}


def bank_make(folder: Path, kind: str, count: int) -> None:
    """Write a bank of `count` pictures; of the high resolution one pixel will do."""

    def parts() -> Iterator[tuple[Pictures, Pictures]]:
        for first in range(0, count, PART):
            low_res = KINDS[kind](min(PART, count - first), np.random.default_rng(1 + first))
            yield low_res, low_res[:, :1, :1]

    bank_write(folder, parts())


def faiss_index(folder: Path) -> Any:
    """Return faiss's index of a bank, filled in parts into memory that is set aside for all of it."""
    faiss = importlib.import_module("faiss")
    count = len(bank_open(folder).low_res)
    index = faiss.IndexFlatL2(DIMENSIONS)
    index.codes.resize(count * DIMENSIONS * 4)
    index.codes.resize(0)
    for first in range(0, count, PART):
        part = bank_open(folder).low_res[first : first + PART]  # opened anew, so that the bank itself does not count
        index.add(part.reshape(-1, DIMENSIONS).astype(np.float32))
    return index


def ours_search(folder: Path, queries: Pictures) -> NDArray[np.int64]:
    """Open a bank and search it."""
    opened = bank_open(folder)
    indices, _ = NearestExample(opened.low_res, opened.high_res).nearest_indices(queries)
    return indices


def faiss_search(folder: Path, queries: Pictures) -> Any:
    """Make faiss's index and search it; the index comes back, so that it counts as held."""
    index = faiss_index(folder)
    index.search(queries.reshape(-1, DIMENSIONS).astype(np.float32), 1)
    return index


def main() -> int:
    """Compare and print; return 1 if a bar is not met."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[200_000, 2_000_000], metavar="N", help="of the banks")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="of pictures")
    parser.add_argument("--folder", type=Path, help="where banks are written, 390 MB for 2,000,000 (a temporary one)")
    options = harness.start(parser, packages=["numpy", "faiss-cpu"])
    try:
        faiss = importlib.import_module("faiss")
    except ImportError:
        parser.error("faiss is missing: tests/benchmarks/README.md says how to put it beside the environment")
    faiss.omp_set_num_threads(options.threads)
    rows, memory = [], ["| bank | ours, peak | faiss, peak | ours, held | faiss, held |", "|---|---|---|---|---|"]
    for kind in options.kinds:
        for size in options.sizes:
            queries = KINDS[kind](QUERIES, np.random.default_rng(0))
            with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
                folder = Path(temporary) / "bank"
                bank_make(folder, kind, size)
                memory.append(_memory_row(f"{size:,} {kind}", folder, queries))
                rows.append((_times(f"{size:,} {kind}", folder, queries, options.pairs), BARS[kind]))
    print("\n".join(memory) + "\n")
    return harness.report(rows)


def _memory_row(what: str, folder: Path, queries: Pictures) -> str:
    ours = harness.memory(ours_search, folder, queries)
    theirs = harness.memory(faiss_search, folder, queries, imports=["faiss"])
    cells = [what, *(f"{of / 1e6:,.0f} MB" for of in (ours.peak, theirs.peak, ours.held, theirs.held))]
    return f"| {' | '.join(cells)} |"


def _times(what: str, folder: Path, queries: Pictures, pairs: int) -> harness.Comparison:
    opened = bank_open(folder)
    search = NearestExample(opened.low_res, opened.high_res)
    index = faiss_index(folder)
    flat = queries.reshape(-1, DIMENSIONS).astype(np.float32)
    ours, distances = search.nearest_indices(queries)
    theirs = index.search(flat, 1)[1][:, 0].astype(np.int64)
    # faiss takes the squares of the lengths apart in float32: where two are nearest to within rounding, it may err.
    of_theirs = ((opened.low_res[theirs].astype(np.int64) - queries) ** 2).sum(axis=(1, 2, 3))
    print(f"{what}: {(ours != theirs).sum()} of {len(ours)} answers differ; faiss's are farther in", end=" ")
    print(f"{(of_theirs > distances).sum()}, ours in {(of_theirs < distances).sum()}\n", flush=True)
    return harness.compare(
        f"nearest of {what} for {len(queries):,} queries, over faiss-cpu IndexFlatL2",
        lambda: search.nearest_indices(queries),
        lambda: index.search(flat, 1),
        pairs=pairs,
    )


if __name__ == "__main__":
    sys.exit(main())
