"""Photos are read as they are meant to be seen, and none is both trained on and validated on."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sr_models.data import DataError, photos_load, photos_split


def photos_make(count: int, *, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)


def photos_of(array: NDArray[np.uint8]) -> set[bytes]:
    return {photo.tobytes() for photo in array}


def test_photos_of_a_folder_are_cropped_and_one_person_is_capped(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    Image.new("RGB", (20, 12), (10, 20, 30)).save(folder / "a.png")
    assert photos_load([folder], size=8).shape == (1, 8, 8, 3)
    (folder / "b.png").write_text("no picture")
    with pytest.raises(DataError, match=r"b\.png is not a readable picture"):
        photos_load([folder], size=8)
    images = np.zeros((6, 8, 8, 3), np.uint8)
    np.savez(
        tmp_path / "p.npz", images=images, person=np.array(list("aaaabb")), duplicate=np.array([1, 0, 0, 0, 0, 0], bool)
    )
    assert len(photos_load([tmp_path / "p.npz"], size=8, max_per_person=2)) == 4
    with pytest.raises(DataError, match="32, 32, 3"):
        photos_load([tmp_path / "p.npz"], size=32)
    with pytest.raises(DataError, match=r"q\.npz does not exist"):
        photos_load([tmp_path / "q.npz"], size=8)


def test_a_turned_photo_of_a_folder_is_read_upright(tmp_path: Path) -> None:
    upright = Image.fromarray(photos_make(1)[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(photos_load([tmp_path], size=8)[0], np.asarray(upright))


def test_a_set_without_a_split_gives_every_20th_photo_by_its_pixels(tmp_path: Path) -> None:
    photos = photos_make(600)
    np.savez(tmp_path / "p.npz", images=photos)
    training, validation, notes = photos_split([tmp_path / "p.npz"], size=8)
    assert not photos_of(training) & photos_of(validation)
    assert photos_of(training) | photos_of(validation) == photos_of(photos)
    assert 10 <= len(validation) <= 55  # 30 expected, with a deviation of 5.3
    assert len(notes) == 1  # nothing is left out as a copy besides
    assert notes[0].startswith(f"p.npz has no split: {len(validation)} of its 600 photos")
    # Other neighbours and another order change no photo's part.
    np.savez(tmp_path / "q.npz", images=np.concatenate([photos_make(50, seed=1), photos[::-1]]))
    more = photos_split([tmp_path / "q.npz"], size=8)
    assert photos_of(validation) <= photos_of(more.validation)
    assert photos_of(training) <= photos_of(more.training)
    # What measuring holds out is what training did.
    held_out = photos_load([tmp_path / "p.npz"], size=8, split="validation", hold_out=True)
    assert np.array_equal(held_out, validation)
    assert len(photos_load([tmp_path / "p.npz"], size=8, split="validation")) == 600


def test_a_small_set_gives_one_photo(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", images=photos_make(3))
    training, validation, _ = photos_split([tmp_path / "p.npz"], size=8)
    assert (len(training), len(validation)) == (2, 1)


def test_sets_for_validation_leave_the_others_whole(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", images=photos_make(60))
    np.savez(tmp_path / "v.npz", images=photos_make(9, seed=1), split=np.repeat([0, 1], [5, 4]))
    training, validation, notes = photos_split([tmp_path / "p.npz"], [tmp_path / "v.npz"], size=8)
    assert (len(training), len(validation), notes) == (60, 4, ())


def test_copies_of_validation_photos_are_not_trained_on(tmp_path: Path) -> None:
    photos = photos_make(10)
    images = np.concatenate([photos, photos[8:]])  # the last two are trained on and validated on
    np.savez(tmp_path / "p.npz", images=images, split=np.repeat([0, 1], [10, 2]))
    training, validation, notes = photos_split([tmp_path / "p.npz"], size=8)
    assert np.array_equal(training, photos[:8])
    assert np.array_equal(validation, photos[8:])
    assert notes == ("2 of 10 training photos are left out, since their pixels are those of a validation photo.",)
    np.savez(tmp_path / "q.npz", images=photos)
    with pytest.raises(DataError, match="Every training photo is also a validation photo; give other photos"):
        photos_split([tmp_path / "q.npz"], [tmp_path / "q.npz"], size=8)
