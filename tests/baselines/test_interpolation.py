import numpy as np
import pytest
from numpy.typing import NDArray

from baselines.interpolation import bicubic


def keys_matrix(length: int, factor: int) -> NDArray[np.float64]:
    """Weights (length * factor, length) of cubic convolution with a = -1/2, cut and rescaled at the borders."""
    centres = (np.arange(length * factor) + 0.5) / factor - 0.5
    x = np.abs(centres[:, None] - np.arange(length))
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x < 1, near, np.where(x < 2, far, 0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_equals_cubic_convolution_within_the_rounding(factor: int) -> None:
    low_res = np.random.default_rng(1).integers(60, 190, (3, 8, 6, 3), np.uint8)
    rows, columns = keys_matrix(8, factor), keys_matrix(6, factor)
    expected = np.einsum("yi,nijc,xj->nyxc", rows, low_res, columns)
    # Rounded after each axis: half a step, carried by weights of at most 1.25 together, and another half.
    assert np.abs(bicubic(low_res, factor=factor) - expected).max() <= 1.13


def test_overshoot_is_clipped_and_does_not_wrap_around() -> None:
    low_res = np.zeros((1, 8, 8, 3), np.uint8)
    low_res[:, :, 4:] = 255
    row = bicubic(low_res, factor=4)[0, 16, :, 0].astype(int)
    assert (row[:12] == 0).all()
    assert (row[20:] == 255).all()
    assert (np.diff(row) >= 0).all()


def test_a_picture_does_not_depend_on_its_neighbours() -> None:
    low_res = np.random.default_rng(2).integers(0, 256, (5, 8, 8, 3), np.uint8)
    together = bicubic(low_res, factor=4)
    assert together.shape == (5, 32, 32, 3)
    for i in range(5):
        np.testing.assert_array_equal(bicubic(low_res[i : i + 1], factor=4)[0], together[i])


def test_no_pictures_give_no_pictures() -> None:
    assert bicubic(np.empty((0, 8, 8, 3), np.uint8), factor=4).shape == (0, 32, 32, 3)


@pytest.mark.parametrize(
    ("low_res", "factor", "message"),
    [
        (np.zeros((1, 8, 8, 3), np.float32), 4, r"low_res must be .* got \(1, 8, 8, 3\) float32"),
        (np.zeros((8, 8, 3), np.uint8), 4, r"low_res must be .* got \(8, 8, 3\) uint8"),
        (np.zeros((1, 8, 8, 1), np.uint8), 4, r"low_res must be .* got \(1, 8, 8, 1\) uint8"),
        (np.zeros((1, 8, 8, 3), np.uint8), 0, "factor must be at least 1, got 0"),
    ],
)
def test_wrong_input_is_named(low_res: NDArray[np.uint8], factor: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bicubic(low_res, factor=factor)
