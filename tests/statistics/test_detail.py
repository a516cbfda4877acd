from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from studies.statistics.detail import detail, mean_absolute_gradient
from tests.tiny_checkpoints import make_photos


def test_gradient_is_the_mean_over_all_pairs_of_neighbours() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (300, 5, 7, 3), np.uint8)  # more than are worked on at a time
    expected = []
    for picture in pictures.astype(int):
        pairs = [
            abs(picture[y, x, c] - picture[y + dy, x + dx, c])
            for y in range(5)
            for x in range(7)
            for c in range(3)
            for dy, dx in ((0, 1), (1, 0))
            if y + dy < 5 and x + dx < 7
        ]
        expected.append(np.mean(pairs))
    assert mean_absolute_gradient(pictures) == pytest.approx(expected)


def test_turning_and_mirroring_change_nothing() -> None:
    pictures = make_photos(3)
    for changed in (pictures[:, ::-1], pictures[:, :, ::-1], pictures.transpose(0, 2, 1, 3)):
        assert mean_absolute_gradient(np.ascontiguousarray(changed)) == pytest.approx(mean_absolute_gradient(pictures))


def test_blur_has_less_detail_than_photos_and_noise_has_more() -> None:
    photos = make_photos(8)
    blurred = np.stack([np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(1))) for p in photos])
    noise = np.random.default_rng(0).integers(-30, 31, photos.shape)
    noisy = np.clip(photos.astype(int) + noise, 0, 255).astype(np.uint8)
    of_photos = mean_absolute_gradient(photos)
    low, high = (detail(mean_absolute_gradient(changed), of_photos) for changed in (blurred, noisy))
    assert low is not None
    assert high is not None
    assert low < 0.7
    assert high > 1
    assert detail(of_photos, of_photos) == 1


def test_flat_photos_have_no_measure_and_single_pixels_are_refused() -> None:
    flat = mean_absolute_gradient(np.full((2, 4, 4, 3), 9, np.uint8))
    assert detail(flat, flat) is None
    wrong: Any
    for wrong in (np.zeros((1, 1, 1, 3), np.uint8), np.zeros((1, 4, 4, 3)), np.zeros((4, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="pictures must be"):
            mean_absolute_gradient(wrong)
