"""Photos come through every door as they are meant to be seen, and none is both trained on and validated on."""

import hashlib
import io
import multiprocessing
import os
import shutil
import struct
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from sr_models.data import (
    DataError,
    Photos,
    archive,
    duplicates,
    duplicates_find,
    photos_open,
    photos_read,
    photos_split,
    picture_decode,
)
from sr_models.pixels import square_reduce
from studies import images
from tests.images import hostile
from tests.images.hostile import saved, symbolic_link, with_headers_patched, zipped


def photos_make(count: int, *, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)


def pixels_of(photos: NDArray[np.uint8] | Photos) -> set[bytes]:
    return {photo.tobytes() for photo in (photos if isinstance(photos, np.ndarray) else photos_read(photos))}


def files_make(photos: NDArray[np.uint8]) -> dict[str, bytes]:
    return {f"{number:04}.png": saved(photo, "PNG") for number, photo in enumerate(photos)}


def folder_make(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def pack(files: dict[str, bytes], method: int) -> bytes:
    return zipped({name: files[name] for name in files}, method)


def zip_make(path: Path, files: dict[str, bytes]) -> Path:
    path.with_suffix(".zip").write_bytes(pack(files, zipfile.ZIP_STORED))
    return path.with_suffix(".zip")


def lmdb_make(path: Path, files: dict[str, bytes]) -> Path:
    import lmdb

    with lmdb.open(str(path), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        for name, data in files.items():
            transaction.put(name.encode(), data)
    return path


DOORS = {"folder": folder_make, "zip": zip_make, "lmdb": lmdb_make}
every_door = pytest.mark.parametrize("make", DOORS.values(), ids=DOORS)
T = TypeVar("T")
Make = Callable[[Path, dict[str, bytes]], Path]


def npz_make(path: Path, photos: NDArray[np.uint8], **known: Any) -> Path:
    np.savez(path, images=photos, **known)
    return path


def sentence_of(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def result_or_sentence(call: Callable[[], T]) -> T | str:
    try:
        return call()
    except DataError as error:
        return str(error)


# --- Doors ----------------------------------------------------------------------------------------------------------


@every_door
def test_files_are_cropped_and_reduced_as_uploads_are(tmp_path: Path, make: Make) -> None:
    pictures = [hostile.picture(48, 64, seed=1), hostile.picture(80, 40, seed=2), hostile.picture(8, 8, seed=3)]
    files = {f"{i}.png": saved(picture, "PNG") for i, picture in enumerate(pictures)}
    (tmp_path / "set").mkdir()
    photos = photos_open([make(tmp_path / "set" / "rooms", files)], size=8)
    uploaded = [images.crops(picture, high_res_size=8, cropping="centre")[0].pixels for picture in pictures]
    assert np.array_equal(photos_read(photos), uploaded)


@pytest.fixture(scope="module")
def four_doors(tmp_path_factory: pytest.TempPathFactory) -> tuple[Photos, NDArray[np.uint8]]:
    """Open a folder, an .npz, a zip and an LMDB together; return them and what is in them."""
    folder, photos = tmp_path_factory.mktemp("doors"), photos_make(40)
    paths = [
        folder_make(folder / "f", files_make(photos[:10])),
        npz_make(folder / "n.npz", photos[10:20]),
        zip_make(folder / "z", files_make(photos[20:30])),
        lmdb_make(folder / "l", files_make(photos[30:])),
    ]
    return photos_open(paths, size=8), photos


@settings(max_examples=50, deadline=None)
@given(indices=st.lists(st.integers(0, 39), max_size=60))
def test_photos_come_in_the_order_they_are_asked_for(
    four_doors: tuple[Photos, NDArray[np.uint8]], indices: list[int]
) -> None:
    opened, photos = four_doors
    numbers = np.array(indices, np.int64)
    assert np.array_equal(opened.read(numbers), photos[numbers])


def test_the_first_photos_are_read_alone(four_doors: tuple[Photos, NDArray[np.uint8]]) -> None:
    opened, photos = four_doors
    assert np.array_equal(photos_read(opened, limit=13), photos[:13])
    assert np.array_equal(photos_read(opened, limit=99), photos)


@pytest.mark.parametrize("index", [-1, 40])
def test_a_number_that_no_photo_has_is_refused(four_doors: tuple[Photos, NDArray[np.uint8]], index: int) -> None:
    with pytest.raises(IndexError, match=f"photos are numbered from 0 to 39, got {index}"):
        four_doors[0].read(np.array([0, index]))


def test_threads_and_processes_read_the_same_files(four_doors: tuple[Photos, NDArray[np.uint8]]) -> None:
    opened, photos = four_doors
    orders = [np.random.default_rng(seed).permutation(40) for seed in range(8)]
    with ThreadPoolExecutor(4) as threads:
        for read, order in zip(threads.map(opened.read, orders), orders, strict=True):
            assert np.array_equal(read, photos[order])
    with multiprocessing.get_context("spawn").Pool(1) as processes:
        assert np.array_equal(processes.apply(opened.read, (orders[0],)), photos[orders[0]])


@every_door
def test_opening_reads_no_picture_and_reading_names_the_broken_one(tmp_path: Path, make: Make) -> None:
    files = files_make(photos_make(3)) | {"0001.png": b"no picture"}
    path = make(tmp_path / "rooms", files)
    photos = photos_open([path], size=8)
    assert len(photos) == 3
    assert photos.read(np.array([0, 2])).shape == (2, 8, 8, 3)
    assert sentence_of(lambda: photos.read(np.array([2, 1]))).startswith(
        f"0001.png in {path.name} is not a readable picture; "
    )


@every_door
def test_a_photo_that_would_be_enlarged_is_named(tmp_path: Path, make: Make) -> None:
    path = make(tmp_path / "rooms", {"small.png": saved(hostile.picture(16, 24), "PNG")})
    sentence = sentence_of(lambda: photos_read(photos_open([path], size=17)))
    assert sentence == f"small.png in {path.name} is 24x16 pixels, but a side needs 17; take it out of the set."


@every_door
def test_the_centre_of_every_picture_can_be_cropped(tmp_path: Path, make: Make) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (22, 30, 3), np.uint8)
    path = make(tmp_path / "rooms", {"a.png": saved(picture, "PNG")})
    assert np.array_equal(photos_read(photos_open([path], size=8, crop=8))[0], picture[7:15, 11:19])
    assert "24 pixels" not in sentence_of(lambda: photos_read(photos_open([path], size=8, crop=24)))
    assert sentence_of(lambda: photos_open([path], size=8, crop=6)) == (
        f"A centre of 6x6 pixels of {path.name} cannot give photos of 8x8; give a larger --crop or a smaller --size."
    )


def test_a_square_that_does_not_fit_is_a_wrong_argument() -> None:
    with pytest.raises(ValueError, match="side must be from 8 to 16 pixels, got 17"):
        square_reduce(Image.new("RGB", (16, 20)), size=8, side=17)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("q.npz", "q.npz does not exist; give a folder of pictures, a .zip or .npz file, or a folder of CelebA"),
        ("photos.tar", "photos.tar is of an unknown kind; give a folder of pictures"),
        ("empty", "There is no usable photo in empty; give another set."),
    ],
)
def test_a_path_that_is_no_door_is_named(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "photos.tar").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    assert sentence in sentence_of(lambda: photos_open([tmp_path / name], size=8))


