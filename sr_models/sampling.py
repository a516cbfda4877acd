"""Exact incremental sampling from pixel recursive super resolution.

Nothing is computed twice. The features of every layer at finished pixels are kept, so what a layer takes from finished
pixels is one batched matrix product for all layers at once; what is left at the pixel itself is a chain of small
products, one colour after the other (Ramachandran et al. 2017, arXiv 1704.06001, for the idea of the caches).

With a single stack, a pixel needs of the row above only what lies up to half a kernel to its right. So the rows are
walked over in step, each `skew` columns behind the one above: a diagonal wavefront, in W + skew * (H - 1) steps instead
of W * H, each of which does several pixels of every picture. With two stacks the vertical one needs the whole row
above; there the order is raster, and the vertical stack is computed a row at a time.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sr_models.pixel_recursive import (
    COLOURS,
    FIRST_PIXEL,
    GatedLayer,
    PixelRecursive,
    PixelRecursiveConfig,
    SingleStackPrior,
    TwoStackLayer,
    TwoStackPrior,
    group_bounds,
    median_edge,
)
from sr_models.pixels import LEVELS, model_range

CHUNK = 64
"""Pictures sampled together: more gain nothing, since the caches leave the processor's own."""

Choose = Callable[[Tensor, Tensor, int], Tensor]
"""`(logits (m, n, 256), pixels (m,), colour) -> (m, n)` intensities in 0..255: what the sub-pixels of one colour shall
be at m pixels of n pictures. `pixels` are numbers in raster order."""


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
    tau: float | Sequence[float],
    progress: Callable[[int], None] = lambda _done: None,
) -> NDArray[np.uint8]:
    """Draw one high-resolution picture for each input, sub-pixel by sub-pixel, from the network's distribution.

    A batch may span photos, draws and temperatures: an input that occurs several times is conditioned on once.

    Args:
        network: The trained network.
        low_res: (n, h, w, 3) uint8 sRGB.
        seeds: (n,) a seed for each picture.
        tau: Exponent of the probabilities, p**tau renormalised (Dahl et al. 2017), one for all or one a picture: 1
            samples the model, more sharpens. The usual temperature is T = 1 / tau.
        progress: Called now and then with the work that is done, in pictures; the last time with all of them.

    Returns:
        (n, factor * h, factor * w, 3) uint8 sRGB. A picture depends on its input, its seed and its tau; the pictures
        beside it can move a draw only where rounding decides between neighbouring intensities.

    Raises:
        ValueError: If `low_res` is not of that shape and type, seeds or taus do not match, or a tau is not positive.
    """
    taus = taus_checked(low_res, seeds=seeds, tau=tau)
    n, height, width = len(low_res), low_res.shape[1] * network.config.factor, low_res.shape[2] * network.config.factor
    high_res = np.empty((n, height, width, COLOURS), np.uint8)
    decoder = Decoder(network)
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        inputs, which = np.unique(low_res[part], axis=0, return_inverse=True)
        noise = uniforms(seeds[part], height=height, width=width)
        draw = _Draw(noise, taus[part], device=decoder.device, dtype=decoder.dtype)
        size = len(noise)

        def rows_done(share: float, start: int = start, size: int = size) -> None:
            progress(start + int(share * size))

        high_res[part] = decoder(
            model_range(torch.from_numpy(inputs)),
            choose=draw,
            which=torch.from_numpy(which.reshape(-1)),
            progress=rows_done,
        ).numpy(force=True)
    return high_res


def taus_checked(
    low_res: NDArray[np.uint8], *, seeds: Sequence[int], tau: float | Sequence[float]
) -> NDArray[np.float64]:
    """Refuse what `sample` refuses, and return the tau of each picture, (n,)."""
    if low_res.dtype != np.uint8 or low_res.ndim != 4 or low_res.shape[3] != COLOURS:
        raise ValueError(f"low_res must be (n, h, w, 3) uint8, got {low_res.shape} {low_res.dtype}")
    n = len(low_res)
    taus = np.full(n, tau, np.float64) if isinstance(tau, (int, float)) else np.asarray(tau, np.float64)
    for name, given in (("seed", len(seeds)), ("tau", len(taus))):
        if given != n:
            raise ValueError(f"one {name} a picture is needed, got {given} {name}s for {n} pictures")
    for each in taus:
        if not 0 < each < math.inf:
            raise ValueError(f"tau must be positive and finite, got {each:g}")
    return taus


