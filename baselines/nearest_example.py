"""The nearest training example: the high-resolution picture whose small version is most like the input.

The search is brute force in what it answers, exact, and needs no index: the bank is read once, in chunks, as it is.

**Exactness.** With 128 subtracted, every sub-pixel is an integer in [-128, 127], so the score of a bank picture x for a
query q, |x - q|^2 - |q|^2 = |x|^2 - 2 q.x, and every partial sum of it, in whatever order a matrix product adds, is an
integer of at most 48,896 a dimension. While that stays within 2^24 (343 dimensions; an 8x8 picture has 192), float32
holds it exactly; beyond, float64 does. Equal distances are therefore equal numbers, and ties go to the lowest index,
whatever the library, the number of threads and the chunks.

**Speed.** Most of what tells two small pictures apart lies in few directions. With P the projection onto 32 of them and
r the length of what P leaves over, the score is at least |x|^2 - 2 (Px.Pq + r_x r_q), by Cauchy and Schwarz: a matrix
product of 35 dimensions instead of 193 (with |x|^2 and the best score so far as two of them). Scores are taken only of
pairs whose bound is under the best so far, which among photos is one in thousands. The bound allows for every rounding
of float32 that can occur, so nothing is missed; where it does not tell pictures apart (noise), all scores are taken.
"""

import mmap
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FLOAT32_DIMENSIONS_MOST = 2**24 // (128 * 128 + 2 * 128 * 127)
"""Most sub-pixels of a low-resolution picture for which scores in float32 are exact."""

BANK_CHUNK = 1_024
"""Bank pictures that are converted and compared at a time: 0.8 MB for 8x8 pictures, which stays in cache."""

QUERY_CHUNK = 1_024
"""Queries that are compared with a chunk of the bank at a time."""

SCORES_AT_ONCE = 2**19
"""Scores that one matrix product makes: 2 MB, which stay in cache."""

DIRECTIONS = 32
"""Directions that the bound looks at: with more it costs more, with fewer it lets more pairs through."""

BOUNDED_QUERIES_LEAST = 128
"""Fewest queries for which the bound is worth its projection of the bank."""

LIKELY_SHARE_MOST = 1 / 128
"""Largest share of pairs under the bound for which taking their scores one by one is cheaper than taking all."""

LIKELY_PAIRS = 512
"""Pairs under the bound whose scores are taken at a time."""

EXAMPLES_TRIED = 128
"""Examples on which a bound is tried when it is not known to tell pictures apart."""

CHUNKS_WAITED_MOST = 64
"""Most chunks after which a bound that did not tell pictures apart is tried again."""

MAPPED_BYTES = 2**23
"""Bytes of a memory-mapped bank after which its pages are given back, so that it never fills the memory."""