def test_an_empty_set_has_nothing_to_hold_out(tmp_path: Path) -> None:
    assert sentence_of(lambda: photos_split([tmp_path], size=8)).startswith("There is no validation photo in ")


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    assert sentence_of(lambda: photos_open([tmp_path], size=8)) == (
        f"{tmp_path} cannot be read (Permission denied); see to its permissions or take it out."
    )


def test_an_unknown_part_is_a_wrong_argument(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split must be one of train, validation, test or None, got 'dev'"):
        photos_open([npz_make(tmp_path / "p.npz", photos_make(1))], size=8, split="dev")


# --- Folders --------------------------------------------------------------------------------------------------------


def test_a_folder_gives_all_pictures_inside_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    photos = photos_make(4)
    names = ["b/c/1.PNG", "a.png", "b/0.png", "z.jpeg"]
    files = {name: saved(photo, "PNG") for name, photo in zip(names, photos, strict=True)}
    others = {".hidden.png": b"x", ".thumbnails/a.png": b"x", "labels.csv": b"x", "b/photo.heic": b"x"}
    folder = folder_make(tmp_path / "rooms", files | others)
    os.mkfifo(folder / "pipe.png")
    assert np.array_equal(photos_read(photos_open([folder], size=8)), photos[[1, 2, 0, 3]])
    notes = photos_split([folder], size=8).notes
    assert notes[0] == "3 files of rooms are no pictures by their names and are not used."


def test_a_file_of_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = folder_make(tmp_path / "rooms", files_make(photos_make(2)))
    photos = photos_open([folder], size=8)
    (folder / "0001.png").unlink()
    assert sentence_of(lambda: photos_read(photos)) == (
        "0001.png in rooms cannot be read any more (No such file or directory); leave the folder as it is while it is "
        "used."
    )
    (folder / "0001.png").symlink_to("nowhere.png")
    assert "rooms/0001.png cannot be read (No such file" in sentence_of(lambda: photos_open([folder], size=8))


def test_a_name_with_a_line_break_stays_on_one_line(tmp_path: Path) -> None:
    folder = folder_make(tmp_path / "rooms", {"a\nb.png": b"x"})
    assert sentence_of(lambda: photos_read(photos_open([folder], size=8))).startswith(r"'a\nb.png' in rooms is not")


def test_a_file_that_is_too_long_for_a_photo_is_refused_unread(tmp_path: Path) -> None:
    folder = folder_make(tmp_path / "rooms", {"a.png": b""})
    os.truncate(folder / "a.png", 100_000_001)
    assert sentence_of(lambda: photos_open([folder], size=8)).startswith("a.png in rooms has more than 100 MB; save it")


# --- Pictures -------------------------------------------------------------------------------------------------------

PICTURE = Image.fromarray(hostile.picture())
EXIF_TURNED = Image.Exif()
EXIF_TURNED[0x0112] = 6  # the camera was turned: show it a quarter clockwise


def linear_profile() -> bytes:
    """The sRGB profile, but with values proportional to light."""
    profile = bytearray(hostile.srgb_profile())
    (count,) = struct.unpack_from(">I", profile, 128)
    for i in range(count):
        at = 132 + 12 * i
        if profile[at + 1 : at + 4] == b"TRC":
            struct.pack_into(">II", profile, at + 4, len(profile), 12)
    profile += b"curv" + bytes(8)
    struct.pack_into(">I", profile, 0, len(profile))
    return bytes(profile)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(saved(PICTURE, "JPEG"), id="JPEG"),
        pytest.param(saved(PICTURE, "WEBP"), id="WebP"),
        pytest.param(saved(PICTURE, "TIFF"), id="TIFF"),
        pytest.param(saved(PICTURE, "BMP"), id="BMP"),
        pytest.param(saved(PICTURE.quantize(16), "GIF"), id="GIF"),
        pytest.param(saved(PICTURE.convert("L"), "JPEG"), id="grey"),
        pytest.param(saved(PICTURE.convert("1"), "PNG"), id="black and white"),
        pytest.param(saved(PICTURE.quantize(16), "PNG"), id="palette"),
        pytest.param(saved(PICTURE.convert("RGBA"), "PNG"), id="opaque alpha"),
        pytest.param(saved(PICTURE, "PNG", exif=EXIF_TURNED), id="turned"),
        pytest.param(saved(PICTURE, "JPEG", icc_profile=hostile.srgb_profile()), id="sRGB profile"),
        pytest.param(
            saved(PICTURE, "PNG", icc_profile=hostile.profile_with_red_and_blue_swapped()), id="another profile"
        ),
        pytest.param(
            saved(PICTURE.convert("L"), "PNG", icc_profile=hostile.linear_grey_profile()), id="profile of greys"
        ),
        pytest.param(
            saved(PICTURE.convert("LA"), "PNG", icc_profile=hostile.linear_grey_profile()), id="profile of opaque greys"
        ),
        pytest.param(saved(PICTURE.convert("L"), "PNG", icc_profile=hostile.srgb_profile()), id="grey in sRGB"),
        pytest.param(saved(PICTURE.convert("L"), "PNG", icc_profile=linear_profile()), id="grey in another profile"),
    ],
)
def test_pictures_are_decoded_as_uploads_are(data: bytes) -> None:
    assert np.array_equal(np.asarray(picture_decode(data, name="a")), images.decode(data, name="a"))


