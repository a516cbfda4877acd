"""Pictures in and out: uploads opened defensively, photos cropped, pictures stored, stimuli packed.

Every upload is taken for hostile until it is an array. What is checked before a pixel is decoded: the length in bytes,
the format (only the decoders named in `FORMATS` ever run), the size in pixels, the number of pictures in the file, the
bits of a channel and the kind of colour. What is decided here:

* Grey photos are kept, as three equal channels.
* A transparent channel that hides nothing is dropped; one that does is refused: what lies behind is not in the file.
* CMYK is refused: its colours depend on a press, and guessing them would change the photo unseen.
* An embedded colour profile other than sRGB is applied (relative colorimetric); one that means sRGB changes no pixel.
* A photo that the camera marked as turned is turned upright. All metadata are dropped.
* Of a JPEG with further pictures inside (depth maps, gain maps, stereo pairs of phones) the main one is taken.
"""

import hashlib
import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from studies.errors import ArchiveRejected, PhotoRejected, PictureSizeWrong

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
"""The only formats whose decoders may run on an upload."""

FLAT_BELOW = 12.0
"""Tiles whose sub-pixels deviate from their channel's mean by less than this (root mean square, of 255) are flat."""

Cropping = Literal["centre", "tiles"]

_EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr"})
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_ARCHIVE_SUFFIXES = (".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst")
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an upload may cost; the defaults suit photos of today's cameras and phones.

    Attributes:
        file_bytes: Most bytes of one photo, in an archive or by itself.
        pixels: Most pixels of one photo; at most what Pillow itself lets pass, about 89 million.
        side_least: Least pixels along the shorter side of a photo.
        archive_bytes: Most bytes of a zip.
        archive_entries: Most entries of a zip, folders and skipped files included.
        archive_unpacked_bytes: Most bytes that the entries of a zip may have together when unpacked.
        archive_ratio: Most times that an entry of a zip may be longer than its packed form.
    """

    file_bytes: int = 25_000_000
    pixels: int = 50_000_000
    side_least: int = 32
    archive_bytes: int = 200_000_000
    archive_entries: int = 5_000
    archive_unpacked_bytes: int = 1_000_000_000
    archive_ratio: int = 200

    def __post_init__(self) -> None:
        if Image.MAX_IMAGE_PIXELS is not None and self.pixels > Image.MAX_IMAGE_PIXELS:
            raise ValueError(f"pixels must be at most {Image.MAX_IMAGE_PIXELS}, got {self.pixels}")


DEFAULT_LIMITS = Limits()


class Crop(NamedTuple):
    """A square part of a photo at a study's high resolution."""

    label: str
    """"centre", or "row 1 column 2" of the tiles."""
    pixels: NDArray[np.uint8]
    """(size, size, 3) uint8 sRGB."""


class ArchiveMember(NamedTuple):
    """A file of a zip, not yet looked into."""

    name: str
    data: bytes


def decode(data: bytes, *, name: str, limits: Limits = DEFAULT_LIMITS, size: int | None = None) -> NDArray[np.uint8]:
    """Open an uploaded photo.

    Args:
        data: The file's bytes.
        name: The file's name, for the sentence if it is refused; its ending is not trusted, nor used.
        limits: What the photo may cost.
        size: Side in pixels that it must have, as a square; any if None. `limits.side_least` does not count then.

    Returns:
        (height, width, 3) uint8 sRGB, upright, without metadata.

    Raises:
        PictureSizeWrong: If it has another size; no pixel is decoded then.
        PhotoRejected: If the photo cannot be used; the sentence names the file and the cure.
    """
    if not data:
        raise PhotoRejected(name, "is empty: copy it once more from where it is whole and upload it again")
    if len(data) > limits.file_bytes:
        raise PhotoRejected(name, _too_long(limits))
    try:
        with _opened(data, name, limits) as picture:
            _check_header(picture, name, limits, size)
            picture.load()
            ImageOps.exif_transpose(picture, in_place=True)
            return np.array(_in_srgb(_without_transparency(picture, name), name))
    except PhotoRejected:
        raise
    except MemoryError as error:
        raise PhotoRejected(
            name, "needs more memory to open than a photo may: save it in a smaller size and upload it again"
        ) from error
    except Exception as error:
        raise PhotoRejected(
            name, "is damaged or cut off before its end: copy it once more from where it is whole and upload it again"
        ) from error


