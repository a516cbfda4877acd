"""Pixel recursive super resolution: a conditioning network and a PixelCNN prior, one file.

Dahl, Norouzi and Shlens 2017, "Pixel Recursive Super Resolution" (arXiv 1702.00783). The probability of sub-pixel
`y_i` is `softmax(A_i(x) + B_i(y_<i))`: logits of the conditioning network `A`, which sees the low-resolution input,
plus logits of the prior `B`, which sees the sub-pixels before it in raster order, red then green then blue.
The prior comes in two forms behind one interface: the gated PixelCNN with a vertical and a horizontal stack (van den
Oord et al. 2016, arXiv 1606.05328) and a single masked stack. Where the paper is silent or contradicts itself,
`docs/decisions/0001` says what was chosen.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from sr_models.pixels import LEVELS

COLOURS = 3

Initialisation = Literal["fan_in", "truncated_normal"]


@dataclass(frozen=True)
class PixelRecursiveConfig:
    """Sizes of both networks.

    Attributes:
        factor: High-resolution pixels per low-resolution pixel along each axis, a power of two.
        conditioning_channels: Feature maps of the conditioning network (the paper: 32).
        conditioning_blocks: Residual blocks at each resolution, B (the paper: 18-30 blocks in all).
        batch_norm: Whether residual blocks are normalised, as in every public port of the paper.
        prior_stacks: 2 for a vertical and a horizontal stack, 1 for a single masked stack with a blind spot to the
            upper right, which is several times cheaper to sample.
        prior_channels: Feature maps of the prior (the paper: 64 in its table, 32 in its text), in three groups, one a
            colour, whose sizes differ by one at most.
        prior_layers: Gated layers of the prior (the paper: 20).
        prior_first_kernel: Kernel of the prior's first masked layer (the paper: 7).
        prior_kernel: Kernel of its gated layers (the paper: 5).
        prior_head: Feature maps of its masked 1x1 layer (the paper: 1024), in three groups.
        basis: Rank of the last layer: both networks give `basis` coefficients for each sub-pixel, which one shared
            learned matrix turns into 256 logits. It starts as Gaussian bumps, so that neighbouring intensities share
            what is learned. 0 gives the paper's layer: the networks give the 256 logits themselves.
        offsets: Further coefficients of the prior for each sub-pixel, of bumps over the distance to an intensity that
            is predicted from the pixels to the left and above (`predicted_intensities`); 0 as in the paper.
        initialisation: "fan_in" (normal, scaled by what a filter sees; residual branches start at zero) or
            "truncated_normal" (standard deviation 0.1, the paper's).
    """

    factor: int = 4
    conditioning_channels: int = 32
    conditioning_blocks: int = 2
    batch_norm: bool = False
    prior_stacks: int = 1
    prior_channels: int = 48
    prior_layers: int = 8
    prior_first_kernel: int = 7
    prior_kernel: int = 3
    prior_head: int = 192
    basis: int = 64
    offsets: int = 0
    initialisation: Initialisation = "fan_in"

    def __post_init__(self) -> None:
        """Refuse sizes that the networks cannot have."""
        if self.factor < 2 or self.factor & (self.factor - 1):
            raise ValueError(f"factor must be a power of two of at least 2, got {self.factor}")
        least = {"conditioning_channels": 1, "conditioning_blocks": 1, "prior_layers": 1, "prior_channels": COLOURS}
        for name, smallest in (least | {"prior_head": COLOURS}).items():
            if getattr(self, name) < smallest:
                raise ValueError(f"{name} must be at least {smallest}, got {getattr(self, name)}")
        for name in ("prior_first_kernel", "prior_kernel"):
            if getattr(self, name) < 3 or getattr(self, name) % 2 == 0:
                raise ValueError(f"{name} must be odd and at least 3, got {getattr(self, name)}")
        allowed = {
            "prior_stacks": (self.prior_stacks in (1, 2), "1 or 2"),
            "basis": (self.basis == 0 or 2 <= self.basis <= LEVELS, f"0, or between 2 and {LEVELS}"),
            "offsets": (
                self.offsets == 0 or (3 <= self.offsets < LEVELS and self.offsets % 2 == 1),
                f"0, or odd and between 3 and {LEVELS - 1}",
            ),
            "initialisation": (self.initialisation in get_args(Initialisation), " or ".join(get_args(Initialisation))),
        }
        for name, (is_allowed, choices) in allowed.items():
            if not is_allowed:
                raise ValueError(f"{name} must be {choices}, got {getattr(self, name)!r}")

    @property
    def coefficients(self) -> int:
        """Numbers that each network gives for a sub-pixel, offsets apart."""
        return self.basis or LEVELS


def group_bounds(channels: int) -> list[int]:
    """Return where the colour groups of so many feature maps begin and end: 4 numbers, from 0 to `channels`."""
    return [-(-group * channels // COLOURS) for group in range(COLOURS + 1)]


def _groups(channels: int) -> Tensor:
    """Return the colour group of each of so many feature maps, (channels,)."""
    return torch.arange(channels) * COLOURS // channels


class ResidualBlock(nn.Module):
    """ReLU, conv 3x3, ReLU, conv 3x3, plus identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, c, h, w)
        out: Tensor = x + self.conv2(functional.relu(self.conv1(functional.relu(x))))
        return out


