"""Photos that are in two sets at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sr_models.data.arrays import pixel_numbers
from sr_models.data.photos import READ_AT_ONCE, ChosenPhotos, Photos

COMPARED_BYTES_MOST = 1_000_000_000
"""Most bytes of encoded pictures that are decoded to compare their pixels: one or two minutes of one core."""


def duplicates_find(
    first: Photos, second: Photos, *, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> NDArray[np.int64]:
    """Find the photos that occur in another set: those whose pixels, at the photos' size, are the same.

    All photos of both are decoded once for that, unless these are more than `COMPARED_BYTES_MOST` bytes to decode
    (`is_compared_by_pixels`). Then photos from files are compared by length and checksum first, and only those that
    agree in both are decoded: a copy of a file is found, the same picture saved anew is not. Of a folder or an LMDB
    only files are read of which the other set has the length; a zip lists its checksums. Photos of an `.npz` are
    compared by their pixels in any case, with each other.

    Args:
        first: The photos to look for.
        second: Those to look among; of the same size.
        progress: Called with the number of photos gone through, and of all that are to be gone through.

    Returns:
        (k,) numbers of photos of `first`, in ascending order.

    Raises:
        DataError: If a photo cannot be decoded.
    """
    return np.flatnonzero(copies_find(first, second, progress=progress) >= 0)


def is_compared_by_pixels(first: Photos, second: Photos) -> bool:
    """Tell whether there is so little to decode that all photos of both are compared by their pixels."""
    return _bytes_to_decode(first) + _bytes_to_decode(second) <= COMPARED_BYTES_MOST


def copies_find(
    first: Photos, second: Photos, *, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> NDArray[np.int64]:
    """Find for each photo of `first` one of `second` with the same pixels; see `duplicates_find`.

    Returns:
        (n,) numbers of photos of `second`, the first of several; -1 where there is none.
    """
    copies = np.full(len(first), -1, np.int64)
    if not len(first) or not len(second):
        return copies
    by_pixels = is_compared_by_pixels(first, second)
    total = len(first) + len(second)
    theirs = _content_numbers(second, other=None if by_pixels else first, progress=lambda done: progress(done, total))
    ours = _content_numbers(
        first, other=None if by_pixels else second, progress=lambda done: progress(len(second) + done, total)
    )
    order = np.argsort(theirs, kind="stable")
    place = np.searchsorted(theirs, ours, sorter=order).clip(max=len(theirs) - 1)
    alike = np.flatnonzero(theirs[order[place]] == ours)
    copies[alike] = order[place[alike]]
    for start in range(0, len(alike), READ_AT_ONCE):
        chunk = alike[start : start + READ_AT_ONCE]
        differ = (first.read(chunk) != second.read(copies[chunk])).any(axis=(1, 2, 3))
        copies[chunk[differ]] = -1
    return copies


def _bytes_to_decode(photos: Photos) -> int:
    return int(_lengths(photos).sum())


def _lengths(photos: Photos) -> NDArray[np.int64]:
    """Return the lengths (n,) of the files that photos are decoded from; 0 for pixels."""
    if not isinstance(photos, ChosenPhotos):
        return np.zeros(len(photos), np.int64)
    return np.concatenate([np.zeros(0, np.int64), *(part.source.lengths[part.numbers] for part in photos.parts)])


def _content_numbers(photos: Photos, *, other: Photos | None, progress: Callable[[int], None]) -> NDArray[np.uint64]:
    """Return a number (n,) for the contents of each photo: of its pixels or, to compare with `other`, of its file."""
    found = [np.zeros(0, np.uint64)]
    if other is None or not isinstance(photos, ChosenPhotos):
        for start in range(0, len(photos), READ_AT_ONCE):
            end = min(start + READ_AT_ONCE, len(photos))
            found.append(pixel_numbers(photos.read(np.arange(start, end, dtype=np.int64))))
            progress(end)
        return np.concatenate(found)
    lengths, done = np.unique(_lengths(other)), 0
    for source, numbers in photos.parts:
        for start in range(0, len(numbers), READ_AT_ONCE):
            chunk = numbers[start : start + READ_AT_ONCE]
            found.append(source.content_numbers(chunk, lengths=lengths))
            done += len(chunk)
            progress(done)
    return np.concatenate(found)
