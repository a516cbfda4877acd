from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage, signal
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from studies.errors import PictureTooSmall
from studies.statistics import fidelity
from studies.statistics.fidelity import consistency, ms_ssim, ms_ssim_3, psnr, ssim

Pictures = NDArray[np.uint8]
Metric = Callable[[Pictures, Pictures], NDArray[np.float64]]
SIMILARITIES: list[Metric] = [ssim, ms_ssim, ms_ssim_3]


def pictures(
    n: int = 6, height: int = 32, width: int = 32, *, noise: float = 25, seed: int = 0
) -> tuple[Pictures, Pictures]:
    """Return smooth made-up photos, and noisy copies of them."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(n, height, width, 3)), (0, 2, 2, 0))
    photos = np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    samples = np.clip(photos + rng.normal(0, noise, photos.shape), 0, 255).astype(np.uint8)
    return samples, photos


def ssim_of_scikit_image(samples: Pictures, photos: Pictures) -> list[float]:
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


@pytest.mark.parametrize(("height", "width"), [(32, 32), (11, 11), (17, 40), (64, 48)])
def test_ssim_is_that_of_scikit_image(height: int, width: int) -> None:
    samples, photos = pictures(height=height, width=width)
    assert ssim(samples, photos) == pytest.approx(ssim_of_scikit_image(samples, photos), abs=1e-10)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 4),
    height=st.integers(11, 40),
    width=st.integers(11, 40),
    levels=st.sampled_from([2, 7, 256]),
    at_once=st.integers(1, 3),
)
def test_ssim_is_that_of_scikit_image_for_any_pictures_and_chunks(
    seed: int, n: int, height: int, width: int, levels: int, at_once: int
) -> None:
    rng = np.random.default_rng(seed)
    values = np.linspace(0, 255, levels).astype(np.uint8)
    samples, photos = rng.choice(values, (2, n, height, width, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "_CHUNK_VALUES", at_once * photos[0].size)
        figures = ssim(samples, photos)
    assert figures == pytest.approx(ssim_of_scikit_image(samples, photos), abs=1e-10)
    assert ssim(photos, samples) == pytest.approx(figures, abs=1e-12)


def test_flat_white_and_black_beside_noise_are_measured_exactly() -> None:
    # Where a picture is flat, its variance is the difference of two large squares: float32 would err by 1e-5 here.
    rng = np.random.default_rng(5)
    photos = np.full((4, 32, 32, 3), 255, dtype=np.uint8)
    photos[1:3, :16] = 0
    samples = np.clip(photos.astype(int) - rng.integers(-9, 10, photos.shape), 0, 255).astype(np.uint8)
    samples[3] = 155
    assert ssim(samples, photos) == pytest.approx(ssim_of_scikit_image(samples, photos), abs=1e-10)


def test_psnr_is_that_of_scikit_image() -> None:
    samples, photos = pictures()
    expected = [
        peak_signal_noise_ratio(photo, sample)  # type: ignore[no-untyped-call]  # scikit-image has types in part
        for sample, photo in zip(samples, photos, strict=True)
    ]
    assert psnr(samples, photos) == pytest.approx(expected, abs=1e-10)


def test_psnr_does_not_wrap_around() -> None:
    black = np.zeros((1, 4, 4, 3), dtype=np.uint8)
    assert psnr(black, black + np.uint8(255)) == pytest.approx([0])


def multi_scale_by_definition(
    sample: Pictures, photo: Pictures, *, weights: NDArray[np.float64], largest_window: int
) -> float:
    """One picture at a time with scipy's own filters, as an independent reading of the definition."""
    per_channel = []
    for channel in range(3):
        x, y = sample[..., channel].astype(float), photo[..., channel].astype(float)
        product = 1.0
        for scale, weight in enumerate(weights):
            window = min(largest_window, *x.shape)
            taps = signal.windows.gaussian(window, 1.5 * window / 11)
            kernel = np.outer(taps, taps) / taps.sum() ** 2

            def blur(plane: NDArray[np.float64], kernel: NDArray[np.float64] = kernel) -> NDArray[np.float64]:
                return np.asarray(signal.convolve2d(plane, kernel, mode="valid"))

            mean_x, mean_y = blur(x), blur(y)
            variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
            covariance = blur(x * y) - mean_x * mean_y
            c1, c2 = 2.55**2, 7.65**2
            term = (2 * covariance + c2) / (variance_x + variance_y + c2)
            if scale == len(weights) - 1:
                term *= (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
            product *= max(0.0, float(term.mean())) ** weight
            x, y = (ndimage.convolve(plane, np.full((2, 2), 0.25), mode="reflect")[::2, ::2] for plane in (x, y))
        per_channel.append(product)
    return float(np.mean(per_channel))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (16, 20), (100, 100)])
