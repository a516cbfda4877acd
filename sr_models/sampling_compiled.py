"""Exact sampling from a single-stack network by a compiled program, picture by picture, on the processor.

The sampler of `sr_models/sampling.py` over again, the same steps in the same diagonal wavefront, without what a call of
torch costs: it pays most where few pictures are drawn at a time. numba compiles it at its first use, for the processor
at hand. With the same seeds it draws the same pictures: in float64 identical ones; in float32 ones that differ only
where a draw lies within rounding of the boundary between two intensities.

What makes it fast: a product works on tiles of `ROWS` pixels in flight by `LANES` outputs, whose sums stay in the
processor's registers; weights lie in the order in which they are read; and both nonlinear functions are made of one
exponential function that the compiler can apply to many numbers at once.
"""

import contextlib
import math
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_models.pixel_recursive import (
    COLOURS,
    FIRST_PIXEL,
    GatedLayer,
    MaskedConv2d,
    PixelRecursive,
    SingleStackPrior,
    group_bounds,
)
from sr_models.pixels import LEVELS, model_range
from sr_models.sampling import CHUNK, taus_checked, uniforms

try:
    import numba
    from llvmlite import ir  # type: ignore[import-untyped] # it has no types
    from numba.core import cgutils
    from numba.extending import intrinsic, overload
except ImportError:
    raise ImportError(
        "the compiled sampler needs numba, which is not installed: pip install -r requirements-extras.txt"
    ) from None

ROWS = 4
"""Pixels in flight are worked on in fours: the arrays of a picture have room for three that do not exist."""

LANES = 16
"""Outputs of a product come in runs of so many; those that are missing are filled up with zeros."""

WINDOW = 64
"""Intensities that a product of one pixel works on at a time."""

DISTANCES = 2 * LEVELS + LANES
"""Numbers in a row of the offsets' matrix, which has 511: no power of two, since a cache would keep few such rows."""

NOTICE_S = 2.0
"""If compiling takes longer than this, the user is told."""

CONTRACT = ("contract",)
"""A product and a sum may be rounded once, as one; every other rounding is where it is written."""

FLAGS: dict[str, Any] = {"error_model": "numpy", "fastmath": set(CONTRACT)}
"""How to compile."""

Function = TypeVar("Function", bound=Callable[..., Any])

Matrix = tuple[NDArray[Any], int, int]
"""An array of one dimension, where the first row begins in it, and how far it is from a row to the next."""


class _Sizes(NamedTuple):
    """What the program must know of the network beside its weights. A width counts outputs filled up to `LANES`."""

    channels: int
    layers: int
    first_reach: int
    reach: int
    skew: int
    head: int
    coefficients: int
    basis: int
    offsets: int
    first_width: int
    gates_width: int
    head_width: int
    exit_width: int
    features: tuple[int, int, int, int]
    hidden: tuple[int, int, int, int]
    first_pixel: tuple[int, int, int]


class _Weights(NamedTuple):
    """The weights of the prior, arrays of one dimension.

    Matrices of one size follow each other; each lies in tiles of `LANES` columns. Columns of zeros fill a colour up to
    its width.

    Attributes:
        first: Of the first layer, what it takes from the pixels before: a matrix for each row of its kernel, from
            `run * 3` inputs to all three colours.
        first_bias: Its bias.
        first_own: For each colour, what the first layer takes from the colours before it at the pixel.
        past: As `first`, layer by layer, of the gated layers.
        past_bias: Their biases.
        own: For each gated layer and colour, what it takes from the colours up to it at the pixel.
        head: For each colour, the masked 1x1 layer.
        head_bias: Its bias.
        exit: For each colour, the last masked 1x1 layer; its bias is in what the program is told of the conditioning.
        basis: For each colour, from coefficients to logits.
        offset_basis: For each colour, from offsets to distances, in rows of `DISTANCES`, not tiled.
        levels: The intensities 0 to 255 as the network sees them.
    """

    first: NDArray[Any]
    first_bias: NDArray[Any]
    first_own: NDArray[Any]
    past: NDArray[Any]
    past_bias: NDArray[Any]
    own: NDArray[Any]
    head: NDArray[Any]
    head_bias: NDArray[Any]
    exit: NDArray[Any]
    basis: NDArray[Any]
    offset_basis: NDArray[Any]
    levels: NDArray[Any]


# --- The program ----------------------------------------------------------------------------------------------------


def _part(function: Function) -> Function:
    """Mark a part of the program."""
    made: Function = numba.njit(**FLAGS)(function)
    return made


