"""Decoding of a picture's file into 8-bit sRGB, whatever it holds.

What is decided here, so that a run of many hours does not end at an odd file:

* Only the decoders named in `FORMATS` run, and none on a picture of more than `PIXELS_MOST` pixels.
* A photo that the camera marked as turned is turned upright. Of a file with several pictures the first is taken.
* Grey photos get three equal channels; a palette is looked up; of 16 bits a channel the higher 8 are kept.
* What is transparent is laid on white.
* An embedded colour profile other than sRGB is applied (relative colorimetric); one that does not fit is ignored, as
  browsers do. CMYK without a profile is converted by Pillow's plain formula.
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms, ImageOps

from sr_models.data.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
"""The only formats whose decoders may run."""

ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pnm")
"""Endings of names, in any case, by which a file in a folder or zip is taken for a picture."""

PIXELS_MOST = 80_000_000
"""Most pixels of one photo; below what Pillow itself lets pass."""

FILE_BYTES_MOST = 100_000_000
"""Most bytes of one photo's file."""

_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_PROFILE_MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
_STEPS = np.linspace(0, 255, 17).round().astype(np.uint8)
_COLOURS = Image.fromarray(np.stack(np.meshgrid(_STEPS, _STEPS, _STEPS), axis=-1).reshape(17, -1, 3))
"""Evenly spaced colours: a profile that moves none of them by more than one step means sRGB."""


def picture_decode(data: bytes, *, name: str) -> Image.Image:
    """Decode a picture of any kind into 8-bit sRGB.

    Args:
        data: The file's bytes.
        name: The file's name, for the sentence if it cannot be used.

    Returns:
        A picture of mode RGB, upright.

    Raises:
        DataError: If it is no picture, is damaged or cut off, has too many pixels, or values of an unknown range.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if picture.width * picture.height > PIXELS_MOST:
                raise DataError(_too_many_pixels(name))
            picture.load()
            ImageOps.exif_transpose(picture, in_place=True)
            return _in_srgb(picture, name)
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(_too_many_pixels(name)) from error
    except Exception as error:
        raise DataError(f"{name} is not a readable picture; copy it once more or take it out of the set.") from error


def _too_many_pixels(name: str) -> str:
    return f"{name} has more than {PIXELS_MOST / 1e6:g} million pixels; save it smaller or take it out of the set."


def _in_srgb(picture: Image.Image, name: str) -> Image.Image:
    """Convert a decoded picture of any mode into RGB; what the file says of its colours is heeded."""
    if picture.mode in {"I", "F"}:
        raise DataError(f"{name} holds values of more than 16 bits; convert it to 8 bits a channel.")
    profile: bytes | None = picture.info.get("icc_profile")
    plain = "L" if picture.mode in {"1", "L", "LA"} else "RGB"
    if picture.mode in _SIXTEEN_BIT_MODES:
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    elif picture.has_transparency_data:
        above = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert(plain)
    elif picture.mode not in {"L", "RGB", "CMYK"}:
        picture = picture.convert(plain)
    if profile is not None:
        mode, to_srgb = _transform(profile)
        if mode == "RGB" and picture.mode == "L":
            picture = picture.convert("RGB")
        if to_srgb is not None and mode == picture.mode:
            picture = to_srgb.apply(picture)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


@lru_cache(maxsize=32)
def _transform(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """Return the mode that a colour profile is for and its way to sRGB; none if it is broken or moves no colour."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _PROFILE_MODES[opened.profile.xcolor_space.strip()]
        to_srgb = ImageCms.buildTransform(
            opened, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
    except (ImageCms.PyCMSError, OSError, KeyError, ValueError, TypeError):
        return "", None
    if mode == "RGB" and np.abs(np.asarray(to_srgb.apply(_COLOURS)).astype(int) - np.asarray(_COLOURS)).max() <= 1:
        return mode, None
    return mode, to_srgb
