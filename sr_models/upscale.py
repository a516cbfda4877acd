"""Enlarge photos of one's own: `python -m sr_models.upscale photo.png --checkpoint rooms --tau 1.1 --draws 8 --seed 0`.

A picture that is as small as the network's inputs is taken as it is. A larger one is a photo: its centred square is
reduced to the size that the network makes, which is the truth, and from there by the one downsampling operator to the
input. Pixel recursive super resolution gives as many draws as are wanted, at each tau; a regression gives one picture.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import nn

from sr_models.checkpoints import CheckpointError, checkpoint_load
from sr_models.data import DataError, picture_decode
from sr_models.pixel_recursive import PixelRecursive
from sr_models.pixels import DOWNSAMPLING_OPERATOR, downsample, model_range, pixel_range, square_reduce
from sr_models.progress import progress_bar
from sr_models.sampling import sample

WEIGHTS = Path(__file__).resolve().parent / "weights"
"""The checkpoints that come with the platform: `pixel_recursive_<name>` and `regression_<name>`."""

BEST = "best.safetensors"
"""What a training run leaves in its folder; the folder may be given in its place."""

TAU = 1.1
"""Where none is given: Dahl et al. 2017 found samples best from 1.1 to 1.3."""

LOW_PIXELS_MOST = 64 * 64
"""Most pixels of a picture that is taken as input: time and memory grow with them."""

PIXELS_AT_ONCE = 2**16
"""Pixels that are made together: 64 pictures of 32x32. Memory grows with them."""

CELL, ROW = 128, 8
"""Of the sheet: pixels along a picture's longer side, or fewer for a whole number of each of its own, and draws in a
row."""

INK, QUIET = "#1A1A1A", "#6B6B6B"

Picture = NDArray[np.uint8]


class UpscaleError(Exception):
    """A photo cannot be enlarged as it was asked for; the message says why and what can be done."""


class Photo(NamedTuple):
    """A photo that is to be enlarged.

    Attributes:
        name: Of its file.
        low_res: (h, w, 3) uint8 sRGB, the input.
        truth: (H, W, 3) uint8 sRGB, what the input was made of; None if the file was the input.
        note: The sentence that says what became of the file.
    """

    name: str
    low_res: Picture
    truth: Picture | None
    note: str


class Draw(NamedTuple):
    """What tells one enlarged picture of a photo from the others; None and None of a regression.

    Attributes:
        tau: Exponent of the probabilities.
        seed: Of the random numbers.
    """

    tau: float | None = None
    seed: int | None = None

    @property
    def label(self) -> str:
        """What stands above the picture."""
        return "regression" if self.tau is None else f"seed {self.seed}"

    @property
    def file_name(self) -> str:
        """What its file is called, after the names of the photo and the checkpoint."""
        return "regression" if self.tau is None else f"tau{_shown(self.tau)}-seed{self.seed}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        for line in _run(options):
            print(line, flush=True)
    except (CheckpointError, DataError, UpscaleError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}; give another place.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped before the end.", file=sys.stderr)
        return 130
    return 0


def checkpoint_find(text: str) -> Path:
    """Return the file of a checkpoint.

    Args:
        text: A name, such as "rooms", of which pixel recursive super resolution goes before regression; the name of a
            file that comes with the platform, such as "regression_rooms"; or the path of a file or of the folder of a
            training run.

    Raises:
        UpscaleError: If there is none.
    """
    shipped = {path.stem: path for path in sorted(WEIGHTS.glob("*.safetensors"))}
    for stem in (f"pixel_recursive_{text}", f"regression_{text}", text):
        if stem in shipped:
            return shipped[stem]
    path = Path(text).expanduser()
    if path.is_dir():
        path /= BEST
    if path.is_file():
        return path
    names = ", ".join(stem.removeprefix("pixel_recursive_") for stem in shipped)
    raise UpscaleError(f"There is no checkpoint {text!r}: it is no file, and the names are {names}.")


def photo_read(path: Path, *, size: int, factor: int, kind: Literal["auto", "low", "photo"] = "auto") -> Photo:
    """Read a picture of any format and make the input of it.

    Args:
        path: The file.
        size: Side in pixels of what is made of a photo.
        factor: How many times the network enlarges.
        kind: "low" takes the picture for the input itself, "photo" reduces it, "auto" decides by its size.

    Raises:
        DataError: If the file is no picture.
        UpscaleError: If the picture is too small or too large to be what it shall be.
    """
    picture = picture_decode(path.read_bytes(), name=path.name)
    width, height = picture.size
    shape, enlarged, low_side = f"{width}x{height}", f"{width * factor}x{height * factor}", size // factor
    if kind == "auto" and low_side < max(height, width) and min(height, width) < size:
        raise UpscaleError(
            f"{path.name} is {shape} pixels: larger than an input of {low_side}x{low_side}, too small for a photo of "
            f"{size}x{size}; --input low enlarges it as it is, to {enlarged}."
        )
    if kind == "low" or (kind == "auto" and max(height, width) <= low_side):
        if height * width > LOW_PIXELS_MOST:
            raise UpscaleError(
                f"{path.name} is {shape} pixels, too many to be enlarged to {enlarged} sub-pixel by sub-pixel; --input "
                "photo makes it small first."
            )
        return Photo(
            path.name,
            np.array(picture),
            None,
            f"{path.name}: its {shape} pixels are the input, enlarged to {enlarged}.",
        )
    if min(height, width) < size:
        raise UpscaleError(
            f"{path.name} is {shape} pixels, and a photo of {size}x{size} needs at least {size} a side; --input low "
            "enlarges it as it is."
        )
    truth = square_reduce(picture, size=size, side=min(height, width))
    note = (
        f"{path.name}: the centre of its {shape} pixels is reduced to {size}x{size}, the truth, and that to "
        f"{low_side}x{low_side}, the input ({DOWNSAMPLING_OPERATOR})."
    )
    return Photo(path.name, downsample(truth[None], factor=factor)[0], truth, note)


def upscale(
    network: nn.Module,
    photos: Sequence[Photo],
    draws: Sequence[Draw],
    *,
    compiled: bool = False,
    progress: Callable[[int], object] = lambda _count: None,
) -> list[list[Picture]]:
    """Enlarge photos; those whose inputs have one shape together.

    Args:
        network: Pixel recursive super resolution or a regression.
        photos: The photos.
        draws: What is made of each photo; one draw of None and None for a regression.
        compiled: Whether the compiled sampler draws; it takes numba and a network with a single stack.
        progress: Called with how many more pictures are done.

    Returns:
        For each photo its enlarged pictures, (H, W, 3) uint8 sRGB, in the order of the draws.
    """
    results: dict[int, list[Picture]] = {}
    factor: int = network.config.factor  # type: ignore[union-attr, assignment] # a Module's attribute is Any
    for shape in dict.fromkeys(photo.low_res.shape for photo in photos):
        alike = [i for i, photo in enumerate(photos) if photo.low_res.shape == shape]
        wanted = [(photos[i].low_res, draw) for i in alike for draw in draws]
        at_once = max(1, PIXELS_AT_ONCE // (shape[0] * shape[1] * factor**2))
        made: list[Picture] = []
        for start in range(0, len(wanted), at_once):
            inputs, asked = zip(*wanted[start : start + at_once], strict=True)
            made.extend(_batch_make(network, np.stack(inputs), asked, compiled=compiled))
            progress(len(asked))
        results |= {i: made[k * len(draws) : (k + 1) * len(draws)] for k, i in enumerate(alike)}
    return [results[i] for i in range(len(photos))]


def _batch_make(network: nn.Module, low_res: Picture, draws: Sequence[Draw], *, compiled: bool) -> Picture:
    """Enlarge inputs (n, h, w, 3), each with the draw (n,) that is wanted of it."""
    if isinstance(network, PixelRecursive):
        taus, seeds = [draw.tau or TAU for draw in draws], [draw.seed or 0 for draw in draws]
        if compiled:
            try:
                from sr_models.sampling_compiled import sample_compiled  # noqa: PLC0415 -- numba is an extra

                return sample_compiled(network, low_res, seeds=seeds, tau=taus)
            except (ImportError, ValueError) as error:  # numba is missing; two stacks
                raise UpscaleError(f"{error}.") from error
        return sample(network, low_res, seeds=seeds, tau=taus)
    device = next(network.parameters()).device
    with torch.inference_mode():
        high_res = network(model_range(torch.from_numpy(low_res)).to(device))
        return pixel_range(high_res).numpy(force=True)


def sheet_draw(photo: Photo, draws: Sequence[Draw], pictures: Sequence[Picture], *, title: str) -> Picture:
    """Lay out a contact sheet: input, bicubic and truth in the first row, then a row or more for each tau.

    All pixels are enlarged by repeating them a whole number of times, so that nothing is smoothed.

    Args:
        photo: The photo.
        draws: What was made of it.
        pictures: (H, W, 3) uint8 sRGB each, as many as draws.
        title: The line above all.

    Returns:
        (height, width, 3) uint8 sRGB.
    """
    height, width, _ = pictures[0].shape
    made = list(zip(draws, pictures, strict=True))
    first = [("input", photo.low_res), ("bicubic", bicubic(photo.low_res, factor=width // photo.low_res.shape[1]))]
    first += [(draw.label, picture) for draw, picture in made if draw.tau is None]
    first += [("truth", photo.truth)] if photo.truth is not None else []
    rows = [("", first)]
    for tau in dict.fromkeys(draw.tau for draw in draws if draw.tau is not None):
        own = [(draw.label, picture) for draw, picture in made if draw.tau == tau]
        rows += [("" if start else tau_label(tau), own[start : start + ROW]) for start in range(0, len(own), ROW)]

    scale, gap, line, top = max(1, CELL // max(height, width)), 6, 20, 34
    cell_width, cell_height = width * scale, height * scale
    title_font, font = ImageFont.load_default(16), ImageFont.load_default(13)
    columns = max(len(cells) for _, cells in rows)
    sheet_width = max(columns * (cell_width + gap), round(title_font.getlength(title)) + gap) + gap
    sheet_height = top + sum((line if head else 0) + line + cell_height + gap for head, _ in rows)
    sheet = Image.new("RGB", (sheet_width, sheet_height), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((gap, gap), title, INK, title_font)
    for head, cells in rows:
        if head:
            pen.text((gap, top), head, INK, font)
            top += line
        for place, (label, picture) in enumerate(cells):
            left, times = gap + place * (cell_width + gap), cell_width // picture.shape[1]
            pen.text((left, top), label, QUIET, font)
            sheet.paste(Image.fromarray(picture.repeat(times, axis=0).repeat(times, axis=1)), (left, top + line))
        top += line + cell_height + gap
    return np.asarray(sheet)


def bicubic(low_res: Picture, *, factor: int) -> Picture:
    """Enlarge a picture (h, w, 3) uint8 with Pillow's bicubic filter, to be compared with."""
    height, width, _ = low_res.shape
    size = (width * factor, height * factor)
    return np.asarray(Image.fromarray(low_res).resize(size, Image.Resampling.BICUBIC))