def _compiled(function: Callable[..., None]) -> Any:
    """Mark the program: compiled when it is first needed, and kept on disk if numba finds a folder where it may write.

    That is the one that NUMBA_CACHE_DIR names, `__pycache__` beside this file, or the user's own.
    """
    try:
        return numba.njit(cache=True, nogil=True, **FLAGS)(function)
    except RuntimeError:  # there is none: each process compiles for itself
        return numba.njit(nogil=True, **FLAGS)(function)


def _product_made(rows: int, lanes: int, *, line: int) -> Callable[..., None]:
    """Return a part of the program, `product(into, start, a, w, inner, columns, count)`, in LLVM's own language.

    It writes `start + a @ w`: `count` rows, rounded up to a multiple of `rows`, and `columns` columns, a multiple of
    `lanes`. `into`, `start`, `a` and `w` are each a `Matrix`, and `into` may be `start`. The last number of `w` is not
    how far apart its rows are, but how many it has; the first `inner` of them are used. It lies in tiles of `lanes`
    columns, one after the other, whose rows are `line` apart. numba itself would not keep a tile's sums in registers.
    """

    @intrinsic
    def product(_context: Any, into: Any, start: Any, a: Any, w: Any, inner: Any, columns: Any, count: Any) -> Any:  # noqa: ARG001 -- numba reads the names
        whole = numba.types.intp
        matrices = [numba.types.Tuple((matrix[0], whole, whole)) for matrix in (into, start, a, w)]  # type: ignore[no-untyped-call] # numba's

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            number = context.get_value_type(w[0].dtype)
            given = []
            for argument, kind in zip(arguments[:4], signature.args, strict=False):
                array, *place = (builder.extract_value(argument, part) for part in range(3))
                given += [context.make_array(kind[0])(context, builder, array).data, *place]
            given += arguments[4:]
            function_type = ir.FunctionType(ir.VoidType(), [each.type for each in given])
            name = f"product_{rows}_{lanes}_{line}_{number}"
            function = cgutils.get_or_insert_function(builder.module, function_type, name)  # type: ignore[no-untyped-call] # numba's
            if function.is_declaration:
                function.linkage = "internal"
                function.attributes.add("noinline")
                _product_write(function, number, rows=rows, lanes=lanes, line=line)
            builder.call(function, given)
            return context.get_dummy_value()

        return numba.types.void(*matrices, whole, whole, whole), generate

    made: Callable[..., None] = product
    return made


class _Rows(NamedTuple):
    """A `Matrix` in LLVM's language: values, not yet numbers."""

    data: Any
    first: Any
    stride: Any


def _product_write(function: Any, number: Any, *, rows: int, lanes: int, line: int) -> None:
    """Write the loops of a product into an empty function of LLVM's, whose numbers are of the type `number`."""
    builder = ir.IRBuilder(function.append_basic_block())
    vector = ir.VectorType(number, lanes)
    align = 4 if isinstance(number, ir.FloatType) else 8
    into, start, a, w = (_Rows(*function.args[place : place + 3]) for place in range(0, 12, 3))
    inner, columns, count = function.args[12:]
    whole = inner.type

    def place(matrix: _Rows, row: Any, column: Any) -> Any:
        return builder.gep(
            matrix.data, [builder.add(builder.add(matrix.first, column), builder.mul(matrix.stride, row))]
        )

    def run(pointer: Any) -> Any:
        return builder.bitcast(pointer, vector.as_pointer())

    def spread(value: Any) -> Any:
        none, all_first = ir.Constant(vector, ir.Undefined), ir.VectorType(ir.IntType(32), lanes)
        one = builder.insert_element(none, value, ir.IntType(32)(0))
        return builder.shuffle_vector(one, none, ir.Constant(all_first, [0] * lanes))

    sums = [builder.alloca(vector) for _ in range(rows)]  # which LLVM puts into registers
    with (
        cgutils.for_range_slice(builder, whole(0), columns, whole(lanes)) as (column, _),
        cgutils.for_range_slice(builder, whole(0), count, whole(rows)) as (first, _),
    ):
        numbers = [builder.add(first, whole(row)) for row in range(rows)]
        for total, row in zip(sums, numbers, strict=True):
            builder.store(builder.load(run(place(start, row, column)), align=align), total)
        scales = [place(a, row, whole(0)) for row in numbers]
        tile = builder.gep(w.data, [builder.add(w.first, builder.mul(column, w.stride))])
        with cgutils.for_range(builder, inner) as loop:
            weights = builder.load(run(builder.gep(tile, [builder.mul(loop.index, whole(line))])), align=align)
            for total, scale in zip(sums, scales, strict=True):
                scaled = builder.fmul(spread(builder.load(builder.gep(scale, [loop.index]))), weights, flags=CONTRACT)
                builder.store(builder.fadd(builder.load(total), scaled, flags=CONTRACT), total)
        for total, row in zip(sums, numbers, strict=True):
            builder.store(builder.load(total), run(place(into, row, column)), align=align)
    builder.ret_void()


