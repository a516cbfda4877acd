"""Training learns, stops and resumes to the same result, and names what is wrong with a config or the data."""

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from sr_models import evaluate, train
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
    config = config_write(tmp_path / "c.toml", steps=100, network=network, extra="learning_rate = 0.003")
    assert run(config, data, tmp_path / "run") == 0
    lines = (tmp_path / "run/log.csv").read_text().splitlines()
    losses = [float(line.split(",")[2]) for line in lines if ",validation," in line]
    assert losses[-1] < 0.95 * losses[0]
    with Image.open(tmp_path / "run/samples.png") as grid:
        assert grid.width > 100
    capsys.readouterr()
    assert evaluate.main([str(tmp_path / "run/best.safetensors"), "--data", str(data), "--size", "8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[figure] == pytest.approx(min(losses), abs=1e-5)
    with safe_open(tmp_path / "run/best.safetensors", framework="pt") as file:
        training = json.loads(file.metadata()["metadata"])["training"]
    assert training == {
        "network": network,
        "steps": 100,
        "batch": 4,
        "learning_rate": 0.003,
        "seed": 0,
        "training_photos": 40,
        "validation_photos": 8,
    }


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


def trainer_make(config: Path, data: Path, out: Path) -> train.Trainer:
    with np.load(data) as archive:
        images, split = archive["images"], archive["split"]
    out.mkdir(exist_ok=True)
    read = train.config_read(config)
    return train.Trainer(read, photos=images[split == 0], validation=images[split == 1], out=out, device="cpu")


def test_steps_draw_their_batches_apart_from_each_other() -> None:
    draws = [
        train.batch_draw(seed=3, step=step, photos=20_000, batch=16, pixels=64, positions=16) for step in range(1_000)
    ]
    drawn = np.concatenate([draw.photos for draw in draws])
    expected = 20_000 * (1 - (1 - 1 / 20_000) ** len(drawn))  # about 11,013, with a deviation of 41
    assert abs(len(np.unique(drawn)) - expected) < 4 * 41
    shared = sum(len(np.intersect1d(one.photos, two.photos)) for one, two in itertools.pairwise(draws))
    assert shared < 30  # by chance 999 * 16 * 16 / 20,000, about 13
    assert abs(np.mean([draw.flipped for draw in draws]) - 0.5) < 4 * 0.004
    assert all(len(np.unique(draw.positions)) == 16 for draw in draws)
    again = train.batch_draw(seed=3, step=7, photos=20_000, batch=16, pixels=64, positions=16)
    assert all(np.array_equal(one, two) for one, two in zip(again, draws[7], strict=True))


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ("seed = 1", r"was begun with seed = 0 \(now 1\); resume it with its own config, or give another --out"),
        ("learning_rate = 0.5", r"learning_rate = 0\.001 \(now 0\.5\)"),
        ('optimiser = "rmsprop"', r"optimiser = 'adam' \(now 'rmsprop'\)"),
    ],
)
def test_a_run_is_not_resumed_with_another_config(tmp_path: Path, data: Path, extra: str, sentence: str) -> None:
    own = config_write(tmp_path / "own.toml", steps=2, network="srresnet")
    trainer_make(own, data, tmp_path / "run").keep()
    other = config_write(tmp_path / "other.toml", steps=2, network="srresnet", extra=extra)
    with pytest.raises(train.ConfigError, match=sentence):
        trainer_make(other, data, tmp_path / "run").resume()


def test_a_run_is_not_resumed_with_other_sizes_or_photos(tmp_path: Path, data: Path) -> None:
    own = config_write(tmp_path / "own.toml", steps=2, network="srresnet")
    trainer_make(own, data, tmp_path / "run").keep()
    wider = tmp_path / "wider.toml"
    wider.write_text(own.read_text().replace("channels = 8", "channels = 12"))
    with pytest.raises(train.ConfigError, match=r"network\.channels = 8 \(now 12\)"):
        trainer_make(wider, data, tmp_path / "run").resume()
    with np.load(data) as archive:
        entries = dict(archive)
    for part, number in (("training", 0), ("validation", 47)):
        images = entries["images"].copy()
        images[number, 0, 0, 0] ^= 1
        np.savez(tmp_path / "other.npz", images=images, split=entries["split"])
        with pytest.raises(train.ConfigError, match=f"The {part} photos are not those .* give the same --data"):
            trainer_make(own, tmp_path / "other.npz", tmp_path / "run").resume()