def with_alpha(alpha: int, mode: str = "RGBA") -> Image.Image:
    picture = PICTURE.convert(mode)
    picture.putalpha(alpha)
    return picture


ON_WHITE = np.asarray(PICTURE) * 0.2 + 255 * 0.8
CLEAR_PALETTE = saved(PICTURE.quantize(16), "PNG", transparency=bytes(16))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(saved(with_alpha(51), "PNG"), ON_WHITE, id="alpha is laid on white"),
        pytest.param(saved(with_alpha(0, "L"), "PNG"), 255, id="clear grey"),
        pytest.param(CLEAR_PALETTE, 255, id="clear palette"),
        pytest.param(saved(Image.new("CMYK", (64, 48), (0, 255, 255, 0)), "TIFF"), [255, 0, 0], id="CMYK"),
        pytest.param(hostile.png_of_16_bits(0), 0xAB, id="16-bit grey"),
        pytest.param(hostile.png_of_16_bits(2), 0xAB, id="16-bit PNG"),
        pytest.param(hostile.tiff_of_16_bits(), 0xCD, id="16-bit TIFF, the low byte first"),
        pytest.param(hostile.animated("GIF"), hostile.picture(seed=0), id="the first of several"),
        pytest.param(b"P6 64 48 255\n" + hostile.picture().tobytes(), hostile.picture(), id="PPM"),
        pytest.param(saved(PICTURE, "PNG", icc_profile=b"no profile"), hostile.picture(), id="broken profile"),
        pytest.param(
            saved(PICTURE, "PNG", icc_profile=hostile.linear_grey_profile()), hostile.picture(), id="unfit profile"
        ),
    ],
)
def test_pictures_that_uploads_refuse_become_8_bit_rgb(data: bytes, expected: Any) -> None:
    decoded = np.asarray(picture_decode(data, name="a"))
    assert decoded.shape == (48, 64, 3)
    assert decoded.dtype == np.uint8
    assert np.abs(decoded - np.asarray(expected, float)).max() <= 1


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(b"", "a.jpg is not a readable picture; copy it once more", id="empty"),
        pytest.param(b"text", "a.jpg is not a readable picture", id="text"),
        pytest.param(saved(PICTURE, "JPEG")[:-200], "a.jpg is not a readable picture", id="cut off"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n", "a.jpg is not a readable picture", id="PostScript"),
        pytest.param(hostile.png_bomb(), "a.jpg has more than 80 million pixels; save it smaller", id="PNG bomb"),
        pytest.param(hostile.gif_bomb(), "a.jpg has more than 80 million pixels", id="GIF bomb"),
        pytest.param(hostile.bmp_bomb(), "a.jpg has more than 80 million pixels", id="BMP bomb"),
        pytest.param(hostile.png_bomb(9_000, 9_000), "a.jpg has more than 80 million pixels", id="less of a bomb"),
        pytest.param(
            saved(Image.new("F", (9, 9)), "TIFF"), "a.jpg holds values of more than 16 bits; convert", id="floats"
        ),
    ],
)
def test_what_is_no_photo_is_named(data: bytes, sentence: str) -> None:
    assert sentence_of(lambda: picture_decode(data, name="a.jpg")).startswith(sentence)


