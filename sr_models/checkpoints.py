"""Checkpoints: weights in safetensors, with the network's name and sizes in the header.

Nothing is unpickled. The SHA-256 of the file is the version of the weights; samples and study designs record it.
"""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from sr_models.pixel_recursive import PixelRecursive, PixelRecursiveConfig
from sr_models.regression import Regression, RegressionConfig
from sr_models.srresnet import SRResNet, SRResNetConfig

NETWORKS: dict[str, tuple[type[nn.Module], type[Any]]] = {
    "pixel_recursive": (PixelRecursive, PixelRecursiveConfig),
    "regression": (Regression, RegressionConfig),
    "srresnet": (SRResNet, SRResNetConfig),
}
"""Name in the header -> the network and its config."""


class CheckpointError(Exception):
    """A checkpoint cannot be used; the message names the file and the cure."""


class Checkpoint(NamedTuple):
    """A network with its weights, ready to run.

    Attributes:
        network: The network, in evaluation mode.
        name: Key of `NETWORKS`.
        digest: SHA-256 of the file, in hex.
        metadata: What was recorded when it was saved: step, validation figures, training.
    """

    network: nn.Module
    name: str
    digest: str
    metadata: dict[str, Any]


def network_build(name: str, sizes: dict[str, Any]) -> nn.Module:
    """Make an untrained network.

    Args:
        name: Key of `NETWORKS`.
        sizes: Fields of its config; those left out keep their default.

    Raises:
        ValueError: If the name, a field or a size is unknown or impossible.
    """
    if name not in NETWORKS:
        raise ValueError(f"network must be one of {', '.join(NETWORKS)}, got {name!r}")
    network, config = NETWORKS[name]
    known = config.__dataclass_fields__
    for field in sizes:
        if field not in known:
            raise ValueError(f"{name} has no size {field!r}; it has {', '.join(known)}")
    built: nn.Module = network(config(**sizes))
    return built


def checkpoint_save(path: Path, network: nn.Module, *, metadata: dict[str, Any]) -> str:
    """Write weights and sizes to a file, all or nothing, and return the file's SHA-256.

    Args:
        path: Where to; its folder must exist.
        network: One of `NETWORKS`.
        metadata: Anything JSON can hold that one should know about these weights.

    Raises:
        OSError: If the disk is full or the folder cannot be written; an earlier file is kept.
    """
    name = next(name for name, (kind, _) in NETWORKS.items() if type(network) is kind)
    header = {
        "network": name,
        "config": json.dumps(asdict(network.config), sort_keys=True),  # type: ignore[call-overload] # a Module's attribute is Any
        "metadata": json.dumps(metadata, sort_keys=True),
    }
    tensors = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    data = save(tensors, header)
    file_replace(path, data)
    return hashlib.sha256(data).hexdigest()


def checkpoint_load(path: Path, *, device: str = "cpu", network: str | None = None) -> Checkpoint:
    """Read weights from a file.

    Args:
        path: The file.
        device: Where the network shall run.
        network: The network that is wanted (key of `NETWORKS`), if one is.

    Raises:
        CheckpointError: If the file is missing, damaged, of another network or of another shape.
    """
    if not path.is_file():
        raise CheckpointError(
            f"The checkpoint {path.name} is missing from the folder {path.parent.name}; put it there or choose "
            "another one."
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 -- not a dict
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"The checkpoint {path.name} cannot be read ({error}); copy it again or train it anew."
        ) from error
    name = header.get("network", "")
    if name not in NETWORKS or (network is not None and name != network):
        raise CheckpointError(
            f"The checkpoint {path.name} holds the network {name or 'nothing known'!r}, not "
            f"{network or ' or '.join(NETWORKS)}; choose a checkpoint of that network."
        )
    try:
        built = network_build(name, json.loads(header["config"]))
        built.load_state_dict(tensors)
    except (ValueError, RuntimeError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"The checkpoint {path.name} has another shape than its network {name} ({reason}); "
            "train it anew with this version."
        ) from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    built.eval().requires_grad_(requires_grad=False).to(torch.device(device))
    return Checkpoint(built, name, digest, json.loads(header.get("metadata", "{}")))


def file_replace(path: Path, data: bytes) -> None:
    """Write `data` to a neighbour of `path`, force it to the disk, and move it there: readers see old or new, whole."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        partial.unlink(missing_ok=True)  # half a file would hold what is left of a full disk
        raise
    partial.replace(path)
