"""Which photos are evaluated, and among which the nearest one is searched."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studies.errors import EvaluationImpossible
from studies.evaluation import photo_sets
from studies.evaluation.photo_sets import EvaluationPhotos, bank_open, photos_open, size_find
from studies.evaluation.run import photos_read
from studies.methods import METHODS, Need, downsample
from tests.tiny_checkpoints import make_npz, make_photos

PHOTOS = make_photos(10)


def pixels(opened: EvaluationPhotos) -> list[bytes]:
    return [photo.tobytes() for photo in photos_read(opened, range(len(opened.photos)))]


def of(*numbers: int) -> list[bytes]:
    return [PHOTOS[number].tobytes() for number in numbers]


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    """Photos 0 to 5 for training, 6 and 7 for validation, 8 and 9 for testing."""
    return make_npz(tmp_path / "parted.npz", PHOTOS, split=np.repeat([0, 1, 2], [6, 2, 2]))


@pytest.mark.parametrize(
    ("split", "numbers", "about"),
    [
        (None, [6, 7], "2 photos, the validation part of parted.npz"),
        ("validation", [6, 7], "2 photos, the validation part of parted.npz"),
        ("test", [8, 9], "2 photos, the test part of parted.npz"),
        ("train", [0, 1, 2, 3, 4, 5], "6 photos, the train part of parted.npz"),
        ("all", list(range(10)), "all 10 photos of parted.npz"),
    ],
)
def test_a_set_with_parts_gives_its_validation_part_or_the_one_asked_for(
    parted: Path, split: str | None, numbers: list[int], about: str
) -> None:
    opened = photos_open([parted], size=16, split=split)
    assert pixels(opened) == of(*numbers)
    assert (opened.about, opened.notes) == (about, [])


@pytest.mark.parametrize(
    ("split", "numbers", "note"),
    [
        ([2] * 4, [0, 1, 2, 3], "has no validation part: all 4 photos, which it marks as test, are used."),
        ([0] * 4, [0, 1, 2, 3], "has no validation part: all 4 photos, which it marks as train, are used."),
        (None, [0, 1, 2, 3], "has no validation part: all 4 photos are used."),
        ([0, 0, 2, 2], [2, 3], "has no validation part: its test part is used."),
    ],
)
def test_a_set_without_a_validation_part_gives_what_it_has_and_says_so(
    tmp_path: Path, split: list[int] | None, numbers: list[int], note: str
) -> None:
    known = {} if split is None else {"split": np.array(split, np.uint8)}
    opened = photos_open([make_npz(tmp_path / "held.npz", PHOTOS[:4], **known)], size=16)
    assert pixels(opened) == of(*numbers)
    assert opened.notes == [f"held.npz {note}"]


def test_several_sets_are_evaluated_together_and_limited_to_the_first_photos(parted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in (0, 1):
        Image.fromarray(PHOTOS[number]).save(folder / f"{number}.png")
    paths = [parted, folder]
    assert pixels(photos_open(paths, size=16)) == of(6, 7, 0, 1)
    limited = photos_open(paths, size=16, limit=3)
    assert pixels(limited) == of(6, 7, 0)
    assert limited.about.startswith("the first 3 photos of: 2 photos, the validation part of parted.npz; all 2 photos")
    assert len(photos_open(paths, size=16, limit=99).photos) == 4


def test_of_a_set_without_parts_only_what_training_holds_out_can_be_taken(tmp_path: Path) -> None:
    path = make_npz(tmp_path / "mine.npz", make_photos(60, seed=3))
    held = photos_open([path], size=16, held_out=True)
    assert 0 < len(held.photos) < 20
    assert held.training is not None
    assert len(held.training) + len(held.photos) == 60
    assert held.about.endswith("the validation part of mine.npz")


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("nowhere.npz", {}, "nowhere.npz"),
        ("parted.npz", {"size": 32}, "16, 16"),
        ("two.npz", {"split": "test"}, "two.npz has no test part, but validation and train; give another --split"),
    ],
)
def test_photos_that_cannot_be_had_are_said_in_one_sentence(
    parted: Path, name: str, options: dict[str, object], sentence: str
) -> None:
    make_npz(parted.parent / "two.npz", PHOTOS[:4], split=np.array([0, 0, 1, 1]))
    with pytest.raises(EvaluationImpossible, match=sentence):
        photos_open([parted.parent / name], **{"size": 16, **options})  # type: ignore[arg-type] # options of any kind


def test_an_npz_says_how_large_its_photos_are(parted: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.npz"
    np.savez_compressed(packed, person=np.array(["a"]), images=make_photos(1, size=24))
    other = make_npz(tmp_path / "other.npz", np.zeros(3, np.uint8))
    text = tmp_path / "text.npz"
    text.write_text("nothing")
    sizes = [size_find(paths) for paths in ([packed], [tmp_path, parted, packed], [other, text, tmp_path / "gone"])]
    assert sizes == [24, 16, 32]


def test_the_train_part_beside_the_photos_is_their_bank(parted: Path) -> None:
    opened = bank_open([], photos_open([parted], size=16), factor=4)
    assert [photo.tobytes() for photo in opened.bank.high_res] == of(0, 1, 2, 3, 4, 5)
    assert (opened.bank.low_res == downsample(PHOTOS[:6], factor=4)).all()
    assert opened.note == "nearest_neighbour searches 6 photos, the train part of parted.npz."


def test_a_bank_gives_its_train_part_or_all_of_itself(parted: Path, tmp_path: Path) -> None:
    evaluated = photos_open([make_npz(tmp_path / "others.npz", make_photos(2, seed=7))], size=16)
    plain = make_npz(tmp_path / "plain.npz", PHOTOS[8:])
    opened = bank_open([parted, plain], evaluated, factor=4)
    assert [photo.tobytes() for photo in opened.bank.high_res] == of(0, 1, 2, 3, 4, 5, 8, 9)
    assert opened.note.endswith("searches 8 photos, the train part of parted.npz and all of plain.npz.")
    assert len(opened.bank.digest) == 64


def test_a_large_bank_is_kept_in_a_file(parted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_sets, "BANK_MEMORY_BYTES", 6 * 4 * 4 * 3)
    bank = bank_open([], photos_open([parted], size=16), factor=4).bank
    assert isinstance(bank.high_res, np.memmap)
    assert not isinstance(bank.low_res, np.memmap)
    assert [photo.tobytes() for photo in bank.high_res] == of(0, 1, 2, 3, 4, 5)
    nearest = METHODS["nearest_neighbour"].load(Need(4, {}, bank))
    assert (nearest(bank.low_res[3:4], seeds=[0]) == PHOTOS[3]).all()


def test_a_bank_that_was_kept_is_opened_again(parted: Path, tmp_path: Path) -> None:
    evaluated, folder = photos_open([parted], size=16), tmp_path / "bank"
    first = bank_open([], evaluated, factor=4, keep=folder)
    again = bank_open([folder], evaluated, factor=4)
    for bank in (first.bank, again.bank):
        assert [photo.tobytes() for photo in bank.high_res] == of(0, 1, 2, 3, 4, 5)
        assert (bank.low_res == downsample(PHOTOS[:6], factor=4)).all()
        assert isinstance(bank.high_res, np.memmap)
    assert first.bank.digest == again.bank.digest
    assert again.note == "nearest_neighbour searches 6 photos, kept in bank."
    for paths, factor, split, sentence in (
        ([folder, parted], 4, None, "is searched alone; give no other --bank"),
        ([folder], 2, None, "holds pictures of 4x4 and 16x16 pixels, not of 8x8 and 16x16; give another"),
        ([folder], 4, "all", "6 of the 6 photos of the bank .* photo 0 of bank: .* make the bank again with --leave"),
    ):
        with pytest.raises(EvaluationImpossible, match=sentence):
            bank_open(paths, photos_open([parted], size=16, split=split), factor=factor)
    for paths, sentence in (([], "bank exists; leave --keep-bank out"), ([folder], "there is one already")):
        with pytest.raises(EvaluationImpossible, match=sentence):
            bank_open(paths, evaluated, factor=4, keep=folder)
    (folder / "bank.json").write_text("{}")
    with pytest.raises(EvaluationImpossible, match=r"bank\.json cannot be read"):
        bank_open([folder], evaluated, factor=4)


def test_without_photos_for_training_a_bank_must_be_given(parted: Path, tmp_path: Path) -> None:
    for path, split in ((make_npz(tmp_path / "held.npz", PHOTOS[:4]), None), (parted, "train"), (parted, "all")):
        with pytest.raises(
            EvaluationImpossible, match="come without a train part; give --bank PHOTOS, or leave nearest"
        ):
            bank_open([], photos_open([path], size=16, split=split), factor=4)


def test_a_bank_that_holds_a_photo_to_evaluate_is_refused_or_goes_without_it(parted: Path, tmp_path: Path) -> None:
    evaluated = photos_open([parted], size=16)
    bank = make_npz(tmp_path / "bank.npz", PHOTOS[3:8])
    with pytest.raises(
        EvaluationImpossible, match=r"2 of the 5 photos of the bank .*bank\.npz.*--leave-out-duplicates"
    ):
        bank_open([bank], evaluated, factor=4)
    opened = bank_open([bank], evaluated, factor=4, leave_out_duplicates=True)
    assert [photo.tobytes() for photo in opened.bank.high_res] == of(3, 4, 5)
    assert "less 2 that are evaluated too" in opened.note
    only = make_npz(tmp_path / "only.npz", PHOTOS[6:8])
    with pytest.raises(EvaluationImpossible, match="Every photo of the bank is to be evaluated too"):
        bank_open([only], evaluated, factor=4, leave_out_duplicates=True)
