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
from functools import partial
from itertools import pairwise
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

ALIGNED = 16
"""Numbers that a product's rows are a multiple of."""

FEW_ROWS = 8
"""Rows up to which a product is some two times as fast by numpy's BLAS as by torch's on a processor."""

CHUNK = 64
"""Pictures sampled together: more gain nothing, since the caches leave the processor's own."""

Choose = Callable[[Tensor, Tensor, int], Tensor]
"""`(logits (m, n, 256), pixels (m,), colour) -> (m, n)` intensities in 0..255: what the sub-pixels of one colour shall
be at m pixels of n pictures. `pixels` are numbers in raster order; `logits` are overwritten by the next call."""


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
        by_pixel = torch.from_numpy(noise).to(device, dtype).view(n, -1, COLOURS).permute(1, 0, 2)
        self.noise = by_pixel.contiguous()  # (H * W, n, 3)
        self.taus = None if (taus == 1).all() else torch.from_numpy(taus).to(device, dtype)[None, :, None]

    def __call__(self, logits: Tensor, pixels: Tensor, colour: int) -> Tensor:  # (m, n, 256) -> (m, n)
        if colour == 0:
            self.own = torch.split(self.noise.index_select(0, pixels), 1, dim=2)  # three of (m, n, 1)
        if self.taus is not None:
            logits = logits * self.taus
        cumulative = torch.softmax(logits, dim=2).cumsum_(dim=2)
        threshold = self.own[colour] * cumulative[:, :, -1:]
        return torch.searchsorted(cumulative, threshold, right=True).squeeze(2).clamp_(max=LEVELS - 1)


@dataclass(frozen=True)
class _Step:
    """The pixels that are done together: (row + i, column - skew * i) for i < count, and their raster numbers."""

    row: int
    column: int
    count: int
    pixels: Tensor


