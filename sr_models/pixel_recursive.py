"""Pixel recursive super resolution: a conditioning network and a PixelCNN prior, one file.

Dahl, Norouzi and Shlens 2017, "Pixel Recursive Super Resolution" (arXiv 1702.00783). The probability of sub-pixel
`y_i` is `softmax(A_i(x) + B_i(y_<i))`: logits of the conditioning network `A`, which sees the low-resolution input,
plus logits of the prior `B`, which sees the sub-pixels before it in raster order, red then green then blue.
Where the paper is silent or contradicts itself, `docs/decisions/` says what was chosen.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sr_models.pixels import LEVELS

COLOURS = 3


@dataclass(frozen=True)
class PixelRecursiveConfig:
    """Sizes of both networks.

    Attributes:
        factor: High-resolution pixels per low-resolution pixel along each axis, a power of two.
        conditioning_channels: Feature maps of the conditioning network (the paper: 32).
        conditioning_blocks: Residual blocks at each resolution, B (the paper: 18-30 blocks in all).
        prior_channels: Feature maps of the prior, a multiple of 3: one group for each colour.
        prior_layers: Gated masked layers of the prior (the paper: 20).
        prior_first_kernel: Kernel of the prior's first masked layer (the paper: 7).
        prior_kernel: Kernel of its gated layers (the paper: 5).
        prior_head: Feature maps of its masked 1x1 layer, a multiple of 3 (the paper: 1024).
        basis: Rank of the last layer: both networks give `basis` coefficients for each sub-pixel, which one shared
            learned matrix turns into 256 logits. It starts as Gaussian bumps, so that neighbouring intensities share
            what is learned.
    """

    factor: int = 4
    conditioning_channels: int = 32
    conditioning_blocks: int = 2
    prior_channels: int = 48
    prior_layers: int = 8
    prior_first_kernel: int = 7
    prior_kernel: int = 3
    prior_head: int = 192
    basis: int = 64

    def __post_init__(self) -> None:
        """Refuse sizes that the networks cannot have."""
        if self.factor < 2 or self.factor & (self.factor - 1):
            raise ValueError(f"factor must be a power of two of at least 2, got {self.factor}")
        for name in ("prior_channels", "prior_head"):
            if getattr(self, name) < COLOURS or getattr(self, name) % COLOURS:
                raise ValueError(f"{name} must be a multiple of 3, one group a colour, got {getattr(self, name)}")
        for name in ("prior_first_kernel", "prior_kernel"):
            if getattr(self, name) < 3 or getattr(self, name) % 2 == 0:
                raise ValueError(f"{name} must be odd and at least 3, got {getattr(self, name)}")
        if not 2 <= self.basis <= LEVELS:
            raise ValueError(f"basis must lie between 2 and {LEVELS}, got {self.basis}")


class ResidualBlock(nn.Module):
    """ReLU, conv 3x3, ReLU, conv 3x3, plus identity; without batch norm, since batches are small."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, c, h, w)
        out: Tensor = x + self.conv2(functional.relu(self.conv1(functional.relu(x))))
        return out


class ConditioningNetwork(nn.Module):
    """From a low-resolution picture to coefficients of logits at every high-resolution sub-pixel."""

    def __init__(self, config: PixelRecursiveConfig) -> None:
        super().__init__()
        c = config.conditioning_channels
        layers: list[nn.Module] = [nn.Conv2d(COLOURS, c, 1)]
        for _ in range(config.factor.bit_length() - 1):
            layers += [ResidualBlock(c) for _ in range(config.conditioning_blocks)]
            layers += [nn.ConvTranspose2d(c, c, 3, stride=2, padding=1, output_padding=1), nn.ReLU()]
        layers += [ResidualBlock(c) for _ in range(config.conditioning_blocks)]
        self.layers = nn.Sequential(*layers)
        self.exit = nn.Conv2d(c, COLOURS * config.basis, 1)

    def forward(self, low_res: Tensor) -> Tensor:  # (b, 3, h, w) -> (b, 3 * basis, fh, fw)
        coefficients: Tensor = self.exit(functional.relu(self.layers(low_res)))
        return coefficients