class NormalisedResidualBlock(nn.Module):
    """conv 3x3, batch norm, ReLU, conv 3x3, batch norm, plus identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, c, h, w)
        out: Tensor = x + self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
        return out


class ConditioningNetwork(nn.Module):
    """From a low-resolution picture to `outputs` numbers at every high-resolution pixel (appendix, table)."""

    def __init__(self, *, channels: int, blocks: int, factor: int, outputs: int, batch_norm: bool) -> None:
        super().__init__()
        block = NormalisedResidualBlock if batch_norm else ResidualBlock
        layers: list[nn.Module] = [nn.Conv2d(COLOURS, channels, 1)]
        for _ in range(factor.bit_length() - 1):
            layers += [block(channels) for _ in range(blocks)]
            layers += [nn.ConvTranspose2d(channels, channels, 3, stride=2, padding=1, output_padding=1), nn.ReLU()]
        layers += [block(channels) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        self.exit = nn.Conv2d(channels, outputs, 1)

    def forward(self, low_res: Tensor) -> Tensor:  # (b, 3, h, w) -> (b, outputs, factor * h, factor * w)
        out: Tensor = self.exit(functional.relu(self.layers(low_res)))
        return out


class MaskedConv2d(nn.Module):
    """Convolution that sees only earlier sub-pixels.

    Output maps fall into `copies` runs, each of three colour groups; so do input maps (one run). At earlier pixels
    everything is seen. At the pixel itself, colour group g sees the groups before g, and, unless `strict` (mask A),
    group g as well (mask B). The rows below the centre, zero in a masked kernel, are left out altogether, and so are
    the rows above it in a kernel of one row: the weight is `(out, in, rows, kernel)`.
    """

    mask: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        strict: bool = False,
        copies: int = 1,
        rows: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.rows = kernel // 2 + 1 if rows is None else rows
        self.weight = nn.Parameter(torch.empty(outputs, inputs, self.rows, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        in_group, out_group = _groups(inputs), _groups(outputs // copies).repeat(copies)
        mask = torch.ones(outputs, inputs, self.rows, kernel)
        mask[:, :, -1, kernel // 2 + 1 :] = 0
        sees = out_group[:, None] > in_group[None, :] if strict else out_group[:, None] >= in_group[None, :]
        mask[:, :, -1, kernel // 2] = sees.float()
        self.register_buffer("mask", mask, persistent=False)
        nn.init.normal_(self.weight, std=1 / math.sqrt(float(mask.sum() / outputs)))

    def masked_weight(self) -> Tensor:
        """Return the weight `(out, in, rows, kernel)` with every later sub-pixel at zero."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:  # (b, in, h, w) -> (b, out, h, w)
        side = self.kernel // 2
        return functional.conv2d(functional.pad(x, (side, side, self.rows - 1, 0)), self.masked_weight(), self.bias)


