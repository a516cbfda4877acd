"""What the rows of an evaluation hold, against the methods and metrics called by hand."""

import hashlib
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.interpolation import bicubic
from studies.errors import EvaluationImpossible
from studies.evaluation import run
from studies.evaluation.conditions import EvaluationCondition, conditions_read
from studies.evaluation.photo_sets import EvaluationPhotos, bank_open, photos_open
from studies.evaluation.run import device_check, draws_make, evaluate
from studies.methods import downsample
from studies.statistics import fidelity
from studies.statistics.detail import detail, mean_absolute_gradient
from tests.tiny_checkpoints import make_checkpoint, make_npz, make_photos

PHOTOS = make_photos(7)


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    return str(make_checkpoint(tmp_path / "tiny.safetensors"))


@pytest.fixture
def photos(tmp_path: Path) -> EvaluationPhotos:
    split = np.repeat([0, 1], [4, 3])
    return photos_open([make_npz(tmp_path / "photos.npz", PHOTOS, split=split)], size=16)


def conditions(text: str, *checkpoints: str) -> list[EvaluationCondition]:
    return conditions_read([text], checkpoints=checkpoints).conditions


def test_rows_are_the_means_of_the_metrics_of_the_methods(photos: EvaluationPhotos) -> None:
    bank = bank_open([], photos, factor=4).bank
    evaluated = evaluate(conditions("nearest_neighbour,bicubic"), photos, factor=4, bank=bank, shown=[0, 1, 2])
    truth, low_res = PHOTOS[4:], downsample(PHOTOS[4:], factor=4)
    distances = [
        [((low.astype(int) - other.astype(int)) ** 2).sum() for other in downsample(PHOTOS[:4], factor=4)]
        for low in low_res
    ]
    expected = {
        "nearest_neighbour": PHOTOS[:4][np.argmin(distances, axis=1)],
        "bicubic": bicubic(low_res, factor=4),
    }
    for row in evaluated.table.rows:
        samples = expected[row.condition]
        assert (evaluated.samples[row.condition] == samples).all()
        assert row.psnr == pytest.approx(fidelity.psnr(samples, truth).mean())
        assert row.ssim == pytest.approx(fidelity.ssim(samples, truth).mean())
        assert row.ms_ssim == pytest.approx(fidelity.ms_ssim(samples, truth).mean())
        assert row.ms_ssim_3 is None  # photos of 16 x 16 are too small for it
        small = downsample(samples, factor=4)
        assert row.consistency == pytest.approx(fidelity.consistency(low_res, small).mean())
        assert row.detail == pytest.approx(detail(mean_absolute_gradient(samples), mean_absolute_gradient(truth)))
        assert row.seconds_per_image > 0
    assert [row.condition for row in evaluated.table.rows] == ["nearest_neighbour", "bicubic"]
    assert evaluated.table.notes == ["The photos are too small for ms_ssim_3."]
    assert evaluated.table.rows[0].digest == bank.digest
    assert (evaluated.table.n_photos, evaluated.table.low_res_size, evaluated.table.clock) == (3, 4, "processor")


