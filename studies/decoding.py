"""Uploaded pictures are opened in a process of its own, which may be killed: too slow, too hungry or broken, it goes.

`images.decode` refuses by its header what need not be decoded. What passes may still be made to keep a decoder busy for
hours, to eat the memory, or to use a flaw of the decoder. So the worker never decodes an upload itself: a child does,
which has no secret in its environment, may write no file, and has a limit on processor time and on memory. What it
sends back is taken for hostile as well: a short header and plain values of exactly the size that the header says.
"""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from studies import images
from studies.errors import PhotoRejected, PictureSizeWrong

CPU_S = 20
"""Most seconds of processor time for one picture; one of 50 million pixels takes about two."""
WALL_S = 180.0
"""Most seconds by the clock, for a child that waits for something: a busy machine must not fail honest pictures."""
MEMORY_BYTES = 2_000_000_000
"""Most memory that a picture may need beyond what the child has before; one of 50 million pixels takes under 1 GB."""
HEADER_BYTES = 1_000_000
"""Longest header of an answer."""

_ROOT = Path(__file__).resolve().parent.parent


class Pieces(NamedTuple):
    """What a photo gives.

    Attributes:
        crops: Its squares.
        source_sha256: Digest of its pixels before it was cut.
    """

    crops: list[images.Crop]
    source_sha256: str