_product_tiled = _product_made(ROWS, LANES, line=LANES)
_product_of_one_row = _product_made(1, WINDOW, line=DISTANCES)


def _exp(x: float) -> float:
    """Return e to the power x; compiled, it is `_exp_made`, where what is smaller than any normal number is 0."""
    return math.exp(x)


LOG2_E = np.float32(1 / math.log(2))
LN2_HIGH = np.float32(0.693359375)
LN2_LOW = np.float32(math.log(2) - 0.693359375)
ROUNDER = np.float32(1.5 * 2**23)
LEAST = np.float32(-87)
TAYLOR = tuple(np.float32(1 / math.factorial(power)) for power in range(8))


@overload(_exp)
def _exp_made(x: Any) -> Callable[[Any], Any]:
    """Return the exponential function of the type of x.

    In single precision, x = n ln 2 + r with whole n and |r| <= ln 2 / 2, so that e**x = 2**n e**r. Adding 1.5 * 2**23
    rounds to whole numbers and leaves n in the lowest bits, from where it is shifted into an exponent. ln 2 has two
    parts, the first so short that its multiples are exact; e**r is its Taylor polynomial, whose relative error is
    below r**8 / 8!, 6e-9. Rounding makes that 8e-8.
    """
    if x != numba.types.float32:

        def exact(x: Any) -> Any:
            return math.exp(x)

        return exact

    def exp(x: Any) -> Any:
        shifted = max(x, LEAST) * LOG2_E + ROUNDER
        n = shifted - ROUNDER
        r = (max(x, LEAST) - n * LN2_HIGH) - n * LN2_LOW
        total = TAYLOR[7] * r + TAYLOR[6]
        total = total * r + TAYLOR[5]
        total = total * r + TAYLOR[4]
        total = total * r + TAYLOR[3]
        total = total * r + TAYLOR[2]
        total = total * r + TAYLOR[1]
        total = total * r + TAYLOR[0]
        bits = (np.float32(shifted).view(np.uint32) << np.uint32(23)) + np.uint32(0x3F800000)
        power = np.uint32(bits).view(np.float32)
        return total * power if x > LEAST else np.float32(0)

    return exp


@_part
def _past(
    into: Matrix,
    bias: Matrix,
    maps: Matrix,
    line: int,
    weights: NDArray[Any],
    at: int,
    reach: int,
    channels: int,
    columns: int,
    count: int,
) -> None:
    """Write what a masked convolution takes from the pixels before: the rows above, then those to the left.

    `maps` begins at the upper left corner of the first pixel's kernel; `line` is how far a row is from the next.
    """
    for up in range(reach + 1):
        inner = (2 * reach + 1) * channels if up < reach else reach * channels
        beside = (maps[0], maps[1] + up * line, maps[2])
        if up == 0:
            _product_tiled(into, bias, beside, (weights, at, inner), inner, columns, count)
        else:
            _product_tiled(into, into, beside, (weights, at, inner), inner, columns, count)
        at += inner * columns


@_part
def _gate(state: NDArray[Any], gates: NDArray[Any], result: NDArray[Any]) -> None:
    """Write `state + tanh(a) * sigmoid(b)`, where `gates` begins with -2a and goes on with -b."""
    one, most = state.dtype.type(1), state.dtype.type(40)  # beyond it, both functions have reached their ends
    a, b = gates[: len(state)], gates[len(state) :]
    for j in range(len(state)):
        e, f = _exp(min(a[j], most)), _exp(min(b[j], most))
        result[j] = state[j] + (one - e) / ((one + e) * (one + f))


@_part
def _copy(values: NDArray[Any], into: NDArray[Any]) -> None:
    """Copy so many numbers as fit."""
    for j in range(len(into)):
        into[j] = values[j]


@_part
def _copy_positive(values: NDArray[Any], into: NDArray[Any]) -> None:
    """Copy numbers, the negative ones as zero."""
    zero = values.dtype.type(0)
    for j in range(len(values)):
        into[j] = max(values[j], zero)