def test_a_sample_follows_from_seed_and_photo_and_not_from_its_neighbours(
    photos: EvaluationPhotos, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = conditions("pixel_recursive:tau=1.1,pixel_recursive:tau=1.2", checkpoint)

    def samples_of(
        opened: EvaluationPhotos, *, seed: int = 0, shown: tuple[int, ...] = (0, 1, 2)
    ) -> dict[str, run.Pictures]:
        return evaluate(asked, opened, factor=4, seed=seed, shown=shown).samples

    whole = samples_of(photos)
    warm, cool = whole.values()
    assert (warm != cool).any()
    assert (warm != samples_of(photos, seed=1)["pixel_recursive:tau=1.1"]).any()
    alone = photos._replace(photos=photos.photos.without(np.array([0, 2])))
    assert (samples_of(alone, shown=(0,))["pixel_recursive:tau=1.1"][0] == warm[1]).all()
    monkeypatch.setattr(run, "PIXELS_AT_ONCE", 16 * 16 * 2)  # two photos, then one
    in_pieces = samples_of(photos)
    assert all((in_pieces[name] == whole[name]).all() for name in whole)


def test_photos_of_another_size_lose_only_the_metrics_that_need_more_pixels(tmp_path: Path) -> None:
    opened = photos_open([make_npz(tmp_path / "small.npz", make_photos(2, size=8))], size=8)
    row = evaluate(conditions("bicubic"), opened, factor=4).table.rows[0]
    assert (row.ssim, row.ms_ssim, row.ms_ssim_3) == (None, None, None)
    assert None not in {row.psnr, row.consistency, row.detail}
    with pytest.raises(
        EvaluationImpossible, match="8x8 pixels cannot be made 3 times smaller; give a --size that is a"
    ):
        evaluate(conditions("bicubic"), opened, factor=3)


def test_flat_photos_are_equalled_and_have_no_detail(tmp_path: Path) -> None:
    flat = np.stack([np.full((16, 16, 3), grey, np.uint8) for grey in (10, 200)])
    opened = photos_open([make_npz(tmp_path / "flat.npz", flat)], size=16)
    table = evaluate(conditions("bicubic"), opened, factor=4).table
    assert table.rows[0].psnr == np.inf
    assert table.rows[0].detail is None
    assert "pSNR is infinite, since a sample equals its photo: bicubic." in table.notes
    assert "The photos are flat, so that detail has no measure." in table.notes


def test_time_is_that_of_the_method_after_a_first_photo_that_is_not_counted(
    photos: EvaluationPhotos, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    clock = iter(range(100))

    def spy(low_res: run.Pictures, *, factor: int) -> run.Pictures:
        seen.append(len(low_res))
        return bicubic(low_res, factor=factor)

    monkeypatch.setattr("baselines.interpolation.bicubic", spy)
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    row = evaluate(conditions("bicubic"), photos, factor=4).table.rows[0]
    assert seen == [1, 3]
    assert row.seconds_per_image == pytest.approx(1 / 3)


def test_progress_tells_each_condition_up_to_the_last_photo(
    photos: EvaluationPhotos, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "NETWORK_BATCH", 2)
    told: list[tuple[str, int]] = []
    asked = conditions("bicubic,pixel_recursive", checkpoint)
    evaluate(asked, photos, factor=4, progress=lambda condition, done: told.append((condition.name, done)))
    assert told == [("bicubic", 3), ("pixel_recursive", 2), ("pixel_recursive", 3)]


def test_draws_of_one_input_differ_and_come_again(photos: EvaluationPhotos, checkpoint: str) -> None:
    (condition,) = conditions("pixel_recursive:tau=5", checkpoint)
    inputs = downsample(PHOTOS[:2], factor=4)
    first, second = draws_make(condition, inputs, count=2, factor=4, tau=1.0)
    assert first.shape == (2, 16, 16, 3)
    assert (first != second).any(axis=(1, 2, 3)).all()
    again = draws_make(condition, inputs, count=3, factor=4, tau=1.0)
    assert (again[1] == second).all()
    assert (draws_make(condition, inputs, count=1, factor=4)[0] != first).any()  # at the condition's own tau


def test_a_device_that_is_not_there_is_refused_before_the_work() -> None:
    device_check("cpu")
    with pytest.raises(EvaluationImpossible, match=r"device 'abacus' cannot be used .* leave --device out"):
        device_check("abacus")


def test_networks_run_with_the_threads_asked_for_and_give_the_digest_of_their_file(
    photos: EvaluationPhotos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    files = [
        make_checkpoint(tmp_path / "mean.safetensors", network="srresnet"),
        make_checkpoint(tmp_path / "draws.safetensors"),
    ]
    typed = conditions("regression,pixel_recursive", *map(str, files))
    table = evaluate(typed, photos, factor=4, threads=2).table
    for row, file in zip(table.rows, files, strict=True):
        assert row.digest == hashlib.sha256(file.read_bytes()).hexdigest()
        assert row.parameters["checkpoint"] == str(file)
    assert asked[-2:] == [2, 7]
    assert table.threads == 2
