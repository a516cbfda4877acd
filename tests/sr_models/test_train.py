"""Training learns as its config says, tells how it goes on, and names what is wrong with a config or the data."""

import dataclasses
import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from sr_models import evaluate, train
from sr_models.checkpoints import CheckpointError, checkpoint_load, network_build
from sr_models.data import DataError
from sr_models.pixel_recursive import PixelRecursive
from sr_models.pixels import downsample, model_range
from tests.sr_models.training_runs import (
    config_make,
    config_write,
    log_read,
    photos_write,
    run,
    smooth_photos,
    state_read,
)

CONFIGS = Path(train.__file__).parent / "configs"
DOCS = Path(train.__file__).parents[1] / "docs" / "training.md"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return photos_write(tmp_path / "set.npz")


def train_here(data: Path, out: Path, *, config: train.TrainingConfig, **more: Any) -> train.Outcome:
    torch.set_num_threads(1)
    return train.train(config, data=[data], size=8, out=out, **{"resume": False} | more)


# --- What a run does ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "names"), [("pixel_recursive", ["joint", "conditioning", "prior"]), ("srresnet", ["mse"])]
)
def test_training_lowers_the_validation_loss(
    tmp_path: Path, data: Path, network: str, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_write(tmp_path / "c.toml", steps=100, network=network, learning_rate=0.003)
    assert run(config, data, tmp_path / "run") == 0
    rows = log_read(tmp_path / "run")
    assert list(rows[0]) == ["step", "part", *names, "learning_rate", "seconds"]
    assert [int(row["step"]) for row in rows if row["part"] == "train"] == list(range(5, 101, 5))
    validated = [row for row in rows if row["part"] == "validation"]
    assert [int(row["step"]) for row in validated] == list(range(10, 101, 10))
    losses = [float(row[names[0]]) for row in validated]
    assert losses[-1] < 0.95 * losses[0]
    assert all(math.isfinite(float(row[name])) for row in validated for name in names)
    with Image.open(tmp_path / "run/samples.png") as grid:
        assert grid.size == (8 * 128, (4 if network == "pixel_recursive" else 3) * 128)
    said = capsys.readouterr().err
    assert "40 photos to train on, 8 to validate." in said
    assert evaluate.main([str(tmp_path / "run/best.safetensors"), "--data", str(data), "--size", "8", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    best = min(validated, key=lambda row: float(row[names[0]]))
    assert [measured[name] for name in names] == pytest.approx([float(best[name]) for name in names], abs=1e-5)
    with safe_open(tmp_path / "run/best.safetensors", framework="pt") as file:
        metadata = json.loads(file.metadata()["metadata"])
    assert metadata["step"] == int(best["step"])
    own = {"network": network, "steps": 100, "batch": 4, "learning_rate": 0.003, "seed": 0, "optimiser": "adam"}
    assert own.items() <= metadata["training"].items()
    assert (metadata["training"]["training_photos"], metadata["training"]["validation_photos"]) == (40, 8)


@pytest.mark.parametrize(("gradient_norm", "average_decay"), [(0, 0), (0.05, 0.6)], ids=["as in the paper", "bounded"])
def test_updates_are_those_of_rmsprop_with_halved_rates(
    tmp_path: Path, data: Path, gradient_norm: float, average_decay: float
) -> None:
    paper = {"optimiser": "rmsprop", "schedule": "halving", "halve_every": 2, "warmup_steps": 0, "learning_rate": 4e-3}
    bounds = {"gradient_norm": gradient_norm, "average_decay": average_decay}
    config = config_make(**paper, **bounds, steps=5, positions=1.0, seed=5)
    train_here(data, tmp_path / "run", config=config)
    torch.manual_seed(5)
    network = network_build(config.network, config.sizes)
    assert isinstance(network, PixelRecursive)
    photos = smooth_photos()[:40]
    parameters = list(network.parameters())
    squares, momenta = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    averages = [p.detach().clone() for p in parameters]
    for step in range(5):
        draw = train.batch_draw(seed=5, step=step, photos=40, batch=4, pixels=64, positions=64)
        high = np.stack([photos[i, :, ::-1] if flip else photos[i] for i, flip in zip(*draw[:2], strict=True)])
        low = torch.from_numpy(downsample(high, factor=4))
        targets = torch.from_numpy(high)
        losses = network.losses(model_range(low), model_range(targets), targets)
        gradients = torch.autograd.grad(losses.joint + losses.conditioning, parameters)
        norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients))
        scale = min(1.0, gradient_norm / norm) if gradient_norm else 1.0
        rate = 4e-3 * 0.5 ** (step // 2)
        decay = min(average_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for k, p in enumerate(parameters):
                squares[k].mul_(0.95).add_(0.05 * (scale * gradients[k]) ** 2)
                momenta[k].mul_(0.9).add_(scale * gradients[k] / (squares[k].sqrt() + 1e-8))
                p.sub_(rate * momenta[k])
                averages[k].mul_(decay).add_((1 - decay) * p)
    trained = load_file(tmp_path / "run/best.safetensors")
    for (name, _), average in zip(network.named_parameters(), averages, strict=True):
        assert trained[name].numpy() == pytest.approx(average.numpy(), abs=2e-4), name


def test_the_rate_warms_up_and_falls_as_its_schedule_says() -> None:
    cosine = train.TrainingConfig("srresnet", steps=100, warmup_steps=10, decay_steps=40, learning_rate=1.0)
    assert [cosine.rate(step) for step in (0, 4, 9, 30, 60)] == pytest.approx([0.1, 0.5, 1, 1, 1])
    assert [cosine.rate(step) for step in (80, 100)] == pytest.approx([0.5, 0], abs=1e-12)
    paper = train.TrainingConfig(
        "srresnet", steps=2_000_000, warmup_steps=0, schedule="halving", halve_every=500_000, learning_rate=4e-4
    )
    steps = (0, 499_999, 500_000, 999_999, 1_000_000, 1_999_999)
    assert [paper.rate(step) for step in steps] == pytest.approx([4e-4, 4e-4, 2e-4, 2e-4, 1e-4, 5e-5])


@pytest.mark.parametrize("option", ["channels_last", "bfloat16"])
@pytest.mark.parametrize("network", ["pixel_recursive", "srresnet"])
def test_memory_layout_and_bfloat16_change_the_losses_by_rounding_only(
    tmp_path: Path, data: Path, network: str, option: str
) -> None:
    for out, options in (("plain", {}), ("other", {option: True})):
        config = config_make(steps=4, network=network, log_every=1, **options)
        train_here(data, tmp_path / out, config=config)
    name = "joint" if network == "pixel_recursive" else "mse"
    plain, other = ([float(row[name]) for row in log_read(tmp_path / out)] for out in ("plain", "other"))
    assert other == pytest.approx(plain, rel=1e-4 if option == "channels_last" else 2e-2)


def test_bfloat16_is_used_where_it_is_fast_and_said_where_it_is_not(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_make(steps=2, network="srresnet", bfloat16=True)
    losses, said = {}, {}
    for capability in ("AVX2", "AVX512"):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda found=capability: found)
        sentences: list[str] = []
        train_here(data, tmp_path / capability, config=config, say=sentences.append)
        losses[capability] = [float(row["mse"]) for row in log_read(tmp_path / capability)]
        said[capability] = any("no arithmetic for bfloat16 here" in sentence for sentence in sentences)
    assert said == {"AVX2": True, "AVX512": False}
    assert losses["AVX512"] != losses["AVX2"]
    assert losses["AVX512"] == pytest.approx(losses["AVX2"], rel=2e-2)


def test_a_run_stops_when_patience_ends(tmp_path: Path, data: Path) -> None:
    config = config_make(steps=1000, network="srresnet", validate_every=2, patience=3, learning_rate=1e-30)
    outcome = train_here(data, tmp_path / "run", config=config)
    steps = [int(row["step"]) for row in log_read(tmp_path / "run") if row["part"] == "validation"]
    losses = [float(row["mse"]) for row in log_read(tmp_path / "run") if row["part"] == "validation"]
    assert outcome.reason == "patience"
    assert outcome.step == steps[-1] < 1000
    assert outcome.sentence.startswith("No better validation loss in 3 validations; stopped at step ")
    assert min(losses[-3:]) >= min(losses[:-3])
    more = dataclasses.replace(config, patience=5)
    assert train_here(data, tmp_path / "run", config=more, resume=True).step > outcome.step


def test_a_run_tells_how_it_goes_on(tmp_path: Path, data: Path) -> None:
    told: list[train.Progress] = []
    said: list[str] = []
    config = config_make(steps=20)
    outcome = train_here(data, tmp_path / "run", config=config, report=told.append, say=said.append)
    assert outcome == ("finished", 20, "Finished 20 steps.")
    assert (told[0].step, told[0].steps, told[0].validation) == (1, 20, None)  # at once, to see that it works
    assert [each.step for each in told if each.validation] == [10, 20]
    validated = [row for row in log_read(tmp_path / "run") if row["part"] == "validation"]
    for each, row in zip([each for each in told if each.validation], validated, strict=True):
        assert each.validation == pytest.approx({name: float(row[name]) for name in each.validation or {}}, abs=1e-5)
    assert all(list(each.figures) == ["joint", "conditioning", "prior"] for each in told)
    assert all(7 < value < 9 for value in told[0].figures.values())  # 8 bits, as before anything is learned
    assert all(each.images_per_s > 0 for each in told)
    assert told[0].seconds_left > 0
    assert told[-1].seconds_left == 0
    assert said[0] == "40 photos to train on, 8 to validate."
    network = network_build(config.network, config.sizes)
    assert isinstance(network, PixelRecursive)
    parts = network.parameter_counts()
    assert said[1] == "Parameters: " + ", ".join(f"{name} {count:,}" for name, count in parts.items()) + "."
    assert {"conditioning", "prior"} < set(parts)


def test_the_command_shows_losses_speed_and_time_left(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config_write(tmp_path / "c.toml", steps=10), data, tmp_path / "run") == 0
    said = capsys.readouterr().err
    line = r"10/10 00:00 left \d+ images/s loss\(A\+B\) \d\.\d{3} loss\(A\) \d\.\d{3} loss\(B\) \d\.\d{3} bits"
    assert re.search(line, said)
    assert re.search(r"step 10: validation loss\(A\+B\) \d\.\d{3} loss\(A\) \d\.\d{3} loss\(B\) \d\.\d{3} bits\n", said)
    assert said.endswith("Finished 10 steps.\n")


def test_the_grid_is_spread_over_the_validation_photos(tmp_path: Path, data: Path) -> None:
    train_here(data, tmp_path / "run", config=config_make(steps=1, network="srresnet"))
    with Image.open(tmp_path / "run/samples.png") as picture:
        sheet = np.asarray(picture)[::16, ::16]
    truth = smooth_photos()[40:]
    assert np.array_equal(sheet[-8:], np.concatenate(list(truth), axis=1))  # there are only eight
    low = downsample(truth, factor=4).repeat(4, axis=1).repeat(4, axis=2)
    assert np.array_equal(sheet[:8], np.concatenate(list(low), axis=1))
    many = tmp_path / "many.npz"
    np.savez(many, images=smooth_photos(70), split=np.repeat([0, 1], [40, 30]))
    train_here(many, tmp_path / "more", config=config_make(steps=1, network="srresnet"))
    with Image.open(tmp_path / "more/samples.png") as picture:
        sheet = np.asarray(picture)[::16, ::16]
    spread = smooth_photos(70)[40 + np.arange(12) * 30 // 12]
    assert np.array_equal(sheet[-8:], np.concatenate(list(spread), axis=1))


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


# --- Another checkpoint as the beginning ----------------------------------------------------------------------------


def test_a_run_starts_from_a_checkpoint(tmp_path: Path, data: Path) -> None:
    train_here(data, tmp_path / "first", config=config_make(steps=10, learning_rate=0.01))
    first = tmp_path / "first/best.safetensors"
    tuned = config_make(steps=1, learning_rate=1e-12, seed=9)
    train_here(data, tmp_path / "tuned", config=tuned, start_from=first)
    ours, theirs = load_file(tmp_path / "tuned/best.safetensors"), load_file(first)
    assert all(torch.allclose(ours[key], theirs[key], atol=1e-9) for key in theirs)
    train_here(data, tmp_path / "tuned", config=dataclasses.replace(tuned, steps=2), resume=True)
    summary = checkpoint_load(tmp_path / "tuned/best.safetensors").metadata["training"]
    assert summary["start_from"] == checkpoint_load(first).digest


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, data: Path) -> None:
    train_here(data, tmp_path / "first", config=config_make(steps=1))
    first = tmp_path / "first/best.safetensors"
    with pytest.raises(CheckpointError, match="holds the network 'pixel_recursive', not srresnet"):
        train_here(data, tmp_path / "a", config=config_make(steps=1, network="srresnet"), start_from=first)
    wider = config_make(steps=1, sizes={"conditioning_channels": 6})
    sentence = r"best\.safetensors has network\.conditioning_channels = 4 \(config: 6\); give the config the sizes"
    with pytest.raises(train.ConfigError, match=sentence):
        train_here(data, tmp_path / "b", config=wider, start_from=first)
    with pytest.raises(CheckpointError, match=r"none\.safetensors is missing"):
        train_here(data, tmp_path / "c", config=wider, start_from=tmp_path / "none.safetensors")


# --- What is refused ------------------------------------------------------------------------------------------------


def test_photos_of_a_folder_are_held_out_and_said_to_be(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, image in enumerate(smooth_photos()):
        Image.fromarray(image).save(folder / f"{number}.png")
    config = config_write(tmp_path / "c.toml", steps=1, network="srresnet")
    assert run(config, folder, tmp_path / "held") == 0
    said = capsys.readouterr().err
    held = int(said.split("of its 48 photos")[0].split()[-1])
    assert f"folder has no split: {held} of its 48 photos" in said
    assert f"{48 - held} photos to train on, {held} to validate" in said
    checkpoint = str(tmp_path / "held/best.safetensors")
    assert evaluate.main([checkpoint, "--data", str(folder), "--size", "8", "--json", "--held-out"]) == 0
    measured = json.loads(capsys.readouterr().out)
    row = next(row for row in log_read(tmp_path / "held") if row["part"] == "validation")
    assert measured["photos"] == held
    assert measured["mse"] == pytest.approx(float(row["mse"]), abs=1e-5)


def test_photos_in_training_and_validation_are_refused_unless_left_out(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "whole.npz"
    np.savez(whole, images=smooth_photos())
    config = config_write(tmp_path / "c.toml", steps=1, network="srresnet")
    assert run(config, whole, tmp_path / "run", "--validation", str(data)) == 2
    refused = capsys.readouterr().err
    assert "8 of 48 training photos are validation" in refused
    assert "--leave-out-duplicates" in refused
    assert not (tmp_path / "run/state.pt").exists()
    assert run(config, whole, tmp_path / "run", "--validation", str(data), "--leave-out-duplicates") == 0
    assert "40 photos to train on, 8 to validate" in capsys.readouterr().err


def test_a_size_that_the_factor_does_not_divide_is_refused(tmp_path: Path) -> None:
    odd = tmp_path / "odd.npz"
    np.savez(odd, images=np.random.default_rng(0).integers(0, 256, (9, 10, 10, 3), np.uint8))
    with pytest.raises(train.ConfigError, match="Photos of 10 pixels a side cannot be reduced by the config's factor"):
        train.train(config_make(steps=1), data=[odd], size=10, out=tmp_path / "run", resume=False)


def test_a_run_whose_loss_is_lost_ends_with_a_sentence_and_keeps_nothing_of_it(tmp_path: Path, data: Path) -> None:
    wild = config_make(steps=50, network="srresnet", learning_rate=1e30, warmup_steps=0, keep_every_s=0)
    with pytest.raises(train.ConfigError, match=r"no longer finite at step \d+; lower learning_rate, or set gradient"):
        train_here(data, tmp_path / "run", config=wild)
    if (tmp_path / "run/state.pt").exists():
        assert all(value.isfinite().all() for value in state_read(tmp_path / "run")["network"].values())


def test_a_missing_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.npz"):
        train_here(tmp_path / "none.npz", tmp_path / "run", config=config_make(steps=1))


def test_every_config_that_is_shipped_can_be_read() -> None:
    read = [train.config_read(path) for path in sorted(CONFIGS.glob("*.toml"))]
    assert {"pixel_recursive", "srresnet"} <= {config.network for config in read}


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        ({"stepps": 3}, "unknown key 'stepps'; known are average_decay, batch,"),
        ({"optimiser": "sgd"}, "optimiser must be adam or rmsprop, got 'sgd'"),
        ({"schedule": "linear"}, "schedule must be cosine or halving, got 'linear'"),
        ({"batch": "8"}, "batch must be of type int, got '8'"),
        ({"steps": 10.5}, r"steps must be of type int, got 10\.5"),
        ({"bfloat16": 1}, "bfloat16 must be of type bool, got 1"),
        ({"steps": True}, "steps must be of type int, got True"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"learning_rate": 0}, r"learning_rate must be above 0, got 0\.0"),
        ({"learning_rate": math.nan}, "learning_rate must be above 0, got nan"),
        ({"gradient_norm": -1}, "gradient_norm must be at least 0, got -1"),
        ({"average_decay": 1}, r"average_decay must be at least 0 and below 1, got 1\.0"),
        ({"positions": 1.5}, r"positions must be above 0 and at most 1, got 1\.5"),
    ],
)
def test_a_wrong_config_is_named(training: dict[str, Any], sentence: str) -> None:
    with pytest.raises(train.ConfigError, match=rf"The config c\.toml .*{sentence}"):
        config_make(**training)


def test_a_config_that_is_none_is_named(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = {
        "batch = ": "cannot be read",
        'network = "x"': r"has network = 'x'; make it a table, \[network\]",
        "[network]\n[other]": "unknown key 'other'",
        "": "network must be one of",
        '[network]\nname = "srresnet"\ndepth = 3': "srresnet has no size 'depth'",
    }
    for text, sentence in texts.items():
        with pytest.raises(train.ConfigError, match=sentence):
            train.config_parse(text, name="c.toml")
    (tmp_path / "c.toml").write_bytes(b"\xff")
    assert run(tmp_path / "c.toml", data, tmp_path / "run") == 2
    assert run(tmp_path / "none.toml", data, tmp_path / "run") == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.split(" cannot be read")[0] for line in said] == [
        f"The config {tmp_path / name}" for name in ("c.toml", "none.toml")
    ]


def test_every_key_of_a_config_is_documented() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", DOCS.read_text(), flags=re.MULTILINE))
    keys = {each.name for each in dataclasses.fields(train.TrainingConfig)} - {"network", "sizes"}
    assert keys <= documented
