"""Fidelity metrics of 10,000 pairs of 32 x 32 pictures, a batch at once, against scikit-image in a loop."""

import sys

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from studies.statistics import fidelity
from tests.benchmarks import harness

PAIRS = 10_000
LOOPED = 200
"""Pairs that the loop does in one run; its time is multiplied, since each pair costs the same."""

Pictures = NDArray[np.uint8]


def pictures(n: int) -> tuple[Pictures, Pictures]:
    """Return made-up photos (n, 32, 32, 3), and noisy copies of them."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(n, 32, 32, 3)), (0, 2, 2, 0))
    photos = np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    return np.clip(photos + rng.normal(0, 25, photos.shape), 0, 255).astype(np.uint8), photos


def ssim_loop(samples: Pictures, photos: Pictures) -> list[float]:
    return [
        structural_similarity(  # type: ignore[no-untyped-call]  # scikit-image has types in part
            sample,
            photo,
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for sample, photo in zip(samples, photos, strict=True)
    ]


def psnr_loop(samples: Pictures, photos: Pictures) -> list[float]:
    return [
        peak_signal_noise_ratio(photo, sample)  # type: ignore[no-untyped-call]  # scikit-image has types in part
        for sample, photo in zip(samples, photos, strict=True)
    ]


def main() -> int:
    """Compare and print; return 1 if a bar is not met."""
    options = harness.start(harness.arguments(__doc__), packages=["numpy", "scipy", "scikit-image"])
    samples, photos = pictures(PAIRS)
    few = slice(0, LOOPED)
    rows = []
    for name, ours, loop, bar in (
        ("SSIM (Gaussian window)", fidelity.ssim, ssim_loop, harness.Bar(least=15, aim=40)),
        ("pSNR", fidelity.psnr, psnr_loop, harness.Bar()),
    ):
        apart = np.abs(ours(samples[few], photos[few]) - loop(samples[few], photos[few])).max()
        print(f"{name}: {apart:.1e} apart at most, on {LOOPED} pairs", flush=True)
        compared = harness.compare(
            f"{name} of {PAIRS:,} pairs of 32x32, over scikit-image in a loop",
            lambda ours=ours: ours(samples, photos),  # type: ignore[misc] # a default of a lambda has no type
            lambda loop=loop: loop(samples[few], photos[few]),  # type: ignore[misc] # as above
            pairs=options.pairs,
            baseline_is_one_of=PAIRS / LOOPED,
        )
        rows.append((compared, bar))
    print()
    return harness.report(rows)


if __name__ == "__main__":
    sys.exit(main())