SMALL = Image.fromarray(photos_make(1)[0])
SMALL_FILES = [saved(SMALL, kind) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")]
SMALL_FILES += [saved(SMALL.quantize(4), "PNG"), saved(SMALL, "PNG", icc_profile=hostile.srgb_profile())]


def damaged(files: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Files with some bytes overwritten, and perhaps cut off."""

    def damage(data: bytes, changes: dict[float, int], share: float) -> bytes:
        changed = bytearray(data)
        for where, value in changes.items():
            changed[int(where * (len(data) - 1))] = value
        return bytes(changed[: int(share * len(data))])

    places = st.dictionaries(st.floats(0, 1), st.integers(0, 255), max_size=4)
    return st.builds(damage, st.sampled_from(files), places, st.sampled_from([1, 1, 1, 0.9, 0.5]))


@settings(max_examples=150, deadline=None)
@given(data=damaged(SMALL_FILES))
def test_a_damaged_picture_is_a_picture_or_an_error_with_its_name(data: bytes) -> None:
    decoded = result_or_sentence(lambda: picture_decode(data, name="a.jpg"))
    assert decoded.startswith("a.jpg ") if isinstance(decoded, str) else decoded.mode == "RGB"


# --- Zips -----------------------------------------------------------------------------------------------------------

PHOTO = saved(SMALL, "PNG")
BOMB = zipped({"bad.png": bytes(20_000_000)})


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(b"", "p.zip is not a readable zip, or is cut off; copy it once more.", id="no bytes"),
        pytest.param(PHOTO, "p.zip is not a readable zip", id="a photo"),
        pytest.param(zipped({"a.png": PHOTO})[:-40], "p.zip is not a readable zip", id="cut off"),
        pytest.param(zipped({"a.png": PHOTO}).replace(b"PK\1\2", b"PK\0\0"), "p.zip is not a", id="directory"),
        pytest.param(zipped({}), "There is no usable photo in p.zip; give another set.", id="no entries"),
        pytest.param(zipped({"a.zip": BOMB}), "There is no usable photo in p.zip", id="nested"),
        pytest.param(zipped({"../../evil.png": PHOTO}), "../../evil.png in p.zip has a path that leads", id="parent"),
        pytest.param(zipped({"a/../../e.png": PHOTO}), "a/../../e.png in p.zip has a path that leads", id="inner"),
        pytest.param(zipped({"/etc/e.png": PHOTO}), "/etc/e.png in p.zip has a path that leads", id="absolute"),
        pytest.param(zipped({"C:\\e.png": PHOTO}), "C:\\e.png in p.zip has a path that leads", id="drive letter"),
        pytest.param(zipped({"..\\e.png": PHOTO}), "..\\e.png in p.zip has a path that leads", id="backslash"),
        pytest.param(zipped({symbolic_link("bad.png"): b"/etc/passwd"}), "bad.png in p.zip is a link", id="link"),
        pytest.param(
            with_headers_patched(zipped({"bad.png": PHOTO}), "bad.png", flags=1),
            "bad.png in p.zip is locked with a password; pack it without one.",
            id="encrypted",
        ),
        pytest.param(zipped({"bad.png": PHOTO}, zipfile.ZIP_LZMA), "bad.png in p.zip is packed by a met", id="LZMA"),
        pytest.param(
            with_headers_patched(BOMB, "bad.png", size=100_000_001), "bad.png in p.zip has more than 100 MB", id="long"
        ),
        pytest.param(
            zipped({"a.png": PHOTO}).replace(struct.pack("<3H", 5, 0, 0), struct.pack("<3H", 0, 0, 5)),
            "There is no usable photo in p.zip",
            id="no name",
        ),
        pytest.param(BOMB, "bad.png in p.zip is not a readable picture", id="bomb"),
        pytest.param(
            with_headers_patched(BOMB, "bad.png", size=1_000), "bad.png in p.zip is damaged inside the zip", id="lie"
        ),
        pytest.param(
            with_headers_patched(BOMB, "bad.png", size=20_000_001), "bad.png in p.zip is damaged inside", id="boast"
        ),
        pytest.param(
            zipped({"bad.png": PHOTO}, zipfile.ZIP_STORED).replace(PHOTO[-30:], bytes(30)),
            "bad.png in p.zip is damaged inside the zip; pack it once more.",
            id="wrong checksum",
        ),
        pytest.param(
            zipped({"bad.png": PHOTO}).replace(b"PK\3\4", b"PK\0\0"), "bad.png in p.zip is damaged", id="local header"
        ),
    ],
)
def test_a_bad_zip_or_entry_is_named(tmp_path: Path, data: bytes, sentence: str) -> None:
    (tmp_path / "p.zip").write_bytes(data)
    assert sentence_of(lambda: photos_read(photos_open([tmp_path / "p.zip"], size=8))).startswith(sentence)


def test_an_entry_is_unpacked_no_further_than_it_declares(tmp_path: Path) -> None:
    (tmp_path / "p.zip").write_bytes(with_headers_patched(BOMB, "bad.png", size=1_000))
    photos = photos_open([tmp_path / "p.zip"], size=8)
    tracemalloc.start()
    sentence_of(lambda: photos_read(photos))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


@pytest.mark.parametrize("declared", [None, 3])
def test_entries_are_listed_up_to_a_number_whatever_is_declared(
    tmp_path: Path, declared: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "ENTRIES_MOST", 1_000)
    (tmp_path / "p.zip").write_bytes(hostile.zip_of_many_entries(1_001, declared=declared))
    assert sentence_of(lambda: photos_open([tmp_path / "p.zip"], size=8)).startswith(
        "p.zip has more than 1000 entries; unpack it"
    )
    (tmp_path / "p.zip").write_bytes(zipped({f"{i}.png": b"" for i in range(1_000)}))
    assert len(photos_open([tmp_path / "p.zip"], size=8)) == 1_000


def test_what_is_hidden_in_a_zip_is_passed_over(tmp_path: Path) -> None:
    hidden: dict[str | zipfile.ZipInfo, bytes] = {
        "rooms/": b"",
        "__MACOSX/rooms/._a.png": b"x",
        ".b.png": b"x",
        "rooms/.c/d.png": b"x",
    }
    (tmp_path / "p.zip").write_bytes(b"#!/bin/sh\n" + zipped(hidden | {"notes.txt": b"x", "rooms/a.png": PHOTO}))
    photos = photos_open([tmp_path / "p.zip"], size=8)
    assert np.array_equal(photos_read(photos), [np.asarray(SMALL)])
    assert photos.parts[0].source.notes == ("1 files of p.zip are no pictures by their names and are not used.",)


def test_a_zip_that_is_taken_away_is_named(tmp_path: Path) -> None:
    photos = photos_open([zip_make(tmp_path / "p", files_make(photos_make(2)))], size=8)
    (tmp_path / "p.zip").unlink()
    assert sentence_of(lambda: photos_read(photos)).startswith("p.zip cannot be read any more (No such file")


ZIPS = [pack(files_make(photos_make(3)), method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]


@settings(max_examples=100, deadline=None)
@given(data=damaged(ZIPS))
def test_a_damaged_zip_gives_its_own_photos_or_an_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "p.zip"
    path.write_bytes(data)
    pixels = result_or_sentence(lambda: pixels_of(photos_open([path], size=8)))
    assert "p.zip" in pixels if isinstance(pixels, str) else pixels <= pixels_of(photos_make(3))


# --- .npz -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_gives_its_pixels_less_its_duplicates(tmp_path: Path, save: Callable[..., None]) -> None:
    photos = photos_make(6)
    save(
        tmp_path / "p.npz",
        images=photos,
        person=np.array(list("aaaabb")),
        duplicate=np.array([1, 0, 0, 0, 0, 0]),
        split=np.array([0, 2, 0, 1, 0, 0]),
    )
    path = [tmp_path / "p.npz"]
    assert np.array_equal(photos_read(photos_open(path, size=8)), photos[1:])
    assert np.array_equal(photos_read(photos_open(path, size=8, split="test")), photos[1:2])
    assert np.array_equal(photos_read(photos_open(path, size=8, max_per_person=1)), photos[[1, 4]])
    capped = photos_open(path, size=8, split="train", max_per_person=1)  # the photos of other parts do not count
    assert np.array_equal(photos_read(capped), photos[[2, 4]])


def test_images_by_column_come_as_they_are(tmp_path: Path) -> None:
    photos = np.asfortranarray(photos_make(5))
    assert np.array_equal(photos_read(photos_open([npz_make(tmp_path / "p.npz", photos)], size=8)), photos)


def test_an_npz_of_fewer_pixels_than_it_declares_is_refused(tmp_path: Path) -> None:
    path = npz_make(tmp_path / "p.npz", photos_make(3))
    path.write_bytes(path.read_bytes().replace(b"(3, 8, 8, 3)", b"(9, 8, 8, 3)"))
    assert sentence_of(lambda: photos_open([path], size=8)) == (
        "The photo set p.npz is not a readable .npz file (it is cut off); make it again."
    )


def test_a_large_npz_is_not_read_to_be_opened(tmp_path: Path) -> None:
    path = npz_make(tmp_path / "p.npz", np.ones((100_000, 8, 8, 3), np.uint8))
    tracemalloc.start()
    photos = photos_open([path], size=8)
    photos.read(np.array([99_999]))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 4_000_000  # of 19,200,000


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"photos": photos_make(1)}, "p.npz has no array named 'images'; add it as (n, 8, 8, 3) uint8."),
        ({"images": np.zeros((1, 9, 9, 3), np.uint8)}, "p.npz holds (1, 9, 9, 3) uint8, but (n, 8, 8, 3) uint8"),
        ({"images": np.zeros((1, 8, 8, 3))}, "p.npz holds (1, 8, 8, 3) float64"),
        ({"images": np.array(None)}, "p.npz is not a readable .npz file (Object arrays cannot be loaded"),
        ({"images": photos_make(2), "split": np.array(["train", "val"])}, "p.npz has train in 'split'; mark photos by"),
        ({"images": photos_make(2), "split": np.array([0, 256])}, "p.npz has 256 in 'split'"),
        (
            {"images": photos_make(2), "duplicate": np.array(["a", "b"])},
            "p.npz has a in 'duplicate'; mark photos by 1 to leave",
        ),
        ({"images": photos_make(2), "split": np.zeros(3)}, "p.npz has 2 images, but 'split' is (3,); give it one"),
    ],
)
def test_an_npz_that_does_not_fit_is_named(tmp_path: Path, entries: dict[str, Any], sentence: str) -> None:
    np.savez(tmp_path / "p.npz", **entries)
    assert sentence in sentence_of(lambda: photos_open([tmp_path / "p.npz"], size=8))


def npz_bytes(save: Callable[..., None]) -> bytes:
    file = io.BytesIO()
    save(file, images=photos_make(3), split=np.array([0, 1, 2]))
    return file.getvalue()


@settings(max_examples=100, deadline=None)
@given(data=damaged([npz_bytes(np.savez), npz_bytes(np.savez_compressed), b"\x93NUMPY"]))
def test_a_damaged_npz_gives_photos_or_an_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "p.npz"
    path.write_bytes(data)
    read = result_or_sentence(lambda: photos_read(photos_open([path], size=8)))
    assert "p.npz" in read if isinstance(read, str) else read.shape[1:] == (8, 8, 3)


# --- CelebA ---------------------------------------------------------------------------------------------------------


def celeba_make(path: Path, count: int = 6, *, photos: str, eval_: str, anno: str) -> list[NDArray[np.uint8]]:
    """Write aligned photos of 178x218 with their lists; photo 1 and so on is of person 7, the last is of person 8."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (218, 178, 3), np.uint8) for _ in range(count)]
    inside = "" if photos == "img_align_celeba" else "img_align_celeba/"
    files = {f"{inside}{i + 1:06}.png": saved(picture, "PNG") for i, picture in enumerate(pictures)}
    (path / photos).parent.mkdir(parents=True)
    (zip_make if photos.endswith(".zip") else folder_make)(path / photos, files)
    separator = "," if eval_.endswith(".csv") else " "
    lines = [f"{i + 1:06}.png{separator}{max(0, i - count + 3)}" for i in range(count)]
    for name, text in (
        (eval_, ("image_id,partition\n" if separator == "," else "") + "\n".join(lines) + "\n"),
        (anno, "".join(f"{i + 1:06}.png {7 + (i == count - 1)}\n" for i in range(count))),
    ):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(text)
    return pictures


def centre_of(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture[40:178, 20:158]).resize((8, 8), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("photos", "eval_", "anno"),
    [
        ("img_align_celeba", "list_eval_partition.txt", "identity_CelebA.txt"),
        ("img_align_celeba.zip", "list_eval_partition.txt", "identity_CelebA.txt"),
        ("Img/img_align_celeba.zip", "Eval/list_eval_partition.txt", "Anno/identity_CelebA.txt"),
        ("Img/img_align_celeba", "list_eval_partition.csv", "Anno/identity_CelebA.txt"),
    ],
)
def test_celeba_comes_with_its_crop_split_and_people(tmp_path: Path, photos: str, eval_: str, anno: str) -> None:
    pictures = celeba_make(tmp_path / "celeba", photos=photos, eval_=eval_, anno=anno)
    expected = np.stack([centre_of(picture) for picture in pictures])
    path = [tmp_path / "celeba"]
    assert np.array_equal(photos_read(photos_open(path, size=8)), expected)
    for split, part in (("train", [0, 1, 2, 3]), ("validation", [4]), ("test", [5])):
        assert np.array_equal(photos_read(photos_open(path, size=8, split=split)), expected[part])
    assert np.array_equal(photos_read(photos_open(path, size=8, max_per_person=2)), expected[[0, 1, 5]])
    whole = photos_open(path, size=8, crop=178)
    assert np.array_equal(
        photos_read(whole, limit=1)[0],
        np.asarray(Image.fromarray(pictures[0][20:198]).resize((8, 8), Image.Resampling.BICUBIC)),
    )
    split_photos = photos_split(path, size=8)
    assert (len(split_photos.training), len(split_photos.validation), split_photos.notes) == (4, 1, ())


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    celeba_make(
        tmp_path / "celeba",
        photos="img_align_celeba",
        eval_="list_eval_partition.txt",
        anno="identity_CelebA.txt",
    )
    return tmp_path / "celeba"


def test_what_is_missing_from_celeba_is_said(celeba: Path) -> None:
    (celeba / "identity_CelebA.txt").unlink()
    next(celeba.rglob("000002.png")).unlink()
    folder_make(celeba / "img_align_celeba", {"extra.png": b"x"})
    training, _, notes = photos_split([celeba], size=8, max_per_person=1)
    assert len(training) == 3
    assert notes == (
        "1 of the 6 photos of list_eval_partition.txt are not there.",
        "1 photos of img_align_celeba are not in list_eval_partition.txt and not used.",
        "celeba has no identity_CelebA.txt, so that it is not known who is on a photo.",
    )


def test_people_who_are_not_listed_are_different(celeba: Path) -> None:
    (celeba / "identity_CelebA.txt").write_text("000001.png 7\n000002.png 7\n")
    assert len(photos_open([celeba], size=8, max_per_person=1)) == 5


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "celeba has CelebA's aligned photos, but no list_eval_partition.txt; put the official file beside them"),
        ("a.png 0\n", "No photo of img_align_celeba is listed in list_eval_partition.txt; both must be of the aligned"),
        ("000001.png 0\n000002.png 3\n", "list_eval_partition.txt has 3 for 000002.png, not 0, 1 or 2; copy the offi"),
        ("000001.png 0\nlost\n", "Line 2 of list_eval_partition.txt is no file name and number; copy the official"),
        ("\udcff", "list_eval_partition.txt is not a text file; copy the official one once more."),
    ],
)
def test_a_wrong_split_of_celeba_is_named(celeba: Path, text: str | None, sentence: str) -> None:
    (celeba / "list_eval_partition.txt").unlink()
    if text is not None:
        (celeba / "list_eval_partition.txt").write_bytes(text.encode(errors="surrogateescape"))
    assert sentence_of(lambda: photos_open([celeba], size=8)).startswith(sentence)


