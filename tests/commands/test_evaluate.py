"""`manage.py evaluate`: any photos, any conditions, a table on standard output and figures in a folder."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from studies.management.commands import evaluate
from tests.tiny_checkpoints import make_checkpoint, make_npz, make_photos

ROOT = Path(__file__).resolve().parents[2]
PROMISED = {"condition", "psnr", "ssim", "ms_ssim", "ms_ssim_3", "consistency", "seconds_per_image", "detail"}


@pytest.fixture
def photos(tmp_path: Path) -> str:
    """Return a set of six photos to train on and four to validate on."""
    return str(make_npz(tmp_path / "photos.npz", make_photos(10), split=np.repeat([0, 1], [6, 4])))


@pytest.fixture
def draws(tmp_path: Path) -> str:
    return str(make_checkpoint(tmp_path / "draws.safetensors"))


@pytest.fixture
def mean(tmp_path: Path) -> str:
    return str(make_checkpoint(tmp_path / "mean.safetensors", network="srresnet"))


def run(*arguments: object) -> tuple[str, str]:
    """Run the command on photos of 16 x 16; return what it wrote to standard output and to standard error."""
    out, error = io.StringIO(), io.StringIO()
    call_command("evaluate", *map(str, arguments), "--size", "16", stdout=out, stderr=error)
    return out.getvalue(), error.getvalue()


def run_json(*arguments: object) -> dict[str, Any]:
    printed: dict[str, Any] = json.loads(run(*arguments, "--format", "json")[0], parse_constant=pytest.fail)
    return printed


def test_the_whole_comparison_as_json(photos: str, draws: str, mean: str) -> None:
    typed = "bicubic,nearest_neighbour,regression,pixel_recursive:tau=1.0,pixel_recursive:tau=1.1"
    printed = run_json("--photos", photos, "--conditions", typed, "--checkpoint", draws, "--checkpoint", mean)
    assert [row["condition"] for row in printed["rows"]] == typed.split(",")
    for row in printed["rows"]:
        assert set(row) >= PROMISED
        assert row["psnr"] > 0
        assert row["seconds_per_image"] > 0
    assert printed["n_photos"] == 4
    assert printed["notes"][0].startswith("nearest_neighbour searches 6 photos, the train part of photos.npz")


def test_standard_output_is_nothing_but_the_table(photos: str) -> None:
    command = [sys.executable, "manage.py", "evaluate", "--photos", photos, "--size", "16", "--conditions", "bicubic"]
    done = subprocess.run([*command, "--format", "json"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["rows"][0]["condition"] == "bicubic"
    assert "4/4" in done.stderr  # the bar


def test_a_bank_is_kept_and_searched_again(photos: str, tmp_path: Path) -> None:
    arguments = ("--photos", photos, "--conditions", "nearest_neighbour")
    first = run_json(*arguments, "--keep-bank", tmp_path / "bank")
    again = run_json(*arguments, "--bank", tmp_path / "bank")
    assert first["rows"][0]["psnr"] == again["rows"][0]["psnr"]
    assert again["notes"][0] == "nearest_neighbour searches 6 photos, kept in bank."


def test_samples_come_again_with_their_seed_alone(photos: str, draws: str) -> None:
    arguments = ("--photos", photos, "--conditions", "pixel_recursive", "--checkpoint", draws)
    first, again, other = (run_json(*arguments, "--seed", seed)["rows"][0]["psnr"] for seed in (3, 3, 4))
    assert first == again != other


def test_limit_takes_the_first_photos(photos: str) -> None:
    whole = run_json("--photos", photos, "--conditions", "bicubic")
    one, two = (run_json("--photos", photos, "--conditions", "bicubic", "--limit", n) for n in (1, 2))
    assert (one["n_photos"], two["n_photos"], whole["n_photos"]) == (1, 2, 4)
    assert len({one["rows"][0]["psnr"], two["rows"][0]["psnr"], whole["rows"][0]["psnr"]}) == 3
    assert len({one["photos_digest"], two["photos_digest"], whole["photos_digest"]}) == 3


def test_a_held_out_file_without_a_validation_part_is_evaluated_whole(tmp_path: Path) -> None:
    held = make_npz(tmp_path / "held.npz", make_photos(3), split=np.full(3, 2, np.uint8))
    printed, said = run("--photos", held, "--conditions", "bicubic", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert [row["n_photos"] for row in rows] == ["3"]
    sentence = "held.npz has no validation part: all 3 photos, which it marks as test, are used."
    assert sentence in said
    assert sentence in rows[0]["note"]


def test_own_checkpoints_go_by_name(photos: str, settings: Any) -> None:
    make_checkpoint(Path(settings.CHECKPOINTS_DIR) / "ours.safetensors")
    printed = run_json("--photos", photos, "--conditions", "pixel_recursive:tau=1.2", "--checkpoint", "ours")
    assert printed["rows"][0]["parameters"] == {"tau": 1.2, "checkpoint": "ours"}


def test_without_conditions_it_is_the_founding_comparison_less_what_has_no_bank(
    tmp_path: Path, draws: str, mean: str
) -> None:
    plain = make_npz(tmp_path / "plain.npz", make_photos(1))
    arguments = ("--photos", plain, "--checkpoint", draws, mean)
    printed, said = run(*arguments, "--format", "json")
    names = [row["condition"] for row in json.loads(printed)["rows"]]
    assert names == [name for name in evaluate.FOUNDING.split(",") if name != "nearest_neighbour"]
    assert "nearest_neighbour is left out: it needs --bank PHOTOS." in said


@pytest.mark.parametrize("form", ["text", "latex", "markdown"])
def test_printed_forms_have_a_row_for_each_condition(photos: str, form: str) -> None:
    printed, _ = run("--photos", photos, "--conditions", "bicubic", "nearest_neighbour", "--format", form)
    assert "Bicubic" in printed
    assert "Nearest neighbour" in printed
    assert "4 photos, 4x4 to 16x16 pixels" in printed


def test_figures_show_all_conditions_in_the_papers_order_and_many_draws(
    photos: str, draws: str, mean: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "DRAWS", 3)
    folder = tmp_path / "new" / "figures"
    typed = "pixel_recursive:tau=1.1,regression,nearest_neighbour,bicubic"
    arguments = ("--photos", photos, "--conditions", typed, "--checkpoint", draws, mean, "--figures", folder)
    _, said = run(*arguments)
    names = {f"{name}.{ending}" for name in ("comparison", "draws") for ending in ("png", "pdf", "svg")}
    assert {path.name for path in folder.iterdir()} == names
    assert all(str(folder / name) in said for name in names)
    svg = (folder / "comparison.svg").read_text()
    heads = [">input<", ">bicubic<", "neighbour<", ">regression<", ">tau\N{NO-BREAK SPACE}1.1", ">truth<"]
    places = [svg.index(head) for head in heads]
    assert places == sorted(places)
    truth = make_photos(10)[6]
    pixels = np.asarray(Image.open(folder / "comparison.png").convert("RGB"))
    right = pixels[:, pixels.shape[1] - 4 - 128 : pixels.shape[1] - 4]
    first = right[pixels.shape[0] - 4 - 4 * 128 - 3 * 2 :][:128]
    assert (first == truth.repeat(8, axis=0).repeat(8, axis=1)).all()
    drawn = (folder / "draws.svg").read_text()
    assert "Draws from one input at tau 1.0 (T 1), draws.safetensors" in drawn
    assert "draw 3" in drawn


def test_two_checkpoints_give_a_row_and_a_figure_of_draws_each(
    photos: str, draws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "DRAWS", 1)
    other = make_checkpoint(tmp_path / "other.safetensors", seed=4)
    typed = f"pixel_recursive:checkpoint={draws},pixel_recursive:checkpoint={other}"
    arguments = ("--photos", photos, "--limit", 1, "--conditions", typed, "--figures", tmp_path / "figures")
    rows = json.loads(run(*arguments, "--format", "json")[0])["rows"]
    assert rows[0]["digest"] != rows[1]["digest"]
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"comparison", "draws-draws", "draws-other"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--conditions", "gan"], "no method 'gan'; choose one of bicubic"),
        (["--conditions", "pixel_recursive", "--checkpoint", "nowhere"], "no checkpoint 'nowhere': it is no file"),
        (["--limit", "0"], "--limit: must be a whole number of at least 1; got '0'"),
        (["--threads", "many"], "--threads: must be a whole number of at least 1; got 'many'"),
        (["--split", "test"], "photos.npz has no test part, but validation and train"),
        (["--factor", "3", "--conditions", "bicubic"], "16x16 pixels cannot be made 3 times smaller"),
        (["--factor", "3", "--conditions", "nearest_neighbour"], "16x16 pixels cannot be made 3 times smaller"),
        (["--device", "abacus"], "device 'abacus' cannot be used"),
        (["--figures", "{photos}"], "photos.npz: .*; choose another place"),
        (["--bank", "{photos}", "--split", "all", "--conditions", "nearest_neighbour"], "would find the very answer"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(photos: str, arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        run("--photos", photos, *(argument.format(photos=photos) for argument in arguments))


def test_tau_is_explained_with_the_usual_temperature() -> None:
    parser = evaluate.Command().create_parser("manage.py", "evaluate")
    assert "(T = 1/tau = 0.909)" in " ".join(parser.format_help().split())
