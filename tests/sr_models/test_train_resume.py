"""A run that was stopped, killed, or met a full disk goes on to the same result; nothing else may go on with it."""

import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sr_models import train
from sr_models.checkpoints import CheckpointError
from tests.sr_models.training_runs import (
    ONE_THREAD,
    arguments,
    config_make,
    config_text,
    config_write,
    log_figures,
    log_read,
    photos_write,
    run,
    smooth_photos,
    state_read,
    weights_equal,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return photos_write(tmp_path / "set.npz")


def train_here(data: Path, out: Path, *, config: train.TrainingConfig, **more: Any) -> train.Outcome:
    torch.set_num_threads(1)
    return train.train(config, data=[data], size=8, out=out, **{"resume": False} | more)


def after(updates: int) -> Callable[[], bool]:
    """Return what stops a run after so many updates."""
    asked = iter(range(updates))
    return lambda: next(asked, None) is None


@pytest.mark.parametrize(
    "training",
    [{}, {"optimiser": "rmsprop", "schedule": "halving", "halve_every": 6}, {"network": "srresnet"}],
    ids=["adam", "rmsprop", "batch norm"],
)
def test_a_stopped_run_resumes_to_the_same_weights_and_log(
    tmp_path: Path, data: Path, training: dict[str, Any]
) -> None:
    config = config_make(steps=20, channels_last=True, **training)
    train_here(data, tmp_path / "whole", config=config)
    outcome = train_here(data, tmp_path / "parts", config=config, should_stop=after(7))
    assert outcome == ("stopped", 7, "Stopped at step 7; go on with --resume.")
    train_here(data, tmp_path / "parts", config=config, should_stop=after(6), resume=True)
    assert train_here(data, tmp_path / "parts", config=config, resume=True).reason == "finished"
    assert weights_equal(tmp_path / "whole", tmp_path / "parts")
    assert log_figures(tmp_path / "whole") == log_figures(tmp_path / "parts")
    seconds = [float(row["seconds"]) for row in log_read(tmp_path / "parts")]
    assert seconds == sorted(seconds)


def test_a_run_that_is_told_to_stop_at_once_can_go_on(tmp_path: Path, data: Path) -> None:
    config = config_make(steps=3)
    assert train_here(data, tmp_path / "run", config=config, should_stop=lambda: True).step == 0
    assert train_here(data, tmp_path / "run", config=config, resume=True).step == 3


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_in_order(tmp_path: Path, data: Path, number: signal.Signals) -> None:
    config = config_write(tmp_path / "c.toml", steps=100_000, validate_every=100_000)
    command = [sys.executable, "-m", "sr_models.train", *arguments(config, data, tmp_path / "run")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ONE_THREAD) as process:
        wait_for((tmp_path / "run/log.csv").exists, process)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    stopped = re.search(r"Stopped at step (\d+); go on with --resume\.\n$", said)
    assert stopped
    assert state_read(tmp_path / "run")["step"] == int(stopped[1])
    assert run(config, data, tmp_path / "run") == 2  # a run is never overwritten by mistake


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights_and_log(tmp_path: Path, data: Path) -> None:
    training = {"steps": 100, "validate_every": 15}
    config = config_write(tmp_path / "c.toml", **training, keep_every_s=0)
    command = [sys.executable, "-m", "sr_models.train", *arguments(config, data, tmp_path / "parts")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=ONE_THREAD) as process:
        wait_for(lambda: (tmp_path / "parts/log.csv").exists() and len(log_read(tmp_path / "parts")) > 5, process)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert 15 <= state_read(tmp_path / "parts")["step"] < 100
    rarely_kept = config_write(tmp_path / "d.toml", **training)
    assert run(rarely_kept, data, tmp_path / "parts", "--resume") == 0
    assert run(rarely_kept, data, tmp_path / "whole") == 0
    assert weights_equal(tmp_path / "whole", tmp_path / "parts")
    assert log_figures(tmp_path / "whole") == log_figures(tmp_path / "parts")


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[Any]") -> None:
    deadline = time.monotonic() + 300  # a busy machine takes long to start torch
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_is_kept_between_validations(tmp_path: Path, data: Path) -> None:
    steps: list[int] = []

    def note(_progress: train.Progress) -> None:
        steps.append(state_read(tmp_path / "run")["step"] if (tmp_path / "run/state.pt").exists() else 0)

    config = config_make(steps=20, validate_every=10, keep_every_s=0)
    train_here(data, tmp_path / "run", config=config, report=note)
    assert steps == [1, 10, 20]
    steps.clear()
    rarely = dataclasses.replace(config, steps=40, keep_every_s=1000)
    train_here(data, tmp_path / "run", config=rarely, report=note, resume=True)
    assert steps == [20, 30, 40]


def test_a_full_disk_loses_nothing_that_was_kept(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = {"steps": 20, "network": "srresnet"}
    config = config_write(tmp_path / "c.toml", **text)
    assert run(config, data, tmp_path / "whole") == 0
    out = tmp_path / "run"
    train_here(data, out, config=config_make(**text), should_stop=after(6))
    kept = (out / "state.pt").read_bytes()
    full = out / "state.pt.partial"
    full.symlink_to("/dev/full")  # what is written there meets a full disk
    capsys.readouterr()
    assert run(config, data, out, "--resume") == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"{out} cannot be written (No space left on device): make room or mend that, then go on with --resume. "
        "The run is kept as it was at step 6."
    )
    assert (out / "state.pt").read_bytes() == kept
    full.unlink(missing_ok=True)
    assert run(config, data, out, "--resume") == 0
    assert weights_equal(tmp_path / "whole", out)
    assert log_figures(tmp_path / "whole") == log_figures(out)


def test_a_disk_that_is_full_from_the_beginning_is_named(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "log.csv").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"run cannot be written \(No space left .* Nothing of the run was kept yet\.$"):
        train_here(data, out, config=config_make(steps=20))