def test_photos_of_celeba_that_are_not_the_aligned_ones_are_refused(celeba: Path) -> None:
    photo = next(celeba.rglob("000001.png"))
    photo.write_bytes(saved(hostile.picture(256, 256), "PNG"))
    assert sentence_of(lambda: photos_read(photos_open([celeba], size=8))) == (
        "000001.png in celeba is 256x256 pixels, not 178x218; use it all the same by a --crop."
    )
    assert len(photos_read(photos_open([celeba], size=8, crop=138))) == 6


# --- LMDB -----------------------------------------------------------------------------------------------------------


def test_the_name_of_an_lmdb_says_which_part_it_is(tmp_path: Path) -> None:
    photos = photos_make(30)
    train = lmdb_make(tmp_path / "bedroom_train_lmdb", files_make(photos[:25]))
    held = lmdb_make(tmp_path / "bedroom_val_lmdb", files_make(photos[25:]))
    for training, validation, notes in (
        photos_split([train], [held], size=8),
        photos_split([train, held], size=8),
    ):
        assert np.array_equal(photos_read(training), photos[:25])
        assert np.array_equal(photos_read(validation), photos[25:])
        assert notes == ()
    assert sentence_of(lambda: photos_split([train], size=8)) == (
        "There is no validation photo in bedroom_train_lmdb; give photos to --validation."
    )
    rooms = lmdb_make(tmp_path / "rooms", files_make(photos))
    assert len(photos_open([rooms], size=8, split="test")) == 30  # a set without parts belongs to all


