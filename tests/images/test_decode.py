import contextlib
import pickle
import time
import tracemalloc
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from studies.errors import EvalsiteError, PhotoRejected, PictureSizeWrong
from studies.images import Limits, decode
from tests.images import hostile
from tests.images.hostile import picture, saved

ORIENTATION = 0x0112


def rejection(data: bytes, name: str = "holiday.jpg", limits: Limits | None = None) -> str:
    with pytest.raises(PhotoRejected) as caught:
        decode(data, name=name, limits=limits or Limits())
    return str(caught.value)


def with_orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = value
    return exif


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
        ("GIF", {}),
    ],
)
def test_a_lossless_photo_comes_out_as_it_is(kind: str, options: dict[str, object]) -> None:
    image = picture()
    pixels = decode(saved(image, kind, **options), name="a")
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    np.testing.assert_array_equal(pixels, image)


def test_a_jpeg_comes_out_as_nearly_as_it_was_packed() -> None:
    image = picture()
    pixels = decode(saved(image, "JPEG", quality=98, subsampling=0), name="a")
    assert np.abs(pixels.astype(int) - image).max() <= 6


UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_turned_photo_is_turned_upright(orientation: int, kind: str, options: dict[str, object]) -> None:
    stored = picture()
    data = saved(stored, kind, exif=with_orientation(orientation), **options)
    np.testing.assert_array_equal(decode(data, name="a"), UPRIGHT[orientation](stored))


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_jpeg_is_turned_upright(orientation: int) -> None:
    stored = picture()
    data = saved(stored, "JPEG", quality=98, subsampling=0, exif=with_orientation(orientation))
    upright = UPRIGHT[orientation](stored)
    pixels = decode(data, name="a")
    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).max() <= 6


@pytest.mark.parametrize("mode", ["1", "L"])
def test_a_grey_photo_becomes_three_equal_channels(mode: str) -> None:
    grey = Image.fromarray(picture()).convert(mode)
    expected = np.repeat(np.asarray(grey.convert("L"))[..., None], 3, axis=2)
    np.testing.assert_array_equal(decode(saved(grey, "PNG"), name="a"), expected)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_a_channel_that_hides_nothing_is_dropped(mode: str) -> None:
    image = Image.fromarray(picture()).convert("L" if mode == "LA" else "RGB")
    expected = np.asarray(image.convert("RGB"))
    image.putalpha(255)
    np.testing.assert_array_equal(decode(saved(image, "PNG"), name="a"), expected)


def test_a_palette_is_resolved_and_its_unused_transparent_entry_ignored() -> None:
    image = Image.fromarray(picture()).quantize(48)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode(saved(image, "PNG"), name="a"), expected)
    np.testing.assert_array_equal(decode(saved(image, "PNG", transparency=200), name="a"), expected)


def test_the_main_picture_of_a_phone_jpeg_is_taken() -> None:
    main, depth = Image.fromarray(picture()), Image.new("RGB", (64, 48), "black")
    data = saved(main, "MPO", save_all=True, append_images=[depth], quality=98, subsampling=0)
    assert np.abs(decode(data, name="a").astype(int) - np.asarray(main)).max() <= 6


def test_an_srgb_profile_changes_no_pixel() -> None:
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    data = saved(image, "PNG", icc_profile=hostile.srgb_profile())
    np.testing.assert_array_equal(decode(data, name="a"), image)


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
def test_another_colour_profile_is_applied(mode: str) -> None:
    image = Image.fromarray(picture()).quantize(48).convert(mode)
    data = saved(image, "PNG", icc_profile=hostile.profile_with_red_and_blue_swapped())
    expected = np.asarray(image.convert("RGB"))[..., ::-1]
    assert np.abs(decode(data, name="a").astype(int) - expected).max() <= 1


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_profile_of_greys_is_applied(mode: str) -> None:
    light = np.array([0, 64, 128, 255], np.uint8).repeat(16)[None].repeat(48, axis=0)
    data = saved(Image.fromarray(light).convert(mode), "PNG", icc_profile=hostile.linear_grey_profile())
    pixels = decode(data, name="a").astype(int)
    expected = np.array([0, 137, 188, 255]).repeat(16)  # of 255, by the sRGB curve
    assert np.abs(pixels - expected[None, :, None]).max() <= 1


TEXT = b"<html>This page is no photo, whatever its name ends in.</html>"
COPY_AGAIN, EXPORT, SMALLER = "copy it once more from where it is whole", "export it as a JPEG or PNG", "smaller size"
HALF_TRANSPARENT = Image.fromarray(np.dstack([picture(), np.full((48, 64), 128, np.uint8)]))
ONE_HOLE = Image.fromarray(
    np.dstack([picture(), np.pad(np.zeros((1, 1), np.uint8), ((9, 38), (7, 56)), constant_values=255)])
)
KEYED = Image.fromarray(picture())
TINY = Limits(file_bytes=4_000)