class Decoder:
    """Opens uploaded pictures in a child process, started with the first picture and again after one that killed it.

    Args:
        cpu_s: Most seconds of processor time for one picture.
        wall_s: Most seconds by the clock.
        memory_bytes: Most memory for one picture.

    Example:
        >>> with Decoder() as decoder:
        ...     decoder.picture(images.encode_png(np.zeros((32, 32, 3), np.uint8)), name="black.png", size=32).shape
        (32, 32, 3)
    """

    def __init__(self, *, cpu_s: int = CPU_S, wall_s: float = WALL_S, memory_bytes: int = MEMORY_BYTES) -> None:
        self.cpu_s, self.wall_s, self.memory_bytes = cpu_s, wall_s, memory_bytes
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the child."""
        self.close()

    def close(self) -> None:
        """End the child, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def picture(self, data: bytes, *, name: str, size: int) -> NDArray[np.uint8]:
        """Open a square picture of a size: (size, size, 3) uint8 sRGB.

        Raises:
            PhotoRejected: If it cannot be used, or costs too much; the sentence names the file and the cure.
        """
        (crop,), _ = self._ask(data, name, {"size": size})
        if crop.pixels.shape != (size, size, 3):
            raise _broken(name)
        return crop.pixels

    def pieces(self, data: bytes, *, name: str, high_res_size: int, cropping: images.Cropping) -> Pieces:
        """Open a photo and cut it; see `images.crops`.

        Raises:
            PhotoRejected: If it cannot be used, or costs too much; the sentence names the file and the cure.
        """
        pieces = self._ask(data, name, {"high_res_size": high_res_size, "cropping": cropping})
        if any(crop.pixels.shape != (high_res_size, high_res_size, 3) for crop in pieces.crops):
            raise _broken(name)
        return pieces

    def _ask(self, data: bytes, name: str, wanted: dict[str, Any]) -> Pieces:
        if len(data) > images.DEFAULT_LIMITS.file_bytes:
            images.decode(data, name=name)  # says how much is too much
        process = self._running()
        watchdog = threading.Timer(self.wall_s, process.kill)
        watchdog.start()
        try:
            to_child, from_child = _pipes(process)
            _send(to_child, wanted | {"length": len(data), "name": name}, data)
            answer = _receive(from_child)
        except (OSError, ValueError, KeyError, TypeError):
            answer = None
        finally:
            watchdog.cancel()
        if answer is None:
            raise self._buried(name)
        header, pixels = answer
        if "reason" in header:
            kind = PictureSizeWrong if header.get("is_size") else PhotoRejected
            raise kind(name, str(header["reason"]))
        return Pieces(
            [
                images.Crop(str(label), values)
                for label, values in zip(header["labels"], pixels.copy(), strict=True)  # frombuffer is read-only
            ],
            str(header["source_sha256"])[:64],
        )

    def _running(self) -> "subprocess.Popen[bytes]":
        """Return the child, started if need be: with nothing of our environment but where programs are."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            command = [sys.executable, "-m", "studies.decoding", str(self.cpu_s), str(self.memory_bytes)]
            self._process = subprocess.Popen(  # noqa: S603 -- our own module, with two numbers
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=_ROOT,
                env={"PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        return self._process

    def _buried(self, name: str) -> PhotoRejected:
        """End a child that gave no answer, and say what became of its picture."""
        process, self._process = self._process, None
        assert process is not None  # noqa: S101 -- tells mypy that it was asked
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        process.kill()
        process.communicate()
        if process.returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
            return PhotoRejected(
                name,
                f"takes over {self.cpu_s} seconds to open, as no photo does: save it anew as a PNG and upload that",
            )
        return _broken(name)


def _broken(name: str) -> PhotoRejected:
    return PhotoRejected(name, "breaks the program that opens it: save it anew as a PNG and upload that")


def _pipes(process: "subprocess.Popen[bytes]") -> tuple[BinaryIO, BinaryIO]:
    assert process.stdin is not None  # noqa: S101 -- tells mypy what `Popen` was asked for
    assert process.stdout is not None  # noqa: S101 -- likewise
    return process.stdin, process.stdout  # type: ignore[return-value] # buffered files are binary ones


def _send(to: BinaryIO, header: dict[str, Any], body: bytes) -> None:
    to.write(json.dumps(header).encode() + b"\n")
    to.write(body)
    to.flush()


def _receive(source: BinaryIO) -> tuple[dict[str, Any], NDArray[np.uint8]] | None:
    """Return header and pixels (n, size, size, 3) of an answer; None if it ended too early."""
    line = source.readline(HEADER_BYTES)
    if not line.endswith(b"\n"):
        return None
    header: dict[str, Any] = json.loads(line)
    if "reason" in header:
        return header, np.empty((0, 0, 0, 3), np.uint8)
    count, side = len(header["labels"]), int(header["side"])
    length = count * side * side * 3
    if not 0 < length <= 4 * images.DEFAULT_LIMITS.pixels:
        return None
    body = source.read(length)
    if len(body) != length:
        return None
    return header, np.frombuffer(body, np.uint8).reshape(count, side, side, 3)


# --- In the child ---------------------------------------------------------------------------------------------------


def _answer(data: bytes, wanted: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    name = wanted["name"]
    try:
        if "size" in wanted:
            pixels = images.decode(data, name=name, size=wanted["size"])
            crops = [images.Crop("", pixels)]
        else:
            pixels = images.decode(data, name=name)
            crops = images.crops(pixels, high_res_size=wanted["high_res_size"], cropping=wanted["cropping"], name=name)
    except PhotoRejected as error:
        return {"reason": error.reason, "is_size": isinstance(error, PictureSizeWrong)}, b""
    header = {
        "labels": [crop.label for crop in crops],
        "side": len(crops[0].pixels),
        "source_sha256": images.sha256_of(pixels),
    }
    return header, b"".join(crop.pixels.tobytes() for crop in crops)


def _memory_now() -> int:
    """Return the size of this process's address space in bytes, or 0 where that cannot be read."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def _limit(kind: int, value: int) -> None:
    """Set a limit of this process; a system that does not know it goes without."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


def _serve(cpu_s: int, memory_bytes: int) -> None:
    """Answer on standard output what is asked on standard input, until that ends."""
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    _answer(images.encode_png(np.zeros((8, 8, 3), np.uint8)), {"size": 8, "name": ""})  # loads every decoder
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_AS, _memory_now() + memory_bytes)
    while line := asked.readline():
        wanted = json.loads(line)
        data = asked.read(wanted["length"])
        usage = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(usage.ru_utime + usage.ru_stime) + 1 + cpu_s)
        _send(answers, *_answer(data, wanted))


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
