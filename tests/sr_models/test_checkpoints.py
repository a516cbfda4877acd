"""Checkpoints come back as they were saved; anything else is refused in one sentence that names the file."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sr_models.checkpoints import CheckpointError, checkpoint_load, checkpoint_save, network_build
from sr_models.pixel_recursive import PixelRecursive
from sr_models.srresnet import SRResNet, SRResNetConfig


def test_a_checkpoint_comes_back_whole(tmp_path: Path, network: PixelRecursive) -> None:
    path = tmp_path / "x.safetensors"
    digest = checkpoint_save(path, network, metadata={"step": 7})
    loaded = checkpoint_load(path, network="pixel_recursive")
    assert (loaded.name, loaded.digest, loaded.metadata) == ("pixel_recursive", digest, {"step": 7})
    assert loaded.network.config == network.config
    for ours, theirs in zip(network.state_dict().values(), loaded.network.state_dict().values(), strict=True):
        assert torch.equal(ours.float(), theirs.float())
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_missing_damaged_and_foreign_files_are_named(tmp_path: Path, network: PixelRecursive) -> None:
    with pytest.raises(CheckpointError, match=r"a\.safetensors is missing from the folder .* choose another"):
        checkpoint_load(tmp_path / "a.safetensors")
    damaged = tmp_path / "b.safetensors"
    damaged.write_bytes(b"nothing of use")
    with pytest.raises(CheckpointError, match=r"b\.safetensors cannot be read .* train it anew"):
        checkpoint_load(damaged)
    foreign = tmp_path / "c.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    with pytest.raises(CheckpointError, match=r"c\.safetensors holds the network 'nothing known'"):
        checkpoint_load(foreign)
    other = tmp_path / "d.safetensors"
    checkpoint_save(other, network, metadata={})
    with pytest.raises(CheckpointError, match=r"'pixel_recursive', not srresnet"):
        checkpoint_load(other, network="srresnet")


def test_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    checkpoint_save(path, SRResNet(SRResNetConfig(channels=8, blocks=1)), metadata={})
    tensors = load_file(path)
    tensors["exit.weight"] = torch.zeros(3, 4, 9, 9)
    header = {"network": "srresnet", "config": '{"channels": 8, "blocks": 1}', "metadata": "{}"}
    save_file(tensors, path, header)
    with pytest.raises(CheckpointError, match=r"e\.safetensors has another shape than its network srresnet"):
        checkpoint_load(path)


def test_unknown_networks_and_sizes_are_named() -> None:
    with pytest.raises(ValueError, match="got 'gan'"):
        network_build("gan", {})
    with pytest.raises(ValueError, match="srresnet has no size 'depth'"):
        network_build("srresnet", {"depth": 3})