class _Draw:
    """Draws by inversion: the first intensity whose cumulative probability exceeds the sub-pixel's uniform number."""

    def __init__(
        self, noise: NDArray[np.float64], taus: NDArray[np.float64], *, device: torch.device, dtype: torch.dtype
    ) -> None:
        n = len(noise)
        by_pixel = torch.from_numpy(noise).to(device, dtype).view(n, -1, COLOURS).permute(2, 1, 0)
        self.noise = by_pixel.contiguous().unsqueeze(3)  # (3, H * W, n, 1)
        self.taus = None if (taus == 1).all() else torch.from_numpy(taus).to(device, dtype)[None, :, None]

    def __call__(self, logits: Tensor, pixels: Tensor, colour: int) -> Tensor:  # (m, n, 256) -> (m, n)
        if self.taus is not None:
            logits = logits * self.taus
        cumulative = torch.softmax(logits, dim=2).cumsum(dim=2)
        threshold = self.noise[colour].index_select(0, pixels) * cumulative[:, :, -1:]
        return torch.searchsorted(cumulative, threshold, right=True).squeeze(2).clamp_(max=LEVELS - 1)


@dataclass(frozen=True)
class _Step:
    """The pixels that are done together: (row + i, column - skew * i) for i < count, and their raster numbers."""

    row: int
    column: int
    count: int
    pixels: Tensor