class GatedLayer(nn.Module):
    """Masked convolution to two runs of maps, `x + tanh(a) * sigmoid(b)`."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = MaskedConv2d(channels, 2 * channels, kernel, copies=2)

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, c, h, w)
        a, b = self.conv(x).chunk(2, dim=1)
        return x + torch.tanh(a) * torch.sigmoid(b)


class VerticalConv2d(nn.Conv2d):
    """Convolution over the rows above and, unless `strict`, the row itself; all colours, all columns of the kernel."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, strict: bool = False) -> None:
        rows = kernel // 2 if strict else kernel // 2 + 1
        super().__init__(inputs, outputs, (rows, kernel))
        self.above = kernel // 2
        self.side = kernel // 2
        nn.init.normal_(self.weight, std=1 / math.sqrt(inputs * rows * kernel))
        nn.init.zeros_(self.bias)  # type: ignore[arg-type] # there is one

    def forward(self, x: Tensor) -> Tensor:  # (b, in, h, w) -> (b, out, h, w)
        # A strict kernel ends in the row above: the rows at the bottom that it would need are cut off.
        padded = functional.pad(x, (self.side, self.side, self.above, 0))
        out: Tensor = super().forward(padded)[:, :, : x.shape[2]]
        return out


class TwoStackLayer(nn.Module):
    """One layer of the gated PixelCNN (van den Oord et al. 2016, figure 2).

    The vertical stack sees the rows above, all of them and to both sides; the horizontal stack sees the pixels to the
    left and, at the pixel itself, the colours before, and hears from the vertical stack. Only the horizontal stack has
    a residual connection.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.vertical = VerticalConv2d(channels, 2 * channels, kernel)
        self.across = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.horizontal = MaskedConv2d(channels, 2 * channels, kernel, copies=2, rows=1)
        self.out = MaskedConv2d(channels, channels, 1)
        nn.init.normal_(self.across.weight, std=1 / math.sqrt(2 * channels))

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:  # two of (b, c, h, w) -> two of (b, c, h, w)
        from_above = self.vertical(v)  # (b, 2c, h, w)
        across = self.across(from_above)  # (b, 2c, h, w)
        return gate(from_above), h + self.out(gate(self.horizontal(h) + across))


def gate(x: Tensor) -> Tensor:
    """Return `tanh(a) * sigmoid(b)` of the two halves of the maps `(b, 2c, h, w)`."""
    a, b = x.chunk(2, dim=1)
    return torch.tanh(a) * torch.sigmoid(b)


class Prior(nn.Module, ABC):
    """PixelCNN: from a high-resolution picture to coefficients of logits for each sub-pixel.

    What both forms share: the two masked 1x1 layers at the end.
    """

    def __init__(self, config: PixelRecursiveConfig) -> None:
        super().__init__()
        self.head = MaskedConv2d(config.prior_channels, config.prior_head, 1)
        self.exit = MaskedConv2d(config.prior_head, COLOURS * (config.coefficients + config.offsets), 1)

    @abstractmethod
    def trunk(self, high_res: Tensor) -> Tensor:
        """Map the picture `(b, 3, H, W)` in [-0.5, 0.5] to features `(b, c, H, W)`."""

    def coefficients(self, features: Tensor) -> Tensor:
        """Map features `(b, c, h, w)` at any positions to `(b, 3 * (coefficients + offsets), h, w)`."""
        hidden = functional.relu(self.head(functional.relu(features)))  # (b, head, h, w)
        out: Tensor = self.exit(hidden)
        return out


class SingleStackPrior(Prior):
    """One stack of masked convolutions; it does not see a wedge to the upper right (van den Oord et al. 2016)."""

    def __init__(self, config: PixelRecursiveConfig) -> None:
        super().__init__(config)
        c = config.prior_channels
        self.first = MaskedConv2d(COLOURS, c, config.prior_first_kernel, strict=True)
        self.layers = nn.ModuleList(GatedLayer(c, config.prior_kernel) for _ in range(config.prior_layers))

    def trunk(self, high_res: Tensor) -> Tensor:
        """As in `Prior`."""
        features: Tensor = self.first(high_res)
        for layer in self.layers:
            features = layer(features)
        return features


class TwoStackPrior(Prior):
    """A vertical and a horizontal stack: every earlier sub-pixel within reach is seen."""

    def __init__(self, config: PixelRecursiveConfig) -> None:
        super().__init__(config)
        c, kernel = config.prior_channels, config.prior_first_kernel
        self.first_vertical = VerticalConv2d(COLOURS, c, kernel, strict=True)
        self.first_across = nn.Conv2d(c, c, 1, bias=False)
        self.first_horizontal = MaskedConv2d(COLOURS, c, kernel, strict=True, rows=1)
        self.layers = nn.ModuleList(TwoStackLayer(c, config.prior_kernel) for _ in range(config.prior_layers))
        nn.init.normal_(self.first_across.weight, std=1 / math.sqrt(c))

    def trunk(self, high_res: Tensor) -> Tensor:
        """As in `Prior`."""
        v = self.first_vertical(high_res)  # (b, c, H, W)
        h: Tensor = self.first_horizontal(high_res) + self.first_across(v)  # (b, c, H, W)
        for layer in self.layers:
            v, h = layer(v, h)
        return h


def predicted_intensities(pictures: Tensor) -> Tensor:
    """Predict every sub-pixel from those before it, in the neighbouring pixels and in the same pixel.

    The median edge detector of LOCO-I (Weinberger, Seroussi and Sapiro 2000, section III-A) on red, on green less red
    and on blue less green, each difference added to the colour before it and clamped. With w, n and nw the values to
    the left, above and to the upper left, it is min(w, n) if nw >= max(w, n), max(w, n) if nw <= min(w, n), else
    w + n - nw; in the first row it is w, in the first column n, and at the first pixel middle grey.

    Args:
        pictures: `(b, H, W, 3)` int64 in 0..255.

    Returns:
        `(b, H, W, 3)` int64 in 0..255.
    """
    planes = differences(pictures)
    west, north, north_west = (torch.empty_like(planes) for _ in range(3))
    west[:, :, 1:], north[:, 1:] = planes[:, :, :-1], planes[:, :-1]
    north_west[:, 1:, 1:] = planes[:, :-1, :-1]
    west[:, 0, 0] = planes.new_tensor(FIRST_PIXEL)
    north[:, 0] = west[:, 0]
    west[:, 1:, 0] = north[:, 1:, 0]
    north_west[:, 0], north_west[:, :, 0] = west[:, 0], west[:, :, 0]
    expected = median_edge(west, north, north_west)
    expected[..., 1:] += pictures[..., :-1]
    return expected.clamp_(0, LEVELS - 1)


FIRST_PIXEL = (LEVELS // 2, 0, 0)
"""What the first pixel of a picture is expected to be: red, green less red, blue less green."""


def differences(pictures: Tensor) -> Tensor:
    """Return red, green less red and blue less green of `(..., 3)` signed integers."""
    return torch.cat([pictures[..., :1], pictures[..., 1:] - pictures[..., :-1]], dim=-1)


def median_edge(west: Tensor, north: Tensor, north_west: Tensor) -> Tensor:
    """Return the median of west, north and west + north - north_west: the detector in one formula."""
    low, high = torch.minimum(west, north), torch.maximum(west, north)
    return torch.minimum(torch.maximum(west + north - north_west, low), high)


class Losses(NamedTuple):
    """Mean negative log-likelihoods in nats per sub-pixel, scalars."""

    joint: Tensor
    conditioning: Tensor
    prior: Tensor

    @property
    def objective(self) -> Tensor:
        """What training minimises: joint + conditioning, of equal weight (Dahl et al. 2017, section 3.3)."""
        return self.joint + self.conditioning


class PixelRecursive(nn.Module):
    """Conditioning network and prior, joined only at the logits."""

    def __init__(self, config: PixelRecursiveConfig) -> None:
        super().__init__()
        self.config = config
        self.conditioning = ConditioningNetwork(
            channels=config.conditioning_channels,
            blocks=config.conditioning_blocks,
            factor=config.factor,
            outputs=COLOURS * config.coefficients,
            batch_norm=config.batch_norm,
        )
        self.prior: Prior = SingleStackPrior(config) if config.prior_stacks == 1 else TwoStackPrior(config)
        if config.initialisation == "truncated_normal":
            self._truncated_normal()
        if config.basis:
            self.basis = nn.Parameter(_bumps(config.basis).expand(COLOURS, -1, -1).clone())  # (3, basis, 256)
        if config.offsets:
            self.offset_basis = nn.Parameter(  # (3, offsets, 511)
                _offset_bumps(config.offsets).expand(COLOURS, -1, -1).clone()
            )
            with torch.no_grad():  # the prior begins without an opinion on the distance to what is predicted
                own = self.prior.exit.weight.view(COLOURS, config.coefficients + config.offsets, -1)
                own[:, config.coefficients :] = 0

    def parameter_counts(self) -> dict[str, int]:
        """Return how many numbers are learned in each part: those that a mask holds at zero are not counted."""
        masked = sum(
            int((module.mask == 0).sum()) for module in self.prior.modules() if isinstance(module, MaskedConv2d)
        )
        parts = {
            "conditioning": sum(p.numel() for p in self.conditioning.parameters()),
            "prior": sum(p.numel() for p in self.prior.parameters()) - masked,
        }
        rest = sum(p.numel() for p in self.parameters(recurse=False))
        return parts | ({"basis": rest} if rest else {}) | {"all": sum(parts.values()) + rest}

    def logits(self, coefficients: Tensor, predicted: Tensor | None = None) -> Tensor:
        """Turn coefficients into logits.

        Args:
            coefficients: `(b, 3 * coefficients, h, w)` of either network, or their sum; or, with `predicted`,
                `(b, 3 * (coefficients + offsets), h, w)`.
            predicted: `(b, h, w, 3)` int64, what `predicted_intensities` says at those pixels.

        Returns:
            `(b, h, w, 3, 256)`, not normalised.
        """
        b, _, h, w = coefficients.shape
        split = coefficients.view(b, COLOURS, -1, h * w)
        own, offsets = split[:, :, : self.config.coefficients], split[:, :, self.config.coefficients :]
        logits = own.permute(0, 3, 1, 2)  # (b, h * w, 3, coefficients)
        if self.config.basis:
            logits = torch.einsum("bckp,ckv->bpcv", own, self.basis)  # (b, h * w, 3, 256)
        if predicted is not None:
            distances = torch.einsum("bckp,ckv->bpcv", offsets, self.offset_basis)  # (b, h * w, 3, 511)
            first = (LEVELS - 1 - predicted).view(b, h * w, COLOURS, 1)
            index = first + torch.arange(LEVELS, device=first.device)
            logits = logits + distances.gather(3, index)
        return logits.reshape(b, h, w, COLOURS, LEVELS)

    def forward(self, low_res: Tensor, high_res: Tensor) -> Tensor:
        """Return the logits of every sub-pixel given the input and the sub-pixels before it.

        Args:
            low_res: `(b, 3, h, w)` in [-0.5, 0.5].
            high_res: `(b, 3, factor * h, factor * w)` in [-0.5, 0.5].

        Returns:
            `(b, factor * h, factor * w, 3, 256)`, not normalised.
        """
        b = self.prior.coefficients(self.prior.trunk(high_res))
        return self.logits(self._sum(self.conditioning(low_res), b), self._predicted(high_res))

    def losses(
        self,
        low_res: Tensor,
        high_res: Tensor,
        targets: Tensor,
        *,
        positions: Tensor | None = None,
        prior: bool = True,
    ) -> Losses:
        """Score high-resolution pictures.

        The conditioning term of the objective keeps the network from ignoring its input (Dahl et al. 2017, section
        3.3). The last layers are 1x1, so a random subset of positions gives an unbiased loss for a fraction of the
        cost.

        Args:
            low_res: `(b, 3, h, w)` in [-0.5, 0.5].
            high_res: `(b, 3, H, W)` in [-0.5, 0.5].
            targets: `(b, H, W, 3)` uint8, the same pictures.
            positions: `(p,)` pixel numbers in raster order at which the losses are taken; all if None.
            prior: Whether the loss of the prior alone is wanted; it costs one more softmax.

        Returns:
            The joint loss, that of the conditioning network alone, and that of the prior alone (nan if not wanted).
        """
        predicted = self._predicted(high_res)
        a = self.conditioning(low_res)  # (b, 3 * coefficients, H, W)
        features = self.prior.trunk(high_res)  # (b, c, H, W)
        wanted = targets
        if positions is not None:
            a = a.flatten(2)[:, :, positions].unsqueeze(2)  # (b, 3 * coefficients, 1, p)
            features = features.flatten(2)[:, :, positions].unsqueeze(2)  # (b, c, 1, p)
            wanted = targets.flatten(1, 2)[:, positions]  # (b, p, 3)
            predicted = None if predicted is None else predicted.flatten(1, 2)[:, None, positions]  # (b, 1, p, 3)
        b = self.prior.coefficients(features)

        def cross_entropy(logits: Tensor) -> Tensor:
            return functional.cross_entropy(logits.float().flatten(0, 3), wanted.long().flatten())

        return Losses(
            cross_entropy(self.logits(self._sum(a, b), predicted)),
            cross_entropy(self.logits(a)),
            cross_entropy(self.logits(b, predicted)) if prior else a.new_tensor(math.nan),
        )

    def _sum(self, a: Tensor, b: Tensor) -> Tensor:
        """Add the coefficients of both networks; what the prior says of distances is its own."""
        if not self.config.offsets:
            return a + b
        n, _, h, w = b.shape
        split = b.view(n, COLOURS, -1, h, w)
        own, offsets = split[:, :, : self.config.coefficients], split[:, :, self.config.coefficients :]
        return torch.cat([own + a.view(n, COLOURS, -1, h, w), offsets], dim=2).flatten(1, 2)

    def _predicted(self, high_res: Tensor) -> Tensor | None:
        if not self.config.offsets:
            return None
        intensities = ((high_res + 0.5) * (LEVELS - 1)).round().long()
        return predicted_intensities(intensities.permute(0, 2, 3, 1))

    def _truncated_normal(self) -> None:
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, MaskedConv2d)):
                nn.init.trunc_normal_(module.weight, std=0.1, a=-0.2, b=0.2)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def _bumps(count: int) -> Tensor:
    """Return Gaussian bumps spread evenly over the intensities, (count, 256)."""
    centres = torch.linspace(0, LEVELS - 1, count)
    width = 1.5 * (LEVELS - 1) / (count - 1)
    return torch.exp(-0.5 * ((torch.arange(LEVELS)[None, :] - centres[:, None]) / width) ** 2)


def _offset_bumps(count: int) -> Tensor:
    """Return Gaussian bumps over distances from -255 to 255, dense and narrow around zero, (count, 511)."""
    steps = torch.linspace(-1, 1, count)
    centres = LEVELS / 2 * torch.sinh(4.5 * steps) / math.sinh(4.5)
    widths = 0.8 * torch.gradient(centres)[0].clamp(min=1)
    distances = torch.arange(1 - LEVELS, LEVELS)
    return torch.exp(-0.5 * ((distances[None, :] - centres[:, None]) / widths[:, None]) ** 2)
