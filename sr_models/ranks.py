"""The processes (ranks) that torchrun starts for one run: who they are, and what they add up.

Each computes an equal share of the joint batch. Gradients and figures are averaged, so that all ranks make the update
that one process would make with the joint batch.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

Value = TypeVar("Value")

TIMEOUT = timedelta(hours=1)
"""The other ranks wait while the first one validates. If a rank dies, torchrun ends the others long before."""


@dataclass(frozen=True)
class Ranks:
    """The place of this process among those of the run.

    Attributes:
        rank: Its number; rank 0 alone reads and writes the folder of the run.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> "Ranks":
        """Return the place of this process: rank 0 of 1 if it has joined no others."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    def share(self, size: int) -> slice:
        """Return this rank's part of a joint batch of `size`, a multiple of the number of ranks."""
        part = size // self.count
        return slice(self.rank * part, (self.rank + 1) * part)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace float32 tensors of any shapes by their means over the ranks, in one message."""
        if self.count == 1:
            return
        message = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(message)
        message /= self.count
        parts = torch.split(message, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def any(self, value: bool, *, device: torch.device) -> bool:
        """Return whether the value is true on any rank."""
        if self.count == 1:
            return value
        flag = torch.tensor(int(value), device=device)
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def from_first(self, value: Value) -> Value:
        """Return what rank 0 was given."""
        if self.count == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box)
        return box[0]

    def alike(self, value: str) -> bool:
        """Return whether all ranks were given the same."""
        if self.count == 1:
            return True
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return len(set(values)) == 1


def is_first() -> bool:
    """Return whether this process is the only one, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def ranks_join(device: str) -> Iterator[str]:
    """Join the other processes if torchrun started this one; give the device that this one shall use.

    They talk through nccl on CUDA, each with a card of its own, and through gloo elsewhere.
    """
    if not distributed.is_torchelastic_launched():
        yield device
        return
    cuda = torch.device(device).type == "cuda"
    if cuda:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if cuda else "gloo", timeout=TIMEOUT)
    try:
        yield device
    finally:
        distributed.destroy_process_group()


class _Sum(torch.autograd.Function):
    """Sum over the ranks, through which gradients pass."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


def _summed(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call] # torch leaves it untyped
    return total


class JointBatchNorm2d(nn.BatchNorm2d):
    """Batch norm that trains with the mean and variance of the joint batch (`nn.SyncBatchNorm` does so on CUDA only).

    The shares of the ranks are equally large, so the means over ranks of their moments are the joint moments.
    """

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, c, h, w)
        """Normalise; in training also move the running mean and variance, as `nn.BatchNorm2d` does."""
        if not self.training:
            return super().forward(x)
        ranks = Ranks.current().count
        mean = _summed(x.float().mean((0, 2, 3))) / ranks  # (c,)
        centred = x.float() - mean[:, None, None]
        variance = _summed(centred.square().mean((0, 2, 3))) / ranks  # (c,)
        values = ranks * x.numel() // x.shape[1]  # of each map in the joint batch
        with torch.no_grad():
            for name, moment in (("running_mean", mean), ("running_var", variance * (values / (values - 1)))):
                self.get_buffer(name).lerp_(moment, self.momentum or 0.0)
            self.get_buffer("num_batches_tracked").add_(1)
        scale = self.weight * torch.rsqrt(variance + self.eps)  # (c,)
        out: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return out.to(x.dtype)


def batch_norms_join(network: nn.Module) -> None:
    """Make every batch norm of a network one over the joint batch; names and values of its state stay."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                joint = JointBatchNorm2d(child.num_features, eps=child.eps, momentum=child.momentum)
                joint.load_state_dict(child.state_dict())
                setattr(parent, name, joint)
