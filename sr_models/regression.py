"""The regression of the pixel recursive paper, one file.

Dahl, Norouzi and Shlens 2017, "Pixel Recursive Super Resolution" (arXiv 1702.00783), section 4: the architecture of
the conditioning network with three outputs and a tanh, which predicts the residual over the bicubic enlargement of its
input and is trained with the squared error. `srresnet.py` holds the other regression network.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sr_models.pixel_recursive import COLOURS, ConditioningNetwork


@dataclass(frozen=True)
class RegressionConfig:
    """Sizes of the network.

    Attributes:
        factor: High-resolution pixels per low-resolution pixel along each axis, a power of two.
        channels: Feature maps in every layer (the paper: 32).
        blocks: Residual blocks at each resolution, B (the paper: 18-30 in all).
        batch_norm: Whether residual blocks are normalised, as in every public port of the paper.
    """

    factor: int = 4
    channels: int = 32
    blocks: int = 6
    batch_norm: bool = True

    def __post_init__(self) -> None:
        """Refuse sizes that the network cannot have."""
        if self.factor < 2 or self.factor & (self.factor - 1):
            raise ValueError(f"factor must be a power of two of at least 2, got {self.factor}")
        if self.channels < 1 or self.blocks < 1:
            raise ValueError(f"channels and blocks must be at least 1, got {self.channels} and {self.blocks}")


class Regression(nn.Module):
    """Map a low-resolution picture to the mean of the high-resolution pictures that it may come from."""

    def __init__(self, config: RegressionConfig) -> None:
        super().__init__()
        self.config = config
        self.residual = ConditioningNetwork(
            channels=config.channels,
            blocks=config.blocks,
            factor=config.factor,
            outputs=COLOURS,
            batch_norm=config.batch_norm,
        )

    def forward(self, low_res: Tensor) -> Tensor:
        """Predict the high-resolution picture.

        Args:
            low_res: `(b, 3, h, w)` in [-0.5, 0.5].

        Returns:
            `(b, 3, factor * h, factor * w)`, not clipped.
        """
        # With antialias the cubic filter is Pillow's (a = -0.5), the one that makes the inputs; without, a = -0.75.
        enlarged = functional.interpolate(
            low_res, scale_factor=self.config.factor, mode="bicubic", align_corners=False, antialias=True
        )
        return enlarged + torch.tanh(self.residual(low_res))

    def loss(self, low_res: Tensor, high_res: Tensor) -> Tensor:
        """Return the mean squared error in the range [-0.5, 0.5], over all sub-pixels."""
        return torch.mean((self(low_res).float() - high_res) ** 2)
