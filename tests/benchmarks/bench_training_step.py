"""One training step of the small pixel recursive config against the plain step.

The plain step is what a public implementation does: full masked kernels, half of them zeros, and the loss at every
position; the step of the house crops the kernels, takes the loss at the config's share of positions, and computes in
channels-last and bfloat16 where the processor is faster with them (`--layouts` prints each alone).
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from sr_models.checkpoints import network_build
from sr_models.pixel_recursive import MaskedConv2d, PixelRecursive
from sr_models.train import TrainingConfig, config_read
from tests.benchmarks import harness
from tests.benchmarks.harness import Bar, Comparison

CONFIGS = Path(__file__).resolve().parents[2] / "sr_models" / "configs"


class FullKernelConv2d(MaskedConv2d):
    """The same convolution with the rows below the centre multiplied as zeros."""

    def forward(self, x: Tensor) -> Tensor:  # (b, in, h, w) -> (b, out, h, w)
        weight = functional.pad(self.masked_weight(), (0, 0, 0, self.kernel - self.rows))
        return functional.conv2d(x, weight, self.bias, padding=self.kernel // 2)


def step_of(
    config: TrainingConfig, *, plain: bool = False, channels_last: bool = False, bfloat16: bool = False
) -> Callable[[], object]:
    """Return one update of an untrained network on random pictures."""
    torch.manual_seed(0)
    network = network_build(config.network, config.sizes).train()
    assert isinstance(network, PixelRecursive)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network.to(memory_format=layout)  # type: ignore[call-overload] # torch's stubs miss this form
    if plain:
        for module in network.modules():
            if isinstance(module, MaskedConv2d):
                module.__class__ = FullKernelConv2d
    optimiser = torch.optim.RMSprop(network.parameters(), lr=1e-5, alpha=0.95, momentum=0.9)
    low = (torch.rand(config.batch, 3, 8, 8) - 0.5).contiguous(memory_format=layout)
    targets = torch.randint(0, 256, (config.batch, 32, 32, 3), dtype=torch.uint8)
    high = (targets.permute(0, 3, 1, 2).float() / 255 - 0.5).contiguous(memory_format=layout)
    share = 1024 if plain else round(config.positions * 1024)

    def step() -> None:
        positions = torch.randperm(1024)[:share]
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = network.losses(low, high, targets, positions=positions, prior=False).objective
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        optimiser.step()

    return step


def rows(config: TrainingConfig, *, pairs: int) -> Iterator[tuple[Comparison, Bar]]:
    """Measure, one row after the other."""
    plain = step_of(config, plain=True)
    step = step_of(config, channels_last=config.channels_last)
    yield harness.compare("training step, small, as configured", step, plain, pairs=pairs), Bar(least=1.5, aim=2)
    everywhere = TrainingConfig(**{**vars(config), "positions": 1.0})
    for what, options in (
        ("cropped kernels, loss at all positions", {}),
        ("the same, channels-last", {"channels_last": True}),
        ("the same, bfloat16", {"bfloat16": True}),
    ):
        yield harness.compare(what, step_of(everywhere, **options), plain, pairs=pairs), Bar()


def main() -> int:
    """Run the benchmark."""
    options = harness.start(harness.arguments(__doc__), packages=["torch"])
    return harness.report(rows(config_read(CONFIGS / "pixel_recursive_small.toml"), pairs=options.pairs))


if __name__ == "__main__":
    sys.exit(main())
