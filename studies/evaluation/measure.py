"""The pixel metrics of samples, all of those that their size allows."""

import contextlib
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from studies import methods
from studies.errors import PictureTooSmall
from studies.statistics import fidelity


def fidelity_figures(
    samples: NDArray[np.uint8], photos: NDArray[np.uint8], low_res: NDArray[np.uint8], *, factor: int
) -> Mapping[str, NDArray[np.float64]]:
    """Return the pixel metrics of samples (n, H, W, 3) against their photos; those too small for one lack it."""
    metrics: dict[str, Callable[[], NDArray[np.float64]]] = {
        "psnr": lambda: fidelity.psnr(samples, photos),
        "ssim": lambda: fidelity.ssim(samples, photos),
        "ms_ssim": lambda: fidelity.ms_ssim(samples, photos),
        "ms_ssim_3": lambda: fidelity.ms_ssim_3(samples, photos),
        "consistency": lambda: fidelity.consistency(low_res, methods.downsample(samples, factor=factor)),
    }
    figures = {}
    for name, metric in metrics.items():
        with contextlib.suppress(PictureTooSmall):
            figures[name] = metric()
    return figures
