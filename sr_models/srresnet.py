"""SRResNet: the regression baseline, one file.

Ledig et al. 2017, "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network",
section 2.1.2 (the generator, trained with the mean squared error alone).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class SRResNetConfig:
    """Sizes of the network.

    Attributes:
        factor: High-resolution pixels per low-resolution pixel along each axis, a power of two.
        channels: Feature maps in every layer.
        blocks: Number of residual blocks (the paper: 16).
    """

    factor: int = 4
    channels: int = 64
    blocks: int = 16

    def __post_init__(self) -> None:
        """Refuse sizes that the network cannot have."""
        if self.factor < 2 or self.factor & (self.factor - 1):
            raise ValueError(f"factor must be a power of two of at least 2, got {self.factor}")
        if self.channels < 1 or self.blocks < 1:
            raise ValueError(f"channels and blocks must be at least 1, got {self.channels} and {self.blocks}")


class ResidualBlock(nn.Module):
    """conv 3x3, batch norm, PReLU, conv 3x3, batch norm, plus identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.activation = nn.PReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, c, h, w)
        residual = self.activation(self.norm1(self.conv1(x)))
        out: Tensor = x + self.norm2(self.conv2(residual))
        return out


class SRResNet(nn.Module):
    """Map a low-resolution picture to the mean of the high-resolution pictures that it may come from."""

    def __init__(self, config: SRResNetConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        self.entry = nn.Sequential(nn.Conv2d(3, c, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(
            *(ResidualBlock(c) for _ in range(config.blocks)),
            nn.Conv2d(c, c, 3, padding=1, bias=False),
            nn.BatchNorm2d(c),
        )
        stages = config.factor.bit_length() - 1
        self.upsampling = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(c, 4 * c, 3, padding=1), nn.PixelShuffle(2), nn.PReLU()) for _ in range(stages))
        )
        self.exit = nn.Conv2d(c, 3, 9, padding=4)

    def forward(self, low_res: Tensor) -> Tensor:
        """Predict the high-resolution picture.

        Args:
            low_res: `(b, 3, h, w)` in [-0.5, 0.5].

        Returns:
            `(b, 3, factor * h, factor * w)`, not clipped.
        """
        features = self.entry(low_res)  # (b, c, h, w)
        features = features + self.body(features)  # (b, c, h, w)
        features = self.upsampling(features)  # (b, c, fh, fw)
        high_res: Tensor = self.exit(features)  # (b, 3, fh, fw)
        return high_res

    def loss(self, low_res: Tensor, high_res: Tensor) -> Tensor:
        """Return the mean squared error in the range [-0.5, 0.5], over all sub-pixels."""
        return torch.mean((self(low_res).float() - high_res) ** 2)
