import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.errors import PhotoRejected
from studies.images import Cropping, crops


def noise(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(height * 1_000 + width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "top", "left"),
    [(32, 32, 0, 0), (32, 64, 0, 16), (64, 32, 16, 0), (32, 47, 0, 7), (47, 32, 7, 0)],
)
def test_the_centre_of_a_photo_of_the_right_size_is_cut_out_unchanged(
    height: int, width: int, top: int, left: int
) -> None:
    image = noise(height, width)
    ((label, pixels),) = crops(image, high_res_size=32, cropping="centre")
    assert label == "centre"
    np.testing.assert_array_equal(pixels, image[top : top + 32, left : left + 32])


def test_nothing_outside_the_centred_square_shows() -> None:
    image = np.full((256, 1_000, 3), 200, np.uint8)
    image[:, :372] = image[:, 628:] = 0
    ((_, pixels),) = crops(image, high_res_size=32, cropping="centre")
    assert (pixels == 200).all()


@pytest.mark.parametrize("cropping", ["centre", "tiles"])
def test_reduction_is_antialiased(cropping: Cropping) -> None:
    side = 512 if cropping == "centre" else 1_024
    image = np.zeros((side, side, 3), np.uint8)
    image[::2, ::2] = image[1::2, 1::2] = 255  # reduced without a filter: all black, all white or a coarse pattern
    image[:256] //= 3  # the upper half of the first crop
    pixels = crops(image, high_res_size=32, cropping=cropping)[0].pixels.astype(int)
    assert np.abs(pixels[:14] - 42).max() <= 2
    assert np.abs(pixels[18:] - 128).max() <= 2


def test_a_photo_without_a_tile_that_shows_anything_is_refused() -> None:
    flat = np.full((640, 480, 3), (250, 130, 10), np.uint8)
    with pytest.raises(PhotoRejected) as caught:
        crops(flat, high_res_size=32, cropping="tiles", name="wall.png")
    assert str(caught.value).startswith('"wall.png" is flat all over')
    assert len(crops(flat, high_res_size=32, cropping="centre")) == 1


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns", "top", "left"),
    [(64, 96, 2, 3, 0, 0), (96, 64, 3, 2, 0, 0), (64, 80, 2, 2, 0, 8), (95, 64, 2, 2, 15, 0)],
)
def test_tiles_lie_side_by_side_in_a_centred_grid(
    height: int, width: int, rows: int, columns: int, top: int, left: int
) -> None:
    image = noise(height, width)
    tiles = crops(image, high_res_size=32, cropping="tiles")
    assert [label for label, _ in tiles] == [
        f"row {row} column {column}" for row in range(1, rows + 1) for column in range(1, columns + 1)
    ]
    grid = np.stack([pixels for _, pixels in tiles]).reshape(rows, columns, 32, 32, 3)
    expected = image[top : top + rows * 32, left : left + columns * 32]
    np.testing.assert_array_equal(grid.transpose(0, 2, 1, 3, 4).reshape(expected.shape), expected)


def test_flat_tiles_are_left_out_and_the_others_keep_their_places() -> None:
    image = noise(64, 96)
    image[:32, 32:64] = (250, 130, 10)  # flat, though its channels differ
    image[32:, :32] = np.where(np.arange(32)[:, None, None] % 2, 100 + 11, 100 - 11)  # deviates by 11
    image[32:, 64:] = np.where(np.arange(32)[:, None, None] % 2, 100 + 13, 100 - 13)  # deviates by 13
    labels = [label for label, _ in crops(image, high_res_size=32, cropping="tiles")]
    assert labels == ["row 1 column 1", "row 1 column 3", "row 2 column 2", "row 2 column 3"]


@given(
    height=st.integers(64, 400),
    width=st.integers(64, 400),
    size=st.sampled_from([16, 32]),
    cropping=st.sampled_from(["centre", "tiles"]),
)
def test_every_crop_is_a_square_of_the_size(height: int, width: int, size: int, cropping: Cropping) -> None:
    ramp = np.add.outer(np.arange(height) * 255 // height, np.arange(width) * 255 // width).astype(np.uint8)
    image = np.repeat(ramp[..., None], 3, axis=2)
    made = crops(image, high_res_size=size, cropping=cropping)
    assert made
    assert len({label for label, _ in made}) == len(made)
    for _, pixels in made:
        assert pixels.shape == (size, size, 3)
        assert pixels.dtype == np.uint8
        assert pixels.flags.owndata
        assert pixels.flags.writeable


@pytest.mark.parametrize(("cropping", "needed"), [("centre", 32), ("tiles", 64)])
def test_a_photo_is_never_enlarged(cropping: Cropping, needed: int) -> None:
    assert crops(noise(needed, 300), high_res_size=32, cropping=cropping)
    with pytest.raises(PhotoRejected) as caught:
        crops(noise(300, needed - 1), high_res_size=32, cropping=cropping, name="small.png")
    assert str(caught.value) == (
        f'"small.png" is {needed - 1} x 300 pixels, and its shorter side must have at least {needed} for this study: '
        "upload it in a larger size."
    )


def test_an_array_that_is_no_picture_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"image must be \(height, width, 3\) uint8, got \(64, 64\) uint8"):
        crops(np.zeros((64, 64), np.uint8), high_res_size=32, cropping="centre")