def _steps(*, height: int, width: int, skew: int, device: torch.device) -> Iterator[_Step]:
    for time in range(width + skew * (height - 1)):
        row = max(0, -(-(time - width + 1) // skew))
        last = min(height - 1, time // skew)
        if row <= last:  # with a skew of the width and more, one row may end before the next begins
            rows = torch.arange(row, last + 1, device=device)
            yield _Step(row, time - skew * row, last - row + 1, rows * width + time - skew * rows)


class Decoder:
    """Walks over the sub-pixels of a batch in a valid order and asks what each shall be.

    Args:
        network: The trained network. Its weights are rearranged here, once for many batches.
    """

    def __init__(self, network: PixelRecursive) -> None:
        self.network, self.config = network, network.config
        parameter = next(network.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        with torch.inference_mode():
            self.stack: _SingleStack | _TwoStack
            if isinstance(network.prior, SingleStackPrior):
                self.stack = _SingleStack(network.prior, network.config)
            elif isinstance(network.prior, TwoStackPrior):
                self.stack = _TwoStack(network.prior, network.config)
            self.head = _Head(network, scale=self.stack.scale)

    @torch.inference_mode()
    def __call__(
        self,
        low_res: Tensor,
        *,
        choose: Choose,
        which: Tensor | None = None,
        progress: Callable[[float], None] = lambda _share: None,
    ) -> Tensor:
        """Make pictures.

        Args:
            low_res: `(inputs, 3, h, w)` in [-0.5, 0.5].
            choose: Says what each sub-pixel shall be. A sampler draws here; a test may return known values and look at
                the logits.
            which: `(n,)` the number of each picture's input; without it, one picture an input.
            progress: Called with the share of the pixels that are done, each time another row is.

        Returns:
            `(n, H, W, 3)` uint8.
        """
        conditioning = self.network.conditioning(low_res.to(self.device, self.dtype))
        inputs, _, height, width = conditioning.shape
        n = inputs if which is None else len(which)
        if which is not None and n == inputs and torch.equal(which, torch.arange(n)):
            which = None
        self.head.begin(conditioning, which=None if which is None else which.to(self.device))
        self.stack.begin(n, height, width)
        skew = self.stack.skew or width  # without a wavefront, one row ends before the next begins
        expected = _Expected(n, height, width, skew=skew, device=self.device) if self.config.offsets else None
        values = torch.empty(height * width, n, COLOURS, dtype=torch.uint8, device=self.device)
        for step in _steps(height=height, width=width, skew=skew, device=self.device):
            self.stack.pixels_begin(step)
            self.head.pixels_begin(step)
            medians = None if expected is None else expected.medians(step)
            chosen: list[Tensor] = []
            for colour in range(COLOURS):
                features = self.stack.features(colour)  # (m * n, features of the group)
                predicted = None
                if medians is not None:
                    predicted = medians[:, :, colour] + chosen[-1] if chosen else medians[:, :, colour]
                    predicted = predicted.clamp_(0, LEVELS - 1)
                logits = self.head.logits(features, colour, predicted)
                chosen.append(choose(logits.view(step.count, n, LEVELS), step.pixels, colour))
                self.stack.chosen(colour, chosen[-1])
            pixel = torch.stack(chosen, dim=2)  # (m, n, 3)
            values.index_copy_(0, step.pixels, pixel.to(torch.uint8))
            self.stack.pixels_end(step)
            if expected is not None:
                expected.pixels_end(step, pixel)
            if step.column + 1 == width:
                progress((step.row + 1) / height)
        return values.view(height, width, n, COLOURS).permute(2, 0, 1, 3)


def _pixels_view(maps: Tensor, step: _Step, *, skew: int, up: int, first: int, run: int) -> Tensor:
    """Look at what lies beside the pixels of a step.

    Args:
        maps: `(layers, rows, n, columns, channels)`, contiguous: maps with a border.
        step: The pixels.
        skew: Columns that a row is behind the one above.
        up: The first pixel's row in `maps` is its own row plus this.
        first: The first pixel's first column in `maps` is its own column plus this.
        run: Columns that are looked at.

    Returns:
        A view `(layers, m, n, run * channels)`: from each pixel, columns that lie side by side.
    """
    layers, _, n, _, channels = maps.shape
    strides = maps.stride()
    return maps.as_strided(
        (layers, step.count, n, run * channels),
        (strides[0], strides[1] - skew * channels, strides[2], 1),
        (step.row + up) * strides[1] + (step.column + first) * channels,
    )


class _Head:
    """The masked 1x1 layers, the sum with the conditioning network, and the last layer.

    Args:
        network: The trained network.
        scale: What the features that come from the stack are to be multiplied with.
    """

    def __init__(self, network: PixelRecursive, *, scale: float) -> None:
        config, prior = network.config, network.prior
        self.config = config
        features, hidden = group_bounds(config.prior_channels), group_bounds(config.prior_head)
        head, exit_ = prior.head.masked_weight()[:, :, 0, 0].T * scale, prior.exit.masked_weight()[:, :, 0, 0].T
        width = config.coefficients + config.offsets
        self.features, self.hidden = features, hidden
        self.head = [head[: features[g + 1], hidden[g] : hidden[g + 1]].contiguous() for g in range(COLOURS)]
        self.head_bias = [prior.head.bias[hidden[g] : hidden[g + 1]] for g in range(COLOURS)]
        self.exit = [exit_[: hidden[g + 1], g * width : (g + 1) * width].contiguous() for g in range(COLOURS)]
        self.exit_bias = prior.exit.bias.view(COLOURS, width)
        self.basis = list(network.basis) if config.basis else None
        self.offset_basis = list(network.offset_basis) if config.offsets else None
        self.intensities = torch.arange(LEVELS, device=head.device)

    def begin(self, conditioning: Tensor, *, which: Tensor | None) -> None:
        """Take the coefficients of the conditioning network `(inputs, 3 * coefficients, H, W)`."""
        inputs, _, height, width = conditioning.shape
        split = conditioning.view(inputs, COLOURS, -1, height * width).permute(3, 0, 1, 2)
        self.conditioning = self.exit_bias.expand(height * width, inputs, -1, -1).clone()
        self.conditioning[..., : self.config.coefficients] += split
        self.which = which
        self.n = inputs if which is None else len(which)
        self.scratches: dict[int, list[tuple[Tensor, Tensor, Tensor, Tensor]]] = {}

    def pixels_begin(self, step: _Step) -> None:
        """Fetch what the conditioning network says of these pixels."""
        own = self.conditioning.index_select(0, step.pixels)  # (m, inputs, 3, coefficients + offsets)
        if self.which is not None:
            own = own.index_select(1, self.which)
        rows = step.count * self.n
        self.own = own.view(rows, COLOURS, -1).unbind(1)
        if rows not in self.scratches:
            seen = own.new_empty(rows, self.config.prior_channels)
            found = own.new_empty(rows, self.config.prior_head)
            self.scratches[rows] = [
                (seen[:, f_low:f_high], seen[:, :f_high], found[:, h_low:h_high], found[:, :h_high])
                for f_low, f_high, h_low, h_high in zip(
                    self.features, self.features[1:], self.hidden, self.hidden[1:], strict=False
                )
            ]
        self.scratch = self.scratches[rows]

    def logits(self, features: Tensor, colour: int, predicted: Tensor | None) -> Tensor:
        """Return the logits `(m * n, 256)` of a colour.

        Args:
            features: `(m * n, features of the group)` of the last layer; those of the colours before came before.
            colour: 0, 1 or 2.
            predicted: `(m, n)` int64, the predicted intensities.
        """
        mine, seen, found_mine, found = self.scratch[colour]
        torch.clamp_min(features, 0, out=mine)
        torch.addmm(self.head_bias[colour], seen, self.head[colour], out=found_mine)
        torch.clamp_min(found_mine, 0, out=found_mine)
        coefficients = torch.addmm(self.own[colour], found, self.exit[colour])
        if self.basis is None:
            logits = coefficients[:, : self.config.coefficients]
        else:
            logits = coefficients[:, : self.config.coefficients] @ self.basis[colour]
        if self.offset_basis is None or predicted is None:
            return logits
        distances = coefficients[:, self.config.coefficients :] @ self.offset_basis[colour]  # (m * n, 511)
        first = LEVELS - 1 - predicted.reshape(-1, 1)
        return logits.add_(distances.gather(1, first + self.intensities))


class _Expected:
    """`predicted_intensities`, pixel by pixel."""

    def __init__(self, n: int, height: int, width: int, *, skew: int, device: torch.device) -> None:
        self.skew = skew
        # Red, green less red and blue less green, with a row above and a column to the left: what the first pixel is
        # expected to be lies to its left.
        self.planes = torch.zeros(1, height + 1, n, width + 1, COLOURS, dtype=torch.int64, device=device)
        self.planes[0, 1, :, 0] = torch.tensor(FIRST_PIXEL, device=device)

    def medians(self, step: _Step) -> Tensor:
        """Return `(m, n, 3)`: what the pixels around say of red, green less red and blue less green."""
        west = _pixels_view(self.planes, step, skew=self.skew, up=1, first=0, run=1)[0]
        north = _pixels_view(self.planes, step, skew=self.skew, up=0, first=1, run=1)[0]
        north_west = _pixels_view(self.planes, step, skew=self.skew, up=0, first=0, run=1)[0]
        result = median_edge(west, north, north_west)
        if step.row == 0:
            result[0] = west[0]
        last = step.row + step.count - 1
        if step.column == self.skew * (step.count - 1) and last > 0:  # the lowest pixel lies in the first column
            result[-1] = north[-1]
        return result

    def pixels_end(self, step: _Step, pixel: Tensor) -> None:
        """Keep the intensities `(m, n, 3)` of these pixels."""
        own = _pixels_view(self.planes, step, skew=self.skew, up=1, first=1, run=1)[0]
        own.copy_(pixel)
        own[:, :, 1:].sub_(pixel[:, :, :-1])


class _Gate(NamedTuple):
    """Where one gated layer works for one colour, all `(rows, ...)`: views made once, since making one costs a sum.

    Attributes:
        state: `(rows, group)`, what goes into the layer.
        gates: `(rows, 2 * group)`, before: what it takes from all that is finished; after: both tanh.
        a: The left half of `gates`.
        b: The right half.
        result: `(rows, group)`, what comes out.
        own: `(group, 2 * group)`, the weights of the pixel's own colour.
    """

    state: Tensor
    gates: Tensor
    a: Tensor
    b: Tensor
    result: Tensor
    own: Tensor


class _Colour(NamedTuple):
    """Where the chain of one colour works, for so many pixels at a time.

    Attributes:
        first_seen: What the first layer takes from all that is finished, and its result: the first state.
        seen: The same for all gated layers at once, and `before`, their gates.
        layers: The chain.
        states: `(layers, rows, group)`, what goes into each layer; `kept`, where it is put beside what was finished.
        last: `(rows, group)`, what comes out of the last layer.
        pixel: `(rows,)`, where the intensity is put, in [-0.5, 0.5].
    """

    first_seen: Tensor
    first_state: Tensor
    seen: Tensor
    before: Tensor
    layers: list[_Gate]
    states: Tensor
    kept: Tensor
    last: Tensor
    pixel: Tensor

    def keep(self, values: Tensor) -> None:
        """Put the intensities `(m, n)` and the states beside what was finished."""
        self.pixel.copy_(values.reshape(-1))
        self.pixel.div_(LEVELS - 1).sub_(0.5)
        self.kept.copy_(self.states)


class _Scratch(NamedTuple):
    """Where a single stack works on so many pixels at a time.

    Attributes:
        product: `(rows, largest group)`.
        above: For the maps and the picture, where `_gather` puts what it finds.
        own: The features and intensities of the pixels themselves, `(layers, m, n, channels)` and `(1, m, n, 3)`.
    """

    colours: list[_Colour]
    products: list[Tensor]
    seen: list[Tensor]
    first_seen: list[Tensor]
    own: Tensor
    own_pixel: Tensor


class _SingleStack:
    """The features of a single masked stack, in a diagonal wavefront.

    The stream of features is kept doubled and `sigmoid(b) = (1 + tanh(b / 2)) / 2`, so that a gated layer is one
    product, one tanh over both halves and two sums; the factors, powers of two, are in the weights.
    """

    scale = 0.5

    def __init__(self, prior: SingleStackPrior, config: PixelRecursiveConfig) -> None:
        self.channels, self.layers = config.prior_channels, len(prior.layers)
        self.bounds = group_bounds(config.prior_channels)
        self.reach, self.first_reach = config.prior_kernel // 2, config.prior_first_kernel // 2
        self.skew = max(self.reach, self.first_reach) + 1
        layers = [layer for layer in prior.layers if isinstance(layer, GatedLayer)]
        stacked = torch.stack([_taps(layer.conv.masked_weight()) for layer in layers]) * 0.5  # (layers, in, 2c)
        biases = torch.stack([layer.conv.bias for layer in layers])[:, None]  # (layers, 1, 2c)
        first = _taps(prior.first.masked_weight()) * 2  # (taps * 3, c)
        self.past, self.first_past = stacked.shape[1] - self.channels, first.shape[0] - COLOURS
        self.weights, self.biases, self.own, self.first, self.first_bias = [], [], [], [], []
        for group in range(COLOURS):
            low, high = self.bounds[group], self.bounds[group + 1]
            a, b = slice(low, high), slice(self.channels + low, self.channels + high)
            both = torch.cat([stacked[:, :, a], stacked[:, :, b] * 0.5], dim=2)
            # What is finished when this colour begins: the pixels before, and the colours before at the pixel.
            self.weights.append(both[:, : self.past + low].contiguous())
            self.own.append(list(both[:, self.past + low : self.past + high].contiguous()))
            self.biases.append(torch.cat([biases[:, :, a], biases[:, :, b] * 0.5], dim=2))
            self.first.append(first[: self.first_past + group, low:high].contiguous())
            self.first_bias.append(prior.first.bias[low:high] * 2)

    def begin(self, n: int, height: int, width: int) -> None:
        """Make room for the features of n pictures."""
        like, reach, first_reach = self.first[0], self.reach, self.first_reach
        self.n = n
        self.picture = like.new_zeros(1, height + first_reach, n, width + 2 * first_reach, COLOURS)
        self.maps = like.new_zeros(self.layers, height + reach, n, width + 2 * reach, self.channels)
        self.scratches: dict[int, _Scratch] = {}

    def _scratch(self, count: int) -> _Scratch:
        like, rows = self.first[0], count * self.n
        seen = like.new_empty(self.layers, rows, self.past + self.channels)
        first_seen = like.new_empty(rows, self.first_past + COLOURS)
        products, colours = [], []
        for group in range(COLOURS):
            low, high = self.bounds[group], self.bounds[group + 1]
            size = high - low
            states = like.new_empty(self.layers + 1, rows, size)
            before = like.new_empty(self.layers, rows, 2 * size)
            a, b = before[:, :, :size], before[:, :, size:]
            layers = zip(states[:-1], before, a, b, states[1:], self.own[group], strict=True)
            colours.append(
                _Colour(
                    first_seen[:, : self.first_past + group],
                    states[0],
                    seen[:, :, : self.past + low],
                    before,
                    [_Gate(*parts) for parts in layers],
                    states[:-1],
                    seen[:, :, self.past + low : self.past + high],
                    states[-1],
                    first_seen[:, self.first_past + group],
                )
            )
            products.append(like.new_empty(rows, size))
        return _Scratch(
            colours,
            products,
            _gathered(seen, count=count, n=self.n, reach=self.reach, channels=self.channels),
            _gathered(first_seen[None], count=count, n=self.n, reach=self.first_reach, channels=COLOURS),
            seen[:, :, self.past :].view(self.layers, count, self.n, self.channels),
            first_seen[:, self.first_past :].view(1, count, self.n, COLOURS),
        )

    def pixels_begin(self, step: _Step) -> None:
        """Fetch what the layers take from the pixels before."""
        if step.count not in self.scratches:
            self.scratches[step.count] = self._scratch(step.count)
        self.scratch = self.scratches[step.count]
        _gather(self.maps, step, self.scratch.seen, skew=self.skew)
        _gather(self.picture, step, self.scratch.first_seen, skew=self.skew)

    def features(self, colour: int) -> Tensor:
        """Return the features `(m * n, group)` of a colour, doubled."""
        parts, product = self.scratch.colours[colour], self.scratch.products[colour]
        torch.addmm(self.first_bias[colour], parts.first_seen, self.first[colour], out=parts.first_state)
        torch.baddbmm(self.biases[colour], parts.seen, self.weights[colour], out=parts.before)
        for state, gates, a, b, result, own in parts.layers:
            torch.addmm(gates, state, own, out=gates)
            torch.tanh(gates, out=gates)
            torch.addcmul(a, a, b, out=product)
            torch.add(state, product, out=result)
        return parts.last

    def chosen(self, colour: int, values: Tensor) -> None:
        """Take the intensities `(m, n)` of a colour."""
        self.scratch.colours[colour].keep(values)

    def pixels_end(self, step: _Step) -> None:
        """Keep the features of these pixels."""
        own = _pixels_view(self.maps, step, skew=self.skew, up=self.reach, first=self.reach, run=1)
        own.copy_(self.scratch.own)
        own = _pixels_view(self.picture, step, skew=self.skew, up=self.first_reach, first=self.first_reach, run=1)
        own.copy_(self.scratch.own_pixel)


def _taps(weight: Tensor) -> Tensor:
    """Lay a masked kernel out as a matrix.

    Args:
        weight: `(out, in, rows, kernel)`; of the last row only the taps up to the pixel itself are used.

    Returns:
        `(taps * in, out)`: the rows above from left to right, the pixels to the left, then the pixel itself.
    """
    outputs, inputs, rows, kernel = weight.shape
    used = (rows - 1) * kernel + kernel // 2 + 1
    return weight.permute(2, 3, 1, 0).reshape(rows * kernel * inputs, outputs)[: used * inputs]


def _gathered(seen: Tensor, *, count: int, n: int, reach: int, channels: int) -> list[Tensor]:
    """Part the left of `seen` `(layers, m * n, taps * channels)` as `_taps` does: rows above, pixels to the left.

    Returns:
        Views `(layers, m, n, run * channels)`, one a row.
    """
    rows = seen.view(len(seen), count, n, -1)
    run = (2 * reach + 1) * channels
    above = [rows[..., up * run : (up + 1) * run] for up in range(reach)]
    return [*above, rows[..., reach * run : reach * run + reach * channels]]


def _gather(maps: Tensor, step: _Step, into: list[Tensor], *, skew: int) -> None:
    """Copy what lies before the pixels of a step.

    Args:
        maps: `(layers, H + reach, n, W + 2 * reach, channels)`.
        step: The pixels.
        into: From `_gathered`.
        skew: Columns that a row is behind the one above.
    """
    for up, part in enumerate(into):
        part.copy_(_pixels_view(maps, step, skew=skew, up=up, first=0, run=part.shape[3] // maps.shape[4]))


class _TwoStack:
    """The features of a vertical and a horizontal stack: the vertical one a row at a time, the other in raster order.

    The gates are kept doubled, as in `_SingleStack`; the feature next to them is 1 and carries the bias.
    """

    scale = 1.0
    skew = 0

    def __init__(self, prior: TwoStackPrior, config: PixelRecursiveConfig) -> None:
        self.prior = prior
        self.channels = config.prior_channels
        self.bounds = group_bounds(config.prior_channels)
        self.reach, self.first_reach = config.prior_kernel // 2, config.prior_first_kernel // 2
        self.layers = [layer for layer in prior.layers if isinstance(layer, TwoStackLayer)]
        c = self.channels
        self.order = torch.cat(  # the gates of a colour lie together: [a of red, b of red, a of green, ...]
            [
                torch.arange(low, high) + half * c
                for low, high in zip(self.bounds, self.bounds[1:], strict=False)
                for half in (0, 1)
            ]
        ).to(prior.head.bias.device)
        scale = torch.cat([torch.ones(c), torch.full((c,), 0.5)]).to(prior.head.bias)
        stacked = torch.stack([_taps(layer.horizontal.masked_weight()) for layer in self.layers]) * scale
        self.biases = [(layer.horizontal.bias * scale)[self.order] for layer in self.layers]
        self.across = [(layer.across.weight[:, :, 0, 0] * scale[:, None])[self.order].T for layer in self.layers]
        out = torch.stack([layer.out.masked_weight()[:, :, 0, 0].T * 0.5 for layer in self.layers])
        out_bias = torch.stack([layer.out.bias for layer in self.layers])[:, None]
        out = torch.cat([out_bias, out], dim=1)  # (layers, 1 + channels, channels)
        first = _taps(prior.first_horizontal.masked_weight())
        self.past, self.first_past = stacked.shape[1] - c, first.shape[0] - COLOURS
        self.weights, self.own, self.out, self.first = [], [], [], []
        for group in range(COLOURS):
            low, high = self.bounds[group], self.bounds[group + 1]
            both = torch.cat([stacked[:, :, low:high], stacked[:, :, c + low : c + high]], dim=2)
            self.weights.append(both[:, : self.past + low].contiguous())
            self.own.append(list(both[:, self.past + low : self.past + high].contiguous()))
            self.out.append(list(out[:, : 1 + high, low:high].contiguous()))
            self.first.append(first[: self.first_past + group, low:high].contiguous())

    def begin(self, n: int, height: int, width: int) -> None:
        """Make room for the features of n pictures."""
        like, c, layers = self.first[0], self.channels, len(self.layers)
        self.n, self.width = n, width
        self.picture = like.new_zeros(1, height + self.first_reach, n, width + 2 * self.first_reach, COLOURS)
        # Of the vertical stack, the row that is being made and those above within reach, for each layer's convolution.
        self.rows = [like.new_zeros(n, c, self.reach + 1, width + 2 * self.reach) for _ in range(layers)]
        self.above = like.new_empty(width, layers, n, 2 * c)
        self.first_above = like.new_empty(width, n, c)
        self.maps = like.new_zeros(layers, 1, n, width + self.reach, c)  # of the horizontal stack, this row
        self.seen = like.new_empty(layers, n, self.past + c)
        self.first_seen = like.new_empty(n, self.first_past + COLOURS)
        gates = like.new_ones(layers, n, 1 + c)
        self.colours: list[_Colour] = []
        self.gates: list[list[tuple[Tensor, Tensor, Tensor]]] = []
        for group in range(COLOURS):
            low, high = self.bounds[group], self.bounds[group + 1]
            size = high - low
            states = like.new_empty(layers + 1, n, size)
            before = like.new_empty(layers, n, 2 * size)
            a, b = before[:, :, :size], before[:, :, size:]
            chain = zip(states[:-1], before, a, b, states[1:], self.own[group], strict=True)
            self.colours.append(
                _Colour(
                    self.first_seen[:, : self.first_past + group],
                    states[0],
                    self.seen[:, :, : self.past + low],
                    before,
                    [_Gate(*parts) for parts in chain],
                    states[:-1],
                    self.seen[:, :, self.past + low : self.past + high],
                    states[-1],
                    self.first_seen[:, self.first_past + group],
                )
            )
            mine, so_far = gates[:, :, 1 + low : 1 + high], gates[:, :, : 1 + high]
            self.gates.append(list(zip(mine, so_far, self.out[group], strict=True)))

    def _row_begin(self, row: int) -> None:
        """Compute the vertical stack at a row, which takes the rows above alone."""
        above = self.picture[0, row : row + self.first_reach].permute(1, 3, 0, 2)  # (n, 3, first_reach, W + border)
        first = self.prior.first_vertical
        v = functional.conv2d(above, first.weight, first.bias)  # (n, c, 1, W)
        across = functional.conv2d(v, self.prior.first_across.weight)
        self.first_above.copy_((across + self.prior.first_horizontal.bias[:, None, None])[:, :, 0].permute(2, 0, 1))
        for index, (layer, rows) in enumerate(zip(self.layers, self.rows, strict=True)):
            rows[:, :, :-1] = rows[:, :, 1:].clone()
            rows[:, :, -1, self.reach : self.reach + self.width] = v[:, :, 0]
            from_above = functional.conv2d(rows, layer.vertical.weight, layer.vertical.bias)  # (n, 2c, 1, W)
            flat = from_above[:, :, 0].permute(2, 0, 1).reshape(self.width * self.n, -1)
            across_rows = torch.addmm(self.biases[index], flat, self.across[index])
            self.above[:, index] = across_rows.view(self.width, self.n, -1)
            a, b = from_above.chunk(2, dim=1)
            v = torch.tanh(a) * torch.sigmoid(b)
        self.maps.zero_()

    def pixels_begin(self, step: _Step) -> None:
        """Fetch what the layers take from the pixels before; at the start of a row, compute the vertical stack."""
        if step.column == 0:
            self._row_begin(step.row)
        self.column = step.column
        left = self.maps[:, 0, :, step.column : step.column + self.reach]  # (layers, n, reach, c)
        self.seen[:, :, : self.past].view(left.shape).copy_(left)
        start = self.picture[0, step.row + self.first_reach, :, step.column : step.column + self.first_reach]
        self.first_seen[:, : self.first_past] = start.reshape(self.n, -1)

    def features(self, colour: int) -> Tensor:
        """Return the features `(n, group)` of a colour."""
        parts = self.colours[colour]
        low, high = self.bounds[colour], self.bounds[colour + 1]
        first_above, above = (
            self.first_above[self.column, :, low:high],
            self.above[self.column, :, :, 2 * low : 2 * high],
        )
        torch.addmm(first_above, parts.first_seen, self.first[colour], out=parts.first_state)
        torch.baddbmm(above, parts.seen, self.weights[colour], out=parts.before)
        for (state, gates, a, b, result, own), (mine, so_far, out) in zip(
            parts.layers, self.gates[colour], strict=True
        ):
            torch.addmm(gates, state, own, out=gates)
            torch.tanh(gates, out=gates)
            torch.addcmul(a, a, b, out=mine)
            torch.addmm(state, so_far, out, out=result)
        return parts.last

    def chosen(self, colour: int, values: Tensor) -> None:
        """Take the intensities `(1, n)` of a colour."""
        self.colours[colour].keep(values)

    def pixels_end(self, step: _Step) -> None:
        """Keep the features of this pixel."""
        self.maps[:, 0, :, step.column + self.reach] = self.seen[:, :, self.past :]
        own = self.picture[0, step.row + self.first_reach, :, step.column + self.first_reach]
        own.copy_(self.first_seen[:, self.first_past :])
