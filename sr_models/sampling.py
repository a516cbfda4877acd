"""Exact incremental sampling from pixel recursive super resolution.

Nothing is computed twice: the features of every layer at finished pixels are kept, the part of every layer that
depends only on finished pixels is one batched matrix product a pixel, and what is left at the pixel itself is a chain
of small products, a colour at a time (Ramachandran et al. 2017, arXiv 1704.06001, for the idea of the caches).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sr_models.pixel_recursive import COLOURS, GatedLayer, PixelRecursive
from sr_models.pixels import LEVELS, model_range

CHUNK = 64
"""Pictures sampled together: more gain nothing, since the caches leave the processor's own."""


def uniforms(seeds: Sequence[int], *, height: int, width: int) -> NDArray[np.float64]:
    """Draw the random numbers of each picture from a counter-based stream of its own.

    Args:
        seeds: One seed a picture, each in [0, 2**64).
        height: Rows of the picture.
        width: Columns of the picture.

    Returns:
        (n, height, width, 3) float64 in [0, 1); a picture's numbers depend on its seed alone.
    """
    return np.stack(
        [np.random.Generator(np.random.Philox(key=seed)).random((height, width, COLOURS)) for seed in seeds]
    )


def sample(
    network: PixelRecursive,
    low_res: NDArray[np.uint8],
    *,
    seeds: Sequence[int],
    tau: float,
    progress: Callable[[int], None] = lambda _done: None,
) -> NDArray[np.uint8]:
    """Draw one high-resolution picture for each input, sub-pixel by sub-pixel, from the network's distribution.

    Args:
        network: The trained network.
        low_res: (n, h, w, 3) uint8 sRGB.
        seeds: (n,) a seed for each picture.
        tau: Exponent of the probabilities, p**tau renormalised (Dahl et al. 2017): 1 samples the model, more
            sharpens. The usual temperature is T = 1 / tau.
        progress: Called with the number of finished pictures.

    Returns:
        (n, factor * h, factor * w, 3) uint8 sRGB. A picture depends on its input and its seed; the pictures beside
        it can move a draw only where rounding decides between neighbouring intensities.

    Raises:
        ValueError: If `low_res` is not of that shape and type, the seeds do not match, or tau is not positive.
    """
    if low_res.dtype != np.uint8 or low_res.ndim != 4 or low_res.shape[3] != COLOURS:
        raise ValueError(f"low_res must be (n, h, w, 3) uint8, got {low_res.shape} {low_res.dtype}")
    if len(seeds) != len(low_res):
        raise ValueError(f"one seed a picture is needed, got {len(seeds)} seeds for {len(low_res)} pictures")
    if not tau > 0:
        raise ValueError(f"tau must be positive, got {tau}")
    factor = network.config.factor
    height, width = low_res.shape[1] * factor, low_res.shape[2] * factor
    high_res = np.empty((len(low_res), height, width, COLOURS), np.uint8)
    parameter = next(network.parameters())
    for start in range(0, len(low_res), CHUNK):
        part = slice(start, start + CHUNK)
        noise = torch.from_numpy(uniforms(seeds[part], height=height, width=width)).to(parameter.device)
        inputs = model_range(torch.from_numpy(low_res[part]).to(parameter.device)).to(parameter.dtype)

        def draw(logits: Tensor, row: int, column: int, colour: int, noise: Tensor = noise) -> Tensor:
            probabilities = torch.softmax(logits * tau, dim=1)  # (n, 256)
            cumulative = probabilities.cumsum(dim=1)
            threshold = noise[:, row, column, colour, None].to(cumulative.dtype) * cumulative[:, -1:]
            return (cumulative <= threshold).sum(dim=1).clamp_(max=LEVELS - 1)

        high_res[part] = decode(network, inputs, choose=draw).cpu().numpy()
        progress(min(start + CHUNK, len(low_res)))
    return high_res


