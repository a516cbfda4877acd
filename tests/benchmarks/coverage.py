"""How often the intervals that users are shown hold the truth: simulated studies over a grid of designs.

logit P(fooled) = mu + rater + photo, both normal, mu such that the mean over new raters and new photos is the rate.
Every rater sees as many photos as he has votes, each once; photos come equally often to within one. Prints the tables
of docs/statistics.md and exits with 1 if the default interval misses its mark.

    python -m tests.benchmarks.coverage --runs 2000
"""

import argparse
import itertools
import math
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special
from tqdm import tqdm

from studies.statistics.comparison import DifferenceParts
from studies.statistics.fool_rate import VarianceParts, binomial_wilson, korn_graubard, two_way_wilson
from studies.statistics.sequential import confidence_sequence
from studies.statistics.simulation import logit_centre
from tests.benchmarks import harness

RATES = (0.02, 0.10, 0.28, 0.45)
RATERS = (50, 100, 300)
PHOTOS = (50, 100, 200)
VOTES = (10, 40)
SPREADS = ((0.5, 0.5), (0.8, 0.8), (1.0, 1.2))
PAIRS = ((0.02, 0.02), (0.04, 0.02), (0.11, 0.10), (0.28, 0.28), (0.28, 0.10), (0.45, 0.28))

DEFAULT, CONSERVATIVE = "two-way Wilson, new images (default)", "Korn-Graubard, new images"
THESE, CONTRAST = "two-way Wilson, these images only", "Wilson as if independent (contrast)"
IN_CELLS, IN_MEANS = (0.92, 0.97), (0.945, 0.955)
"""What the default's coverage must keep within: in every cell of the grid, and in the mean of each rate."""

BATCH_VOTES = 400_000
"""Votes that are simulated at a time: small enough for the cache, large enough for numpy."""


class Cell(NamedTuple):
    """A design: numbers, the rate, and standard deviations in logits."""

    raters: int
    photos: int
    votes: int
    rate: float
    rater_spread: float
    photo_spread: float


class Covered(NamedTuple):
    """Share of intervals that held the truth, and their mean half-width as a share."""

    coverage: float
    half_width: float


class Studies(NamedTuple):
    """Studies that share which rater saw which photo.

    Attributes:
        fooled: (n, raters, votes) bool.
        photo: (raters, votes) int64.
        truth_these: (n,) what new raters would say about exactly these photos, in the proportions in which they came.
    """

    fooled: NDArray[np.bool_]
    photo: NDArray[np.int64]
    truth_these: NDArray[np.float64]


def grid() -> list[Cell]:
    """Return the cells of the grid, rate by rate."""
    sizes = itertools.product(RATES, RATERS, PHOTOS, VOTES, SPREADS)
    return [Cell(raters, photos, votes, rate, *spread) for rate, raters, photos, votes, spread in sizes]