def tau_label(tau: float) -> str:
    """Return tau with the usual temperature beside it.

    Example:
        >>> tau_label(1.1)
        'tau 1.1 (T 0.909)'
    """
    return f"tau {_shown(tau)} (T {1 / tau:.3g})"


def _run(options: argparse.Namespace) -> Iterator[str]:
    """Do what the command line asks for, and yield what there is to say."""
    torch.set_num_threads(1)  # many small products: threads within one cost more than they give
    path = checkpoint_find(options.checkpoint)
    checkpoint = checkpoint_load(path, device=options.device)
    network = checkpoint.network
    factor: int = network.config.factor  # type: ignore[union-attr, assignment] # a Module's attribute is Any
    if options.size % factor:
        raise UpscaleError(
            f"--size {options.size} is no multiple of {factor}, which {path.name} enlarges by; give one."
        )
    photos = [photo_read(each, size=options.size, factor=factor, kind=options.input) for each in options.photos]
    yield from (photo.note for photo in photos)
    draws = [Draw()]
    if isinstance(network, PixelRecursive):
        taus = list(dict.fromkeys(tau for given in options.tau or [[TAU]] for tau in given))
        draws = [Draw(tau, seed) for tau in taus for seed in range(options.seed, options.seed + options.draws)]
        yield f"{path.name}: draws at {', '.join(map(tau_label, taus))}, seeds from {options.seed}."
    elif options.tau:
        yield f"{path.name} is a regression: it makes one picture, and --tau does nothing."

    name = path.parent.name if path.name == BEST else path.stem.removeprefix("pixel_recursive_")
    stems = [options.out / f"{each.stem}-{name}" for each in options.photos]
    _targets_check(stems, photos, draws, force=options.force)
    options.out.mkdir(parents=True, exist_ok=True)  # now, not after the work
    with progress_bar(label="pictures", unit="picture", total=len(photos) * len(draws)) as bar:
        results = upscale(network, photos, draws, compiled=options.compiled, progress=bar.update)
    source = f"{path.name}, SHA-256 {checkpoint.digest}"
    for stem, photo, pictures in zip(stems, photos, results, strict=True):
        for draw, picture in zip(draws, pictures, strict=True):
            about = source if draw.tau is None else f"{source}, {tau_label(draw.tau)}, seed {draw.seed}"
            _png_write(stem, draw.file_name, picture, about=about)
        _png_write(stem, "input", photo.low_res, about=photo.note)
        _png_write(stem, "bicubic", bicubic(photo.low_res, factor=factor), about="enlarged by Pillow's bicubic filter")
        if photo.truth is not None:
            _png_write(stem, "truth", photo.truth, about=photo.note)
        sheet = sheet_draw(photo, draws, pictures, title=f"{photo.name}, {name}")
        yield f"{_png_write(stem, 'sheet', sheet, about=source)} with its pictures beside it."