def test_a_run_may_be_made_longer(tmp_path: Path, data: Path) -> None:
    config = config_write(tmp_path / "c.toml", steps=2, network="srresnet")
    assert run(config, data, tmp_path / "run") == 0
    config.write_text(config.read_text().replace("steps = 2\ndecay_steps = 4", "steps = 5\ndecay_steps = 1"))
    assert run(config, data, tmp_path / "run", "--resume") == 0
    assert torch.load(tmp_path / "run/state.pt", weights_only=True)["step"] == 5


def test_an_older_state_file_is_resumed(tmp_path: Path, data: Path) -> None:
    config = config_write(tmp_path / "c.toml", steps=2, network="srresnet")
    assert run(config, data, tmp_path / "run") == 0
    state = torch.load(tmp_path / "run/state.pt", weights_only=True)
    older = {key: value for key, value in state.items() if key not in ("config", "photos")}
    torch.save(older, tmp_path / "run/state.pt")
    resumed = trainer_make(config_write(tmp_path / "d.toml", steps=2, network="srresnet"), data, tmp_path / "run")
    resumed.resume()
    assert resumed.step == 2
    other = config_write(tmp_path / "e.toml", steps=2, network="srresnet", extra='optimiser = "rmsprop"')
    with pytest.raises(train.ConfigError, match="optimiser = 'adam'"):
        trainer_make(other, data, tmp_path / "run").resume()


def test_after_a_resume_the_log_averages_the_updates_that_were_made(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trainer_make(config_write(tmp_path / "c.toml", steps=3, network="srresnet"), data, tmp_path / "run")
    first.run(log_every=5)
    second = trainer_make(config_write(tmp_path / "c.toml", steps=10, network="srresnet"), data, tmp_path / "run")
    second.resume()
    now_s, losses = 0.0, []
    update = second.update

    def two_seconds_long() -> float:
        nonlocal now_s
        now_s += 2.0
        losses.append(update())
        return losses[-1]

    monkeypatch.setattr(second, "update", two_seconds_long)
    monkeypatch.setattr(time, "perf_counter", lambda: now_s)
    second.run(log_every=5)
    rows = [line.split(",") for line in (tmp_path / "run/log.csv").read_text().splitlines() if ",train," in line]
    assert [row[0] for row in rows] == ["5", "10"]
    assert [float(row[2]) for row in rows] == pytest.approx([np.mean(losses[:2]), np.mean(losses[2:])], abs=1e-6)
    assert [row[3] for row in rows] == ["images_per_s=2", "images_per_s=2"]  # batch 4


def test_the_grid_is_spread_over_the_validation_photos(tmp_path: Path, data: Path) -> None:
    trainer = trainer_make(config_write(tmp_path / "c.toml", steps=1, network="srresnet"), data, tmp_path / "run")
    sheet = np.asarray(trainer.grid(count=3))[::4, ::4]
    truth = trainer.validation[1].numpy()
    assert np.array_equal(sheet[-8:], np.concatenate(list(truth[[0, 2, 5]]), axis=1))
    assert np.asarray(trainer.grid(count=12)).shape[1] == 8 * 8 * 4  # there are only eight


def test_photos_of_a_folder_are_held_out_and_said_to_be(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with np.load(data) as archive:
        for number, image in enumerate(archive["images"]):
            Image.fromarray(image).save(folder / f"{number}.png")
    config = config_write(tmp_path / "c.toml", steps=1, network="srresnet")
    assert run(config, folder, tmp_path / "held") == 0
    said = capsys.readouterr().err
    assert "folder has no split: " in said
    assert "held out for validation; --validation gives others." in said
    held = int(said.split("of its 48 photos")[0].split()[-1])
    assert f"{48 - held} photos to train on, {held} to validate" in said
    checkpoint = str(tmp_path / "held/best.safetensors")
    assert evaluate.main([checkpoint, "--data", str(folder), "--size", "8", "--json", "--held-out"]) == 0
    measured = json.loads(capsys.readouterr().out)
    line = next(line for line in (tmp_path / "held/log.csv").read_text().splitlines() if ",validation," in line)
    assert measured["photos"] == held
    assert measured["mse"] == pytest.approx(float(line.split(",")[2]), abs=1e-5)
    assert run(config, folder, tmp_path / "given", "--validation", str(data)) == 0
    said = capsys.readouterr().err
    assert "8 of 48 training photos are left out" in said
    assert "40 photos to train on, 8 to validate" in said


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