def simulated(cell: Cell, *, runs: int, rng: np.random.Generator) -> Iterator[Studies]:
    """Yield batches of simulated studies of a cell, `runs` in all."""
    mu = logit_centre(cell.rate, spread=math.hypot(cell.rater_spread, cell.photo_spread))
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    weights = weights / weights.sum()
    size = max(1, BATCH_VOTES // (cell.raters * cell.votes))
    for start in range(0, runs, size):
        n = min(size, runs - start)
        photo = shown(rng, cell.raters, cell.photos, cell.votes)
        raters = cell.rater_spread * rng.standard_normal((n, cell.raters, 1), dtype=np.float32)
        photos = cell.photo_spread * rng.standard_normal((n, cell.photos), dtype=np.float32)
        chance = special.expit(np.float32(mu) + raters + photos[:, photo])
        fooled = rng.random(chance.shape, dtype=np.float32) < chance
        of_photos = special.expit(mu + photos[..., None] + cell.rater_spread * nodes) @ weights
        seen = np.bincount(photo.ravel(), minlength=cell.photos) / photo.size
        yield Studies(fooled, photo, of_photos @ seen)


def shown(rng: np.random.Generator, n_raters: int, n_photos: int, n_votes: int) -> NDArray[np.int64]:
    """Return (n_raters, n_votes) photos: none twice for a rater, all equally often to within one.

    Photos are dealt from a shuffled pack; a rater who would get one twice, where a pack ends, swaps it with the next.
    """
    rounds = math.ceil(n_raters * n_votes / n_photos)
    dealt: list[int] = []
    for _ in range(rounds):
        held = set(dealt[len(dealt) - len(dealt) % n_votes :])
        pack = rng.permutation(n_photos).tolist()
        wanted = -len(dealt) % n_votes
        fresh = [photo for photo in pack if photo not in held]
        first = fresh[:wanted]
        taken = set(first)
        dealt += first + [photo for photo in pack if photo not in taken]
    return np.array(dealt[: n_raters * n_votes]).reshape(n_raters, n_votes)


def parts_of(studies: Studies) -> list[VarianceParts]:
    """Return what `variance_parts` finds in each study, for all at once."""
    n, n_raters, n_votes = studies.fooled.shape
    size = n_raters * n_votes
    is_photo = studies.photo.ravel()[:, None] == np.arange(studies.photo.max() + 1)
    sizes = is_photo.sum(axis=0)
    hits = studies.fooled.reshape(n, size).astype(np.float32) @ is_photo.astype(np.float32)  # whole numbers, exact
    fooled = studies.fooled.sum(axis=(1, 2))
    rate = fooled / size
    of_raters = studies.fooled.sum(axis=2) - rate[:, None] * n_votes
    of_photos = (hits - rate[:, None] * sizes)[:, sizes > 0]
    n_photos = int((sizes > 0).sum())
    raters = n_raters / (n_raters - 1) * (of_raters**2).sum(axis=1) / size**2
    photos = n_photos / (n_photos - 1) * (of_photos**2).sum(axis=1) / size**2
    spread = rate * (1 - rate)
    return [
        VarianceParts(
            n_votes=size,
            n_fooled=int(fooled[i]),
            n_raters=n_raters,
            n_photos=n_photos,
            n_cells=size,
            raters=float(raters[i]),
            photos=float(photos[i]),
            cells=float(spread[i] / (size - 1)),
            binomial=float(spread[i] / size),
        )
        for i in range(n)
    ]


def coverage(cell: Cell, *, runs: int, rng: np.random.Generator) -> dict[str, Covered]:
    """Return what each interval does in a cell."""
    n_covered = dict.fromkeys((DEFAULT, CONSERVATIVE, THESE, CONTRAST), 0)
    widths = dict.fromkeys(n_covered, 0.0)
    for studies in simulated(cell, runs=runs, rng=rng):
        for parts, truth_these in zip(parts_of(studies), studies.truth_these.tolist(), strict=True):
            rate, n_votes, df = parts.rate, parts.n_votes, parts.df()
            deff, deff_these = parts.deff() or 1.0, parts.deff("these") or 1.0
            for name, ends, truth in (
                (DEFAULT, two_way_wilson(rate=rate, n_votes=n_votes, deff=deff, df=df), cell.rate),
                (CONSERVATIVE, korn_graubard(rate=rate, n_votes=n_votes, deff=deff, df=df), cell.rate),
                (
                    THESE,
                    two_way_wilson(rate=rate, n_votes=n_votes, deff=deff_these, df=parts.df("these")),
                    truth_these,
                ),
                (CONTRAST, binomial_wilson(n_fooled=parts.n_fooled, n_votes=n_votes), cell.rate),
            ):
                n_covered[name] += ends.low <= truth <= ends.high
                widths[name] += (ends.high - ends.low) / 2
    return {name: Covered(count / runs, widths[name] / runs) for name, count in n_covered.items()}


class PairedDesign(NamedTuple):
    """Two conditions on the same photos. Each rater judges both, or one of them.

    Raters and photos have effects of their own on each condition beside the shared ones: standard deviations in logits.
    """

    name: str
    raters: int
    photos: int
    votes: int
    is_within: bool
    shared: tuple[float, float] = (0.7, 0.5)
    own: tuple[float, float] = (0.4, 0.6)


PAIRED = (
    PairedDesign("within raters, 50 raters, 50 photos, 10 votes on each", 50, 50, 10, is_within=True),
    PairedDesign("within raters, 300 raters, 100 photos, 10 votes on each", 300, 100, 10, is_within=True),
    PairedDesign("between raters, 100 of each, 100 photos, 40 votes", 100, 100, 40, is_within=False),
)


def difference_coverage(
    design: PairedDesign, rates: tuple[float, float], *, runs: int, rng: np.random.Generator
) -> dict[str, Covered]:
    """Return what the interval of a difference does, beside the one for independent votes."""
    spread = math.sqrt(sum(value**2 for value in (*design.shared, *design.own)))
    mu = np.array([logit_centre(rate, spread=spread) for rate in rates], dtype=np.float32)
    n_people = design.raters if design.is_within else 2 * design.raters
    n_seen = design.votes * (2 if design.is_within else 1)
    column = (
        np.broadcast_to(np.arange(n_seen) >= design.votes, (n_people, n_seen))
        if design.is_within
        else np.broadcast_to((np.arange(n_people) >= design.raters)[:, None], (n_people, n_seen))
    ).astype(np.int64)
    names = ("difference, two-way", "difference as if independent (contrast)")
    n_covered, widths = dict.fromkeys(names, 0), dict.fromkeys(names, 0.0)
    truth = rates[0] - rates[1]
    for start in range(0, runs, size := max(1, BATCH_VOTES // (n_people * n_seen))):
        n = min(size, runs - start)
        photo = shown(rng, n_people, design.photos, n_seen)
        effects = [
            design.shared[kind] * rng.standard_normal((n, count, 1), dtype=np.float32)
            + design.own[kind] * rng.standard_normal((n, count, 2), dtype=np.float32)
            for kind, count in enumerate((n_people, design.photos))
        ]
        logits = mu[column] + effects[0][:, np.arange(n_people)[:, None], column] + effects[1][:, photo, column]
        fooled = rng.random(logits.shape, dtype=np.float32) < special.expit(logits)
        for parts in _difference_parts(fooled, photo, column):
            se = math.sqrt(
                sum(
                    k / m * (1 - k / m) / m
                    for k, m in ((parts.n_fooled_a, parts.n_votes_a), (parts.n_fooled_b, parts.n_votes_b))
                )
            )
            contrast = (parts.difference - 1.96 * se, parts.difference + 1.96 * se)
            for name, (low, high) in zip(names, (parts.interval(), contrast), strict=True):
                n_covered[name] += low <= truth <= high
                widths[name] += (high - low) / 2
    return {name: Covered(n_covered[name] / runs, widths[name] / runs) for name in names}


def _difference_parts(
    fooled: NDArray[np.bool_], photo: NDArray[np.int64], column: NDArray[np.int64]
) -> list[DifferenceParts]:
    """Return what `difference_parts` finds in each of (n, raters, votes) studies; every rater sees a photo once."""
    n = fooled.shape[0]
    on_b = column.astype(np.bool_)
    n_a, n_b = int((~on_b).sum()), int(on_b.sum())
    k_a, k_b = ((fooled & side).sum(axis=(1, 2)) for side in (~on_b, on_b))
    rate = np.where(on_b, (k_b / n_b)[:, None, None], (k_a / n_a)[:, None, None])
    u = (fooled - rate) * np.where(on_b, -1 / n_b, 1 / n_a)
    is_photo = (photo.ravel()[:, None] == np.arange(photo.max() + 1)).astype(np.float64)
    sums = (u.sum(axis=2), u.reshape(n, -1) @ is_photo, u.reshape(n, -1))
    raters, photos, cells = (values.shape[1] / (values.shape[1] - 1) * (values**2).sum(axis=1) for values in sums)
    return [
        DifferenceParts(
            n_votes_a=n_a,
            n_fooled_a=int(k_a[i]),
            n_votes_b=n_b,
            n_fooled_b=int(k_b[i]),
            n_raters=photo.shape[0],
            n_raters_both=photo.shape[0],
            n_photos=is_photo.shape[1],
            n_photos_both=is_photo.shape[1],
            raters=float(raters[i]),
            photos=float(photos[i]),
            cells=float(cells[i]),
        )
        for i in range(n)
    ]


def ever_out(cell: Cell, *, runs: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return how often the truth about these photos is outside at some time from the tenth rater on.

    Returns:
        The share of studies in which the confidence sequence loses it, and that of Wilson's interval as if votes were
        independent.
    """
    n_out = n_out_contrast = 0
    z = special.ndtri(0.975)
    for studies in simulated(cell, runs=runs, rng=rng):
        for fooled, truth in zip(studies.fooled, studies.truth_these, strict=True):
            low, high = confidence_sequence(fooled.mean(axis=1))
            n_out += bool(((low > truth) | (high < truth))[9:].any())
            n = np.arange(1, cell.raters + 1) * cell.votes
            p = np.cumsum(fooled.sum(axis=1)) / n
            n_out_contrast += bool((np.abs(p - truth) > z * np.sqrt(truth * (1 - truth) / n))[9:].any())
    return n_out / runs, n_out_contrast / runs


def main() -> int:
    """Run the grid and print it; return 1 if the default misses its mark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000, help="simulated studies in each cell (2000)")
    parser.add_argument("--sequences", type=int, default=300, help="the same for confidence sequences (300)")
    parser.add_argument("--seed", type=int, default=1)
    parser.set_defaults(pairs=1, threads=1)
    options = harness.start(parser, packages=["numpy", "scipy"])
    error = 100 * math.sqrt(0.95 * 0.05 / options.runs)
    print(
        f"{options.runs:,} studies a cell, Monte-Carlo error {error:.2f} points; coverage in %, half-width in points.\n"
    )
    failed = _print_rates(options)
    _print_differences(options)
    _print_sequences(options)
    return int(failed)


def _print_rates(options: argparse.Namespace) -> bool:
    cells = grid()
    seeds = np.random.SeedSequence(options.seed).spawn(len(cells))
    found = [
        coverage(cell, runs=options.runs, rng=np.random.default_rng(seed))
        for cell, seed in zip(tqdm(cells, desc="rates"), seeds, strict=True)
    ]
    print(f"| interval | {' | '.join(f'{100 * rate:g} %' for rate in RATES)} |")
    print(f"|---|{'---|' * len(RATES)}")
    means = {}
    for name in (DEFAULT, CONSERVATIVE, THESE, CONTRAST):
        entries = []
        for rate in RATES:
            of_rate = [one[name] for cell, one in zip(cells, found, strict=True) if cell.rate == rate]
            shares = [one.coverage for one in of_rate]
            means[name, rate] = float(np.mean(shares))
            width = 100 * float(np.mean([one.half_width for one in of_rate]))
            entries.append(
                f"{100 * means[name, rate]:.1f} ({100 * min(shares):.1f}-{100 * max(shares):.1f}), ±{width:.2f}"
            )
        print(f"| {name} | {' | '.join(entries)} |")
    outside = [
        (cell, one[DEFAULT].coverage)
        for cell, one in zip(cells, found, strict=True)
        if not IN_CELLS[0] <= one[DEFAULT].coverage <= IN_CELLS[1]
    ]
    off = [rate for rate in RATES if not IN_MEANS[0] <= means[DEFAULT, rate] <= IN_MEANS[1]]
    print(
        f"\nDefault outside 92-97 %: {len(outside)} of {len(cells)} cells; means outside 94.5-95.5 %: {off or 'none'}."
    )
    for cell, share in outside:
        print(f"  {cell}: {100 * share:.1f} %")
    return bool(outside or off)


def _print_differences(options: argparse.Namespace) -> None:
    print(f"\n| difference | {' | '.join(f'{100 * a:g} vs {100 * b:g} %' for a, b in PAIRS)} |")
    print(f"|---|{'---|' * len(PAIRS)}")
    for place, design in enumerate(tqdm(PAIRED, desc="differences")):
        found = [
            difference_coverage(
                design, rates, runs=options.runs, rng=np.random.default_rng((options.seed, place, column))
            )
            for column, rates in enumerate(PAIRS)
        ]
        for name in found[0]:
            entries = [f"{100 * one[name].coverage:.1f}, ±{100 * one[name].half_width:.2f}" for one in found]
            print(f"| {design.name}: {name.removeprefix('difference').strip(', ')} | {' | '.join(entries)} |")


def _print_sequences(options: argparse.Namespace) -> None:
    print(
        f"\n{options.sequences} studies of 100 raters, 40 votes, 100 photos; looks after each rater from the tenth:\n"
    )
    print("| ever wrong about these photos | sequence | Wilson as if independent |\n|---|---|---|")
    for place, rate in enumerate(tqdm(RATES, desc="sequences")):
        cell = Cell(100, 100, 40, rate, 0.8, 0.8)
        out = ever_out(cell, runs=options.sequences, rng=np.random.default_rng((options.seed, place)))
        print(f"| {100 * rate:g} % | {100 * out[0]:.1f} % | {100 * out[1]:.0f} % |")


if __name__ == "__main__":
    sys.exit(main())