@pytest.mark.parametrize(
    ("length", "sentence"),
    [
        (20_000, "rooms is cut off before its end; copy it once more."),
        (100, "rooms is not a readable LMDB ("),
        (0, "rooms is not a readable LMDB ("),
    ],
)
def test_an_lmdb_that_is_cut_off_is_refused(tmp_path: Path, length: int, sentence: str) -> None:
    path = lmdb_make(tmp_path / "rooms", files_make(photos_make(100)))
    os.truncate(path / "data.mdb", length)
    assert sentence_of(lambda: photos_open([path], size=8)).startswith(sentence)


@pytest.mark.parametrize("files", [{"b": PHOTO}, {"a": PHOTO}, {"a": PHOTO, "b": PHOTO + b"x"}])
def test_an_lmdb_that_is_changed_in_use_is_noticed(tmp_path: Path, files: dict[str, bytes]) -> None:
    photos = photos_open([lmdb_make(tmp_path / "rooms", {"a": PHOTO, "b": PHOTO})], size=8)
    shutil.rmtree(tmp_path / "rooms")
    lmdb_make(tmp_path / "rooms", files)
    assert sentence_of(lambda: photos_read(photos)).startswith("rooms was changed while it was used; start again")


def test_without_its_package_an_lmdb_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lmdb_make(tmp_path / "rooms", {"a": PHOTO})
    monkeypatch.setitem(sys.modules, "lmdb", None)
    assert sentence_of(lambda: photos_open([path], size=8)) == (
        "rooms is an LMDB, which takes the Python package lmdb to read: pip install -r requirements-extras.txt."
    )


# --- Parts ----------------------------------------------------------------------------------------------------------


def test_a_set_without_a_split_gives_every_20th_photo_by_its_pixels(tmp_path: Path) -> None:
    photos = photos_make(600)
    path = npz_make(tmp_path / "p.npz", photos)
    training, validation, notes = photos_split([path], size=8)
    assert not pixels_of(training) & pixels_of(validation)
    assert pixels_of(training) | pixels_of(validation) == pixels_of(photos)
    assert 10 <= len(validation) <= 55  # 30 expected, with a deviation of 5.3
    assert len(notes) == 1
    assert notes[0].startswith(f"p.npz has no split: {len(validation)} of its 600 photos")
    # Other neighbours and another order change no photo's part.
    npz_make(tmp_path / "q.npz", np.concatenate([photos_make(50, seed=1), photos[::-1]]))
    more = photos_split([tmp_path / "q.npz"], size=8)
    assert pixels_of(validation) <= pixels_of(more.validation)
    assert pixels_of(training) <= pixels_of(more.training)
    # What measuring holds out is what training did.
    held_out = photos_open([path], size=8, split="validation", hold_out=True)
    assert held_out.digest == validation.digest
    assert len(photos_open([path], size=8, split="validation")) == 600


