from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

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


@settings(deadline=None)
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


def photo_like(n: int, side: int = 8, *, seed: int) -> NDArray[np.uint8]:
    """Pictures (n, side, side, 3) whose detail falls off as in photos, so that few directions tell them apart."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side, 1 / side), np.fft.fftfreq(side, 1 / side)))
    grey = np.fft.ifft2(np.fft.fft2(rng.normal(size=(n, side, side))) / (0.3 + frequency) ** 1.5).real
    tint = rng.normal(size=(n, 1, 1, 3))
    grey = grey[..., None] / grey.std() + 0.3 * tint
    pictures: NDArray[np.uint8] = np.clip(128 + 50 * grey + rng.normal(0, 3, grey.shape), 0, 255).astype(np.uint8)
    return pictures


@pytest.mark.parametrize("side", [8, 16])
def test_a_bank_of_many_chunks_is_searched_as_scipy_searches_it(side: int) -> None:
    bank, queries = photo_like(5_000, side, seed=1), photo_like(150, side, seed=2)
    bank[4_000:4_010] = bank[3_000:3_010]  # the second of two equal ones must never win
    queries[:5] = bank[4_000:4_005]
    indices, distances = NearestExample(bank, high_res_of(5_000)).nearest_indices(queries)
    expected = cdist(queries.reshape(150, -1), bank.reshape(5_000, -1), "sqeuclidean")
    assert indices.tolist() == expected.argmin(axis=1).tolist()
    assert distances.tolist() == expected.min(axis=1).astype(int).tolist()
    assert indices[:5].tolist() == list(range(3_000, 3_005))


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    m=st.integers(1, 60),
    n=st.integers(1, 12),
    side=st.sampled_from([2, 8, 11]),
    kind=st.sampled_from(["photo_like", "extremes", "near_copies", "flat"]),
    share=st.sampled_from([0.02, 0.3, 1.0]),
    directions=st.integers(1, 6),
)
def test_the_bound_never_hides_the_nearest(
    seed: int, m: int, n: int, side: int, kind: str, share: float, directions: int
) -> None:
    rng = np.random.default_rng(seed)
    if kind == "extremes":
        both = rng.choice(np.array([0, 255], np.uint8), (m + n, side, side, 3))
    elif kind == "flat":
        both = np.broadcast_to(rng.integers(0, 4, (m + n, 1, 1, 1), np.uint8), (m + n, side, side, 3))
    elif kind == "near_copies":  # of some noise, each with a few steps of one sub-pixel: distances of 0, 1, 2, 4 ...
        both = rng.integers(0, 256, (10, side, side, 3), np.uint8)[rng.integers(0, 10, m + n)]
        places = rng.integers(0, side, (2, m + n))
        both[np.arange(m + n), places[0], places[1], 0] ^= rng.integers(0, 4, m + n, np.uint8)
    else:
        both = photo_like(m + n, side, seed=seed)
    bank, queries = both[:m], both[m:]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "BANK_CHUNK": 7,
            "QUERY_CHUNK": 5,
            "SCORES_AT_ONCE": 15,
            "DIRECTIONS": directions,
            "BOUNDED_QUERIES_LEAST": 1,
            "LIKELY_SHARE_MOST": share,
            "LIKELY_PAIRS": 4,
            "EXAMPLES_TRIED": 2,
        }.items():
            patch.setattr(nearest_example, name, value)
        indices, distances = NearestExample(bank, high_res_of(m)).nearest_indices(queries)
    assert (indices.tolist(), distances.tolist()) == brute_force(bank, queries)


def test_the_bound_allows_for_its_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    # Few sub-pixels differ, so that the bound is the score, but for rounding: of tens, where distances differ by ones.
    monkeypatch.setattr(nearest_example, "BANK_CHUNK", 100)
    rng = np.random.default_rng(9)
    bank, queries = (np.zeros((count, 32, 32, 3), np.uint8) for count in (1_500, 200))
    for pictures in (bank, queries):
        pictures[:, 5, 5] = rng.integers(0, 60, (len(pictures), 3))
    indices, distances = NearestExample(bank, high_res_of(1_500)).nearest_indices(queries)
    expected = cdist(queries[:, 5, 5], bank[:, 5, 5], "sqeuclidean")
    assert indices.tolist() == expected.argmin(axis=1).tolist()
    assert distances.tolist() == expected.min(axis=1).astype(int).tolist()


def test_most_pairs_of_photos_are_passed_over_and_noise_costs_no_more_than_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    multiplied = {"photos": 0, "noise": 0}
    rng = np.random.default_rng(7)
    noise = rng.integers(0, 256, (2, 30_000, 8, 8, 3), np.uint8)
    banks = {"photos": (photo_like(30_000, seed=3), photo_like(200, seed=4)), "noise": (noise[0], noise[1, :200])}
    for kind, (bank, queries) in banks.items():

        class Counting:
            """Numpy, with the multiplications of matrix products counted."""

            def __getattr__(self, name: str) -> object:
                return getattr(np, name)

            def matmul(
                self,
                first: NDArray[np.float32],
                second: NDArray[np.float32],
                *,
                out: NDArray[np.float32],
                kind: str = kind,
            ) -> NDArray[np.float32]:
                multiplied[kind] += first.size * second.shape[1]
                return np.matmul(first, second, out=out)

        monkeypatch.setattr(nearest_example, "np", Counting())
        NearestExample(bank, high_res_of(30_000)).nearest_indices(queries)
    all_pairs = 30_000 * 200 * 193
    assert multiplied["photos"] < 0.5 * all_pairs  # of it 0.16 for the projection, since the queries are few
    assert multiplied["noise"] < 1.03 * all_pairs


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


def test_progress_counts_the_bank_and_can_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_example, "BANK_CHUNK", 4)
    bank = photo_like(10, seed=8)
    nearest = NearestExample(bank, high_res_of(10))
    seen: list[int] = []
    nearest(bank[:2], progress=seen.append)
    assert seen == [4, 8, 10]

    def stop(done: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nearest(bank[:2], progress=stop)


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
