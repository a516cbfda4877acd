"""Pixels in and out of the networks: the only place that scales values and that reduces pictures.

This module does not import torch, so that the downsampling operator is cheap to reach.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    import torch

DOWNSAMPLING_OPERATOR = "pillow-bicubic-antialiased-uint8"
"""Name of the one operator that makes low-resolution inputs; recorded in every design and checkpoint."""

LEVELS = 256
"""Number of intensities of an 8-bit sub-pixel."""


def downsample(high_res: NDArray[np.uint8], *, factor: int) -> NDArray[np.uint8]:
    """Reduce pictures with Pillow's antialiased bicubic filter, rounded to 8 bits.

    Args:
        high_res: (n, H, W, 3) uint8 sRGB; H and W are multiples of `factor`.
        factor: How many high-resolution pixels make one low-resolution pixel along each axis.

    Returns:
        (n, H / factor, W / factor, 3) uint8 sRGB.

    Raises:
        ValueError: If the pictures are not of that shape and type, or `factor` does not divide their sides.
    """
    if high_res.dtype != np.uint8 or high_res.ndim != 4 or high_res.shape[3] != 3:
        raise ValueError(f"high_res must be (n, H, W, 3) uint8, got {high_res.shape} {high_res.dtype}")
    n, height, width, _ = high_res.shape
    if factor < 1 or height % factor or width % factor:
        raise ValueError(f"factor must divide the sides of the pictures, got factor {factor} for {height}x{width}")
    size = (width // factor, height // factor)
    low_res = np.empty((n, size[1], size[0], 3), np.uint8)
    for i, picture in enumerate(high_res):
        low_res[i] = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    return low_res


def square_reduce(picture: Image.Image, *, size: int, side: int) -> NDArray[np.uint8]:
    """Cut out the centred square of a picture and reduce it by the filter of `downsample`.

    Args:
        picture: A picture of mode RGB.
        size: Side of the result in pixels.
        side: Side of the square in pixels of the picture: from `size` to the picture's shorter side.

    Returns:
        (size, size, 3) uint8 sRGB.

    Raises:
        ValueError: If the square does not fit into the picture, or would have to be enlarged.
    """
    if not size <= side <= min(picture.size):
        raise ValueError(f"side must be from {size} to {min(picture.size)} pixels, got {side}")
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    # Cut first: `resize` with a box lets the filter reach beyond it.
    square = picture.crop((left, top, left + side, top + side))
    return np.array(square.resize((size, size), Image.Resampling.BICUBIC))


def model_range(pixels: "torch.Tensor") -> "torch.Tensor":
    """Map uint8 sRGB `(n, h, w, 3)` to float32 `(n, 3, h, w)` in [-0.5, 0.5]."""
    return pixels.permute(0, 3, 1, 2).float() / (LEVELS - 1) - 0.5


def pixel_range(values: "torch.Tensor") -> "torch.Tensor":
    """Map float `(n, 3, h, w)` in [-0.5, 0.5] to uint8 sRGB `(n, h, w, 3)`, clipped and rounded."""
    return ((values.float() + 0.5) * (LEVELS - 1)).round().clamp(0, LEVELS - 1).byte().permute(0, 2, 3, 1)