def _targets_check(stems: Sequence[Path], photos: Sequence[Photo], draws: Sequence[Draw], *, force: bool) -> None:
    """Refuse to give two pictures one file, or to replace a file that nobody said may go."""
    twice = next((stem.name for stem in stems if stems.count(stem) > 1), None)
    if twice is not None:
        raise UpscaleError(f"Two photos would both give files called {twice}; enlarge them apart.")
    for stem, photo in zip(stems, photos, strict=True):
        names = ["sheet", "input", "bicubic", *(draw.file_name for draw in draws)]
        for name in [*names, "truth"] if photo.truth is not None else names:
            target = _target(stem, name)
            if target.exists() and not force:
                raise UpscaleError(f"{target} is there already; --force replaces it, --out writes somewhere else.")


def _target(stem: Path, name: str) -> Path:
    return stem.with_name(f"{stem.name}-{name}.png")


def _png_write(stem: Path, name: str, picture: Picture, *, about: str) -> Path:
    """Write a PNG with what it was made by, so that it can be made again; return where it is."""
    metadata = PngInfo()
    metadata.add_itxt("Comment", about)
    target = _target(stem, name)
    Image.fromarray(picture).save(target, "PNG", pnginfo=metadata)
    return target


def _shown(tau: float) -> str:
    return f"{tau:.1f}" if float(f"{tau:.1f}") == tau else f"{tau:g}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sr_models.upscale",
        description="Enlarge photos: PNGs of all draws and a contact sheet. The detail is invented: pictures show what "
        "could have been there.",
    )
    add = parser.add_argument
    add("photos", type=Path, nargs="+", help="pictures of any size and format")
    add(
        "--checkpoint",
        required=True,
        metavar="NAME|FILE",
        help="name of trained weights, such as rooms; a .safetensors file; or the folder of a training run",
    )
    add(
        "--tau",
        type=_taus,
        nargs="+",
        help="exponents of the probabilities: 1 samples the model, more sharpens; the usual temperature is "
        f"T = 1 / tau: 1.1 is T 0.909, 1.2 is T 0.833 ({TAU})",
    )
    add("--draws", type=_positive, default=8, help="pictures at each tau (8)")
    add("--seed", type=_seed, default=0, help="of the first draw; the next ones follow it (0)")
    add(
        "--input",
        choices=("auto", "low", "photo"),
        default="auto",
        help="low: the picture is the input itself; photo: its centre is made small first; auto: by its size",
    )
    add("--size", type=_positive, default=32, help="side of what is made of a photo, in pixels (32)")
    add("--out", type=Path, default=Path("upscaled"), metavar="FOLDER", help="where to put the pictures (upscaled)")
    add("--force", action="store_true", help="replace pictures that are there already")
    add("--compiled", action="store_true", help="draw with the compiled sampler (requirements-extras.txt)")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def _taus(text: str) -> list[float]:
    try:
        taus = [float(part) for part in text.split(",")]
    except ValueError:
        taus = []
    if not taus or not all(0 < tau <= 100 for tau in taus):
        raise argparse.ArgumentTypeError(f"must be numbers above 0 and up to 100, such as 1.0,1.1,1.2; got {text!r}")
    return taus


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1; got {text!r}")
    return number


def _seed(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 2**63 - 1; got {text!r}")
    return number


if __name__ == "__main__":
    sys.exit(main())