def test_rows_after_what_was_kept_are_cut_off(tmp_path: Path, data: Path) -> None:
    config = config_make(steps=12)
    out = tmp_path / "run"
    train_here(data, out, config=config, should_stop=after(6))
    begun = (out / "log.csv").read_text()
    with (out / "log.csv").open("a") as file:
        file.write("10,train,3,4,5,0.001,9.0\n10,validation,3,4,5,0.001,9.0\n11,tra")
    train_here(data, out, config=config, should_stop=after(0), resume=True)
    assert (out / "log.csv").read_text() == begun
    (out / "log.csv").write_text("5,train,8.0,images_per_s=48\n")
    with pytest.raises(train.ConfigError, match=r"log\.csv has other columns than this version writes; move it away"):
        train_here(data, out, config=config, resume=True)
    (out / "log.csv").unlink()
    train_here(data, out, config=config, resume=True)
    assert [row["step"] for row in log_read(out)] == ["10", "10", "12", "12"]


def test_a_new_run_begins_a_new_log(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "log.csv").write_text("left behind by a run that kept nothing\n")
    train_here(data, out, config=config_make(steps=2))
    assert [row["part"] for row in log_read(out)] == ["train", "validation"]


# --- What is not resumed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        ({"seed": 1}, r"was begun with seed = 0 \(now 1\); resume it with its own config, or give another --out"),
        ({"learning_rate": 0.5}, r"learning_rate = 0\.001 \(now 0\.5\)"),
        ({"optimiser": "rmsprop"}, r"optimiser = 'adam' \(now 'rmsprop'\)"),
        ({"schedule": "halving"}, r"schedule = 'cosine' \(now 'halving'\)"),
        ({"sizes": {"channels": 12}}, r"network\.channels = 8 \(now 12\)"),
        ({"network": "pixel_recursive"}, r"network = 'srresnet' \(now 'pixel_recursive'\)"),
    ],
)
def test_a_run_is_not_resumed_with_another_config(
    tmp_path: Path, data: Path, training: dict[str, Any], sentence: str
) -> None:
    own = {"steps": 2, "network": "srresnet"}
    train_here(data, tmp_path / "run", config=config_make(**own))
    with pytest.raises(train.ConfigError, match=sentence):
        train_here(data, tmp_path / "run", config=config_make(**own | training), resume=True)


def test_what_an_older_state_does_not_tell_is_its_default(tmp_path: Path, data: Path) -> None:
    own = config_make(steps=2, network="srresnet")
    train_here(data, tmp_path / "run", config=own)
    state = state_read(tmp_path / "run")
    config = {key: value for key, value in json.loads(state["config"]).items() if key not in ("schedule", "log_every")}
    torch.save(state | {"config": json.dumps(config)}, tmp_path / "run/state.pt")
    with pytest.raises(train.ConfigError, match=r"begun with log_every = 100 \(now 5\)"):
        train_here(data, tmp_path / "run", config=own, resume=True)
    assert train_here(data, tmp_path / "run", config=dataclasses.replace(own, log_every=100), resume=True).step == 2


def test_a_run_is_not_resumed_with_other_photos(tmp_path: Path, data: Path) -> None:
    own = config_make(steps=2, network="srresnet")
    train_here(data, tmp_path / "run", config=own)
    for part, number in (("training", 0), ("validation", 47)):
        images = smooth_photos()
        images[number, 0, 0, 0] ^= 1
        np.savez(tmp_path / "other.npz", images=images, split=np.repeat([0, 1], [40, 8]))
        with pytest.raises(train.ConfigError, match=f"The {part} photos are not those .* give the same --data"):
            train_here(tmp_path / "other.npz", tmp_path / "run", config=own, resume=True)


def test_a_run_may_be_made_longer(tmp_path: Path, data: Path) -> None:
    own = config_make(steps=2, network="srresnet")
    train_here(data, tmp_path / "run", config=own)
    longer = dataclasses.replace(own, steps=5, decay_steps=1, patience=9, keep_every_s=1)
    assert train_here(data, tmp_path / "run", config=longer, resume=True) == ("finished", 5, "Finished 5 steps.")
    assert state_read(tmp_path / "run")["step"] == 5


def test_a_damaged_or_missing_state_is_named(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = config_make(steps=2, network="srresnet")
    with pytest.raises(train.ConfigError, match=r"There is nothing to resume in .*; start without --resume"):
        train_here(data, tmp_path / "run", config=own, resume=True)
    train_here(data, tmp_path / "run", config=own)
    whole = (tmp_path / "run/state.pt").read_bytes()
    for damaged in (whole[:2000], b"", b"no state"):
        (tmp_path / "run/state.pt").write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"state\.pt is damaged; begin anew, from best\.safetensors"):
            train_here(data, tmp_path / "run", config=own, resume=True)
    (tmp_path / "c.toml").write_text(config_text(steps=2, network="srresnet"))
    assert run(tmp_path / "c.toml", data, tmp_path / "run", "--resume") == 2
    assert "is damaged" in capsys.readouterr().err
