"""Bicubic interpolation: what a picture viewer makes of a small picture."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def bicubic(low_res: NDArray[np.uint8], *, factor: int) -> NDArray[np.uint8]:
    """Enlarge pictures with Pillow's bicubic filter, rounded and clipped to 8 bits.

    Args:
        low_res: (n, h, w, 3) uint8 sRGB.
        factor: How many high-resolution pixels are made of one low-resolution pixel along each axis, at least 1.

    Returns:
        (n, h * factor, w * factor, 3) uint8 sRGB.

    Raises:
        ValueError: If the pictures are not of that shape and type, or `factor` is less than 1.

    Example:
        >>> bicubic(np.full((1, 8, 8, 3), 200, np.uint8), factor=4).shape
        (1, 32, 32, 3)
    """
    if low_res.dtype != np.uint8 or low_res.ndim != 4 or low_res.shape[3] != 3 or 0 in low_res.shape[1:]:
        raise ValueError(f"low_res must be (n, h, w, 3) uint8, got {low_res.shape} {low_res.dtype}")
    if factor < 1:
        raise ValueError(f"factor must be at least 1, got {factor}")
    n, height, width, _ = low_res.shape
    high_res = np.empty((n, height * factor, width * factor, 3), np.uint8)
    for i, picture in enumerate(low_res):
        enlarged = Image.fromarray(picture).resize((width * factor, height * factor), Image.Resampling.BICUBIC)
        high_res[i] = np.asarray(enlarged)
    return high_res
