import errno
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from baselines import nearest_example
from baselines.bank import BankError, bank_open, bank_write
from baselines.nearest_example import NearestExample

Pictures = NDArray[np.uint8]
Parts = list[tuple[Pictures, Pictures]]


def examples(m: int = 50, *, seed: int = 0) -> tuple[Pictures, Pictures]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (m, 8, 8, 3), np.uint8), rng.integers(0, 256, (m, 32, 32, 3), np.uint8)


def parts_of(low: Pictures, high: Pictures, size: int) -> Parts:
    return [(low[start : start + size], high[start : start + size]) for start in range(0, len(low), size)]


def test_what_was_written_in_parts_is_read_as_a_whole(tmp_path: Path) -> None:
    low, high = examples()
    done: list[int] = []
    written = bank_write(tmp_path / "rooms", parts_of(low, high, 12), progress=done.append)
    assert done == [12, 24, 36, 48, 50]
    for opened in (written, bank_open(tmp_path / "rooms")):
        np.testing.assert_array_equal(opened.low_res, low)
        np.testing.assert_array_equal(opened.high_res, high)
        assert isinstance(opened.low_res, np.memmap)
        assert not opened.high_res.flags.writeable
    np.testing.assert_array_equal(np.load(tmp_path / "rooms" / "high_res.npy"), high)


def test_the_digest_is_of_the_pictures_and_not_of_the_parts(tmp_path: Path) -> None:
    low, high = examples()
    same: list[Parts] = [parts_of(low, high, 50), parts_of(low, high, 7)]
    others: list[Parts] = [[(low[::-1], high[::-1])], [(low, high ^ np.uint8(1))]]
    digests = [bank_write(tmp_path / f"bank{number}", parts).digest for number, parts in enumerate([*same, *others])]
    assert digests[0] == digests[1]
    assert len(set(digests[1:])) == 3


def test_a_bank_larger_than_a_chunk_is_searched_from_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_example, "MAPPED_BYTES", 2**18)  # so that pages are given back, again and again
    low, _ = examples(20_000)
    high = low.repeat(2, axis=1).repeat(2, axis=2)
    opened = bank_write(tmp_path / "bank", parts_of(low, high, 3_000))
    queries = low[::100] ^ np.uint8(1)
    from_disk = NearestExample(opened.low_res, opened.high_res)
    np.testing.assert_array_equal(from_disk.nearest_indices(queries)[0], np.arange(0, 20_000, 100))
    np.testing.assert_array_equal(from_disk(queries), high[::100])


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_searching_a_bank_does_not_bring_it_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_example, "MAPPED_BYTES", 2**19)
    low, _ = examples(2_000)
    opened = bank_write(tmp_path / "bank", ((low, low[:, :1, :1]) for _ in range(12)))  # 4.6 MB

    def mapped_kb() -> int:
        text = Path("/proc/self/smaps").read_text(encoding="utf-8")
        of_bank = text.split(str(tmp_path / "bank" / "low_res.npy"), 1)[1]
        return int(of_bank.split("Rss:", 1)[1].split("kB", 1)[0])

    most = 0

    def look(_done: int) -> None:
        nonlocal most
        most = max(most, mapped_kb())

    NearestExample(opened.low_res, opened.high_res).nearest_indices(low[:2], progress=look)
    assert 0 < most < 2_000


def test_pages_changed_in_a_copy_on_write_bank_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_example, "MAPPED_BYTES", 1)
    low, high = examples()
    bank_write(tmp_path / "bank", [(low, high)])
    changed = np.load(tmp_path / "bank" / "low_res.npy", mmap_mode="c")
    changed[7] = 3
    for _ in range(2):
        indices, distances = NearestExample(changed, high).nearest_indices(np.full((1, 8, 8, 3), 3, np.uint8))
        assert (indices[0], distances[0]) == (7, 0)


LOW, HIGH = examples(4)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "at least one training example, got none"),
        ([(LOW[:0], HIGH[:0])], "at least one training example, got none"),
        ([(LOW.astype(float), HIGH)], "low_res of a bank must be .* float64"),
        ([(LOW, HIGH[..., :1])], r"high_res of a bank must be .* got \(4, 32, 32, 1\)"),
        ([(LOW, HIGH[:3])], "the same pictures, got 4 and 3"),
        ([(LOW, HIGH), (LOW, HIGH[:, :16])], r"high_res of a bank must have one size, got \(16, 32, 3\) after"),
    ],
)
def test_parts_that_do_not_fit_are_named_and_nothing_is_left(tmp_path: Path, parts: Parts, message: str) -> None:
    with pytest.raises(BankError, match=message):
        bank_write(tmp_path / "bank", parts)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_writing_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> Iterator[tuple[Pictures, Pictures]]:
        yield LOW, HIGH
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bank_write(tmp_path / "bank", interrupted())
    assert list(tmp_path.iterdir()) == []


def test_errors_of_where_the_photos_come_from_stay_what_they_are(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[Pictures, Pictures]]:
        yield LOW, HIGH
        raise FileNotFoundError(errno.ENOENT, "No such file", "photo.png")

    with pytest.raises(FileNotFoundError, match=r"photo\.png"):
        bank_write(tmp_path / "bank", broken())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        BankError, match=r"bank could not be written \(No space left on device\); nothing of it was kept"
    ):
        bank_write(tmp_path / "bank", [(LOW, HIGH)])
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    first = bank_write(tmp_path / "bank", [(LOW, HIGH)])
    with pytest.raises(BankError, match="exists already"):
        bank_write(tmp_path / "bank", [(LOW[:1], HIGH[:1])])

    def meanwhile() -> Iterator[tuple[Pictures, Pictures]]:
        bank_write(tmp_path / "late", [(LOW, HIGH)])  # another process was faster
        yield LOW[:1], HIGH[:1]

    with pytest.raises(BankError, match="late could not be written"):
        bank_write(tmp_path / "late", meanwhile())
    assert bank_open(tmp_path / "late").digest == first.digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bank", "late"]


def about_set(folder: Path, **values: Any) -> None:
    about = json.loads((folder / "bank.json").read_text())
    (folder / "bank.json").write_text(json.dumps(about | values))


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "bank.json").unlink(), "is no bank of examples: it has no bank.json"),
        (lambda folder: (folder / "bank.json").write_text("{"), r"bank\.json cannot be read"),
        (lambda folder: (folder / "bank.json").write_text("[]"), r"bank\.json cannot be read \(list indices"),
        (lambda folder: about_set(folder, format=2), "a bank of format 2, and this version reads 1"),
        (
            lambda folder: about_set(folder, low_res=[3, 8, 8, 3]),
            r"low_res\.npy holds \(4, 8, 8, 3\) uint8, not \(3, 8",
        ),
        (lambda folder: (folder / "low_res.npy").unlink(), r"low_res\.npy cannot be read"),
        (
            lambda folder: cut_short(folder / "high_res.npy"),
            r"high_res\.npy cannot be read, it may have been cut short",
        ),
        (lambda folder: np.save(folder / "low_res.npy", LOW.astype(np.int16)), r"low_res\.npy holds .* int16"),
    ],
)
def test_a_damaged_bank_is_refused_in_one_sentence(tmp_path: Path, harm: Any, message: str) -> None:
    bank_write(tmp_path / "bank", [(LOW, HIGH)])
    harm(tmp_path / "bank")
    with pytest.raises(BankError, match=message) as refused:
        bank_open(tmp_path / "bank")
    assert "\n" not in str(refused.value)