def test_files_are_held_out_by_their_contents_behind_every_door(tmp_path: Path) -> None:
    files = files_make(photos_make(200))
    (tmp_path / "other").mkdir()
    renamed = {f"{999 - i}.png": data for i, data in enumerate(files.values())}
    neighbours = {f"n{name}": data for name, data in files_make(photos_make(40, seed=1)).items()}
    parted = [photos_split([make(tmp_path / "rooms", files)], size=8) for make in (zip_make, lmdb_make)]
    parted.append(photos_split([folder_make(tmp_path / "other" / "rooms", renamed)], size=8))
    assert 1 <= len(parted[0].validation) <= 25  # 10 expected, with a deviation of 3.1
    for training, validation, notes in parted:
        assert pixels_of(validation) == pixels_of(parted[0].validation)
        assert len(training) + len(validation) == 200
        assert f"has no split: {len(validation)} of its 200 photos" in notes[0]
    more = photos_split([folder_make(tmp_path / "other" / "more", renamed | neighbours)], size=8)
    assert pixels_of(parted[0].validation) <= pixels_of(more.validation)
    assert pixels_of(parted[0].training) <= pixels_of(more.training)


@every_door
def test_a_small_set_gives_one_photo(tmp_path: Path, make: Make) -> None:
    training, validation, _ = photos_split([make(tmp_path / "rooms", files_make(photos_make(3)))], size=8)
    assert (len(training), len(validation)) == (2, 1)


def test_the_one_photo_of_a_small_set_is_not_chosen_by_the_length_of_its_file(tmp_path: Path) -> None:
    chosen = set()
    for seed in range(12):
        files = {f"{i}.bmp": saved(hostile.picture(8 * i, 8 * i, seed=seed), "BMP") for i in (1, 2, 3)}
        folder = folder_make(tmp_path / f"{seed}", files)
        held_out = photos_open([folder], size=8, split="validation", hold_out=True)
        chosen.add(held_out.photo_name(0)[:5])
    assert chosen == {"1.bmp", "2.bmp", "3.bmp"}


def test_sets_for_validation_leave_the_others_whole(tmp_path: Path) -> None:
    path = npz_make(tmp_path / "p.npz", photos_make(60))
    held = npz_make(tmp_path / "v.npz", photos_make(9, seed=1), split=np.repeat([0, 1], [5, 4]))
    training, validation, notes = photos_split([path], [held], size=8)
    assert (len(training), len(validation), notes) == (60, 4, ())


# --- Copies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [1, 2])
def test_copies_of_validation_or_test_photos_are_refused_or_left_out(tmp_path: Path, part: int) -> None:
    photos = photos_make(11)
    pixels = np.concatenate([photos, photos[8:10]])  # the last two are trained on too
    split = np.repeat([0, 1, part], [10, 1, 2])
    path = npz_make(tmp_path / "p.npz", pixels, split=split)
    assert sentence_of(lambda: photos_split([path], size=8)) == (
        "2 of 10 training photos are validation or test photos too, the first photo 8 of p.npz (as photo 11 of p.npz); "
        "train without them by --leave-out-duplicates."
    )
    training, validation, notes = photos_split([path], size=8, leave_out_duplicates=True)
    assert np.array_equal(photos_read(training), photos[:8])
    assert np.array_equal(photos_read(validation), pixels[split == 1])
    assert notes == (
        "2 of 10 training photos are left out, since their pixels are those of a validation or test photo.",
    )


def test_copies_of_the_test_photos_of_a_set_for_validation_are_refused(tmp_path: Path) -> None:
    photos = photos_make(10)
    held = npz_make(
        tmp_path / "v.npz", np.concatenate([photos_make(2, seed=1), photos[4:5]]), split=np.array([0, 1, 2])
    )
    path = npz_make(tmp_path / "p.npz", photos)
    assert sentence_of(lambda: photos_split([path], [held], size=8)).startswith(
        "1 of 10 training photos are validation or test photos too, the first photo 4 of p.npz (as photo 2 of v.npz);"
    )


@every_door
def test_copies_are_found_from_one_door_to_another(tmp_path: Path, make: Make) -> None:
    photos = photos_make(20)
    path = make(tmp_path / "rooms", files_make(photos))
    (tmp_path / "held").mkdir()
    for held in (
        npz_make(tmp_path / "held.npz", photos[[7, 3]]),
        folder_make(tmp_path / "held", {"a.tif": saved(photos[3], "TIFF"), "b.bmp": saved(photos[7], "BMP")}),
    ):
        name = "photo 1 of held.npz" if held.suffix else "a.tif in held"
        assert sentence_of(partial(photos_split, [path], [held], size=8)).startswith(
            f"2 of 20 training photos are validation or test photos too, the first 0003.png in {path.name} (as {name});"
        )
        training, _, _ = photos_split([path], [held], size=8, leave_out_duplicates=True)
        assert np.array_equal(photos_read(training), np.delete(photos, [3, 7], axis=0))


def test_a_run_on_its_own_validation_photos_is_refused_whatever_is_left_out(tmp_path: Path) -> None:
    path = npz_make(tmp_path / "p.npz", photos_make(10))
    for leave_out in (False, True):
        assert sentence_of(partial(photos_split, [path], [path], size=8, leave_out_duplicates=leave_out)).startswith(
            "Every training photo is a validation or test photo too; give other photos to --data"
        )


@every_door
def test_of_sets_too_large_to_decode_equal_files_are_found(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "COMPARED_BYTES_MOST", 1_000)
    files = files_make(photos_make(20))
    path = make(tmp_path / "rooms", files)
    held = {"copy.png": files["0007.png"], "anew.bmp": saved(photos_make(20)[3], "BMP")}
    training, _, notes = photos_split([path], [folder_make(tmp_path / "held", held)], size=8, leave_out_duplicates=True)
    assert np.array_equal(photos_read(training), np.delete(photos_make(20), 7, axis=0))
    assert notes[1] == (
        "The 19 training photos are too many to decode before a run, so that only equal files were looked for among "
        "those to validate or test on, not equal pixels."
    )


