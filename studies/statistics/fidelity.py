"""How close a sample is to its photo, pixel by pixel: pSNR, SSIM, MS-SSIM and Consistency.

All functions take batches of 8-bit pictures at the resolution of the study (never of the enlarged display copy) and
return one figure for each picture, in float64 with a data range of 255. The figure of a condition is the mean over its
samples; for pSNR that is the mean of decibels, which is at least the decibels of the mean error.

References:
    Wang, Bovik, Sheikh and Simoncelli (2004), "Image quality assessment: from error visibility to structural
    similarity".
    Wang, Simoncelli and Bovik (2003), "Multi-scale structural similarity for image quality assessment".
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from studies.errors import PictureTooSmall

Pictures = NDArray[np.uint8]
Figures = NDArray[np.float64]

DATA_RANGE = 255
C1 = (0.01 * DATA_RANGE) ** 2
C2 = (0.03 * DATA_RANGE) ** 2
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_3_WINDOW = 7

_CHUNK_VALUES = 3 * 2**14
"""Sub-pixels worked on at a time: the working set fits the cache, and memory does not grow with the batch."""

_BLOCK_WINDOWS = 8
"""Rows of windows summed by one matrix product: more of them waste products with zeros, fewer are more calls."""


def psnr(samples: Pictures, photos: Pictures) -> Figures:
    """Return the peak signal-to-noise ratio of each sample, in dB: 10 log10(255^2 / MSE), MSE over all sub-pixels.

    Args:
        samples: (n, height, width, 3) uint8 sRGB.
        photos: (n, height, width, 3) uint8 sRGB, aligned with `samples`.

    Returns:
        (n,) float64 dB; infinity where a sample equals its photo.

    Raises:
        ValueError: If the arrays are not two aligned batches of 8-bit RGB pictures.

    Example:
        >>> photos = np.zeros((1, 32, 32, 3), dtype=np.uint8)
        >>> psnr(photos + np.uint8(10), photos).round(3)
        array([28.131])
    """
    _check(samples=samples, photos=photos)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(DATA_RANGE**2 / _mean_squared_error(samples, photos))


def consistency(low_res: Pictures, downsampled: Pictures) -> Figures:
    """Return how far each sample strays from its input: the mean squared error on [0, 1] after downsampling.

    The caller downsamples the samples, by the same operator that made the inputs; a photo itself then gives 0.

    Args:
        low_res: (n, height, width, 3) uint8 sRGB: the inputs that were enlarged.
        downsampled: (n, height, width, 3) uint8 sRGB: the samples, made small again.

    Returns:
        (n,) float64 in [0, 1]; 0 is best.

    Raises:
        ValueError: If the arrays are not two aligned batches of 8-bit RGB pictures.

    Example:
        >>> low_res = np.full((1, 8, 8, 3), 100, dtype=np.uint8)
        >>> consistency(low_res, low_res + np.uint8(51))
        array([0.04])
    """
    _check(low_res=low_res, downsampled=downsampled)
    return _mean_squared_error(low_res, downsampled) / DATA_RANGE**2


def ssim(samples: Pictures, photos: Pictures) -> Figures:
    """Return the structural similarity of each sample to its photo.

    Gaussian window of 11 x 11, sigma 1.5, K1 = 0.01, K2 = 0.03, only windows that lie wholly inside the picture; per
    channel, then the mean over channels. Smaller pictures are refused, for a smaller window is another metric.

    Args:
        samples: (n, height, width, 3) uint8 sRGB, at least 11 pixels a side.
        photos: (n, height, width, 3) uint8 sRGB, aligned with `samples`.

    Returns:
        (n,) float64 in [-1, 1]; 1 is best.

    Raises:
        PictureTooSmall: If a side has fewer than 11 pixels.
        ValueError: If the arrays are not two aligned batches of 8-bit RGB pictures.

    Example:
        >>> photos = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
        >>> ssim(photos, photos)
        array([1., 1.])
    """
    _check(samples=samples, photos=photos)
    _check_side(photos, least=SSIM_WINDOW, metric="SSIM with its 11 x 11 window")
    figures = np.empty(len(photos))
    windows = _Windows(*photos.shape[1:3], window=SSIM_WINDOW, sigma=SSIM_SIGMA)
    for part in _chunks(photos):
        terms = windows.terms(_planes(samples[part]), _planes(photos[part]))
        figures[part] = _mean_of_channels(terms.full)
    return figures


def ms_ssim(samples: Pictures, photos: Pictures) -> Figures:
    """Return the 5-scale structural similarity with shrinking window ("TF-models 2016").

    The window is min(11, side) and its sigma 1.5 window / 11, so that 32 x 32 pictures need no enlargement: scales of
    32, 16, 8, 4, 2 pixels. Contrast and structure at scales 1 to 4, full SSIM at scale 5; 2 x 2 means between scales.
    For each picture and channel the terms are clamped at 0 and multiplied, then the mean is taken over channels.

    Scales 4 and 5 of a 32 x 32 picture hold a single window, so coarse brightness weighs heavily: see `ms_ssim_3`.

    Args:
        samples: (n, height, width, 3) uint8 sRGB, at least 16 pixels a side.
        photos: (n, height, width, 3) uint8 sRGB, aligned with `samples`.

    Returns:
        (n,) float64 in [0, 1]; 1 is best.

    Raises:
        PictureTooSmall: If a side has fewer than 16 pixels, one for the fifth scale.
        ValueError: If the arrays are not two aligned batches of 8-bit RGB pictures.

    Example:
        >>> photos = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
        >>> ms_ssim(photos, photos).round(12)
        array([1., 1.])
    """
    _check(samples=samples, photos=photos)
    _check_side(photos, least=2 ** (len(MS_SSIM_WEIGHTS) - 1), metric="MS-SSIM with 5 scales")
    return _multi_scale(samples, photos, weights=MS_SSIM_WEIGHTS, largest_window=SSIM_WINDOW)


def ms_ssim_3(samples: Pictures, photos: Pictures) -> Figures:
    """Return the 3-scale structural similarity, to be reported beside `ms_ssim` for small pictures.

    Window of 7 x 7, sigma 1.5 * 7 / 11, at every scale; weights (0.0448, 0.2856, 0.3001) / 0.6305; else as `ms_ssim`.

    Args:
        samples: (n, height, width, 3) uint8 sRGB, at least 25 pixels a side.
        photos: (n, height, width, 3) uint8 sRGB, aligned with `samples`.

    Returns:
        (n,) float64 in [0, 1]; 1 is best.

    Raises:
        PictureTooSmall: If a side has fewer than 25 pixels, so that the third scale is smaller than the window.
        ValueError: If the arrays are not two aligned batches of 8-bit RGB pictures.

    Example:
        >>> photos = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
        >>> ms_ssim_3(photos, photos).round(12)
        array([1., 1.])
    """
    _check(samples=samples, photos=photos)
    _check_side(photos, least=4 * (MS_SSIM_3_WINDOW - 1) + 1, metric="MS-SSIM with 3 scales")
    weights = np.array(MS_SSIM_WEIGHTS[:3])
    return _multi_scale(samples, photos, weights=tuple(weights / weights.sum()), largest_window=MS_SSIM_3_WINDOW)


class _Terms(NamedTuple):
    """Means over all windows of one scale, each (planes,)."""

    full: Figures
    contrast: Figures


def _multi_scale(samples: Pictures, photos: Pictures, *, weights: tuple[float, ...], largest_window: int) -> Figures:
    figures = np.empty(len(photos))
    scales = []
    height, width = photos.shape[1:3]
    for _ in weights:
        window = min(largest_window, height, width)
        scales.append(_Windows(height, width, window=window, sigma=SSIM_SIGMA * window / SSIM_WINDOW))
        height, width = (height + 1) // 2, (width + 1) // 2
    for part in _chunks(photos, times=2):  # the small scales are many calls for little work
        sample_planes, photo_planes = _planes(samples[part]), _planes(photos[part])
        product = np.ones(photo_planes.shape[1])
        for windows, weight in zip(scales, weights, strict=True):
            is_last = windows is scales[-1]
            terms = windows.terms(sample_planes, photo_planes)
            product *= np.maximum(terms.full if is_last else terms.contrast, 0) ** weight
            if not is_last:
                sample_planes, photo_planes = _halve(sample_planes), _halve(photo_planes)
        figures[part] = _mean_of_channels(product)
    return figures


class _Windows:
    """Gaussian windows over planes of one size, and room for what is computed on the way, kept from chunk to chunk.

    In float64: a variance is the small difference of two large squares where a picture is flat, and in float32 its
    error alone can be 1e-5 of the similarity.

    Args:
        height, width: Of the planes, in pixels.
        window: Side of the window in pixels.
        sigma: Of the Gaussian, in pixels.
    """

    def __init__(self, height: int, width: int, *, window: int, sigma: float) -> None:
        bands = _gaussian_bands(height, window, sigma)  # (height - window + 1, height)
        self.rows = [
            (slice(first, first + _BLOCK_WINDOWS), slice(first, first + _BLOCK_WINDOWS + window - 1))
            for first in range(0, len(bands), _BLOCK_WINDOWS)
        ]
        self.row_bands = [np.ascontiguousarray(bands[block, reach]) for block, reach in self.rows]
        self.columns = np.ascontiguousarray(_gaussian_bands(width, window, sigma).T)  # (width, width - window + 1)
        self.room: dict[str, Figures] = {}

    def terms(self, first: Figures, second: Figures) -> _Terms:
        """Compare (height, planes, width) planes."""
        # All in place: new arrays of this size cost more time than what is computed in them.
        product = np.multiply(first, second, out=self._empty("product", first.shape))
        squares = np.multiply(first, first, out=self._empty("squares", first.shape))
        squares += np.multiply(second, second, out=self._empty("square", first.shape))
        first_mean, second_mean = self._blur("first", first), self._blur("second", second)
        covariance, variances = self._blur("covariance", product), self._blur("variances", squares)

        means_product = np.multiply(first_mean, second_mean, out=self._empty("means", first_mean.shape))
        first_mean *= first_mean
        second_mean *= second_mean
        means_squared = np.add(first_mean, second_mean, out=first_mean)
        covariance -= means_product
        variances -= means_squared

        contrast = _ratio(covariance, variances, C2)
        full = _ratio(means_product, means_squared, C1)
        full *= contrast
        return _Terms(full=_mean_of_windows(full), contrast=_mean_of_windows(contrast))

    def _blur(self, name: str, planes: Figures) -> Figures:
        """Return the weighted mean of each window: matrix products for the whole chunk, down the rows, then across."""
        height, n_planes, width = planes.shape
        windows_down, windows_across = self.rows[-1][0].start + len(self.row_bands[-1]), self.columns.shape[1]
        down = self._empty("down", (windows_down, n_planes, width))
        rows, sums = planes.reshape(height, -1), down.reshape(windows_down, -1)
        for bands, (block, reach) in zip(self.row_bands, self.rows, strict=True):
            np.matmul(bands, rows[reach], out=sums[block])
        means = self._empty(name, (windows_down, n_planes, windows_across))
        np.matmul(down.reshape(-1, width), self.columns, out=means.reshape(-1, windows_across))
        return means

    def _empty(self, name: str, shape: tuple[int, ...]) -> Figures:
        """Return an array that is used again under the same name; a smaller last chunk takes a part of it."""
        size = math.prod(shape)
        if name not in self.room or self.room[name].size < size:
            self.room[name] = np.empty(size)
        return self.room[name][:size].reshape(shape)


def _ratio(numerator: Figures, denominator: Figures, constant: float) -> Figures:
    """Return (2 a + c) / (b + c) in the place of a; b is spoilt."""
    numerator *= 2
    numerator += constant
    denominator += constant
    numerator /= denominator
    return numerator


def _mean_of_windows(figures: Figures) -> Figures:
    """Return (planes,) means of (rows, planes, columns) figures of windows."""
    means: Figures = figures.mean(axis=0).mean(axis=1)
    return means


def _gaussian_bands(side: int, window: int, sigma: float) -> Figures:
    """Return the matrix that slides a normalised Gaussian over a row of `side` pixels, wholly inside it."""
    offsets = np.arange(window) - (window - 1) / 2
    taps = np.exp(-(offsets**2) / (2 * sigma**2))
    taps /= taps.sum()
    bands = np.zeros((side - window + 1, side))
    for start, row in enumerate(bands):
        row[start : start + window] = taps
    return bands


def _halve(planes: Figures) -> Figures:
    """Return the means of 2 x 2 blocks of (height, planes, width); an odd last row or column is met by its own copy."""
    height, _, width = planes.shape
    even = np.pad(planes, ((0, height % 2), (0, 0), (0, width % 2)), mode="edge")
    return (even[::2, :, ::2] + even[1::2, :, ::2] + even[::2, :, 1::2] + even[1::2, :, 1::2]) / 4


def _mean_squared_error(first: Pictures, second: Pictures) -> Figures:
    figures = np.empty(len(first))
    for part in _chunks(first):
        difference = np.subtract(first[part], second[part], dtype=np.float64).reshape(len(first[part]), -1)
        figures[part] = np.vecdot(difference, difference) / difference.shape[1]
    return figures


def _planes(pictures: Pictures) -> Figures:
    """Return (n, height, width, 3) pictures as (height, n * 3, width) float64, a row of all planes after the other."""
    n, height, width, channels = pictures.shape
    planes: Figures = pictures.transpose(1, 0, 3, 2).reshape(height, n * channels, width).astype(np.float64)
    return planes


def _mean_of_channels(figures: Figures) -> Figures:
    """Return (n,) means of the (n * 3,) figures of the planes."""
    means: Figures = figures.reshape(-1, 3).mean(axis=1)
    return means


def _chunks(pictures: Pictures, *, times: int = 1) -> list[slice]:
    size = max(1, times * _CHUNK_VALUES // max(1, pictures[:1].size))
    return [slice(start, start + size) for start in range(0, len(pictures), size)]


def _check(**batches: Pictures) -> None:
    for name, pictures in batches.items():
        if pictures.dtype != np.uint8:
            raise ValueError(f"{name} must be uint8, got {pictures.dtype}")
        if pictures.ndim != 4 or pictures.shape[3] != 3:
            raise ValueError(f"{name} must have the shape (n, height, width, 3), got {pictures.shape}")
    (first, first_pictures), (second, second_pictures) = batches.items()
    if first_pictures.shape != second_pictures.shape:
        raise ValueError(
            f"{first} and {second} must have the same shape, got {first_pictures.shape} and {second_pictures.shape}"
        )


def _check_side(pictures: Pictures, *, least: int, metric: str) -> None:
    height, width = pictures.shape[1:3]
    if min(height, width) < least:
        raise PictureTooSmall(
            f"{metric} needs pictures of at least {least} x {least} pixels, got {width} x {height}; "
            "leave this metric out for them."
        )