def _steps(*, height: int, width: int, skew: int, device: torch.device) -> Iterator[_Step]:
    first = torch.arange(height, device=device) * (width - skew)  # raster numbers at time 0
    for time in range(width + skew * (height - 1)):
        row = max(0, -(-(time - width + 1) // skew))
        last = min(height - 1, time // skew)
        if row <= last:  # with a skew of the width and more, one row may end before the next begins
            yield _Step(row, time - skew * row, last - row + 1, first[row : last + 1] + time)


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
        values = torch.empty(height * width, n, COLOURS, dtype=torch.int64, device=self.device)
        for step in _steps(height=height, width=width, skew=skew, device=self.device):
            self.stack.pixels_begin(step)
            self.head.pixels_begin(step)
            medians = None if expected is None else expected.medians(step).unbind(2)
            chosen: list[Tensor] = []
            for colour in range(COLOURS):
                features = self.stack.features(colour)  # (m * n, features of the group)
                predicted = None
                if medians is not None:
                    predicted = medians[colour] if colour == 0 else medians[colour].add_(chosen[-1])
                    predicted.clamp_(0, LEVELS - 1)
                logits = self.head.logits(features, colour, predicted)
                chosen.append(choose(logits.view(step.count, n, LEVELS), step.pixels, colour))
                self.stack.chosen(colour, chosen[-1])
            pixel = torch.stack(chosen, dim=2)  # (m, n, 3)
            values.index_copy_(0, step.pixels, pixel)
            self.stack.pixels_end(step)
            if expected is not None:
                expected.pixels_end(step, pixel)
            if step.column + 1 == width:
                progress((step.row + 1) / height)
        return values.to(torch.uint8).view(height, width, n, COLOURS).permute(2, 0, 1, 3)


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


class _Product:
    """`x @ weight` into `out`, which all stay where they are, so that a run is one call.

    Args:
        x: `(rows, inner)` or `(layers, rows, inner)`.
        weight: `(inner, columns)` or `(layers, inner, columns)`.
        out: `(rows, columns)` or `(layers, rows, columns)`.
    """

    def __init__(self, x: Tensor, weight: Tensor, out: Tensor) -> None:
        self.run: Callable[[], object]
        if x.device.type == "cpu" and x.shape[-2] <= FEW_ROWS:
            self.run = partial(np.matmul, x.numpy(), weight.numpy(), out=out.numpy())
        else:
            self.run = partial(torch.mm if x.ndim == 2 else torch.bmm, x, weight, out=out)


class _HeadColour(NamedTuple):
    """Where the last layers work for one colour, for so many rows at a time.

    Attributes:
        mine: `(rows, features of the group)`, where they are put beside those of the groups before.
        hidden: `(rows, hidden of the group)`, and the product that fills it from the features.
        given: `(rows, width)`, coefficients and offsets, and the product that fills it from all that is hidden so far.
        logits: `(rows, 256)`, and the product of the coefficients that fills it, if there is a basis.
        by_distance: `(rows, 512)`, and the product of the offsets that fills it, if there are any.
    """

    mine: Tensor
    hidden: Tensor
    hidden_fill: _Product
    given: Tensor
    given_fill: _Product
    logits: Tensor
    logits_fill: _Product | None
    by_distance: Tensor
    by_distance_fill: _Product | None


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
        # Products of odd sizes are slow: what a colour is given is filled up with zeros.
        own = config.coefficients + config.offsets
        width = -(-own // ALIGNED) * ALIGNED
        exit_ = functional.pad(exit_.reshape(-1, COLOURS, own), (0, width - own))  # (head, 3, width)
        self.features, self.hidden = features, hidden
        self.head = [head[: features[g + 1], hidden[g] : hidden[g + 1]].contiguous() for g in range(COLOURS)]
        self.head_bias = [prior.head.bias[hidden[g] : hidden[g + 1]] for g in range(COLOURS)]
        self.exit = [exit_[: hidden[g + 1], g].contiguous() for g in range(COLOURS)]
        self.exit_bias = functional.pad(prior.exit.bias.view(COLOURS, own), (0, width - own))
        self.basis = list(network.basis) if config.basis else None
        self.offset_basis = None
        if config.offsets:
            by_distance = network.offset_basis  # (3, offsets, 511)
            self.offset_basis = list(functional.pad(by_distance, (0, 1, 0, width - own)))
        intensities = torch.arange(LEVELS, device=head.device)
        self.distances = LEVELS - 1 - intensities[:, None] + intensities  # (predicted, intensity) -> place among 511

    def begin(self, conditioning: Tensor, *, which: Tensor | None) -> None:
        """Take the coefficients of the conditioning network `(inputs, 3 * coefficients, H, W)`."""
        inputs, _, height, width = conditioning.shape
        split = conditioning.view(inputs, COLOURS, -1, height * width).permute(3, 0, 1, 2)
        self.conditioning = self.exit_bias.expand(height * width, inputs, -1, -1).clone()
        self.conditioning[..., : self.config.coefficients] += split
        self.which = which
        self.n = inputs if which is None else len(which)
        self.scratches: dict[int, list[_HeadColour]] = {}

    def _scratch(self, rows: int) -> list[_HeadColour]:
        like, c = self.conditioning, self.config.coefficients
        seen, found = like.new_empty(rows, self.features[-1]), like.new_empty(rows, self.hidden[-1])
        colours = []
        for g, (low, high) in enumerate(pairwise(self.hidden)):
            end = self.features[g + 1]
            given = like.new_empty(rows, like.shape[-1])
            logits = given[:, :c] if self.basis is None else like.new_empty(rows, LEVELS)
            by_distance = like.new_empty(rows, 2 * LEVELS)
            colours.append(
                _HeadColour(
                    seen[:, self.features[g] : end],
                    found[:, low:high],
                    _Product(seen[:, :end], self.head[g], found[:, low:high]),
                    given,
                    _Product(found[:, :high], self.exit[g], given),
                    logits,
                    None if self.basis is None else _Product(given[:, :c], self.basis[g], logits),
                    by_distance,
                    None if self.offset_basis is None else _Product(given[:, c:], self.offset_basis[g], by_distance),
                )
            )
        return colours

    def pixels_begin(self, step: _Step) -> None:
        """Fetch what the conditioning network says of these pixels."""
        own = self.conditioning.index_select(0, step.pixels)  # (m, inputs, 3, coefficients + offsets)
        if self.which is not None:
            own = own.index_select(1, self.which)
        rows = step.count * self.n
        self.own = own.view(rows, COLOURS, -1).unbind(1)
        if rows not in self.scratches:
            self.scratches[rows] = self._scratch(rows)
        self.scratch = self.scratches[rows]

    def logits(self, features: Tensor, colour: int, predicted: Tensor | None) -> Tensor:
        """Return the logits `(m * n, 256)` of a colour.

        Args:
            features: `(m * n, features of the group)` of the last layer; those of the colours before came before.
            colour: 0, 1 or 2.
            predicted: `(m, n)` int64, the predicted intensities.
        """
        parts = self.scratch[colour]
        torch.clamp_min(features, 0, out=parts.mine)
        parts.hidden_fill.run()
        parts.hidden.add_(self.head_bias[colour]).clamp_min_(0)
        parts.given_fill.run()
        parts.given.add_(self.own[colour])
        if parts.logits_fill is not None:
            parts.logits_fill.run()
        if parts.by_distance_fill is None or predicted is None:
            return parts.logits
        parts.by_distance_fill.run()
        places = self.distances.index_select(0, predicted.reshape(-1))
        return parts.logits.add_(parts.by_distance.gather(1, places))


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
        gates: `(rows, 2 * group)`, before: what they take from the pixels before; after: both tanh.
        a: The left half of `gates`.
        b: The right half.
        seen: `(rows, groups up to the colour)`, what goes into the layer at the pixel itself.
        own: `(groups up to the colour, 2 * group)`, the weights at the pixel itself.
        state: `(rows, group)`, the colour's own part of `seen`.
        result: `(rows, group)`, what comes out.
    """

    gates: Tensor
    a: Tensor
    b: Tensor
    seen: Tensor
    own: Tensor
    state: Tensor
    result: Tensor


class _Colour(NamedTuple):
    """Where the chain of one colour works, for so many pixels at a time.

    Attributes:
        first_seen: What the first layer takes from all that is finished, and its result: the first state.
        layers: The chain.
        product: `(rows, group)`.
        last: `(rows, group)`, what comes out of the last layer.
        pixel: `(rows,)`, where the intensity is put, in [-0.5, 0.5].
    """

    first_seen: Tensor
    first_state: Tensor
    layers: list[_Gate]
    product: Tensor
    last: Tensor
    pixel: Tensor


class _Chain:
    """The states of the pixels that are done together, colour by colour.

    What the gates of all layers take from the pixels before is one product for all layers and colours, into `before`.
    The colours before at the pixel itself are part of the chain's own products, which are no more of them for it.

    Args:
        first_seen: `(rows, at least first_past + 3)`, the input of the first layer.
        first_past: How much of it comes from the pixels before; the three intensities of the pixel itself follow.
        own: For each colour the weights of each layer at the pixel itself.
        bounds: Of the colour groups.
    """

    def __init__(self, first_seen: Tensor, first_past: int, own: list[list[Tensor]], bounds: list[int]) -> None:
        rows, depth, channels = len(first_seen), len(own[0]), bounds[-1]
        self.before = first_seen.new_empty(depth, rows, 2 * channels)  # [a of red, b of red, a of green, ...]
        self.states = first_seen.new_empty(depth + 1, rows, channels)
        self.levels = torch.arange(LEVELS, device=first_seen.device).to(first_seen).div_(LEVELS - 1).sub_(0.5)
        self.colours = []
        for group, (low, high) in enumerate(pairwise(bounds)):
            size = high - low
            mine = self.states[:, :, low:high]
            gates = self.before[:, :, 2 * low : 2 * high]
            chain = zip(
                gates,
                gates[:, :, :size],
                gates[:, :, size:],
                self.states[:-1, :, :high],
                own[group],
                mine[:-1],
                mine[1:],
                strict=True,
            )
            self.colours.append(
                _Colour(
                    first_seen[:, : first_past + group],
                    mine[0],
                    [_Gate(*parts) for parts in chain],
                    first_seen.new_empty(rows, size),
                    mine[-1],
                    first_seen[:, first_past + group],
                )
            )

    def chosen(self, colour: int, values: Tensor) -> None:
        """Take the intensities `(m, n)` of a colour."""
        self.colours[colour].pixel.copy_(self.levels.take(values.reshape(-1)))


def _own(both: Tensor, bounds: list[int]) -> list[list[Tensor]]:
    """Part the weights at the pixel itself `(layers, channels, 2 * channels)`, for each colour those of each layer."""
    return [
        list(both[:, :high, 2 * low : 2 * high].contiguous())  # a layer's: (groups up to the colour, 2 * group)
        for low, high in pairwise(bounds)
    ]


def _by_colour(bounds: list[int]) -> Tensor:
    """Return the order in which the gates of a colour lie together: [a of red, b of red, a of green, ...]."""
    return torch.cat([torch.arange(low, high) + half * bounds[-1] for low, high in pairwise(bounds) for half in (0, 1)])


class _Scratch(NamedTuple):
    """Where a single stack works on so many pixels at a time.

    Attributes:
        chain: The states.
        before_fill: What the gates take from the pixels before.
        gathered: Where `_gather` puts what it finds of the maps.
        around: `(m, n, rows, run)`, where the picture around the pixels is put: rows above and their own, whole.
        own: The features and intensities of the pixels themselves, `(layers, m, n, channels)` and `(1, m, n, 3)`.
    """

    chain: _Chain
    before_fill: _Product
    gathered: list[Tensor]
    around: Tensor
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
        c = self.channels
        order = _by_colour(self.bounds).to(prior.head.bias.device)
        half = torch.cat([torch.ones(c), torch.full((c,), 0.5)]).to(prior.head.bias)
        stacked = torch.stack([_taps(layer.conv.masked_weight()) for layer in layers]) * (half * 0.5)
        stacked = stacked[:, :, order]  # (layers, in, 2c)
        first = _taps(prior.first.masked_weight()) * 2  # (taps * 3, c)
        self.past, self.first_past = stacked.shape[1] - c, first.shape[0] - COLOURS
        biases = torch.stack([(layer.conv.bias * half)[order] for layer in layers])[:, None]  # (layers, 1, 2c)
        self.weights = torch.cat([stacked[:, : self.past], biases], dim=1)
        self.own = _own(stacked[:, self.past :], self.bounds)
        self.first, self.first_bias = [], []
        for group, (low, high) in enumerate(pairwise(self.bounds)):
            self.first.append(first[: self.first_past + group, low:high].contiguous())
            self.first_bias.append(prior.first.bias[low:high] * 2)

    def begin(self, n: int, height: int, width: int) -> None:
        """Make room for the features of n pictures."""
        like, reach, first_reach = self.weights, self.reach, self.first_reach
        self.n = n
        self.picture = like.new_zeros(1, height + first_reach, n, width + 2 * first_reach, COLOURS)
        self.maps = like.new_zeros(self.layers, height + reach, n, width + 2 * reach, self.channels)
        self.scratches: dict[int, _Scratch] = {}

    def _scratch(self, count: int) -> _Scratch:
        rows = count * self.n
        seen = self.weights.new_ones(self.layers, rows, self.past + 1)  # the last one stays, for the bias
        run = (2 * self.first_reach + 1) * COLOURS
        first_seen = self.weights.new_empty(rows, (self.first_reach + 1) * run)  # what comes later is never looked at
        chain = _Chain(first_seen, self.first_past, self.own, self.bounds)
        return _Scratch(
            chain,
            _Product(seen, self.weights, chain.before),
            _gathered(seen, count=count, n=self.n, reach=self.reach, channels=self.channels),
            first_seen.view(count, self.n, self.first_reach + 1, run),
            chain.states[:-1].view(self.layers, count, self.n, self.channels),
            first_seen[:, self.first_past : self.first_past + COLOURS].view(1, count, self.n, COLOURS),
        )

    def pixels_begin(self, step: _Step) -> None:
        """Compute what the layers take from the pixels before."""
        if step.count not in self.scratches:
            self.scratches[step.count] = self._scratch(step.count)
        self.scratch = self.scratches[step.count]
        _gather(self.maps, step, self.scratch.gathered, skew=self.skew)
        around, (_, row, picture, _, _) = self.scratch.around, self.picture.stride()
        above = self.picture.as_strided(
            around.shape, (row - self.skew * COLOURS, picture, row, 1), step.row * row + step.column * COLOURS
        )
        around.copy_(above)
        self.scratch.before_fill.run()

    def features(self, colour: int) -> Tensor:
        """Return the features `(m * n, group)` of a colour, doubled."""
        parts = self.scratch.chain.colours[colour]
        torch.addmm(self.first_bias[colour], parts.first_seen, self.first[colour], out=parts.first_state)
        product = parts.product
        for gates, a, b, seen, own, state, result in parts.layers:
            torch.addmm(gates, seen, own, out=gates)
            torch.tanh(gates, out=gates)
            torch.addcmul(a, a, b, out=product)
            torch.add(state, product, out=result)
        return parts.last

    def chosen(self, colour: int, values: Tensor) -> None:
        """Take the intensities `(m, n)` of a colour."""
        self.scratch.chain.chosen(colour, values)

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
        order = _by_colour(self.bounds).to(prior.head.bias.device)
        scale = torch.cat([torch.ones(c), torch.full((c,), 0.5)]).to(prior.head.bias)
        stacked = torch.stack([_taps(layer.horizontal.masked_weight()) for layer in self.layers]) * scale
        stacked = stacked[:, :, order]
        self.biases = [(layer.horizontal.bias * scale)[order] for layer in self.layers]
        self.across = [(layer.across.weight[:, :, 0, 0] * scale[:, None])[order].T for layer in self.layers]
        out = torch.stack([layer.out.masked_weight()[:, :, 0, 0].T * 0.5 for layer in self.layers])
        out_bias = torch.stack([layer.out.bias for layer in self.layers])[:, None]
        out = torch.cat([out_bias, out], dim=1)  # (layers, 1 + channels, channels)
        first = _taps(prior.first_horizontal.masked_weight())
        self.past, self.first_past = stacked.shape[1] - c, first.shape[0] - COLOURS
        self.weights = stacked[:, : self.past].contiguous()
        self.own = _own(stacked[:, self.past :], self.bounds)
        self.out, self.first = [], []
        for group, (low, high) in enumerate(pairwise(self.bounds)):
            self.out.append(list(out[:, : 1 + high, low:high].contiguous()))
            self.first.append(first[: self.first_past + group, low:high].contiguous())

    def begin(self, n: int, height: int, width: int) -> None:
        """Make room for the features of n pictures."""
        like, c, layers = self.weights, self.channels, len(self.layers)
        self.n, self.width = n, width
        self.picture = like.new_zeros(1, height + self.first_reach, n, width + 2 * self.first_reach, COLOURS)
        # Of the vertical stack, the row that is being made and those above within reach, for each layer's convolution.
        self.rows = [like.new_zeros(n, c, self.reach + 1, width + 2 * self.reach) for _ in range(layers)]
        self.above = like.new_empty(width, layers, n, 2 * c)
        self.first_above = like.new_empty(width, n, c)
        self.maps = like.new_zeros(layers, 1, n, width + self.reach, c)  # of the horizontal stack, this row
        self.seen = like.new_empty(layers, n, self.past)
        self.first_seen = like.new_empty(n, self.first_past + COLOURS)
        self.chain = _Chain(self.first_seen, self.first_past, self.own, self.bounds)
        gates = like.new_ones(layers, n, 1 + c)
        self.gates = [
            list(zip(gates[:, :, 1 + low : 1 + high], gates[:, :, : 1 + high], self.out[group], strict=True))
            for group, (low, high) in enumerate(pairwise(self.bounds))
        ]

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
        self.seen.view(left.shape).copy_(left)
        start = self.picture[0, step.row + self.first_reach, :, step.column : step.column + self.first_reach]
        self.first_seen[:, : self.first_past] = start.reshape(self.n, -1)
        torch.baddbmm(self.above[step.column], self.seen, self.weights, out=self.chain.before)

    def features(self, colour: int) -> Tensor:
        """Return the features `(n, group)` of a colour."""
        parts = self.chain.colours[colour]
        first_above = self.first_above[self.column, :, self.bounds[colour] : self.bounds[colour + 1]]
        torch.addmm(first_above, parts.first_seen, self.first[colour], out=parts.first_state)
        for (gates, a, b, seen, own, state, result), (mine, so_far, out) in zip(
            parts.layers, self.gates[colour], strict=True
        ):
            torch.addmm(gates, seen, own, out=gates)
            torch.tanh(gates, out=gates)
            torch.addcmul(a, a, b, out=mine)
            torch.addmm(state, so_far, out, out=result)
        return parts.last

    def chosen(self, colour: int, values: Tensor) -> None:
        """Take the intensities `(1, n)` of a colour."""
        self.chain.chosen(colour, values)

    def pixels_end(self, step: _Step) -> None:
        """Keep the features of this pixel."""
        self.maps[:, 0, :, step.column + self.reach] = self.chain.states[:-1]
        own = self.picture[0, step.row + self.first_reach, :, step.column + self.first_reach]
        own.copy_(self.first_seen[:, self.first_past :])