def crops(image: NDArray[np.uint8], *, high_res_size: int, cropping: Cropping, name: str = "this photo") -> list[Crop]:
    """Cut a photo into squares of a study's high resolution, never enlarging it.

    Pictures are reduced by Pillow's antialiased bicubic filter, on the 8-bit sRGB values.

    Args:
        image: (height, width, 3) uint8 sRGB.
        high_res_size: Side of the squares in pixels, S.
        cropping: "centre" reduces the largest centred square to S x S. "tiles" reduces the shorter side to 2 S, lays a
            centred grid of S x S squares side by side and leaves out the flat ones (`FLAT_BELOW`).
        name: The photo's name, for the sentence if it is refused.

    Returns:
        One crop for "centre", one or more for "tiles", row by row.

    Raises:
        PhotoRejected: If the photo is too small to be reduced, or all of its tiles are flat.
    """
    _check_picture(image, "image")
    height, width, _ = image.shape
    short = min(height, width)
    needed = high_res_size if cropping == "centre" else 2 * high_res_size
    if short < needed:
        raise PhotoRejected(
            name,
            f"is {width} x {height} pixels, and its shorter side must have at least {needed} for this study: "
            "upload it in a larger size",
        )
    if cropping == "centre":
        left, top = (width - short) // 2, (height - short) // 2
        # Cut first: `resize` with a box lets the filter reach beyond it.
        square = Image.fromarray(image[top : top + short, left : left + short])
        return [Crop("centre", np.array(square.resize((needed, needed), Image.Resampling.BICUBIC)))]

    size = (round(width * needed / short), round(height * needed / short))
    reduced = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    n_columns, n_rows = size[0] // high_res_size, size[1] // high_res_size
    left, top = (size[0] - n_columns * high_res_size) // 2, (size[1] - n_rows * high_res_size) // 2
    tiles = []
    for row in range(n_rows):
        for column in range(n_columns):
            y, x = top + row * high_res_size, left + column * high_res_size
            pixels = reduced[y : y + high_res_size, x : x + high_res_size]
            if pixels.var(axis=(0, 1)).mean() >= FLAT_BELOW**2:
                tiles.append(Crop(f"row {row + 1} column {column + 1}", pixels.copy()))
    if not tiles:
        raise PhotoRejected(
            name, "is flat all over, so that no part of it shows anything to judge: upload another photo"
        )
    return tiles


def encode_png(picture: NDArray[np.uint8]) -> bytes:
    """Pack a picture without loss, for storage.

    Args:
        picture: (height, width, 3) uint8 sRGB.

    Returns:
        A PNG file; its length tells much about the picture, so it is never what a rater's browser gets.
    """
    _check_picture(picture, "picture")
    packed = io.BytesIO()
    Image.fromarray(picture).save(packed, "PNG")
    return packed.getvalue()


def decode_png(data: bytes) -> NDArray[np.uint8]:
    """Unpack a picture that `encode_png` packed.

    Args:
        data: A PNG file of this platform's own making: an upload goes through `decode`.

    Returns:
        (height, width, 3) uint8 sRGB.

    Raises:
        ValueError: If it is a PNG of another kind.
    """
    with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
        if picture.mode != "RGB":
            raise ValueError(f"a stored picture must be RGB, got {picture.mode}")
        return np.array(picture)


def sha256_of(content: NDArray[Any] | bytes) -> str:
    """Hash bytes as they are, or an array by its shape, type and values, so that equal digests mean equal pictures.

    Args:
        content: A file's bytes, or an array of any shape and type, in any memory order.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> sha256_of(b"") == hashlib.sha256().hexdigest()
        True
        >>> sha256_of(np.zeros((2, 3), np.uint8)) == sha256_of(np.zeros((3, 2), np.uint8))
        False
    """
    digest = hashlib.sha256()
    if isinstance(content, np.ndarray):
        digest.update(f"{content.dtype.str}{content.shape}".encode())
        content = content.tobytes()
    digest.update(content)
    return digest.hexdigest()