@pytest.mark.parametrize(
    ("data", "wrong", "cure"),
    [
        pytest.param(b"", "is empty", COPY_AGAIN, id="empty"),
        pytest.param(TEXT, "is not a JPEG, PNG", EXPORT, id="text named jpg"),
        pytest.param(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "is a HEIC", EXPORT, id="heic"),
        pytest.param(saved(picture(), "PPM"), "is not a JPEG, PNG", EXPORT, id="a format not allowed"),
        pytest.param(saved(picture(), "ICO"), "is not a JPEG, PNG", EXPORT, id="an icon"),
        pytest.param(saved(picture(), "JPEG")[:-300], "cut off before its end", COPY_AGAIN, id="truncated JPEG"),
        pytest.param(saved(picture(), "PNG")[:200], "cut off before its end", COPY_AGAIN, id="truncated PNG"),
        pytest.param(saved(picture(), "TIFF")[:5_000], "cut off before its end", COPY_AGAIN, id="truncated TIFF"),
        pytest.param(saved(picture(), "JPEG")[:20], "its beginning is damaged", EXPORT, id="only a signature"),
        pytest.param(hostile.png_bomb(), "more than 50 million pixels", SMALLER, id="PNG bomb"),
        pytest.param(hostile.gif_bomb(), "more than 50 million pixels", SMALLER, id="GIF bomb"),
        pytest.param(hostile.bmp_bomb(), "more than 50 million pixels", SMALLER, id="BMP bomb"),
        pytest.param(hostile.png_bomb(7_072, 7_072), "more than 50 million pixels", SMALLER, id="just too large"),
        pytest.param(hostile.png_bomb(10_000, 10_000), "more than 50 million pixels", SMALLER, id="Pillow warns"),
        pytest.param(hostile.animated("GIF"), "is animated", "save the one picture", id="animated GIF"),
        pytest.param(hostile.animated("PNG"), "is animated", "save the one picture", id="animated PNG"),
        pytest.param(hostile.animated("WEBP"), "is animated", "save the one picture", id="animated WebP"),
        pytest.param(hostile.animated("TIFF"), "several pages", "save the one picture", id="TIFF of pages"),
        pytest.param(saved(Image.new("CMYK", (64, 48)), "JPEG"), "is in CMYK", "convert it to sRGB", id="CMYK JPEG"),
        pytest.param(saved(Image.new("CMYK", (64, 48)), "TIFF"), "is in CMYK", "convert it to sRGB", id="CMYK TIFF"),
        pytest.param(saved(Image.new("LAB", (64, 48)), "TIFF"), "stored as LAB", "convert it to sRGB", id="Lab"),
        pytest.param(hostile.png_of_16_bits(0), "more than 8 bits", "convert it to 8 bits", id="16-bit grey PNG"),
        pytest.param(hostile.png_of_16_bits(2), "more than 8 bits", "convert it to 8 bits", id="16-bit PNG"),
        pytest.param(hostile.png_of_16_bits(4), "more than 8 bits", "convert it to 8 bits", id="16-bit PNG, LA"),
        pytest.param(hostile.png_of_16_bits(6), "more than 8 bits", "convert it to 8 bits", id="16-bit PNG, RGBA"),
        pytest.param(hostile.tiff_of_16_bits(), "more than 8 bits", "convert it to 8 bits", id="16-bit TIFF"),
        pytest.param(
            saved(np.zeros((48, 64), np.uint16), "TIFF"), "more than 8 bits", "convert it to 8", id="16-bit grey TIFF"
        ),
        pytest.param(
            saved(np.zeros((48, 64), np.float32), "TIFF"), "more than 8 bits", "convert it to 8", id="float TIFF"
        ),
        pytest.param(saved(HALF_TRANSPARENT, "PNG"), "is transparent in places", "flatten it", id="transparent PNG"),
        pytest.param(
            saved(ONE_HOLE, "WEBP", lossless=True), "is transparent", "flatten it", id="one transparent pixel"
        ),
        pytest.param(saved(ONE_HOLE, "TIFF"), "is transparent", "flatten it", id="transparent TIFF"),
        pytest.param(
            saved(KEYED.quantize(48), "PNG", transparency=0), "is transparent", "flatten it", id="transparent palette"
        ),
        pytest.param(
            saved(KEYED, "PNG", transparency=KEYED.getpixel((0, 0))), "is transparent", "flatten it", id="key colour"
        ),
        pytest.param(saved(picture(24, 64), "PNG"), "is 64 x 24 pixels", "larger size", id="too small"),
        pytest.param(
            saved(picture(), "PNG", icc_profile=b"no profile" * 30),
            "colour profile",
            "convert it to sRGB",
            id="profile",
        ),
        pytest.param(
            saved(picture(), "PNG", icc_profile=hostile.linear_grey_profile()),
            "colour profile that does not fit",
            "convert it to sRGB",
            id="profile of greys on colours",
        ),
    ],
)
def test_a_photo_that_cannot_be_used_gets_one_sentence_with_name_and_cure(data: bytes, wrong: str, cure: str) -> None:
    sentence = rejection(data)
    assert sentence.startswith('"holiday.jpg" ')
    assert wrong in sentence
    assert cure in sentence.partition(": ")[2]
    assert sentence.endswith(".")
    assert ". " not in sentence


