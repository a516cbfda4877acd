import hashlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from studies.images import decode_png, encode_png, sha256_of, stimulus_bytes
from tests.images.hostile import picture, saved

pictures = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda size: arrays(np.uint8, (*size, 3)))


@given(image=pictures)
def test_a_stored_picture_comes_back_exactly(image: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(decode_png(encode_png(image)), image)


def test_a_stored_picture_is_a_plain_png_without_metadata() -> None:
    with Image.open(io.BytesIO(encode_png(picture()))) as stored:
        assert (stored.format, stored.mode, stored.info) == ("PNG", "RGB", {})


def test_a_stored_picture_of_another_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="must be RGB, got L"):
        decode_png(saved(Image.new("L", (8, 8)), "PNG"))
    with pytest.raises(OSError, match="cannot identify"):
        decode_png(saved(picture(), "BMP"))


@given(first=pictures, seed=st.integers(0, 255))
def test_stimuli_are_the_bare_values_of_both_pictures(first: NDArray[np.uint8], seed: int) -> None:
    second = first ^ np.uint8(seed)
    packed = stimulus_bytes(first, second)
    assert len(packed) == 2 * first.size
    values = np.frombuffer(packed, np.uint8).reshape(2, *first.shape)
    np.testing.assert_array_equal(values[0], first)
    np.testing.assert_array_equal(values[1], second)


@given(image=pictures)
def test_a_picture_alone_is_its_bare_values(image: NDArray[np.uint8]) -> None:
    assert stimulus_bytes(image) == image.tobytes()


def test_stimuli_are_packed_row_by_row_whatever_the_memory_order() -> None:
    image = picture()
    turned = np.asfortranarray(image)
    assert stimulus_bytes(turned, image[::-1]) == image.tobytes() + image[::-1].copy().tobytes()


def test_stimuli_of_one_size_have_one_length() -> None:
    flat, noise = np.zeros((32, 32, 3), np.uint8), np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert len({len(stimulus_bytes(a, b)) for a in (flat, noise) for b in (flat, noise)}) == 1


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8), r"one shape, got \(8, 8, 3\) and \(8, 9, 3\)"),
        (np.zeros((8, 8, 3)), np.zeros((8, 8, 3), np.uint8), "first must be .* float64"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 4), np.uint8), r"second must be .* \(8, 8, 4\)"),
    ],
)
def test_stimuli_that_do_not_match_are_an_error(
    first: NDArray[np.uint8], second: NDArray[np.uint8], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        stimulus_bytes(first, second)


def test_the_digest_of_bytes_is_the_plain_one() -> None:
    assert sha256_of(b"photo") == hashlib.sha256(b"photo").hexdigest()


def test_equal_pictures_have_equal_digests_whatever_the_file_and_the_memory_order() -> None:
    image = picture()
    assert sha256_of(image) == sha256_of(np.asfortranarray(image)) == sha256_of(decode_png(encode_png(image)))


def test_different_pictures_have_different_digests() -> None:
    image = picture()
    other = image.copy()
    other[-1, -1, -1] ^= 1
    variants: list[NDArray[Any]] = [image, other, image.reshape(64, 48, 3), image.astype(np.int16), image[:-1]]
    assert len({sha256_of(variant) for variant in variants}) == len(variants)
