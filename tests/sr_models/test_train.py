"""Training learns, stops and resumes to the same result, and names what is wrong with a config or the data."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sr_models import evaluate, train
from sr_models.data import DataError, photos_load
from tests.sr_models.conftest import SIZES

CONFIGS = Path(train.__file__).parent / "configs"


def config_write(path: Path, *, steps: int, network: str = "pixel_recursive", extra: str = "") -> Path:
    sizes = SIZES if network == "pixel_recursive" else {"channels": 8, "blocks": 1}
    lines = ["[network]", f'name = "{network}"', *(f"{k} = {v}" for k, v in sizes.items())]
    lines += ["[training]", f"steps = {steps}", "decay_steps = 4", "warmup_steps = 2", "batch = 4"]
    lines += ["validate_every = 10", "positions = 0.5", "average_decay = 0.5", extra]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write smooth pictures as an .npz with a split."""
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 256, (48, 2, 2, 3), np.uint8)
    images = np.stack([np.asarray(Image.fromarray(c).resize((8, 8), Image.Resampling.BILINEAR)) for c in corners])
    np.savez(tmp_path / "set.npz", images=images, split=np.repeat([0, 1], [40, 8]))
    return tmp_path / "set.npz"


def run(config: Path, data: Path, out: Path, *more: str) -> int:
    return train.main([str(config), "--data", str(data), "--size", "8", "--out", str(out), "--threads", "1", *more])


@pytest.mark.parametrize(("network", "figure"), [("pixel_recursive", "joint"), ("srresnet", "mse")])
def test_training_lowers_the_validation_loss(
    tmp_path: Path, data: Path, network: str, figure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_write(tmp_path / "c.toml", steps=40, network=network)
    assert run(config, data, tmp_path / "run") == 0
    lines = (tmp_path / "run/log.csv").read_text().splitlines()
    losses = [float(line.split(",")[2]) for line in lines if ",validation," in line]
    assert losses[-1] < 0.95 * losses[0]
    with Image.open(tmp_path / "run/samples.png") as grid:
        assert grid.width > 100
    capsys.readouterr()
    assert evaluate.main([str(tmp_path / "run/best.safetensors"), "--data", str(data), "--size", "8", "--json"]) == 0
    assert f'"{figure}": {min(losses):.3f}'[:-1] in capsys.readouterr().out


def test_a_stopped_run_resumes_to_the_same_weights(tmp_path: Path, data: Path) -> None:
    whole = config_write(tmp_path / "c.toml", steps=20)
    assert run(whole, data, tmp_path / "whole") == 0
    program = (
        "import os, signal, sys; from sr_models import train\n"
        "update = train.Trainer.update\n"
        "def stopping(self):\n"
        "    if self.step == 7: os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return update(self)\n"
        "train.Trainer.update = stopping\n"
        "sys.exit(train.main(sys.argv[1:]))"
    )
    arguments = [str(whole), "--data", str(data), "--size", "8", "--out", str(tmp_path / "parts"), "--threads", "1"]
    stopped = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=120
    )
    assert "Stopped at step 8; go on with --resume." in stopped.stderr
    assert run(whole, data, tmp_path / "parts") == 2  # a run is never overwritten by mistake
    assert run(whole, data, tmp_path / "parts", "--resume") == 0
    one, two = (torch.load(tmp_path / name / "state.pt", weights_only=True)["network"] for name in ("whole", "parts"))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_every_config_that_is_shipped_can_be_read() -> None:
    read = [train.config_read(path) for path in sorted(CONFIGS.glob("*.toml"))]
    assert {config.network for config in read} == {"pixel_recursive", "srresnet"}


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ("stepps = 3", "unknown key 'stepps'"),
        ('optimiser = "sgd"', "optimiser 'sgd'; use adam or rmsprop"),
        ("batch = ", "cannot be read"),
    ],
)
def test_a_wrong_config_is_named(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], extra: str, sentence: str
) -> None:
    config = config_write(tmp_path / "c.toml", steps=1, extra=extra)
    assert run(config, data, tmp_path / "run") == 2
    assert sentence in capsys.readouterr().err


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
