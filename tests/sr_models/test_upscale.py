"""`python -m sr_models.upscale`: any photo in, pictures and a contact sheet out."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from sr_models import upscale
from sr_models.checkpoints import checkpoint_load
from sr_models.pixels import downsample
from sr_models.sampling import sample
from tests.factories import make_picture
from tests.tiny_checkpoints import make_checkpoint

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def draws(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "draws.safetensors")


@pytest.fixture
def mean(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "mean.safetensors", network="srresnet")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Write a photo whose centre is 48 x 48."""
    picture = np.concatenate([make_picture(size=48, seed=1), make_picture(size=48, seed=2)[:, :20]], axis=1)
    Image.fromarray(picture).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Write a picture that is as small as the inputs of --size 16."""
    Image.fromarray(make_picture(size=4, seed=3)).save(tmp_path / "small.png")
    return tmp_path / "small.png"


def run(*arguments: object, out: Path) -> int:
    return upscale.main([*map(str, arguments), "--size", "16", "--out", str(out), "--device", "cpu"])


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        return np.array(picture)


def test_a_photo_gives_its_draws_at_each_tau_and_a_sheet(photo: Path, draws: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(photo, "--checkpoint", draws, "--tau", "1.0", "1.1", "--draws", 2, "--seed", 5, out=out) == 0
    names = ["tau1.0-seed5", "tau1.0-seed6", "tau1.1-seed5", "tau1.1-seed6", "input", "bicubic", "truth", "sheet"]
    assert {path.name for path in out.iterdir()} == {f"photo-draws-{name}.png" for name in names}
    with Image.open(photo) as opened:
        truth = opened.crop((10, 0, 58, 48)).resize((16, 16), Image.Resampling.BICUBIC)
    low_res = downsample(np.asarray(truth)[None], factor=4)
    assert (read(out / "photo-draws-truth.png") == np.asarray(truth)).all()
    assert (read(out / "photo-draws-input.png") == low_res[0]).all()
    bicubic = Image.fromarray(low_res[0]).resize((16, 16), Image.Resampling.BICUBIC)
    assert (read(out / "photo-draws-bicubic.png") == np.asarray(bicubic)).all()
    network: Any = checkpoint_load(draws).network
    expected = sample(network, np.repeat(low_res, 2, axis=0), seeds=[5, 6], tau=1.1)
    for seed, picture in zip((5, 6), expected, strict=True):
        path = out / f"photo-draws-tau1.1-seed{seed}.png"
        assert (read(path) == picture).all()
        with Image.open(path) as opened:
            assert f"tau 1.1 (T 0.909), seed {seed}" in opened.info["Comment"]


def test_the_sheet_shows_every_picture_enlarged_without_smoothing(photo: Path, draws: Path, tmp_path: Path) -> None:
    run(photo, "--checkpoint", draws, "--tau", "1.0,1.2", "--draws", "9", out=tmp_path / "out")
    sheet = read(tmp_path / "out/photo-draws-sheet.png")
    for name in ("input", "bicubic", "truth", "tau1.0-seed0", "tau1.0-seed8", "tau1.2-seed7"):
        picture = read(tmp_path / f"out/photo-draws-{name}.png")
        times = 128 // len(picture)
        shown = picture.repeat(times, axis=0).repeat(times, axis=1)
        corners = (sheet[:-127, :-127] == shown[0, 0]).all(axis=2) & (sheet[127:, 127:] == shown[-1, -1]).all(axis=2)
        places = np.argwhere(corners)
        assert any((sheet[y : y + 128, x : x + 128] == shown).all() for y, x in places), name


def test_a_picture_as_small_as_an_input_is_the_input(small: Path, draws: Path, tmp_path: Path) -> None:
    assert run(small, "--checkpoint", draws, "--draws", "1", out=tmp_path / "out") == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"small-draws-{name}.png" for name in ("tau1.1-seed0", "input", "bicubic", "sheet")}
    assert (read(tmp_path / "out/small-draws-input.png") == read(small)).all()
    assert read(tmp_path / "out/small-draws-tau1.1-seed0.png").shape == (16, 16, 3)


def test_pictures_of_any_shape_can_be_inputs_and_several_go_together(
    small: Path, draws: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(make_picture(size=8, seed=4)[:5]).save(tmp_path / "wide.png")
    together, apart = tmp_path / "together", tmp_path / "apart"
    options = ("--checkpoint", draws, "--draws", "2", "--input", "low")
    assert run(tmp_path / "wide.png", small, *options, out=together) == 0
    monkeypatch.setattr(upscale, "PIXELS_AT_ONCE", 1)
    assert run(tmp_path / "wide.png", *options, out=apart) == 0
    picture = read(together / "wide-draws-tau1.1-seed1.png")
    assert picture.shape == (20, 32, 3)
    assert (picture == read(apart / "wide-draws-tau1.1-seed1.png")).all()
    assert (together / "small-draws-tau1.1-seed1.png").exists()


def test_a_regression_gives_one_picture(
    photo: Path, mean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(photo, "--checkpoint", mean, "--tau", "1.1", "--draws", "3", out=tmp_path / "out") == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"photo-mean-{name}.png" for name in ("regression", "input", "bicubic", "truth", "sheet")}
    assert "a regression: it makes one picture, and --tau does nothing" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["turned.jpg", "alpha.png", "deep.png", "cmyk.jpg", "palette.gif", "grey.webp"])
def test_photos_of_any_format_are_taken(kind: str, mean: Path, tmp_path: Path) -> None:
    picture = Image.fromarray(make_picture(size=40, seed=5))
    path = tmp_path / kind
    if kind == "turned.jpg":
        exif = Image.Exif()
        exif[0x0112] = 6
        halves = Image.new("RGB", (40, 40), "black")
        halves.paste((255, 255, 255), (0, 0, 20, 40))  # white on the left, above once it is turned upright
        halves.save(path, exif=exif, quality=95)
    elif kind == "alpha.png":
        picture.putalpha(0)
        picture.save(path)
    elif kind == "deep.png":
        Image.fromarray(np.full((40, 40), 200 * 257, np.uint16)).save(path)
    elif kind == "cmyk.jpg":
        picture.convert("CMYK").save(path, quality=95)
    elif kind == "palette.gif":
        picture.quantize(16).save(path)
    else:
        picture.convert("L").save(path)
    assert run(path, "--checkpoint", mean, out=tmp_path / "out") == 0
    truth = read(tmp_path / f"out/{path.stem}-mean-truth.png")
    if kind == "turned.jpg":
        assert truth[:6].min() > 200
        assert truth[10:].max() < 50
    elif kind == "alpha.png":
        assert (truth == 255).all()
    elif kind == "deep.png":
        assert (truth == 200).all()
    elif kind == "grey.webp":
        assert (np.ptp(truth.astype(int), axis=2) <= 2).all()


def test_names_go_to_the_weights_that_come_with_the_platform(
    draws: Path, mean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, path in (("pixel_recursive_rooms", draws), ("regression_rooms", mean), ("regression_smooth", mean)):
        (tmp_path / "weights").mkdir(exist_ok=True)
        (tmp_path / "weights" / f"{name}.safetensors").write_bytes(path.read_bytes())
    monkeypatch.setattr(upscale, "WEIGHTS", tmp_path / "weights")
    found = [upscale.checkpoint_find(text).stem for text in ("rooms", "regression_rooms", "smooth", str(mean))]
    assert found == ["pixel_recursive_rooms", "regression_rooms", "regression_smooth", "mean"]
    best = make_checkpoint(tmp_path / "run/best.safetensors")
    assert upscale.checkpoint_find(str(tmp_path / "run")) == best
    with pytest.raises(
        upscale.UpscaleError, match=r"no checkpoint 'faces': .* names are rooms, regression_rooms, regres"
    ):
        upscale.checkpoint_find("faces")


def test_pictures_that_are_there_are_replaced_only_by_force(
    photo: Path, mean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(photo, "--checkpoint", mean, out=out) == 0
    (out / "photo-mean-input.png").write_bytes(b"mine")
    assert run(photo, "--checkpoint", mean, out=out) == 2
    assert "is there already; --force replaces it, --out writes somewhere else." in capsys.readouterr().err
    assert (out / "photo-mean-input.png").read_bytes() == b"mine"
    assert run(photo, "--checkpoint", mean, "--force", out=out) == 0
    assert read(out / "photo-mean-input.png").shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("size", "options", "sentence"),
    [
        ((10, 10), [], "is 10x10 pixels: larger than an input of 4x4, too small for a photo of 16x16; --input low"),
        ((3, 90), [], "is 3x90 pixels: larger than an input of 4x4"),
        ((10, 10), ["--input", "photo"], "a photo of 16x16 needs at least 16 a side; --input low enlarges it as it is"),
        ((90, 90), ["--input", "low"], "too many to be enlarged to 360x360 sub-pixel by sub-pixel; --input photo"),
    ],
)
def test_a_picture_of_an_unfit_size_is_refused_with_the_cure(
    size: tuple[int, int],
    options: list[str],
    sentence: str,
    mean: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Image.new("RGB", size).save(tmp_path / "odd.png")
    assert run(tmp_path / "odd.png", "--checkpoint", mean, *options, out=tmp_path / "out") == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_read_or_written_is_said_in_one_line(
    photo: Path, mean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/photo.jpg").write_bytes(photo.read_bytes())
    cases = [
        ([tmp_path / "text.png", "--checkpoint", mean], "text.png is not a readable picture"),
        ([tmp_path / "gone.png", "--checkpoint", mean], "gone.png: No such file"),
        ([photo, "--checkpoint", tmp_path / "text.png"], "cannot be read"),
        ([photo, tmp_path / "other/photo.jpg", "--checkpoint", mean], "would both give files called photo-mean"),
        ([photo, "--checkpoint", mean, "--out", photo], "File exists"),
    ]
    for arguments, sentence in cases:
        given = [] if "--out" in arguments else ["--out", tmp_path / "out"]
        assert upscale.main([*map(str, [*arguments, *given]), "--size", "16"]) == 2
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert sentence in said
    assert upscale.main([str(photo), "--checkpoint", str(mean), "--size", "18"]) == 2
    assert "--size 18 is no multiple of 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--tau", "hot"], ["--tau", "0"], ["--tau", "1.0,,1.1"], ["--draws", "0"], ["--seed", "-1"]]
)
def test_impossible_numbers_are_refused_by_the_command_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        upscale.main(["photo.png", "--checkpoint", "small", *arguments])
    assert raised.value.code == 2
    assert "must be " in capsys.readouterr().err


def test_help_shows_the_usual_temperature_beside_tau(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        upscale.main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "T = 1 / tau: 1.1 is T 0.909, 1.2 is T 0.833" in told


def test_it_runs_as_a_module_with_a_bar_on_standard_error(photo: Path, mean: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sr_models.upscale", str(photo), "--checkpoint", str(mean), "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, "1/1" in done.stderr) == (0, True)
    assert "photo-mean-sheet.png" in done.stdout


def test_sampling_uses_one_thread(small: Path, mean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    run(small, "--checkpoint", mean, out=tmp_path / "out")
    assert asked == [1]


def test_the_compiled_sampler_makes_the_same_pictures(small: Path, draws: Path, tmp_path: Path) -> None:
    pytest.importorskip("numba")
    made = []
    for name, extra in (("torch", []), ("compiled", ["--compiled"])):
        assert run(small, "--checkpoint", draws, "--tau", "1.0", "--draws", 1, *extra, out=tmp_path / name) == 0
        made.append(read(tmp_path / name / "small-draws-tau1.0-seed0.png"))
    assert (made[0] != made[1]).mean() < 0.05  # rounding may decide a draw on a boundary, and what follows it
