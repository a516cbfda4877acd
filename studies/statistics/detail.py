"""How much detail pictures have: the mean absolute gradient, and that of samples as a share of their photos'.

pSNR and SSIM reward a method that blurs what it does not know. Detail says how much a picture varies from pixel to
pixel, whether or not at the right places: a mean of many possible pictures has little of it, one possible picture has
about as much as a photo. Noise counts as detail, so a share above 1 is no praise.
"""

import numpy as np
from numpy.typing import NDArray

_CHUNK = 256
"""Pictures worked on at a time."""


def mean_absolute_gradient(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean absolute difference of neighbouring sub-pixels of each picture.

    The mean is over all pairs of neighbours, horizontal and vertical ones alike, within each of the three channels.

    Args:
        pictures: (n, height, width, 3) uint8 sRGB, at least 1 x 2 or 2 x 1 pixels.

    Returns:
        (n,) float64 in 8-bit steps, in [0, 255].

    Raises:
        ValueError: If the pictures are not of that shape and type.

    Example:
        >>> stripes = np.zeros((1, 4, 4, 3), np.uint8)
        >>> stripes[:, :, ::2] = 100
        >>> mean_absolute_gradient(stripes)
        array([50.])
    """
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3 or max(pictures.shape[1:3]) < 2:
        raise ValueError(
            f"pictures must be (n, height, width, 3) uint8 of two pixels or more, got {pictures.shape} {pictures.dtype}"
        )
    _, height, width, channels = pictures.shape
    n_pairs = channels * (height * (width - 1) + (height - 1) * width)
    gradients = np.empty(len(pictures))
    for start in range(0, len(pictures), _CHUNK):
        part = pictures[start : start + _CHUNK].astype(np.int16)
        across = np.abs(np.diff(part, axis=2)).sum(axis=(1, 2, 3), dtype=np.int64)
        down = np.abs(np.diff(part, axis=1)).sum(axis=(1, 2, 3), dtype=np.int64)
        gradients[start : start + _CHUNK] = (across + down) / n_pairs
    return gradients


def detail(samples: NDArray[np.float64], photos: NDArray[np.float64]) -> float | None:
    """Return the detail of a condition: the mean gradient of its samples over the mean gradient of their photos.

    The share of the means, not the mean of the shares, so that nearly flat photos do not decide.

    Args:
        samples: (n,) gradients of the samples, from `mean_absolute_gradient`.
        photos: (n,) gradients of their photos.

    Returns:
        0 for flat samples, 1 for as much detail as the photos have; None if all photos are flat.

    Example:
        >>> detail(np.array([4.0, 8.0]), np.array([10.0, 20.0]))
        0.4
    """
    reference = float(photos.sum())
    return float(samples.sum()) / reference if reference else None