def stimulus_bytes(
    first: NDArray[np.uint8], second: NDArray[np.uint8] | None = None, *, between: NDArray[np.uint8] | None = None
) -> bytes:
    """Pack the pictures of a trial as a rater's browser gets them: values alone, which tell no origin.

    Args:
        first: (height, width, 3) uint8 sRGB, shown first, or on the left.
        second: The same for the picture shown second, or on the right; None where the first is shown alone.
        between: A smaller picture of the same form, shown between the two. It is enlarged to their size, each pixel to
            a square, and so must go into it a whole number of times.

    Returns:
        The sub-pixels of `first`, then those of `between` if there is one, then those of `second`, row by row, R G B:
        always 1, 2 or 3 times height * width * 3 bytes.

    Raises:
        ValueError: If the pictures differ in shape, or are not (height, width, 3) uint8.
    """
    _check_picture(first, "first")
    if second is None:
        return first.tobytes()
    _check_picture(second, "second")
    if first.shape != second.shape:
        raise ValueError(f"first and second must have one shape, got {first.shape} and {second.shape}")
    if between is None:
        return first.tobytes() + second.tobytes()
    _check_picture(between, "between")
    factor = len(first) // len(between)
    squares = between.repeat(factor, axis=0).repeat(factor, axis=1)
    if squares.shape != first.shape:
        raise ValueError(f"between must go into {first.shape} a whole number of times, got {between.shape}")
    return first.tobytes() + squares.tobytes() + second.tobytes()


def archive_members(
    data: BinaryIO, *, name: str = "the archive", limits: Limits = DEFAULT_LIMITS, start: int = 0
) -> Iterator[ArchiveMember | PhotoRejected]:
    """Read the files of an uploaded zip one at a time; nothing is ever written to a disk.

    Folders, `__MACOSX`, hidden files and the files that Windows leaves in folders are passed over in silence. An entry
    that cannot be read, or must not be, gives a `PhotoRejected` in its place (not raised), and reading goes on.

    Args:
        data: The zip, open for reading and seekable; stays open.
        name: The zip's name, for the sentence if it is refused.
        limits: What the archive may cost. The number of entries is checked here and now, before any entry is looked at.
        start: So many files at the beginning are passed over, unread.

    Returns:
        An iterator over the files, in the archive's order, with their path inside the archive as name.

    Raises:
        ArchiveRejected: If nothing of the archive can be read; at the call, not on the way.
    """
    return _members(_archive_open(data, name, limits), limits, start)


def archive_length(data: BinaryIO, *, name: str = "the archive", limits: Limits = DEFAULT_LIMITS) -> int:
    """Return how many files `archive_members` would read from a zip, refused ones included.

    Raises:
        ArchiveRejected: If nothing of the archive can be read.
    """
    return sum(not _is_passed_over(entry) for entry in _archive_open(data, name, limits).infolist())


def _archive_open(data: BinaryIO, name: str, limits: Limits) -> "_BoundedZipFile":
    """Read a zip's directory, within limits."""
    if data.seek(0, io.SEEK_END) > limits.archive_bytes:
        raise ArchiveRejected(
            name, f"has more than {limits.archive_bytes / 1e6:g} MB: pack the photos in several smaller zip files"
        )
    try:
        archive = _BoundedZipFile(data, entries_most=limits.archive_entries)
    except _TooManyEntriesError as error:
        raise ArchiveRejected(
            name, f"has more than {limits.archive_entries} entries: pack the photos in several smaller zip files"
        ) from error
    except Exception as error:
        raise ArchiveRejected(
            name, "is not a zip file, or is damaged: pack the photos in a zip once more and upload it again"
        ) from error
    if not archive.infolist():
        raise ArchiveRejected(name, "is empty: put photos in it and upload it again")
    return archive