def with_checksum(data: bytes, checksum: int) -> bytes:
    """Append 4 bytes that give a file this CRC-32, which is linear in each of their 32 bits."""
    start = zlib.crc32(data + bytes(4))
    wanted, chosen = start ^ checksum, 0
    rows: list[tuple[int, int]] = []
    for bit in range(32):
        effect, bits = zlib.crc32(data + (1 << bit).to_bytes(4, "little")) ^ start, 1 << bit
        for other, its_bits in rows:
            if effect ^ other < effect:
                effect, bits = effect ^ other, bits ^ its_bits
        rows = sorted([*rows, (effect, bits)], reverse=True)
    for effect, bits in rows:
        if wanted ^ effect < wanted:
            wanted, chosen = wanted ^ effect, chosen ^ bits
    return data + chosen.to_bytes(4, "little")


@every_door
def test_files_that_agree_in_length_and_checksum_are_compared_by_their_pixels(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "COMPARED_BYTES_MOST", 0)
    one, two = (saved(photo, "BMP") for photo in photos_make(2))
    other = with_checksum(two, zlib.crc32(one + bytes(4)))
    assert (len(other), zlib.crc32(other)) == (len(one) + 4, zlib.crc32(one + bytes(4)))
    first = photos_open([make(tmp_path / "1", {"a.bmp": one + bytes(4), "b.bmp": other})], size=8)
    second = photos_open([make(tmp_path / "2", {"c.bmp": other})], size=8)
    assert duplicates_find(first, second).tolist() == [1]


def test_only_files_of_a_length_that_occurs_on_both_sides_are_read_to_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "COMPARED_BYTES_MOST", 0)
    files = files_make(photos_make(5)) | {"gone.png": b"x" * 99_999}
    first = photos_open([folder_make(tmp_path / "rooms", files)], size=8)
    second = photos_open([folder_make(tmp_path / "held", {"a.png": files["0002.png"]})], size=8)
    (tmp_path / "rooms" / "gone.png").unlink()
    assert duplicates_find(first, second).tolist() == [2]
    assert duplicates_find(second, second).tolist() == [0]
    assert "gone.png in rooms cannot be read" in sentence_of(lambda: duplicates_find(first, first))


@settings(max_examples=40, deadline=None)
@given(
    first=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    second=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    makes=st.tuples(*[st.sampled_from([*DOORS.values()])] * 2),
    compared_bytes_most=st.sampled_from([0, 1_000_000]),
)
def test_copies_are_those_that_comparing_all_pairs_finds(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[int],
    second: list[int],
    makes: tuple[Make, Make],
    compared_bytes_most: int,
) -> None:
    folder, photos = tmp_path_factory.mktemp("copies"), photos_make(10)
    (folder / "2").mkdir()
    sides = [
        photos_open([make(folder / name, files_make(photos[numbers]))], size=8)
        for make, numbers, name in ((makes[0], first, "1"), (makes[1], second, "2/2"))
    ]
    expected = [i for i, number in enumerate(first) if number in second]
    told: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "COMPARED_BYTES_MOST", compared_bytes_most)
        found = duplicates_find(*sides, progress=lambda done, total: told.append((done, total)))
    assert found.tolist() == expected
    assert told[-1] == (len(first) + len(second), len(first) + len(second))
    assert sorted(told) == told


def test_no_photo_is_a_copy_where_there_is_none(four_doors: tuple[Photos, NDArray[np.uint8]], tmp_path: Path) -> None:
    others = photos_open([npz_make(tmp_path / "p.npz", photos_make(50, seed=1))], size=8)
    assert duplicates_find(four_doors[0], others).shape == (0,)
    none = others.without(np.arange(50))
    assert duplicates_find(none, others).shape == duplicates_find(others, none).shape == (0,)


def test_copies_are_found_among_photos_of_any_kind(four_doors: tuple[Photos, NDArray[np.uint8]]) -> None:
    class Pixels:
        size = 8
        digest = ""

        def __len__(self) -> int:
            return 3

        def read(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
            return photos_make(40)[[31, 5, 31]][indices]

    assert duplicates_find(Pixels(), four_doors[0]).tolist() == [0, 1, 2]
    assert duplicates_find(four_doors[0], Pixels()).tolist() == [5, 31]


# --- Digests --------------------------------------------------------------------------------------------------------


def test_the_digest_of_an_npz_is_that_of_its_pixels(tmp_path: Path) -> None:
    photos = photos_make(5_000)
    opened = photos_open([npz_make(tmp_path / "p.npz", photos)], size=8)
    assert opened.digest == hashlib.sha256(b"(5000, 8, 8, 3) " + photos.tobytes()).hexdigest()
    halves = [npz_make(tmp_path / "a.npz", photos[:9]), npz_make(tmp_path / "b.npz", photos[9:])]
    assert photos_open(halves, size=8).digest == opened.digest


@every_door
def test_a_digest_tells_sets_and_choices_apart_but_not_places(tmp_path: Path, make: Make) -> None:
    files = {f"{i}.bmp": saved(hostile.picture(16, 16, seed=i), "BMP") for i in range(3)}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    opened = photos_open([make(tmp_path / "a" / "rooms", files)], size=8)
    moved = photos_open([make(tmp_path / "b" / "rooms", dict(reversed(files.items())))], size=8)
    assert opened.digest == moved.digest
    assert len(opened.digest) == 64
    path = [make(tmp_path / "rooms", files | {"3.bmp": files["0.bmp"]})]
    others = [
        photos_open(path, size=8),
        photos_open(path, size=8, split="train", hold_out=True),
        photos_open(path, size=8, split="validation", hold_out=True),
        photos_open(path, size=4),
        photos_open(path, size=8, crop=9),
        opened,
        opened.without(np.array([0])),
        opened.without(np.array([1])),
    ]
    assert len({photos.digest for photos in others}) == len(others)


def test_the_digest_of_a_zip_tells_contents_of_one_length_apart(tmp_path: Path) -> None:
    digests = set()
    for seed in range(3):
        files = {"a.bmp": saved(hostile.picture(16, 16, seed=seed), "BMP")}
        digests.add(photos_open([zip_make(tmp_path / "p", files)], size=8).digest)
    assert len(digests) == 3
