"""A checkpoint is measured on the photos that were asked for, and the figures are what they say."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_models import evaluate
from sr_models.checkpoints import checkpoint_load, checkpoint_save, network_build
from sr_models.pixel_recursive import PixelRecursive
from sr_models.pixels import downsample, model_range
from tests.sr_models.training_runs import SIZES, smooth_photos


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write 70 photos of 8x8 pixels: 30 to train on, 22 to validate on, 18 to test on."""
    np.savez(tmp_path / "set.npz", images=smooth_photos(70), split=np.repeat([0, 1, 2], [30, 22, 18]))
    return tmp_path / "set.npz"


def checkpoint_write(path: Path, *, network: str) -> Path:
    torch.manual_seed(1)
    built = network_build(network, SIZES.get(network, {}))
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    checkpoint_save(path, built, metadata={})
    return path


def measure(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    assert evaluate.main([*map(str, arguments), "--size", "8", "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def bits(logits: torch.Tensor, photos: torch.Tensor) -> float:
    """Return the mean -log2 of the probability of each sub-pixel; logits are (n, H, W, 3, 256)."""
    likelihoods = torch.log_softmax(logits.double(), dim=-1).gather(-1, photos.long().unsqueeze(-1))
    return float(-likelihoods.mean()) / math.log(2)


@pytest.mark.parametrize(("split", "part"), [("train", (0, 30)), ("validation", (30, 52)), ("test", (52, 70))])
def test_bits_are_those_of_the_logits(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], split: str, part: tuple[int, int]
) -> None:
    path = checkpoint_write(tmp_path / "x.safetensors", network="pixel_recursive")
    report = measure(capsys, path, "--data", data, "--split", split)
    network = checkpoint_load(path).network
    assert isinstance(network, PixelRecursive)
    photos = smooth_photos(70)[slice(*part)]
    low, high = model_range(torch.from_numpy(downsample(photos, factor=4))), model_range(torch.from_numpy(photos))
    targets = torch.from_numpy(photos)
    with torch.inference_mode():
        joint = bits(network(low, high), targets)
        conditioning = bits(network.logits(network.conditioning(low)), targets)
        prior = bits(network.logits(network.prior.coefficients(network.prior.trunk(high))), targets)
    figures = {name: report.pop(name) for name in ("joint", "conditioning", "prior")}
    assert figures == pytest.approx({"joint": joint, "conditioning": conditioning, "prior": prior}, abs=1e-5)
    assert report == {
        "checkpoint": "x.safetensors",
        "sha256": checkpoint_load(path).digest,
        "photos": part[1] - part[0],
    }


@pytest.mark.parametrize("network", ["srresnet", "regression"])
def test_the_mean_squared_error_is_that_of_the_pictures(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], network: str
) -> None:
    path = checkpoint_write(tmp_path / "x.safetensors", network=network)
    photos = smooth_photos(70)[30:50]
    with torch.inference_mode():
        predicted = checkpoint_load(path).network(model_range(torch.from_numpy(downsample(photos, factor=4))))
    wanted = np.mean((predicted.permute(0, 2, 3, 1).numpy() + 0.5 - photos / 255) ** 2)
    report = measure(capsys, path, "--data", data, "--limit", "20")
    assert report["photos"] == 20
    assert report["mse"] == pytest.approx(wanted, rel=1e-5)


def test_the_table_and_the_progress_are_apart(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint_write(tmp_path / "x.safetensors", network="srresnet")
    assert evaluate.main([str(path), "--data", str(data), "--size", "8"]) == 0
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == ["checkpoint", "sha256", "photos", "mse"]
    assert "22/22" in printed.err


def test_photos_are_cropped_as_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint_write(tmp_path / "x.safetensors", network="srresnet")
    for name in ("framed", "plain"):
        (tmp_path / name).mkdir()
    for number, photo in enumerate(smooth_photos(5)):
        framed = np.zeros((24, 24, 3), np.uint8)
        framed[4:20, 4:20] = photo.repeat(2, axis=0).repeat(2, axis=1)
        Image.fromarray(framed).save(tmp_path / f"framed/{number}.png")
        Image.fromarray(framed[4:20, 4:20]).save(tmp_path / f"plain/{number}.png")
    cropped = measure(capsys, path, "--data", tmp_path / "framed", "--crop", "16")
    plain = measure(capsys, path, "--data", tmp_path / "plain")
    whole = measure(capsys, path, "--data", tmp_path / "framed")
    assert cropped == plain
    assert whole["mse"] != plain["mse"]


def test_what_cannot_be_measured_is_named(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint_write(tmp_path / "x.safetensors", network="srresnet")
    refused = {
        "none.safetensors is missing": [tmp_path / "none.safetensors", "--data", data, "--size", "8"],
        "none.npz": [path, "--data", tmp_path / "none.npz", "--size", "8"],
        "--size 10 cannot be reduced 4 times; give a multiple of 4": [path, "--data", data, "--size", "10"],
    }
    for sentence, arguments in refused.items():
        assert evaluate.main([*map(str, arguments)]) == 2
        assert sentence in capsys.readouterr().err
    with pytest.raises(SystemExit):
        evaluate.main([str(path), "--data", str(data), "--limit", "0"])
    assert "must be at least 1, got 0" in capsys.readouterr().err
