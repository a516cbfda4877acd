"""Several processes that torchrun starts train as one does with the joint batch, stop together and resume together."""

import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from sr_models import train
from sr_models.ranks import Ranks
from tests.sr_models.training_runs import (
    ONE_THREAD,
    arguments,
    config_make,
    config_write,
    log_read,
    photos_write,
    run,
    state_read,
)

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

PARTS = """
import json, sys, torch
from torch import nn
from sr_models.ranks import Ranks, batch_norms_join, ranks_join

with ranks_join("cpu") as device:
    ranks, found = Ranks.current(), {}
    assert device == "cpu"
    assert ranks.count == 2
    own = [torch.full((2, 2), float(ranks.rank)), torch.tensor([4.0 * ranks.rank])]
    ranks.average(own)
    found["means"] = [part.tolist() for part in own]
    found["any"] = [ranks.any(ranks.rank == k, device=torch.device("cpu")) for k in (0, 1, 2)]
    found["first"] = ranks.from_first({"rank": ranks.rank})
    found["alike"] = [ranks.alike("same"), ranks.alike(f"rank {ranks.rank}")]
    torch.manual_seed(0)
    joint, target = torch.randn(2, 4, 6, 5, 5) * 3 + 2  # (b, c, h, w) each
    network = nn.Sequential(nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6))
    nn.init.normal_(network[1].weight)
    alone = nn.Sequential(nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6))
    alone.load_state_dict(network.state_dict())
    ((alone(joint) - target) ** 2).mean().backward()
    batch_norms_join(network)
    share = ranks.share(4)
    ((network(joint[share]) - target[share]) ** 2).mean().backward()
    ranks.average([p.grad for p in network.parameters()])
    found["gradients"] = max(
        float((p.grad - q.grad).abs().max()) for p, q in zip(network.parameters(), alone.parameters())
    )
    states = network.state_dict(), alone.state_dict()
    found["state"] = [list(states[0]) == list(states[1])]
    found["state"] += [float((states[0][key].double() - states[1][key]).abs().max()) for key in states[0]]
    found["shown"] = float((network.eval()(joint) - alone.eval()(joint)).abs().max())
    with open(f"{sys.argv[1]}/rank{ranks.rank}.json", "w") as file:
        json.dump(found, file)
"""


@pytest.mark.slow
def test_ranks_average_agree_and_normalise_as_one_process(tmp_path: Path) -> None:
    script = tmp_path / "parts.py"
    script.write_text(PARTS)
    environment = ONE_THREAD | {"PYTHONPATH": str(Path(train.__file__).parents[1])}
    done = subprocess.run([*TORCHRUN, str(script), str(tmp_path)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = [json.loads((tmp_path / f"rank{k}.json").read_text()) for k in (0, 1)]
    for each in found:
        assert each["means"] == [[[0.5, 0.5], [0.5, 0.5]], [2.0]]
        assert each["any"] == [True, True, False]
        assert each["first"] == {"rank": 0}
        assert each["alike"] == [True, False]
        assert each["gradients"] < 1e-5
        assert each["state"][0] is True
        assert max(each["state"][1:]) < 1e-5
        assert each["shown"] < 1e-4


@pytest.mark.slow
def test_two_processes_stop_together_and_end_as_one_with_the_joint_batch(tmp_path: Path) -> None:
    data = photos_write(tmp_path / "set.npz")
    sizes = {"batch_norm": True}
    endless = config_write(tmp_path / "endless.toml", steps=1_000_000, sizes=sizes)
    one, two = tmp_path / "one", tmp_path / "two"
    command = [*TORCHRUN, "-m", "sr_models.train"]
    with subprocess.Popen(
        [*command, *arguments(endless, data, two)], stderr=subprocess.PIPE, text=True, env=ONE_THREAD
    ) as launcher:
        deadline = time.monotonic() + 300  # a busy machine takes long to start torch
        while not (two / "log.csv").exists():
            assert launcher.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
        launcher.send_signal(signal.SIGTERM)
        _, said = launcher.communicate(timeout=120)
    assert len(children) == 2
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert said.count("2 processes, each with 2 of the 4 photos of a batch.") == 1  # one process speaks for all
    stopped = state_read(two)["step"]
    assert re.findall(r"Stopped at step (\d+)", said) == [str(stopped)]
    config = config_write(tmp_path / "c.toml", steps=stopped + 20, sizes=sizes)
    done = subprocess.run(
        [*command, *arguments(config, data, two), "--resume"], capture_output=True, text=True, env=ONE_THREAD
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"Finished {stopped + 20} steps.") == 1
    assert run(config, data, one) == 0
    logs = [log_read(out) for out in (one, two)]
    assert len(logs[0]) == len(logs[1])
    for ours, theirs in zip(*logs, strict=True):
        assert (ours["step"], ours["part"]) == (theirs["step"], theirs["part"])
        for name in ("joint", "conditioning", "prior"):
            assert (ours[name] == theirs[name] == "") or float(ours[name]) == pytest.approx(
                float(theirs[name]), abs=1e-4
            )
    weights = [load_file(out / "best.safetensors") for out in (one, two)]
    for key, value in weights[0].items():
        assert weights[1][key].numpy() == pytest.approx(value.numpy(), abs=1e-4), key


def test_a_batch_that_cannot_be_shared_equally_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ranks, "current", classmethod(lambda _cls: Ranks(rank=1, count=3)))
    config = dataclasses.replace(config_make(steps=1), batch=4)
    with pytest.raises(
        train.ConfigError, match="A batch of 4 cannot be shared equally by 3 processes; make batch a mult"
    ):
        train.train(config, data=[tmp_path], size=8, out=tmp_path / "run", resume=False)
    assert not (tmp_path / "run").exists()
