"""A small grid of the coverage simulation, and whether what it simulates and counts is what it says."""

import math

import numpy as np
import pytest

from studies.statistics.comparison import difference_parts
from studies.statistics.fool_rate import variance_parts
from tests.benchmarks import coverage
from tests.benchmarks.coverage import Cell, shown


@pytest.mark.parametrize(("n_raters", "n_photos", "n_votes"), [(50, 50, 40), (13, 50, 40), (7, 10, 10), (9, 100, 1)])
def test_photos_are_shown_equally_often_and_never_twice_to_a_rater(n_raters: int, n_photos: int, n_votes: int) -> None:
    photo = shown(np.random.default_rng(0), n_raters, n_photos, n_votes)
    assert photo.shape == (n_raters, n_votes)
    assert all(len(set(row)) == n_votes for row in photo.tolist())
    counts = np.bincount(photo.ravel(), minlength=n_photos)
    assert counts.max() - counts.min() <= 1


def test_votes_counted_together_are_those_counted_one_by_one() -> None:
    cell = Cell(20, 15, 10, 0.1, 0.8, 0.8)
    (studies,) = coverage.simulated(cell, runs=5, rng=np.random.default_rng(0))
    rater = np.repeat(np.arange(20), 10)
    for parts, fooled in zip(coverage.parts_of(studies), studies.fooled, strict=True):
        expected = variance_parts(fooled.ravel(), rater=rater, photo=studies.photo.ravel())
        for name in expected.__slots__:
            assert getattr(parts, name) == pytest.approx(getattr(expected, name), rel=1e-10)


@pytest.mark.parametrize("is_within", [True, False])
def test_differences_counted_together_are_those_counted_one_by_one(is_within: bool) -> None:
    rng = np.random.default_rng(0)
    photo = shown(rng, 20, 15, 10)
    column = np.where(is_within, np.arange(10) >= 5, np.arange(20)[:, None] >= 10).astype(np.int64) + np.zeros_like(
        photo
    )
    fooled = rng.random((4, 20, 10)) < 0.3
    rater = np.repeat(np.arange(20), 10)
    for parts, votes in zip(coverage._difference_parts(fooled, photo, column), fooled, strict=True):
        expected = difference_parts(votes.ravel(), column.ravel() == 0, rater=rater, photo=photo.ravel())
        assert parts.difference == pytest.approx(expected.difference)
        for name in ("raters", "photos", "cells"):
            assert getattr(parts, name) == pytest.approx(getattr(expected, name), rel=1e-10)


def test_default_interval_covers_the_truth_at_every_rate() -> None:
    """The bounds of the large grid, 92 to 97 %, with three Monte-Carlo errors of a small run around them."""
    runs = 400
    error = math.sqrt(0.95 * 0.05 / runs)
    covered = {}
    for place, rate in enumerate(coverage.RATES):
        cell = Cell(60, 60, 20, rate, 0.8, 0.8)
        found = coverage.coverage(cell, runs=runs, rng=np.random.default_rng((7, place)))
        covered[rate] = found[coverage.DEFAULT].coverage
        assert 0.92 - 3 * error <= covered[rate] <= 0.97 + 3 * error
        assert found[coverage.CONSERVATIVE].coverage >= covered[rate]
        assert found[coverage.THESE].coverage == pytest.approx(0.95, abs=0.05)
        assert found[coverage.THESE].half_width < found[coverage.DEFAULT].half_width
        assert found[coverage.CONTRAST].coverage < covered[rate]
    assert np.mean(list(covered.values())) == pytest.approx(0.95, abs=3 * error / 2)


def test_difference_covers_the_truth_where_the_one_for_independent_votes_does_not() -> None:
    design = coverage.PairedDesign("", 60, 60, 20, is_within=True)
    found = coverage.difference_coverage(design, (0.28, 0.28), runs=300, rng=np.random.default_rng(3))
    two_way, independent = (one.coverage for one in found.values())
    assert two_way == pytest.approx(0.95, abs=0.035)
    assert independent < 0.85