class MaskedConv2d(nn.Module):
    """Convolution that sees only earlier sub-pixels.

    Output maps fall into `copies` runs, each of three equal colour groups; so do input maps (one run). At earlier
    pixels everything is seen. At the pixel itself, colour group g sees the groups before g, and, unless `strict`
    (mask A), group g as well (mask B). The rows below the centre, zero in a masked kernel, are left out altogether:
    the weight is `(out, in, kernel // 2 + 1, kernel)`.
    """

    mask: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, *, strict: bool = False, copies: int = 1) -> None:
        super().__init__()
        self.kernel = kernel
        rows = kernel // 2 + 1
        self.weight = nn.Parameter(torch.empty(outputs, inputs, rows, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        in_group = torch.arange(inputs) * COLOURS // inputs
        out_group = (torch.arange(outputs) % (outputs // copies)) * COLOURS * copies // outputs
        mask = torch.ones(outputs, inputs, rows, kernel)
        mask[:, :, -1, kernel // 2 + 1 :] = 0
        sees = out_group[:, None] > in_group[None, :] if strict else out_group[:, None] >= in_group[None, :]
        mask[:, :, -1, kernel // 2] = sees.float()
        self.register_buffer("mask", mask, persistent=False)
        fan_in = float(mask.sum() / outputs)
        nn.init.normal_(self.weight, std=1 / math.sqrt(fan_in))

    def masked_weight(self) -> Tensor:
        """Return the weight `(out, in, kernel // 2 + 1, kernel)` with every later sub-pixel at zero."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:  # (b, in, h, w) -> (b, out, h, w)
        pad = self.kernel // 2
        return functional.conv2d(functional.pad(x, (pad, pad, pad, 0)), self.masked_weight(), self.bias)


class GatedLayer(nn.Module):
    """Masked convolution to two runs of maps, `x + tanh(a) * sigmoid(b)`."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = MaskedConv2d(channels, 2 * channels, kernel, copies=2)

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, c, h, w)
        a, b = self.conv(x).chunk(2, dim=1)
        return x + torch.tanh(a) * torch.sigmoid(b)


class Prior(nn.Module):
    """PixelCNN with one masked stack: from a high-resolution picture to coefficients of logits for each sub-pixel."""

    def __init__(self, config: PixelRecursiveConfig) -> None:
        super().__init__()
        c = config.prior_channels
        self.first = MaskedConv2d(COLOURS, c, config.prior_first_kernel, strict=True)
        self.layers = nn.ModuleList(GatedLayer(c, config.prior_kernel) for _ in range(config.prior_layers))
        self.head = MaskedConv2d(c, config.prior_head, 1)
        self.exit = MaskedConv2d(config.prior_head, COLOURS * config.basis, 1)

    def trunk(self, high_res: Tensor) -> Tensor:
        """Map the picture `(b, 3, H, W)` in [-0.5, 0.5] to features `(b, c, H, W)`."""
        features: Tensor = self.first(high_res)
        for layer in self.layers:
            features = layer(features)
        return features

    def coefficients(self, features: Tensor) -> Tensor:
        """Map features `(b, c, h, w)` at any set of positions to coefficients `(b, 3 * basis, h, w)`."""
        hidden = functional.relu(self.head(functional.relu(features)))  # (b, head, h, w)
        out: Tensor = self.exit(hidden)
        return out


class Losses(NamedTuple):
    """Mean negative log-likelihoods in nats per sub-pixel, scalars."""

    joint: Tensor
    conditioning: Tensor
    prior: Tensor


class PixelRecursive(nn.Module):
    """Conditioning network and prior, joined only at the logits."""

    def __init__(self, config: PixelRecursiveConfig) -> None:
        super().__init__()
        self.config = config
        self.conditioning = ConditioningNetwork(config)
        self.prior = Prior(config)
        centres = torch.linspace(0, LEVELS - 1, config.basis)
        width = 1.5 * (LEVELS - 1) / (config.basis - 1)
        bumps = torch.exp(-0.5 * ((torch.arange(LEVELS)[None, :] - centres[:, None]) / width) ** 2)  # (basis, 256)
        self.basis = nn.Parameter(bumps.expand(COLOURS, -1, -1).clone())  # (3, basis, 256)

    def logits(self, coefficients: Tensor) -> Tensor:
        """Turn coefficients `(b, 3 * basis, h, w)` into logits `(b, h, w, 3, 256)`."""
        b, _, h, w = coefficients.shape
        split = coefficients.view(b, COLOURS, self.config.basis, h * w)
        return torch.einsum("bckp,ckv->bpcv", split, self.basis).reshape(b, h, w, COLOURS, LEVELS)

    def forward(self, low_res: Tensor, high_res: Tensor) -> Tensor:
        """Return the logits of every sub-pixel given the input and the sub-pixels before it.

        Args:
            low_res: `(b, 3, h, w)` in [-0.5, 0.5].
            high_res: `(b, 3, factor * h, factor * w)` in [-0.5, 0.5].

        Returns:
            `(b, factor * h, factor * w, 3, 256)`, not normalised.
        """
        return self.logits(self.conditioning(low_res) + self.prior.coefficients(self.prior.trunk(high_res)))

    def losses(self, low_res: Tensor, high_res: Tensor, targets: Tensor) -> Losses:
        """Score high-resolution pictures at every sub-pixel.

        Args:
            low_res: `(b, 3, h, w)` in [-0.5, 0.5].
            high_res: `(b, 3, H, W)` in [-0.5, 0.5].
            targets: `(b, H, W, 3)` uint8, the same pictures.

        Returns:
            The joint loss, that of the conditioning network alone, and that of the prior alone.
        """
        a = self.conditioning(low_res)  # (b, 3 * basis, H, W)
        b = self.prior.coefficients(self.prior.trunk(high_res))  # (b, 3 * basis, H, W)
        return Losses(*(self._cross_entropy(part, targets) for part in (a + b, a, b)))

    def loss(self, low_res: Tensor, high_res: Tensor, targets: Tensor, *, positions: Tensor) -> Tensor:
        """Return the training objective, joint + conditioning, in nats per sub-pixel.

        The second term, of equal weight, keeps the network from ignoring its input (Dahl et al. 2017, section 3.3).
        The heads are 1x1, so a random subset of positions gives an unbiased loss for a fraction of the cost.

        Args:
            low_res: As in `losses`.
            high_res: As in `losses`.
            targets: As in `losses`.
            positions: `(p,)` pixel numbers in raster order at which the loss is taken.
        """
        a = self.conditioning(low_res).flatten(2)[:, :, positions].unsqueeze(2)  # (b, 3 * basis, 1, p)
        features = self.prior.trunk(high_res).flatten(2)[:, :, positions].unsqueeze(2)  # (b, c, 1, p)
        b = self.prior.coefficients(features)  # (b, 3 * basis, 1, p)
        wanted = targets.flatten(1, 2)[:, positions]  # (b, p, 3)
        return self._cross_entropy(a + b, wanted) + self._cross_entropy(a, wanted)

    def _cross_entropy(self, coefficients: Tensor, targets: Tensor) -> Tensor:
        logits = self.logits(coefficients).float()  # (b, h, w, 3, 256)
        return functional.cross_entropy(logits.flatten(0, 3), targets.long().flatten())