@torch.inference_mode()
def decode(network: PixelRecursive, low_res: Tensor, *, choose: Callable[[Tensor, int, int, int], Tensor]) -> Tensor:
    """Walk over the sub-pixels of a batch in order, asking `choose` for the value of each.

    Args:
        network: The trained network.
        low_res: `(n, 3, h, w)` in [-0.5, 0.5].
        choose: `(logits (n, 256), row, column, colour) -> (n,)` intensities in 0..255. A sampler draws here; a test
            may return known values and look at the logits.

    Returns:
        `(n, H, W, 3)` uint8.
    """
    prior, config = network.prior, network.config
    conditioning = network.conditioning(low_res)  # (n, 3 * basis, H, W)
    n, _, height, width = conditioning.shape
    conditioning = conditioning.view(n, COLOURS, config.basis, height, width).permute(3, 4, 1, 0, 2).contiguous()
    channels, layers = config.prior_channels, len(prior.layers)
    group = channels // COLOURS
    head_group = config.prior_head // COLOURS

    first = _MaskedTaps(prior.first.masked_weight(), prior.first.bias)
    gated = [layer for layer in prior.layers if isinstance(layer, GatedLayer)]
    stack = [_MaskedTaps(layer.conv.masked_weight(), layer.conv.bias) for layer in gated]
    past_weight = torch.stack([taps.past for taps in stack])  # (layers, taps * c, 2c)
    past_bias = torch.stack([taps.bias for taps in stack])[:, None]  # (layers, 1, 2c)
    columns = [
        torch.cat([torch.arange(g * group, (g + 1) * group) + half * channels for half in (0, 1)]).to(low_res.device)
        for g in range(COLOURS)
    ]
    centre = [[taps.centre[: (g + 1) * group, columns[g]] for taps in stack] for g in range(COLOURS)]
    past_columns = torch.cat(columns)  # the products of colour g lie together: [a of g, b of g]
    past_weight, past_bias = past_weight[:, :, past_columns], past_bias[:, :, past_columns]
    head, exit_ = prior.head.masked_weight()[:, :, 0, 0].T, prior.exit.masked_weight()[:, :, 0, 0].T
    basis = network.basis  # (3, basis, 256)

    pad0, pad = prior.first.kernel // 2, config.prior_kernel // 2
    picture = low_res.new_zeros(n, height + pad0, width + 2 * pad0, COLOURS)
    cache = low_res.new_zeros(layers, n, height + pad, width + 2 * pad, channels)  # inputs of the gated layers
    values = torch.zeros(n, height, width, COLOURS, dtype=torch.uint8, device=low_res.device)
    features = low_res.new_zeros(n, channels)
    for row in range(height):
        for column in range(width):
            above = picture[:, row : row + pad0, column : column + 2 * pad0 + 1].reshape(n, -1)
            left = picture[:, row + pad0, column : column + pad0].reshape(n, -1)
            entry = torch.cat([above, left], dim=1) @ first.past + first.bias  # (n, c)
            above = cache[:, :, row : row + pad, column : column + 2 * pad + 1].reshape(layers, n, -1)
            left = cache[:, :, row + pad, column : column + pad].reshape(layers, n, -1)
            past = torch.baddbmm(past_bias, torch.cat([above, left], dim=2), past_weight)  # (layers, n, 2c)
            pixel = picture[:, row + pad0, column + pad0]  # (n, 3), a view
            inputs = cache[:, :, row + pad, column + pad]  # (layers, n, c), a view
            hidden = low_res.new_zeros(n, config.prior_head)
            for g in range(COLOURS):
                own = slice(g * group, (g + 1) * group)
                state = entry[:, own] + pixel[:, :g] @ first.centre[:g, own]
                for index in range(layers):
                    layer_input = inputs[index]
                    layer_input[:, own] = state
                    gates = torch.addmm(
                        past[index, :, 2 * g * group : 2 * (g + 1) * group],
                        layer_input[:, : (g + 1) * group],
                        centre[g][index],
                    )
                    state = state + torch.tanh(gates[:, :group]) * torch.sigmoid(gates[:, group:])
                features[:, own] = state
                seen = functional.relu(features[:, : (g + 1) * group])
                mine = slice(g * head_group, (g + 1) * head_group)
                hidden[:, mine] = functional.relu(seen @ head[: (g + 1) * group, mine] + prior.head.bias[mine])
                out = slice(g * config.basis, (g + 1) * config.basis)
                coefficients = (
                    hidden[:, : (g + 1) * head_group] @ exit_[: (g + 1) * head_group, out] + prior.exit.bias[out]
                )
                logits = (coefficients + conditioning[row, column, g]) @ basis[g]  # (n, 256)
                chosen = choose(logits, row, column, g)
                values[:, row, column, g] = chosen.to(torch.uint8)
                pixel[:, g] = chosen.to(low_res.dtype) / (LEVELS - 1) - 0.5
    return values


class _MaskedTaps:
    """A masked kernel taken apart: the taps at finished pixels, and the tap at the pixel itself."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        outputs, inputs, rows, kernel = weight.shape
        above = weight[:, :, : rows - 1].permute(2, 3, 1, 0).reshape((rows - 1) * kernel * inputs, outputs)
        left = weight[:, :, rows - 1, : kernel // 2].permute(2, 1, 0).reshape(kernel // 2 * inputs, outputs)
        self.past = torch.cat([above, left])  # (taps * inputs, outputs)
        self.centre = weight[:, :, rows - 1, kernel // 2].T  # (inputs, outputs)
        self.bias = bias
