"""Files that an upload may hold, the worst of them written byte by byte."""

import io
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms


def picture(height: int = 48, width: int = 64, *, seed: int = 0) -> NDArray[np.uint8]:
    """An asymmetric picture: 8x8 blocks of different colours, which survive a fine JPEG."""
    blocks = np.random.default_rng(seed).integers(20, 236, (height // 8, width // 8, 3), np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)


def saved(image: Image.Image | NDArray[Any], kind: str, **options: Any) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def animated(kind: str) -> bytes:
    frames = [Image.fromarray(picture(seed=seed)) for seed in range(3)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


def png(width: int, height: int, *, bits: int, colour_type: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_bomb(width: int = 100_000, height: int = 100_000) -> bytes:
    return png(width, height, bits=8, colour_type=2, rows=bytes(1_000))


def png_of_16_bits(colour_type: int) -> bytes:
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type]
    return png(64, 48, bits=16, colour_type=colour_type, rows=(b"\0" + b"\xab\xcd" * 64 * channels) * 48)


def gif_bomb() -> bytes:
    image = bytearray(saved(picture(), "GIF"))
    image[6:10] = struct.pack("<HH", 65_535, 65_535)
    return bytes(image)


def bmp_bomb() -> bytes:
    image = bytearray(saved(picture(), "BMP"))
    image[18:26] = struct.pack("<ii", 200_000, 200_000)
    return bytes(image)


def tiff_of_16_bits() -> bytes:
    """An uncompressed RGB TIFF of 16 bits a channel, 64 x 48."""
    pixels = b"\xab\xcd" * 64 * 48 * 3
    tags = [
        (256, 3, 1, 64),
        (257, 3, 1, 48),
        (258, 3, 3, 8 + 2 + 9 * 12 + 4),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8 + 2 + 9 * 12 + 4 + 6),
        (277, 3, 1, 3),
        (278, 3, 1, 48),
        (279, 4, 1, len(pixels)),
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<HHH", 16, 16, 16) + pixels


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile_with_red_and_blue_swapped() -> bytes:
    """The sRGB profile, its tag table altered so that the red primary is the blue one and the reverse."""
    swap = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}
    profile = bytearray(srgb_profile())
    (count,) = struct.unpack_from(">I", profile, 128)
    for i in range(count):
        at = 132 + 12 * i
        signature = bytes(profile[at : at + 4])
        profile[at : at + 4] = swap.get(signature, signature)
    return bytes(profile)


def linear_grey_profile() -> bytes:
    """The sRGB profile made one of greys, of which the values are proportional to light."""
    profile = bytearray(srgb_profile())
    profile[16:20] = b"GRAY"
    (count,) = struct.unpack_from(">I", profile, 128)
    for i in range(count):
        at = 132 + 12 * i
        if profile[at : at + 4] == b"rTRC":
            profile[at : at + 12] = b"kTRC" + struct.pack(">II", len(profile), 12)
    profile += b"curv" + bytes(4) + struct.pack(">I", 0)
    profile[:4] = struct.pack(">I", len(profile))
    return bytes(profile)


def zipped(members: dict[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return file.getvalue()


def symbolic_link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.create_system = 3
    member.external_attr = 0o120777 << 16
    return member


def with_headers_patched(archive: bytes, member: str, *, flags: int | None = None, size: int | None = None) -> bytes:
    """Overwrite what both headers of a member declare: its flags, its unpacked size."""
    patched = bytearray(archive)
    for signature, flags_at, size_at, name_at in ((b"PK\3\4", 6, 22, 30), (b"PK\1\2", 8, 24, 46)):
        at = patched.find(signature)
        while patched[at + name_at : at + name_at + len(member)] != member.encode():
            at = patched.index(signature, at + 1)
        if flags is not None:
            struct.pack_into("<H", patched, at + flags_at, flags)
        if size is not None:
            struct.pack_into("<I", patched, at + size_at, size)
    return bytes(patched)


def zip_of_many_entries(count: int, *, declared: int | None = None) -> bytes:
    """A zip that is nearly all directory, of `count` entries, whatever number of them it declares."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * count
    end_64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(directory), 0)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(directory), 1)
    declared = min(count, 0xFFFF) if declared is None else declared
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, declared, declared, len(directory), 0, 0)
    return directory + end_64 + locator + end


def slow_jpeg(side: int = 4_000, scans: int = 2_000) -> bytes:
    """A progressive JPEG of 200 kB, well formed, whose last scan comes again and again: each costs a pass over all."""
    data = saved(Image.new("L", (side, side), 90), "JPEG", progressive=True)
    start_of_scan, end = data.rindex(b"\xff\xda"), len(data) - 2
    return data[:end] + data[start_of_scan:end] * scans + data[end:]
