from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from baselines import nearest_example
from baselines.nearest_example import FLOAT32_DIMENSIONS_MOST, NearestExample


def brute_force(bank: NDArray[np.uint8], queries: NDArray[np.uint8]) -> tuple[list[int], list[int]]:
    indices, distances = [], []
    for query in queries:
        squared = [int(((example.astype(int) - query.astype(int)) ** 2).sum()) for example in bank]
        distances.append(min(squared))
        indices.append(squared.index(min(squared)))
    return indices, distances


def high_res_of(count: int) -> NDArray[np.uint8]:
    """Pictures (count, 32, 32, 3) that carry their own index."""
    pictures = np.zeros((count, 32, 32, 3), np.uint8)
    pictures[:, 0, 0, 0], pictures[:, 0, 0, 1] = np.arange(count) % 256, np.arange(count) // 256
    return pictures


@given(
    seed=st.integers(0, 2**32 - 1),
    m=st.integers(1, 40),
    n=st.integers(0, 12),
    side=st.sampled_from([1, 2, 8, 11]),
    levels=st.sampled_from([2, 3, 256]),
    bank_chunk=st.integers(1, 45),
    query_chunk=st.integers(1, 13),
)
def test_finds_what_a_loop_over_all_pairs_finds(
    seed: int, m: int, n: int, side: int, levels: int, bank_chunk: int, query_chunk: int
) -> None:
    rng = np.random.default_rng(seed)
    values = np.linspace(0, 255, levels).astype(np.uint8)  # few values make many ties
    bank, queries = (rng.choice(values, (count, side, side, 3)) for count in (m, n))
    nearest = NearestExample(bank, high_res_of(m))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest_example, "BANK_CHUNK", bank_chunk)
        patch.setattr(nearest_example, "QUERY_CHUNK", query_chunk)
        indices, distances = nearest.nearest_indices(queries)
    assert (indices.tolist(), distances.tolist()) == brute_force(bank, queries)


@pytest.mark.parametrize(
    "dimensions", [3, 192, FLOAT32_DIMENSIONS_MOST // 3 * 3, FLOAT32_DIMENSIONS_MOST // 3 * 3 + 3, 3072]
)
def test_a_difference_of_one_step_decides_at_the_largest_distances(dimensions: int) -> None:
    query = np.full((1, 1, dimensions // 3, 3), 255, np.uint8)
    bank = np.zeros((2, *query.shape[1:]), np.uint8)
    query[0, 0, 0, 0] = 1
    bank[0, 0, 0, 0] = 2  # one step from the query, where the other is at it
    bank[1, 0, 0, 0] = 1
    indices, distances = NearestExample(bank, high_res_of(2)).nearest_indices(query)
    assert indices.tolist() == [1]
    assert distances.tolist() == [(dimensions - 1) * 255**2]


def test_every_distance_between_extremes_is_exact() -> None:
    rng = np.random.default_rng(3)
    bank, queries = (rng.choice(np.array([0, 255], np.uint8), (count, 8, 8, 3)) for count in (300, 50))
    _, distances = NearestExample(bank, high_res_of(300)).nearest_indices(queries)
    assert distances.tolist() == brute_force(bank, queries)[1]


def test_ties_go_to_the_lowest_index_within_and_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_example, "BANK_CHUNK", 4)
    bank = np.full((12, 8, 8, 3), 90, np.uint8)
    bank[[2, 3, 5, 11]] = 130  # twice in the first chunk, once in each of the others
    queries = np.full((1, 8, 8, 3), 110, np.uint8)
    nearest = NearestExample(bank, high_res_of(12))
    assert nearest.nearest_indices(queries)[0].tolist() == [0]
    assert nearest.nearest_indices(queries + np.uint8(5))[0].tolist() == [2]


def test_returns_the_high_resolution_picture_of_the_nearest_as_a_copy() -> None:
    rng = np.random.default_rng(4)
    bank_high = rng.integers(0, 256, (20, 32, 32, 3), np.uint8)
    bank_low = rng.integers(0, 256, (20, 8, 8, 3), np.uint8)
    kept = bank_high.copy()
    answer = NearestExample(bank_low, bank_high)(bank_low[[7, 0, 19]])
    np.testing.assert_array_equal(answer, kept[[7, 0, 19]])
    answer[:] = 0
    np.testing.assert_array_equal(bank_high, kept)


def test_a_memory_mapped_bank_gives_the_same_and_is_not_copied(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    low, high = rng.integers(0, 256, (5_000, 8, 8, 3), np.uint8), high_res_of(5_000)
    for name, array in (("low", low), ("high", high)):
        np.save(tmp_path / f"{name}.npy", array)
    mapped_low, mapped_high = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("low", "high"))
    queries = rng.integers(0, 256, (3, 8, 8, 3), np.uint8)
    nearest = NearestExample(mapped_low, mapped_high)
    assert nearest.bank_low is mapped_low
    answer = nearest(queries)
    assert type(answer) is np.ndarray
    np.testing.assert_array_equal(answer, NearestExample(low, high)(queries))


def test_the_answer_does_not_depend_on_the_other_queries() -> None:
    rng = np.random.default_rng(6)
    bank, queries = (rng.integers(0, 256, (count, 8, 8, 3), np.uint8) for count in (3_000, 1_100))
    nearest = NearestExample(bank, high_res_of(3_000))
    together, _ = nearest.nearest_indices(queries)
    for i in (0, 1_023, 1_024, 1_099):
        assert nearest.nearest_indices(queries[i : i + 1])[0][0] == together[i]


LOW, HIGH = np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 32, 32, 3), np.uint8)


@pytest.mark.parametrize(
    ("bank_low", "bank_high", "message"),
    [
        (LOW[:0], HIGH[:0], r"bank_low must be .* got \(0, 8, 8, 3\)"),
        (LOW.astype(float), HIGH, "bank_low must be .* float64"),
        (LOW, HIGH[..., :1], r"bank_high must be .* got \(2, 32, 32, 1\)"),
        (LOW, HIGH[:1], "same pictures, got 2 and 1"),
    ],
)
def test_a_wrong_bank_is_named(bank_low: NDArray[np.uint8], bank_high: NDArray[np.uint8], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NearestExample(bank_low, bank_high)


@pytest.mark.parametrize("low_res", [LOW[:, :7], LOW.astype(np.int16), LOW[0]])
def test_a_wrong_query_is_named(low_res: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"low_res must be \(n, 8, 8, 3\) uint8, got"):
        NearestExample(LOW, HIGH)(low_res)
