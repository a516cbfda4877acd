"""Uploaded pictures are opened by a child process: what is too slow or too hungry costs one file, not the worker."""

import io
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studies import images
from studies.decoding import Decoder
from studies.errors import PhotoRejected, PictureSizeWrong
from tests.images.hostile import picture, png_bomb, saved, slow_jpeg


def test_pictures_come_back_as_this_process_would_decode_them() -> None:
    photo, small = picture(height=160, width=96), picture(height=32, width=32)
    data = saved(photo, "PNG")
    with Decoder() as decoder:
        for cropping in ("centre", "tiles"):
            pieces = decoder.pieces(data, name="a.png", high_res_size=32, cropping=cropping)
            expected = images.crops(images.decode(data, name="a.png"), high_res_size=32, cropping=cropping)
            assert [crop.label for crop in pieces.crops] == [crop.label for crop in expected]
            assert all(
                np.array_equal(ours.pixels, other.pixels) for ours, other in zip(pieces.crops, expected, strict=True)
            )
            assert pieces.source_sha256 == images.sha256_of(photo)
        assert np.array_equal(decoder.picture(saved(small, "PNG"), name="b.png", size=32), small)


@pytest.mark.parametrize("data", [b"", b"no picture", png_bomb(), saved(picture(), "PNG")[:200]])
def test_refusals_are_those_of_this_process(data: bytes) -> None:
    with pytest.raises(PhotoRejected) as direct:
        images.decode(data, name="x.png")
    with Decoder() as decoder, pytest.raises(PhotoRejected) as refused:
        decoder.pieces(data, name="x.png", high_res_size=32, cropping="centre")
    assert str(refused.value) == str(direct.value)


def test_a_picture_of_another_size_is_named_as_such() -> None:
    with Decoder() as decoder, pytest.raises(PictureSizeWrong, match="is 64 x 48 pixels, but the photos are 32 x 32"):
        decoder.picture(saved(picture(), "PNG"), name="x.png", size=32)


def test_a_slow_picture_is_given_up_and_the_next_one_is_opened() -> None:
    begun = time.process_time()
    with Decoder(cpu_s=1) as decoder:
        with pytest.raises(PhotoRejected, match=r'"slow.jpg" takes over 1 seconds to open, as no photo does'):
            decoder.pieces(slow_jpeg(), name="slow.jpg", high_res_size=32, cropping="centre")
        pieces = decoder.pieces(saved(picture(), "PNG"), name="next.png", high_res_size=32, cropping="centre")
    assert len(pieces.crops) == 1
    assert time.process_time() - begun < 1  # the work was done, and cut off, elsewhere


def test_a_child_that_hangs_is_killed() -> None:
    with Decoder(wall_s=0.5, cpu_s=1_000) as decoder, pytest.raises(PhotoRejected, match="seconds to open"):
        decoder.pieces(slow_jpeg(), name="slow.jpg", high_res_size=32, cropping="centre")


def test_a_hungry_picture_is_refused() -> None:
    large = io.BytesIO()
    Image.new("RGB", (6_000, 6_000)).save(large, "PNG")
    with Decoder(memory_bytes=60_000_000) as decoder:
        with pytest.raises(PhotoRejected, match="needs more memory to open than a photo may"):
            decoder.pieces(large.getvalue(), name="large.png", high_res_size=32, cropping="centre")
        assert decoder.pieces(saved(picture(), "PNG"), name="next.png", high_res_size=32, cropping="centre").crops


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the system does not show what a process has")
def test_the_child_has_no_secret_in_its_environment_and_may_write_no_file() -> None:
    assert "EVALSITE_SECRET_KEY" in os.environ
    with Decoder() as decoder:
        decoder.picture(saved(picture(height=32, width=32), "PNG"), name="x.png", size=32)
        child = next(pid for pid in Path("/proc").glob("[0-9]*") if _is_child(pid))
        names = {line.partition("=")[0] for line in (child / "environ").read_text().split("\0")}
        assert not {name for name in names if "EVALSITE" in name or "DJANGO" in name or "DATABASE" in name}
        limits = {line[:25].strip(): line[25:].split()[0] for line in (child / "limits").read_text().splitlines()[1:]}
        assert (limits["Max file size"], limits["Max core file size"]) == ("0", "0")


def _is_child(process: Path) -> bool:
    try:
        parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        return parent == os.getpid() and b"studies.decoding" in (process / "cmdline").read_bytes()
    except OSError:
        return False