def test_ms_ssim_follows_its_definition(height: int, width: int) -> None:
    samples, photos = pictures(height=height, width=width)
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    expected = [
        multi_scale_by_definition(sample, photo, weights=weights, largest_window=11)
        for sample, photo in zip(samples, photos, strict=True)
    ]
    assert ms_ssim(samples, photos) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (25, 30)])
def test_ms_ssim_3_follows_its_definition(height: int, width: int) -> None:
    samples, photos = pictures(height=height, width=width)
    weights = np.array([0.0448, 0.2856, 0.3001]) / 0.6305
    expected = [
        multi_scale_by_definition(sample, photo, weights=weights, largest_window=7)
        for sample, photo in zip(samples, photos, strict=True)
    ]
    assert ms_ssim_3(samples, photos) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", SIMILARITIES)
def test_similarity_falls_with_noise_and_is_one_without(metric: Metric) -> None:
    figures = [float(metric(*pictures(noise=noise)).mean()) for noise in (0, 5, 20, 80)]
    assert figures[0] == pytest.approx(1)
    assert figures == sorted(figures, reverse=True)


def test_negative_contrast_is_clamped_instead_of_not_a_number() -> None:
    _, photos = pictures(noise=0)
    assert ms_ssim(255 - photos, photos) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("metric", [*SIMILARITIES, psnr])
def test_figure_of_a_picture_does_not_depend_on_its_batch(metric: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, photos = pictures(n=7)
    together = metric(samples, photos)
    monkeypatch.setattr(fidelity, "_CHUNK_VALUES", 2 * photos[:1].size)
    assert metric(samples, photos) == pytest.approx(together, rel=1e-12)
    assert metric(samples[3:4], photos[3:4]) == pytest.approx(together[3:4], rel=1e-12)


@pytest.mark.parametrize("metric", [*SIMILARITIES, psnr])
def test_no_pictures_give_no_figures(metric: Metric) -> None:
    empty = np.empty((0, 32, 32, 3), dtype=np.uint8)
    assert metric(empty, empty).shape == (0,)


def test_consistency_is_the_error_on_the_unit_scale() -> None:
    rng = np.random.default_rng(1)
    low_res, downsampled = rng.integers(0, 256, (2, 5, 8, 8, 3), dtype=np.uint8)
    expected = ((low_res / 255 - downsampled / 255) ** 2).mean(axis=(1, 2, 3))
    assert consistency(low_res, downsampled) == pytest.approx(expected, rel=1e-12)
    assert (consistency(low_res, low_res) == 0).all()


@pytest.mark.parametrize(
    ("metric", "least"), list(zip(SIMILARITIES, (11, 16, 25), strict=True)), ids=["ssim", "ms_ssim", "ms_ssim_3"]
)
def test_pictures_smaller_than_the_window_are_refused(metric: Metric, least: int) -> None:
    small = np.zeros((1, 40, least - 1, 3), dtype=np.uint8)
    with pytest.raises(PictureTooSmall, match=f"at least {least} x {least} pixels, got {least - 1} x 40"):
        metric(small, small)
    enough = np.zeros((1, 40, least, 3), dtype=np.uint8)
    assert metric(enough, enough) == pytest.approx([1])


@pytest.mark.parametrize("metric", [*SIMILARITIES, psnr, consistency])
def test_pictures_of_another_form_are_refused(metric: Metric) -> None:
    good = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="must be uint8, got float64"):
        metric(good.astype(np.float64), good)
    with pytest.raises(ValueError, match=r"shape \(n, height, width, 3\), got \(32, 32, 3\)"):
        metric(good, good[0])
    with pytest.raises(ValueError, match="must have the same shape"):
        metric(good, good[:1])