def test_a_file_that_is_too_long_is_refused_unopened() -> None:
    sentence = rejection(bytes(30_000_000))
    assert sentence == ('"holiday.jpg" has more than 25 MB: save it smaller, or as a JPEG, and upload it again.')


def test_limits_are_inclusive() -> None:
    image = picture(64, 64)
    data = saved(image, "PNG")
    exact = Limits(file_bytes=len(data), pixels=64 * 64, side_least=64)
    np.testing.assert_array_equal(decode(data, name="a", limits=exact), image)
    assert "MB" in rejection(data, limits=Limits(file_bytes=len(data) - 1))
    assert "million pixels" in rejection(data, limits=Limits(pixels=64 * 64 - 1))
    assert "at least 65" in rejection(data, limits=Limits(side_least=65))


def test_limits_beyond_what_the_decoders_let_pass_are_an_error() -> None:
    with pytest.raises(ValueError, match="pixels must be at most 89478485, got 100000000"):
        Limits(pixels=100_000_000)


def test_a_large_photo_is_refused_where_warnings_are_not_errors() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert "million pixels" in rejection(hostile.png_bomb(10_000, 10_000))


@pytest.mark.parametrize(
    "bomb", [hostile.png_bomb(), hostile.png_bomb(7_072, 7_072), hostile.gif_bomb()], ids=["huge", "large", "GIF"]
)
def test_a_bomb_costs_neither_time_nor_memory(bomb: bytes) -> None:
    tracemalloc.start()
    started = time.perf_counter()
    rejection(bomb)
    seconds = time.perf_counter() - started
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 0.5
    assert peak_bytes < 5_000_000


def test_a_name_is_made_short_and_printable() -> None:
    sentence = rejection(b"", name="a\x1b[31m\u202e" + "x" * 5_000 + ".jpg")
    assert len(sentence) < 250
    assert sentence.startswith('"a\ufffd[31m\ufffdxxx')
    assert 'xxx.jpg" is empty' in sentence
    assert sentence.isprintable()


def test_a_rejection_is_of_the_domain_and_keeps_name_and_reason_on_the_way_from_a_worker() -> None:
    with pytest.raises(EvalsiteError) as caught:
        decode(b"", name="a.jpg")
    assert isinstance(caught.value, PhotoRejected)
    assert caught.value.name == "a.jpg"
    assert caught.value.reason.startswith("is empty: ")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 -- our own bytes


SOUND = [
    saved(picture(), "JPEG", exif=with_orientation(6)),
    saved(picture(), "JPEG", progressive=True),
    saved(picture(), "PNG", icc_profile=hostile.srgb_profile()),
    saved(picture(), "WEBP"),
    saved(picture(), "TIFF", compression="tiff_lzw"),
    saved(picture(), "BMP"),
    saved(picture(), "GIF"),
]
ANIMATED = [hostile.animated("GIF"), hostile.animated("PNG"), hostile.animated("WEBP")]


@given(
    data=st.sampled_from(SOUND + ANIMATED),
    changes=st.lists(st.tuples(st.integers(0, 4_000), st.binary(max_size=6)), max_size=4),
)
def test_whatever_is_overwritten_gives_a_photo_or_a_rejection(data: bytes, changes: list[tuple[int, bytes]]) -> None:
    damaged = bytearray(data)
    for at, replacement in changes:
        start = at % len(damaged)
        damaged[start : start + len(replacement)] = replacement
    with contextlib.suppress(PhotoRejected):
        pixels = decode(bytes(damaged), name="a", limits=Limits(pixels=1_000_000, side_least=1))
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3


@given(data=st.sampled_from(SOUND), share=st.floats(0, 0.9))
def test_wherever_a_photo_is_cut_off_it_is_refused(data: bytes, share: float) -> None:
    assert ": " in rejection(data[: int(len(data) * share)])


def test_picture_of_another_size_than_asked_for_is_refused_before_a_pixel_is_decoded() -> None:
    data = saved(picture(32, 64), "PNG")
    with pytest.raises(PictureSizeWrong, match=r'"a.png" is 64 x 32 pixels, but the photos are 32 x 32: make it in'):
        decode(data[: len(data) // 2], name="a.png", size=32)
    small = saved(picture(16, 16), "PNG")
    assert decode(small, name="a.png", size=16).shape == (16, 16, 3)