def _opened(data: bytes, name: str, limits: Limits) -> Image.Image:
    """Let Pillow read a photo's header, by a decoder of `FORMATS`."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(name, limits) from error
    except Exception as error:
        if data[4:8] == b"ftyp":
            reason = "is a HEIC, AVIF or video file: export it as a JPEG or PNG and upload that"
        else:
            reason = (
                "is not a JPEG, PNG, WebP, TIFF, BMP or GIF picture, or its beginning is damaged: "
                "export it as a JPEG or PNG and upload that"
            )
        raise PhotoRejected(name, reason) from error


def _check_header(picture: Image.Image, name: str, limits: Limits, size: int | None) -> None:
    """Refuse what need not be decoded to be refused."""
    width, height = picture.size
    if size is not None and (width, height) != (size, size):
        raise PictureSizeWrong(
            name, f"is {width} x {height} pixels, but the photos are {size} x {size}: make it in that size"
        )
    if width * height > limits.pixels:
        raise _too_many_pixels(name, limits)
    if size is None and min(width, height) < limits.side_least:
        raise PhotoRejected(
            name,
            f"is {width} x {height} pixels, and its shorter side must have at least {limits.side_least}: "
            "upload it in a larger size",
        )
    if picture.format != "MPO" and getattr(picture, "is_animated", False):
        raise PhotoRejected(
            name, "is animated or has several pages: save the one picture you mean as a JPEG or PNG and upload that"
        )
    if picture.mode == "CMYK":
        raise PhotoRejected(name, "is in CMYK, which is for printing: convert it to sRGB and upload it again")
    if picture.mode in _DEEP_MODES or _bits_of_channel(picture) > 8:
        raise PhotoRejected(name, "has more than 8 bits a channel: convert it to 8 bits a channel and upload it again")
    if picture.mode not in _EIGHT_BIT_MODES:
        raise PhotoRejected(name, f"has its colours stored as {picture.mode}: convert it to sRGB and upload it again")


def _bits_of_channel(picture: Image.Image) -> int:
    """Read from a header how many bits a channel has, where Pillow would reduce them to 8 in silence."""
    if picture.format == "PNG":
        return 16 if any("16" in str(tile.args) for tile in getattr(picture, "tile", ())) else 8
    if picture.format == "TIFF":
        bits_per_sample = 258
        return int(max(picture.tag_v2.get(bits_per_sample, (1,))))  # type: ignore[attr-defined]  # a TiffImageFile
    return 8


def _too_long(limits: Limits) -> str:
    return f"has more than {limits.file_bytes / 1e6:g} MB: save it smaller, or as a JPEG, and upload it again"


def _too_many_pixels(name: str, limits: Limits) -> PhotoRejected:
    return PhotoRejected(
        name, f"has more than {limits.pixels / 1e6:g} million pixels: save it in a smaller size and upload it again"
    )


def _without_transparency(picture: Image.Image, name: str) -> Image.Image:
    """Drop a transparent channel that hides nothing."""
    if not picture.has_transparency_data:
        return picture
    with_alpha = picture.convert("RGBA")
    least, _ = with_alpha.getchannel("A").getextrema()
    if least != 255:
        raise PhotoRejected(name, "is transparent in places: flatten it and upload it again, or leave it out")
    return with_alpha.convert("L" if picture.mode in {"1", "L", "LA"} else "RGB")


def _in_srgb(picture: Image.Image, name: str) -> Image.Image:
    """Apply an embedded colour profile, unless it means sRGB anyway."""
    embedded = picture.info.get("icc_profile")
    if not embedded:
        return _in_mode(picture, "RGB")
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        is_of_greys = profile.profile.xcolor_space.strip() == "GRAY" and picture.mode in {"1", "L"}
        mode = "L" if is_of_greys else "RGB"
        to_srgb = ImageCms.buildTransform(
            profile, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
    except Exception as error:
        raise PhotoRejected(
            name, "has a colour profile that does not fit it: convert it to sRGB and upload it again"
        ) from error
    converted = _in_mode(picture, mode)
    if is_of_greys or not _keeps_colours(to_srgb):
        converted = to_srgb.apply(converted)
    return converted


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    """Convert a picture without copying one that is of the mode already: a large photo takes 200 MB."""
    return picture if picture.mode == mode else picture.convert(mode)


def _keeps_colours(transform: ImageCms.ImageCmsTransform) -> bool:
    """Tell whether a transform moves none of 17 x 17 x 17 evenly spaced colours by more than one step."""
    steps = np.linspace(0, 255, 17).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(17, -1, 3)
    change = np.asarray(transform.apply(Image.fromarray(colours))).astype(int) - colours
    return bool(np.abs(change).max() <= 1)


def _check_picture(picture: NDArray[np.uint8], name: str) -> None:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ValueError(f"{name} must be (height, width, 3) uint8, got {picture.shape} {picture.dtype}")


class _TooManyEntriesError(Exception):
    """A zip lists more entries than are allowed."""


class _BoundedList(list[zipfile.ZipInfo]):
    """A list that stops growing at a number of entries."""

    def __init__(self, entries_most: int) -> None:
        super().__init__()
        self.entries_most = entries_most

    def append(self, entry: zipfile.ZipInfo, /) -> None:
        if len(self) == self.entries_most:
            raise _TooManyEntriesError
        super().append(entry)


class _BoundedZipFile(zipfile.ZipFile):
    """A zip whose directory is read only up to a number of entries.

    The count that a zip declares may be a lie, and an object for each of a million entries takes seconds to make. So
    the list that `ZipFile` fills while it reads the directory is replaced by one that stops.
    """

    def __init__(self, file: BinaryIO, *, entries_most: int) -> None:
        self._entries_most = entries_most
        super().__init__(file)

    @property
    def filelist(self) -> list[zipfile.ZipInfo]:
        return self._filelist

    @filelist.setter
    def filelist(self, entries: list[zipfile.ZipInfo]) -> None:
        self._filelist = _BoundedList(self._entries_most)
        self._filelist.extend(entries)


def _members(archive: zipfile.ZipFile, limits: Limits, start: int) -> Iterator[ArchiveMember | PhotoRejected]:
    unpacked_bytes = 0
    for place, entry in enumerate(entry for entry in archive.infolist() if not _is_passed_over(entry)):
        reason = _reason_to_refuse(entry, limits)
        if reason is not None:
            if place >= start:
                yield PhotoRejected(entry.filename, reason)
            continue
        # What an entry declares as its length is an upper bound: `ZipFile` hands out no more, and `read` with a length
        # unpacks no more.
        unpacked_bytes += entry.file_size
        if unpacked_bytes > limits.archive_unpacked_bytes:
            yield PhotoRejected(
                entry.filename,
                f"and what follows it were not read, since the archive unpacks to more than "
                f"{limits.archive_unpacked_bytes / 1e6:g} MB: upload the rest in a second zip",
            )
            return
        if place < start:
            continue
        try:
            with archive.open(entry) as stream:
                data = stream.read(entry.file_size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError):
            yield PhotoRejected(entry.filename, "is damaged inside the archive: pack it once more and upload it again")
            continue
        yield ArchiveMember(entry.filename, data)


def _is_passed_over(entry: zipfile.ZipInfo) -> bool:
    parts = [part for part in entry.filename.replace("\\", "/").split("/") if part]
    is_hidden = any(part == "__MACOSX" or (part.startswith(".") and part not in {".", ".."}) for part in parts)
    return entry.filename.endswith("/") or is_hidden or (bool(parts) and parts[-1].lower() in _SYSTEM_FILES)


def _reason_to_refuse(entry: zipfile.ZipInfo, limits: Limits) -> str | None:
    """Say why an entry must not be read, from the archive's directory alone."""
    path = entry.filename.replace("\\", "/")
    reasons = (
        (
            path.startswith("/") or path[1:2] == ":" or ".." in path.split("/"),
            "has a path that leads outside the archive: pack it once more under a plain name and upload it again",
        ),
        (
            stat.S_IFMT(entry.external_attr >> 16) not in {0, stat.S_IFREG},
            "is a link or another special file: put the photo itself in the archive and upload it again",
        ),
        (
            bool(entry.flag_bits & 0x1),
            "is locked with a password: pack it without one and upload it again",
        ),
        (
            path.lower().endswith(_ARCHIVE_SUFFIXES),
            "is an archive inside the archive: upload it by itself, or unpack it and upload its photos",
        ),
        (
            entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED},
            "is packed by a method that is not read here: pack it as an ordinary zip and upload it again",
        ),
        (
            entry.file_size > limits.file_bytes,
            _too_long(limits),
        ),
        (
            entry.file_size > limits.archive_ratio * max(entry.compress_size, 1),
            f"unpacks to over {limits.archive_ratio} times its packed length, as no photo does: export it as a JPEG",
        ),
    )
    return next((reason for applies, reason in reasons if applies), None)