@_part
def _draw(logits: NDArray[Any], powers: NDArray[Any], sums: NDArray[np.float64], tau: float, uniform: float) -> int:
    """Return the first intensity whose cumulative probability exceeds a number in [0, 1).

    `powers` (256,) and `sums` (256 / LANES,) are room to work in. Probabilities are summed in float64, in runs, so that
    those that come before the intensity are passed over run by run.
    """
    exponent = logits.dtype.type(tau)
    most = logits[0] * exponent
    for level in range(LEVELS):
        powers[level] = logits[level] * exponent
        most = max(most, powers[level])
    for level in range(LEVELS):
        powers[level] = _exp(powers[level] - most)
    total = 0.0
    for run in range(LEVELS // LANES):
        part = 0.0
        for lane in range(LANES):
            part += powers[run * LANES + lane]
        sums[run] = part
        total += part
    threshold = uniform * total
    cumulative = 0.0
    value = 0
    while value < LEVELS - LANES and cumulative + sums[value // LANES] <= threshold:
        cumulative += sums[value // LANES]
        value += LANES
    while value < LEVELS - 1:
        cumulative += powers[value]
        if cumulative > threshold:
            break
        value += 1
    return value


@_part
def _median(planes: NDArray[np.int64], row: int, column: int, colour: int) -> int:
    """Return what `median_edge` says of a pixel; `planes` has a row above and a column to the left."""
    west: int = planes[row + 1, column, colour]
    north: int = planes[row, column + 1, colour]
    north_west: int = planes[row, column, colour]
    if row == 0:
        return west
    if column == 0:
        return north
    return min(max(west + north - north_west, min(west, north)), max(west, north))


@_compiled
def _picture(  # noqa: C901, PLR0912, PLR0915 -- one loop over pixels in flight, of matrices that all its parts share
    sizes: _Sizes,
    weights: _Weights,
    conditioning: NDArray[Any],
    noise: NDArray[np.float64],
    tau: float,
    values: NDArray[np.uint8],
    seen: NDArray[Any],
) -> None:
    """Make one picture.

    Args:
        sizes: Of the network.
        weights: Of the network.
        conditioning: (rows, columns, 3, width) the coefficients of the conditioning network plus the last layer's
            bias; at least `skew` columns, and `ROWS` rows more than the picture.
        noise: (H, W, 3) in [0, 1).
        tau: Exponent of the probabilities.
        values: (H, W, 3) where the picture is written, or, if logits are wanted, where it is.
        seen: (H, W, 3, 256) where the logits are written; (0, 0, 0, 0) if a picture is to be drawn.
    """
    height, width, _ = values.shape
    c, skew, reach, first_reach = sizes.channels, sizes.skew, sizes.reach, sizes.first_reach
    first_columns, gates_columns = COLOURS * sizes.first_width, COLOURS * sizes.gates_width
    hidden_columns = sizes.hidden[2] + sizes.head_width
    rows = ROWS * (1 + min(height - 1, (width - 1) // skew) // ROWS)
    kind = weights.levels.dtype

    # What is finished, with a border of zeros. From a pixel in flight to the next: one row down, `skew` to the left.
    picture_line = COLOURS * max(width + 2 * first_reach, skew)
    picture_diagonal = picture_line - COLOURS * skew
    picture = np.zeros((height + first_reach + ROWS) * picture_line, kind)
    line = c * max(width + 2 * reach, skew)
    diagonal = line - c * skew
    maps_size = (height + reach + ROWS) * line
    maps = np.zeros((sizes.layers + 1) * maps_size, kind)
    start_pixel = conditioning.shape[2] * conditioning.shape[3]
    start_diagonal = (conditioning.shape[1] - skew) * start_pixel
    start = conditioning.ravel()
    planes = np.zeros((height + 1, width + 1, COLOURS), np.int64)
    for colour in range(COLOURS):
        planes[1, 0, colour] = sizes.first_pixel[colour]

    # Of the pixels in flight, a row each.
    first = np.zeros(rows * first_columns, kind)
    gates_size = rows * gates_columns
    gates = np.zeros(sizes.layers * gates_size, kind)
    features = np.zeros(rows * c, kind)
    hidden = np.zeros(rows * hidden_columns, kind)
    coefficients = np.zeros(rows * sizes.exit_width, kind)
    logits = np.zeros(rows * LEVELS, kind)
    nothing = np.zeros(LEVELS, kind)
    powers = np.empty(LEVELS, kind)
    sums = np.empty(LEVELS // LANES, np.float64)

    past_size = (reach * (2 * reach + 1) + reach) * c * gates_columns
    for time in range(width + skew * (height - 1)):
        top = max(0, (time - width + skew) // skew)
        count = min(height - 1, time // skew) - top + 1
        left = time - skew * top
        picture_at = top * picture_line + left * COLOURS
        picture_own = picture_at + first_reach * (picture_line + COLOURS)
        maps_at = top * line + left * c
        maps_own = maps_at + reach * (line + c)
        start_at = (top * conditioning.shape[1] + left) * start_pixel
        _past(
            (first, 0, first_columns),
            (weights.first_bias, 0, 0),
            (picture, picture_at, picture_diagonal),
            picture_line,
            weights.first,
            0,
            first_reach,
            COLOURS,
            first_columns,
            count,
        )
        for layer in range(sizes.layers):
            _past(
                (gates, layer * gates_size, gates_columns),
                (weights.past_bias, layer * gates_columns, 0),
                (maps, layer * maps_size + maps_at, diagonal),
                line,
                weights.past,
                layer * past_size,
                reach,
                c,
                gates_columns,
                count,
            )
        for colour in range(COLOURS):
            low, high = sizes.features[colour], sizes.features[colour + 1]
            before = (first, colour * sizes.first_width, first_columns)
            _product_tiled(
                before,
                before,
                (picture, picture_own, picture_diagonal),
                (weights.first_own, colour * COLOURS * sizes.first_width, COLOURS),
                colour,
                sizes.first_width,
                count,
            )
            for row in range(count):
                own = maps_own + row * diagonal + low
                _copy(first[before[1] + row * first_columns :], maps[own : own + high - low])
            for layer in range(sizes.layers):
                before = (gates, layer * gates_size + colour * sizes.gates_width, gates_columns)
                own = maps_own + layer * maps_size
                _product_tiled(
                    before,
                    before,
                    (maps, own, diagonal),
                    (weights.own, (layer * COLOURS + colour) * c * sizes.gates_width, c),
                    high,
                    sizes.gates_width,
                    count,
                )
                for row in range(count):
                    state = own + row * diagonal + low
                    into = state + maps_size
                    _gate(maps[state : state + high - low], gates[before[1] + row * gates_columns :], maps[into:])
            for row in range(count):
                last = sizes.layers * maps_size + maps_own + row * diagonal + low
                _copy_positive(maps[last : last + high - low], features[row * c + low :])
            _product_tiled(
                (hidden, sizes.hidden[colour], hidden_columns),
                (weights.head_bias, colour * sizes.head_width, 0),
                (features, 0, c),
                (weights.head, colour * c * sizes.head_width, c),
                high,
                sizes.head_width,
                count,
            )
            for row in range(count):
                found = row * hidden_columns + sizes.hidden[colour]
                _copy_positive(hidden[found : found + sizes.head_width], hidden[found:])
            _product_tiled(
                (coefficients, 0, sizes.exit_width),
                (start, start_at + colour * sizes.exit_width, start_diagonal),
                (hidden, 0, hidden_columns),
                (weights.exit, colour * sizes.head * sizes.exit_width, sizes.head),
                sizes.hidden[colour + 1],
                sizes.exit_width,
                count,
            )
            if sizes.basis:
                _product_tiled(
                    (logits, 0, LEVELS),
                    (nothing, 0, 0),
                    (coefficients, 0, sizes.exit_width),
                    (weights.basis, colour * sizes.basis * LEVELS, sizes.basis),
                    sizes.basis,
                    LEVELS,
                    count,
                )
            for row in range(count):
                y, x = top + row, left - skew * row
                own_logits = logits[row * LEVELS : (row + 1) * LEVELS]
                if not sizes.basis:
                    _copy(coefficients[row * sizes.exit_width :], own_logits)
                before_it = np.int64(values[y, x, colour - 1]) if colour else 0
                if sizes.offsets:
                    predicted = min(max(_median(planes, y, x, colour) + before_it, 0), LEVELS - 1)
                    distances_at = colour * sizes.offsets * DISTANCES + LEVELS - 1 - predicted
                    for column in range(0, LEVELS, WINDOW):
                        into_row = (logits, row * LEVELS + column, 0)
                        _product_of_one_row(
                            into_row,
                            into_row,
                            (coefficients, row * sizes.exit_width + sizes.coefficients, 0),
                            (weights.offset_basis, distances_at + column, sizes.offsets),
                            sizes.offsets,
                            WINDOW,
                            1,
                        )
                if len(seen):
                    _copy(own_logits, seen[y, x, colour])
                else:
                    values[y, x, colour] = _draw(own_logits, powers, sums, tau, noise[y, x, colour])
                value = np.int64(values[y, x, colour])
                picture[picture_own + row * picture_diagonal + colour] = weights.levels[value]
                planes[y + 1, x + 1, colour] = value - before_it


# --- What it is given -----------------------------------------------------------------------------------------------


def _filled(count: int) -> int:
    """Return the next multiple of `LANES`."""
    return -(-count // LANES) * LANES


def _tiles(
    layers: Sequence[MaskedConv2d], *, places: NDArray[np.int64], columns: int, scale: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Return the masked weights of layers of one size, as tiles.

    Args:
        layers: The layers.
        places: `(out,)` the column of each output among `columns`; the others are zero.
        columns: A multiple of `LANES`.
        scale: `(out,)` what each output is multiplied with.

    Returns:
        `(layers, rows, columns / LANES, kernel, in, LANES)`, a view.
    """
    weights: NDArray[Any] = torch.stack([layer.masked_weight() for layer in layers]).numpy(force=True)
    if scale is not None:
        weights *= scale[:, None, None, None]
    count, _, inputs, rows, kernel = weights.shape
    wide = np.zeros((count, columns, inputs, rows, kernel), weights.dtype)
    wide[:, places] = weights
    return wide.reshape(count, -1, LANES, inputs, rows, kernel).transpose(0, 4, 1, 5, 3, 2)


def _past_of(tiles: NDArray[Any]) -> NDArray[Any]:
    """Lay out what kernels take from the pixels before: for each layer the rows above, then the pixels to the left."""
    layers, reach = len(tiles), tiles.shape[1] - 1
    above, left = tiles[:, :-1], tiles[:, -1, :, :reach]
    return np.concatenate([above.reshape(layers, -1), left.reshape(layers, -1)], axis=1).reshape(-1)


def _own_of(tiles: NDArray[Any]) -> NDArray[Any]:
    """Lay out what kernels take from the pixel itself, layer by layer."""
    return tiles[:, -1, :, tiles.shape[1] - 1].reshape(-1)


def _places(bounds: Sequence[int], width: int) -> NDArray[np.int64]:
    """Return the columns of the maps of three colours if each colour has `width` columns."""
    return np.concatenate([colour * width + np.arange(size) for colour, size in enumerate(np.diff(bounds))])


def _bias_of(bias: NDArray[Any], *, places: NDArray[np.int64], columns: int) -> NDArray[Any]:
    """Put a bias `(out,)` at its columns."""
    wide = np.zeros(columns, bias.dtype)
    wide[places] = bias
    return wide


class _Packed(NamedTuple):
    """What the program is given of a network; `exit_bias` (3, width) goes into what it is told of the conditioning."""

    sizes: _Sizes
    weights: _Weights
    exit_bias: NDArray[Any]


def _packed(prior: SingleStackPrior, network: PixelRecursive) -> _Packed:
    config, c = network.config, network.config.prior_channels
    features, hidden = group_bounds(c), group_bounds(config.prior_head)
    group_sizes = np.diff(features)
    outputs = config.coefficients + config.offsets
    sizes = _Sizes(
        channels=c,
        layers=config.prior_layers,
        first_reach=config.prior_first_kernel // 2,
        reach=config.prior_kernel // 2,
        skew=max(config.prior_first_kernel, config.prior_kernel) // 2 + 1,
        head=config.prior_head,
        coefficients=config.coefficients,
        basis=config.basis,
        offsets=config.offsets,
        first_width=_filled(int(group_sizes.max())),
        gates_width=_filled(2 * int(group_sizes.max())),
        head_width=_filled(int(np.diff(hidden).max())),
        exit_width=_filled(outputs),
        features=tuple(features),  # type: ignore[arg-type] # there are four
        hidden=tuple(hidden),  # type: ignore[arg-type] # there are four
        first_pixel=FIRST_PIXEL,
    )
    # Of a gated layer, the halves of a colour stand side by side.
    a = _places(features, sizes.gates_width)
    gates: dict[str, Any] = {
        "places": np.concatenate([a, a + group_sizes.repeat(group_sizes)]),
        "columns": COLOURS * sizes.gates_width,
    }
    first: dict[str, Any] = {
        "places": _places(features, sizes.first_width),
        "columns": COLOURS * sizes.first_width,
    }
    head: dict[str, Any] = {"places": _places(hidden, sizes.head_width), "columns": COLOURS * sizes.head_width}
    exit_: dict[str, Any] = {
        "places": _places(range(0, 4 * outputs, outputs), sizes.exit_width),
        "columns": COLOURS * sizes.exit_width,
    }
    first_bias, head_bias, exit_bias = (layer.bias.numpy(force=True) for layer in (prior.first, prior.head, prior.exit))
    scale = np.repeat([-2, -1], c).astype(first_bias.dtype)  # as `_gate` wants it; no digit is lost
    convolutions = [layer.conv for layer in prior.layers if isinstance(layer, GatedLayer)]
    first_tiles = _tiles([prior.first], **first)
    gates_tiles = _tiles(convolutions, scale=scale, **gates)
    none = np.zeros(0, first_bias.dtype)
    weights = _Weights(
        first=_past_of(first_tiles),
        first_bias=_bias_of(first_bias, **first),
        first_own=_own_of(first_tiles),
        past=_past_of(gates_tiles),
        past_bias=np.concatenate([_bias_of(conv.bias.numpy(force=True) * scale, **gates) for conv in convolutions]),
        own=_own_of(gates_tiles),
        head=_own_of(_tiles([prior.head], **head)),
        head_bias=_bias_of(head_bias, **head),
        exit=_own_of(_tiles([prior.exit], **exit_)),
        basis=none,
        offset_basis=none,
        levels=torch.arange(LEVELS, dtype=prior.first.bias.dtype).div_(LEVELS - 1).sub_(0.5).numpy(),
    )
    if config.basis:
        basis = network.basis.numpy(force=True).reshape(COLOURS, config.basis, -1, LANES)
        weights = weights._replace(basis=basis.transpose(0, 2, 1, 3).reshape(-1))
    if config.offsets:
        offset_basis = np.zeros((COLOURS, config.offsets, DISTANCES), first_bias.dtype)
        offset_basis[:, :, : 2 * LEVELS - 1] = network.offset_basis.numpy(force=True)
        weights = weights._replace(offset_basis=offset_basis.reshape(-1))
    return _Packed(sizes, weights, _bias_of(exit_bias, **exit_).reshape(COLOURS, -1))


def _notice(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


@contextmanager
def _told_if_slow(notice: Callable[[str], None]) -> Iterator[None]:
    sentence = "The compiled sampler is being made ready, which takes up to a minute the first time on a machine ..."
    timer = threading.Timer(NOTICE_S, notice, [sentence])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


_READY: set[np.dtype[Any]] = set()
"""The types of numbers for which the program is compiled in this process."""


class _Compiled:
    """A network whose weights lie as the program wants them, and the program, compiled.

    Args:
        network: The trained network. What is changed in it later is not seen here.
        notice: Told one sentence if compiling takes longer than `NOTICE_S`; numba keeps the result on disk.

    Raises:
        ValueError: If the network's prior has two stacks, or its numbers are neither float32 nor float64.
    """

    def __init__(self, network: PixelRecursive, *, notice: Callable[[str], None]) -> None:
        prior, parameter = network.prior, next(network.parameters())
        if not isinstance(prior, SingleStackPrior):
            raise ValueError(  # noqa: TRY004 -- a network that cannot be used, as with its type of numbers
                "the compiled sampler is for a prior with a single stack, this network's has two: "
                "use sr_models.sampling.sample"
            )
        if parameter.dtype not in {torch.float32, torch.float64}:
            raise ValueError(f"the compiled sampler works in float32 and float64, got a network in {parameter.dtype}")
        self.network, self.device, self.dtype = network, parameter.device, parameter.dtype
        self.packed = _packed(prior, network)
        kind = self.packed.exit_bias.dtype
        if kind in _READY:
            return
        example = (
            *self.packed[:2],
            np.zeros((1, 1, COLOURS, 1), kind),
            np.zeros((1, 1, COLOURS)),
            1.0,
            np.zeros((1, 1, COLOURS), np.uint8),
            np.zeros((0, 0, 0, 0), kind),
        )
        # A disk that is full costs the next process the same time, not this one its pictures.
        with _told_if_slow(notice), contextlib.suppress(OSError):
            _picture.compile(tuple(numba.typeof(part) for part in example))  # type: ignore[no-untyped-call] # numba's
        _READY.add(kind)

    @torch.inference_mode()
    def conditioning(self, inputs: Tensor) -> NDArray[Any]:
        """Return what the conditioning network says of inputs `(k, 3, h, w)`: (k, 3 * coefficients, H, W)."""
        said: NDArray[Any] = self.network.conditioning(inputs.to(self.device, self.dtype)).numpy(force=True)
        return said

    def picture(self, conditioning: NDArray[Any], noise: NDArray[np.float64], tau: float) -> NDArray[np.uint8]:
        """Draw a picture (H, W, 3), given `conditioning` (3 * coefficients, H, W) and `noise` (H, W, 3) in [0, 1)."""
        values = np.zeros(noise.shape, np.uint8)
        unseen = np.zeros((0, 0, 0, 0), conditioning.dtype)
        _picture(*self.packed[:2], self._begun(conditioning), noise, tau, values, unseen)
        return values

    def logits(self, conditioning: NDArray[Any], picture: NDArray[np.uint8]) -> NDArray[Any]:
        """Return what a picture (H, W, 3) is drawn from, sub-pixel by sub-pixel: (H, W, 3, 256)."""
        seen = np.zeros((*picture.shape, LEVELS), conditioning.dtype)
        noise = np.zeros((1, 1, COLOURS))
        _picture(*self.packed[:2], self._begun(conditioning), noise, 1.0, picture.copy(), seen)
        return seen

    def _begun(self, conditioning: NDArray[Any]) -> NDArray[Any]:
        """Lay out what the last layer begins with, (rows, columns, 3, width), as the program wants it."""
        sizes = self.packed.sizes
        _, height, width = conditioning.shape
        begun = np.zeros((height + ROWS, max(width, sizes.skew), *self.packed.exit_bias.shape), conditioning.dtype)
        begun[:height, :width] = self.packed.exit_bias
        by_colour = conditioning.reshape(COLOURS, sizes.coefficients, height, width)
        begun[:height, :width, :, : sizes.coefficients] += by_colour.transpose(2, 3, 0, 1)
        return begun


def sample_compiled(
    network: PixelRecursive,
    low_res: NDArray[np.uint8],
    *,
    seeds: Sequence[int],
    tau: float | Sequence[float],
    progress: Callable[[int], None] = lambda _done: None,
    threads: int = 1,
    notice: Callable[[str], None] = _notice,
) -> NDArray[np.uint8]:
    """Draw one high-resolution picture for each input, as `sampling.sample` does; see there.

    Args:
        network: The trained network, with a single stack; where it lies, its conditioning network is run.
        low_res: (n, h, w, 3) uint8 sRGB.
        seeds: (n,) a seed for each picture.
        tau: Exponent of the probabilities, one for all or one a picture.
        progress: Called with the number of finished pictures, after each.
        threads: Pictures that are made at the same time.
        notice: Told a sentence if the program must be compiled first and that takes long; standard error by default.

    Returns:
        (n, factor * h, factor * w, 3) uint8 sRGB. A picture depends on its input, its seed and its tau alone, but for
        the rounding of the conditioning network.

    Raises:
        ValueError: As `sampling.sample`; or if the network's prior has two stacks, its numbers are neither float32 nor
            float64, or `threads` is not positive.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    taus = taus_checked(low_res, seeds=seeds, tau=tau)
    compiled = _Compiled(network, notice=notice)
    n, height, width = len(low_res), low_res.shape[1] * network.config.factor, low_res.shape[2] * network.config.factor
    high_res = np.empty((n, height, width, COLOURS), np.uint8)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="sample")
    in_turn = pool.map if threads > 1 else map
    try:
        for start in range(0, n, CHUNK):
            part = slice(start, start + CHUNK)
            keys = [picture.tobytes() for picture in low_res[part]]
            inputs = dict(zip(keys, low_res[part], strict=True))
            said = compiled.conditioning(model_range(torch.from_numpy(np.stack(list(inputs.values())))))
            of_input = dict(zip(inputs, said, strict=True))
            noise = uniforms(seeds[part], height=height, width=width)
            pictures = in_turn(compiled.picture, [of_input[key] for key in keys], noise, taus[part])
            for done, picture in enumerate(pictures, start):
                high_res[done] = picture
                progress(done + 1)
    finally:
        pool.shutdown(cancel_futures=True)
    return high_res


def logits_compiled(
    network: PixelRecursive,
    low_res: NDArray[np.uint8],
    high_res: NDArray[np.uint8],
    *,
    notice: Callable[[str], None] = _notice,
) -> NDArray[Any]:
    """Return the logits that known pictures would have been drawn from.

    Args:
        network: As in `sample_compiled`.
        low_res: (n, h, w, 3) uint8 sRGB.
        high_res: (n, factor * h, factor * w, 3) uint8 sRGB.
        notice: As in `sample_compiled`.

    Returns:
        (n, factor * h, factor * w, 3, 256) in the network's type, not normalised.

    Raises:
        ValueError: If the pictures are not of these shapes and types, or the network is none for `sample_compiled`.
    """
    n, height, width, _ = low_res.shape
    expected = (n, height * network.config.factor, width * network.config.factor, COLOURS)
    if high_res.shape != expected or high_res.dtype != np.uint8:
        raise ValueError(f"high_res must be {expected} uint8, got {high_res.shape} {high_res.dtype}")
    compiled = _Compiled(network, notice=notice)
    conditioning = compiled.conditioning(model_range(torch.from_numpy(low_res)))
    return np.stack([compiled.logits(*pair) for pair in zip(conditioning, high_res, strict=True)])
