"""The nearest training example: the high-resolution picture whose small version is most like the input.

The search is brute force and exact. With 128 subtracted, every sub-pixel is an integer in [-128, 127], so the score of
a bank picture x for a query q, |x - q|^2 - |q|^2 = |x|^2 - 2 q.x, and every partial sum of it, in whatever order a
matrix product adds, is an integer of at most 48,896 a dimension. While that stays within 2^24 (343 dimensions; an 8x8
picture has 192), float32 holds it exactly; beyond, float64 does. Equal distances are therefore equal numbers, and ties
go to the lowest index, whatever the library, the number of threads and the chunks.
"""

import numpy as np
from numpy.typing import NDArray

FLOAT32_DIMENSIONS_MOST = 2**24 // (128 * 128 + 2 * 128 * 127)
"""Most sub-pixels of a low-resolution picture for which scores in float32 are exact."""

BANK_CHUNK = 2_048
"""Bank pictures that are converted and compared at a time: 1.6 MB for 8x8 pictures, which stays in cache."""

QUERY_CHUNK = 1_024
"""Queries that are compared with a chunk of the bank at a time; their scores take 8 MB."""


class NearestExample:
    """An upscaler that returns the high-resolution picture of the nearest training example.

    The bank stays as it is given, in uint8: a memory-mapped file is read in chunks and never loaded whole.

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

    def __call__(self, low_res: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the high-resolution picture of the bank picture nearest to each input.

        Args:
            low_res: (n, h, w, 3) uint8 sRGB, of the bank's size.

        Returns:
            (n, H, W, 3) uint8 sRGB, a copy.

        Raises:
            ValueError: If the pictures are not of the bank's size, or not uint8.
        """
        indices, _ = self.nearest_indices(low_res)
        return self.bank_high[indices]

    def nearest_indices(self, low_res: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find the bank picture nearest to each input by Euclidean distance; ties go to the lowest index.

        Args:
            low_res: (n, h, w, 3) uint8 sRGB, of the bank's size.

        Returns:
            (n,) int64 indices into the bank and (n,) int64 squared distances in squared 8-bit steps, both exact.

        Raises:
            ValueError: If the pictures are not of the bank's size, or not uint8.
        """
        if low_res.dtype != np.uint8 or low_res.ndim != 4 or low_res.shape[1:] != self.bank_low.shape[1:]:
            _, height, width, _ = self.bank_low.shape
            raise ValueError(f"low_res must be (n, {height}, {width}, 3) uint8, got {low_res.shape} {low_res.dtype}")
        n, m = len(low_res), len(self.bank_low)
        d = int(np.prod(self.bank_low.shape[1:]))
        exact = np.float32 if d <= FLOAT32_DIMENSIONS_MOST else np.float64

        # One matrix product gives the whole score: [-2 q, 1] . [x, |x|^2].
        queries = np.ones((n, d + 1), exact)
        np.subtract(low_res.reshape(n, d), 128, out=queries[:, :d], dtype=exact)
        query_norms = np.einsum("ij,ij->i", queries[:, :d], queries[:, :d]).astype(np.int64)  # (n,)
        queries[:, :d] *= -2
        examples = np.empty((min(BANK_CHUNK, m), d + 1), exact)

        best = np.full(n, np.inf, exact)
        indices = np.zeros(n, np.int64)
        for start in range(0, m, BANK_CHUNK):
            chunk = self.bank_low[start : start + BANK_CHUNK]
            x = examples[: len(chunk)]  # (c, d + 1)
            np.subtract(chunk.reshape(len(chunk), d), 128, out=x[:, :d], dtype=exact)
            np.einsum("ij,ij->i", x[:, :d], x[:, :d], out=x[:, d])
            for first in range(0, n, QUERY_CHUNK):
                rows = slice(first, first + QUERY_CHUNK)
                scores = queries[rows] @ x.T  # (q, c)
                nearest = scores.argmin(axis=1)  # (q,), the lowest of equal ones
                score = np.take_along_axis(scores, nearest[:, None], axis=1)[:, 0]
                is_nearer = score < best[rows]  # not <=: an equal one in an earlier chunk has the lower index
                best[rows][is_nearer] = score[is_nearer]
                indices[rows][is_nearer] = nearest[is_nearer] + start
        return indices, best.astype(np.int64) + query_norms