class NearestExample:
    """An upscaler that returns the high-resolution picture of the nearest training example.

    The bank stays as it is given, in uint8: a memory-mapped file (`baselines.bank`) is read in chunks and is never in
    memory as a whole.

    Args:
        bank_low: (m, h, w, 3) uint8 sRGB, the training pictures reduced by the operator that made the inputs; m >= 1.
        bank_high: (m, H, W, 3) uint8 sRGB, the same pictures in the same order, at high resolution.

    Raises:
        ValueError: If the two banks are not of those shapes and types, or are empty.

    Example:
        >>> bank_high = np.stack([np.full((32, 32, 3), grey, np.uint8) for grey in (0, 100, 200)])
        >>> nearest = NearestExample(bank_high[:, ::4, ::4], bank_high)
        >>> nearest(np.full((1, 8, 8, 3), 180, np.uint8))[0, 0, 0]
        array([200, 200, 200], dtype=uint8)
    """

    def __init__(self, bank_low: NDArray[np.uint8], bank_high: NDArray[np.uint8]) -> None:
        for name, bank in (("bank_low", bank_low), ("bank_high", bank_high)):
            if bank.dtype != np.uint8 or bank.ndim != 4 or bank.shape[3] != 3 or 0 in bank.shape:
                raise ValueError(
                    f"{name} must be (m, height, width, 3) uint8 with m >= 1, got {bank.shape} {bank.dtype}"
                )
        if len(bank_low) != len(bank_high):
            raise ValueError(
                f"bank_low and bank_high must hold the same pictures, got {len(bank_low)} and {len(bank_high)}"
            )
        self.bank_low = bank_low
        self.bank_high = bank_high

    def __call__(
        self, low_res: NDArray[np.uint8], *, progress: Callable[[int], object] = lambda _done: None
    ) -> NDArray[np.uint8]:
        """Return the high-resolution picture of the bank picture nearest to each input.

        Args:
            low_res: (n, h, w, 3) uint8 sRGB, of the bank's size.
            progress: As in `nearest_indices`.

        Returns:
            (n, H, W, 3) uint8 sRGB, a copy.

        Raises:
            ValueError: If the pictures are not of the bank's size, or not uint8.
        """
        indices, _ = self.nearest_indices(low_res, progress=progress)
        return np.asarray(self.bank_high)[indices]

    def nearest_indices(
        self, low_res: NDArray[np.uint8], *, progress: Callable[[int], object] = lambda _done: None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find the bank picture nearest to each input by Euclidean distance; ties go to the lowest index.

        Args:
            low_res: (n, h, w, 3) uint8 sRGB, of the bank's size.
            progress: Called with the number of bank pictures compared so far; what it raises ends the search.

        Returns:
            (n,) int64 indices into the bank and (n,) int64 squared distances in squared 8-bit steps, both exact.

        Raises:
            ValueError: If the pictures are not of the bank's size, or not uint8.
        """
        if low_res.dtype != np.uint8 or low_res.ndim != 4 or low_res.shape[1:] != self.bank_low.shape[1:]:
            _, height, width, _ = self.bank_low.shape
            raise ValueError(f"low_res must be (n, {height}, {width}, 3) uint8, got {low_res.shape} {low_res.dtype}")
        m, d = len(self.bank_low), int(np.prod(self.bank_low.shape[1:]))
        search = _Search(low_res.reshape(len(low_res), d), chunk=min(BANK_CHUNK, m))
        bank = np.asarray(self.bank_low)  # a view without what a memmap does at each step
        released = 0
        for start in range(0, m, BANK_CHUNK):
            examples = bank[start : start + BANK_CHUNK]
            search.chunk_compare(examples.reshape(len(examples), d), start=start)
            done = start + len(examples)
            if (done - released) * d >= MAPPED_BYTES:
                _pages_release(self.bank_low)
                released = done
            progress(done)
        return search.result()


class _Search:
    """The nearest example so far of each query, while the chunks of a bank go by in order.

    Args:
        queries: (n, d) uint8.
        chunk: Most examples of a chunk.
    """

    def __init__(self, queries: NDArray[np.uint8], *, chunk: int) -> None:
        n, d = queries.shape
        exact = np.float32 if d <= FLOAT32_DIMENSIONS_MOST else np.float64
        self.blocks = [_Block(queries[first : first + QUERY_CHUNK], exact) for first in range(0, n, QUERY_CHUNK)]
        at_once = min(chunk, max(1, SCORES_AT_ONCE // max(1, min(QUERY_CHUNK, n))))
        self.examples = np.ones((at_once, d + 1), exact)  # [x, |x|^2], rewritten for each chunk
        self.scores = np.empty((at_once, min(QUERY_CHUNK, n)), exact)
        self.bounds: _Bounds | None = None
        self.is_bounded = n >= BOUNDED_QUERIES_LEAST and d >= 2 * DIRECTIONS
        self.chunks_to_wait = 1  # the first chunk gives scores to compare bounds with
        self.chunks_waited = 1  # before the bound was last tried; 0 while it does its work

    def chunk_compare(self, examples: NDArray[np.uint8], *, start: int) -> None:
        """Compare all queries with (c, d) uint8 examples, the first of which has the index `start`."""
        if not self.is_bounded or self.chunks_to_wait > 0:
            self._scores_compare(self.blocks, examples, start=start)
            self.chunks_to_wait -= 1
            return
        if self.bounds is None:
            self.bounds = _Bounds(self.blocks, examples)
        is_in_doubt = self.chunks_waited > 0
        if is_in_doubt and self.bounds.compare(self.blocks[:1], examples[:EXAMPLES_TRIED], start=start):
            crowded = self.blocks
        else:
            crowded = self.bounds.compare(self.blocks, examples, start=start)
        self._scores_compare(crowded, examples, start=start)
        self.chunks_waited = min(max(1, 4 * self.chunks_waited), CHUNKS_WAITED_MOST) if crowded else 0
        self.chunks_to_wait = self.chunks_waited

    def _scores_compare(self, blocks: list["_Block"], examples: NDArray[np.uint8], *, start: int) -> None:
        if not blocks:
            return
        d = examples.shape[1]
        for first in range(0, len(examples), len(self.examples)):
            part = examples[first : first + len(self.examples)]
            x = self.examples[: len(part)]
            np.subtract(part, 128, out=x[:, :d], dtype=x.dtype)
            x[:, d] = np.vecdot(x[:, :d], x[:, :d])
            for block in blocks:
                scores = np.matmul(x, block.products, out=self.scores[: len(part), : len(block.indices)])  # (c, b)
                least = scores.min(axis=0)
                nearer = np.flatnonzero(least < block.best)  # not <=: an equal one before has the lower index
                block.best[nearer] = least[nearer]
                block.indices[nearer] = scores[:, nearer].argmin(axis=0) + (start + first)  # the lowest of equal ones

    def result(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (n,) indices and (n,) squared distances."""
        if not self.blocks:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        distances = [block.best.astype(np.int64) + block.norms.astype(np.int64) for block in self.blocks]
        return np.concatenate([block.indices for block in self.blocks]), np.concatenate(distances)


class _Block:
    """Queries that are compared at a time, and what is nearest to them so far.

    Attributes:
        norms: (b,) |q|^2.
        doubled: (b, d) -2 q.
        products: (d + 1, b) [-2 q, 1]: one matrix product with [x, |x|^2] gives the whole score.
        best: (b,) the lowest score so far.
        indices: (b,) int64, the example with it.
        bound_side: (k + 3, b) float32, the queries' side of `_Bounds`, which sets it.
    """

    def __init__(self, queries: NDArray[np.uint8], exact: type[np.float32 | np.float64]) -> None:
        b, d = queries.shape
        centred = np.subtract(queries, 128, dtype=exact)
        self.norms = np.vecdot(centred, centred)
        self.doubled = -2 * centred
        self.products = np.ones((d + 1, b), exact)
        self.products[:d] = self.doubled.T
        self.best = np.full(b, np.inf, exact)
        self.indices = np.zeros(b, np.int64)
        self.bound_side = np.empty((0, b), np.float32)


class _Bounds:
    """Lower bounds of scores, and the scores of the pairs that they leave.

    Roundings, with u the unit roundoff of float32, k directions, d dimensions and R^2 = d 128^2 the largest |x|^2 and
    |q|^2: a computed projection is off by at most sqrt(k) (d + 1) u R, so 2 Px.Pq is off by 4 sqrt(k) (d + 1) u R^2 and
    a squared remainder by half as much and (d + k + 1) u R^2; |x|^2, inexact beyond 343 dimensions, adds d u R^2, and
    the product of k + 3 columns 6 (k + 3) u R^2 (Higham, "Accuracy and stability of numerical algorithms", 3.1).
    `slack`, 8 sqrt(k) (d + k) u R^2, is more than the sum; half of it is added to squared remainders, which then are
    never too short.

    Args:
        blocks: All queries.
        examples: (c, d) uint8, a chunk of the bank, as a sample of it.
    """

    def __init__(self, blocks: list[_Block], examples: NDArray[np.uint8]) -> None:
        c, d = examples.shape
        self.x = np.subtract(examples, 128, dtype=np.float32)
        sample = np.concatenate([blocks[0].doubled.astype(np.float32) / -2, self.x])
        self.directions = _directions(sample, count=min(DIRECTIONS, len(sample)))
        k = self.directions.shape[1]
        self.slack = 8 * np.sqrt(k) * (d + k) * (np.finfo(np.float32).eps / 2) * (d * 128.0**2)
        for block in blocks:
            block.bound_side = self._query_side(block)
        self.example_side = np.ones((c, k + 3), np.float32)
        widest = max(len(block.indices) for block in blocks)
        self.bounds = np.empty((c, widest), np.float32)
        self.is_likely = np.empty((c, widest), np.bool_)
        # In place, as all that is done for every chunk: new arrays of this size cost more time than their contents.
        self.pixels = np.empty((LIKELY_PAIRS, d), np.uint8)
        self.gathered, self.terms = np.empty((2, LIKELY_PAIRS, d), blocks[0].doubled.dtype)

    def _query_side(self, block: _Block) -> NDArray[np.float32]:
        """Return (k + 3, b) float32: -2 Pq, -2 r_q, 1, and the best score, which changes from chunk to chunk."""
        k = self.directions.shape[1]
        side = np.ones((k + 3, len(block.indices)), np.float32)
        np.matmul(self.directions.T, block.doubled.T.astype(np.float32), out=side[:k])
        side[k] = -2 * self._remainders(block.norms, side[:k].T / -2)
        return side

    def _remainders(self, norms: NDArray[np.floating], projected: NDArray[np.floating]) -> NDArray[np.floating]:
        squared = np.maximum(norms - np.vecdot(projected, projected), 0)
        remainders: NDArray[np.floating] = np.sqrt(squared + self.slack / 2)
        return remainders

    def compare(self, blocks: list[_Block], examples: NDArray[np.uint8], *, start: int) -> list[_Block]:
        """Compare queries with (c, d) uint8 examples; return those queries of which too many pairs were likely."""
        c, k = len(examples), self.directions.shape[1]
        x, side = self.x[:c], self.example_side[:c]  # side: [Px, r_x, |x|^2, 1]
        np.subtract(examples, 128, out=x, dtype=np.float32)
        np.matmul(x, self.directions, out=side[:, :k])
        side[:, k + 1] = np.vecdot(x, x)
        side[:, k] = self._remainders(side[:, k + 1], side[:, :k])
        return [block for block in blocks if not self._block_compare(block, examples, side, start=start)]

    def _block_compare(
        self, block: _Block, examples: NDArray[np.uint8], side: NDArray[np.float32], *, start: int
    ) -> bool:
        c, b = len(examples), len(block.indices)
        block.bound_side[-1] = -(block.best + self.slack)
        bounds = np.matmul(side, block.bound_side, out=self.bounds[:c, :b])  # less the best score so far
        likely = np.flatnonzero(np.less(bounds, 0, out=self.is_likely[:c, :b]))
        if len(likely) > LIKELY_SHARE_MOST * c * b:
            return False
        for first in range(0, len(likely), LIKELY_PAIRS):
            rows, queries = np.divmod(likely[first : first + LIKELY_PAIRS], b)  # rows ascend
            scores = self._scores(examples, rows, block.doubled, queries)
            nearer = np.flatnonzero(scores < block.best[queries])
            # Of several values for one place the last one stays: the lowest score, and of equal ones the lowest row.
            nearer = nearer[np.lexsort((-rows[nearer], -scores[nearer]))]
            block.best[queries[nearer]] = scores[nearer]
            block.indices[queries[nearer]] = rows[nearer] + start
        return True

    def _scores(
        self,
        examples: NDArray[np.uint8],
        rows: NDArray[np.int64],
        doubled: NDArray[np.floating],
        queries: NDArray[np.int64],
    ) -> NDArray[np.floating]:
        """Return the scores of single pairs, x.(x - 2 q)."""
        pixels, x, terms = (room[: len(rows)] for room in (self.pixels, self.gathered, self.terms))
        examples.take(rows, axis=0, out=pixels, mode="clip")  # none is out of bounds: "raise" would copy `out`
        np.subtract(pixels, 128, out=x, dtype=x.dtype)
        doubled.take(queries, axis=0, out=terms, mode="clip")
        terms += x
        scores: NDArray[np.floating] = np.vecdot(x, terms)
        return scores


def _directions(sample: NDArray[np.float32], *, count: int) -> NDArray[np.float32]:
    """Return (d, count) orthonormal directions in which (n, d) samples, n >= count, are longest, or nearly."""
    directions = sample[:count].T.astype(np.float64)
    for _ in range(3):  # of subspace iteration: any orthonormal directions are right, better ones are faster
        spread = sample.T @ (sample @ directions.astype(np.float32))
        directions = np.linalg.qr(spread.astype(np.float64)).Q
    return directions.astype(np.float32)


def _pages_release(bank: NDArray[np.uint8]) -> None:
    """Give back the pages of a bank that is a file mapped for reading; they are read again when they are needed."""
    if not isinstance(bank, np.memmap) or bank.mode != "r":
        return
    mapped: object = bank
    while isinstance(mapped, np.ndarray):
        mapped = mapped.base
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
