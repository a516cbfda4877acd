import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.fool_rate import variance_parts
from studies.statistics.plan_check import simulate_difference, simulate_rate, spreads
from studies.statistics.power import (
    Correlations,
    difference_model,
    difference_variance,
    equivalence_variance,
    half_width_variance,
    half_widths,
    pilot_correlations,
    plan,
    rate_model,
    recruits,
    smallest_difference,
    typical_correlations,
)

NINE = Correlations(0.09, 0.09)


def raters_for_rate(rate: float, variance: float, n_photos: int, votes: int) -> float:
    model = rate_model(rate, correlations=typical_correlations(rate), votes_per_rater=votes)
    return float(model.raters(variance, n_photos))


@pytest.mark.parametrize(
    ("rate", "half_width", "n_photos", "expected"),
    [
        (0.02, 0.01, 100, (96, 34)),
        (0.02, 0.01, 500, (87, 31)),
        (0.02, 0.005, 100, (615, 216)),
        (0.02, 0.005, 200, (436, 153)),
        (0.10, 0.02, 100, (219, 115)),
        (0.10, 0.02, 500, (134, 70)),
        (0.10, 0.01, 200, (4280, 2237)),
        (0.10, 0.01, 500, (756, 395)),
        (0.28, 0.05, 100, (74, 47)),
        (0.28, 0.03, 100, (622, 398)),
        (0.28, 0.03, 200, (238, 153)),
        (0.28, 0.02, 200, (2345, 1499)),
        (0.45, 0.03, 200, (408, 273)),
        (0.45, 0.03, 500, (243, 162)),
    ],
)
def test_table_of_raters_for_a_half_width(
    rate: float, half_width: float, n_photos: int, expected: tuple[int, int]
) -> None:
    variance = half_width_variance(half_width)
    assert tuple(math.ceil(raters_for_rate(rate, variance, n_photos, votes)) for votes in (10, 40)) == expected


@pytest.mark.parametrize(("rate", "half_width", "floor"), [(0.1, 0.01, 178), (0.28, 0.02, 172), (0.45, 0.03, 107)])
def test_table_of_photos_without_which_no_raters_suffice(rate: float, half_width: float, floor: int) -> None:
    variance = half_width_variance(half_width)
    model = rate_model(rate, correlations=typical_correlations(rate), votes_per_rater=40)
    assert math.isinf(raters_for_rate(rate, variance, 100, 10))
    assert math.ceil(model.photos_floor(variance)) in (floor, floor + 1)  # the table is rounded
    assert math.isinf(raters_for_rate(rate, variance, math.floor(model.photos_floor(variance)), 40))
    assert math.isfinite(raters_for_rate(rate, variance, math.ceil(model.photos_floor(variance)), 40))


@pytest.mark.parametrize(("n_photos", "expected"), [(100, (1176, 788)), (200, (275, 184)), (400, (199, 133))])
def test_table_of_raters_for_an_equivalence(n_photos: int, expected: tuple[int, int]) -> None:
    variance = equivalence_variance(0.05)
    assert tuple(math.ceil(raters_for_rate(0.5, variance, n_photos, votes)) for votes in (10, 40)) == expected


@pytest.mark.parametrize(
    ("rate_a", "rate_b", "n_photos", "expected"),
    [
        (0.28, 0.22, 100, (157, 80)),
        (0.28, 0.22, 200, (124, 63)),
        (0.11, 0.08, 200, (215, 90)),
        (0.04, 0.02, 100, (146, 50)),
        (0.45, 0.40, 200, (322, 174)),
        (0.28, 0.25, 200, (1631, 830)),
    ],
)
def test_table_of_raters_for_a_difference(
    rate_a: float, rate_b: float, n_photos: int, expected: tuple[int, int]
) -> None:
    for votes, n_raters in zip((10, 40), expected, strict=True):
        model = difference_model(
            rate_a,
            rate_b,
            correlations_a=typical_correlations(rate_a),
            correlations_b=typical_correlations(rate_b),
            votes_per_rater=votes,
        )
        assert math.ceil(model.raters(difference_variance(rate_a - rate_b), n_photos)) == n_raters


def test_reference_plan() -> None:
    model = rate_model(0.28, correlations=NINE, votes_per_rater=40)
    assert model.raters(half_width_variance(0.03), [200, 100]) == pytest.approx([155.168, 421.542], abs=5e-4)
    assert math.isinf(model.raters(half_width_variance(0.02), 100))
    assert model.photos_floor(half_width_variance(0.02)) == pytest.approx(174.25, abs=5e-3)
    assert half_widths(model, n_raters=100, n_photos=100) == pytest.approx(0.0394049, abs=5e-8)
    assert model.variance(100, 100) * 4000 / (0.28 * 0.72) == pytest.approx(8.02, abs=1e-9)  # DEFF


def test_spread_that_is_assumed_without_a_pilot() -> None:
    expected = {0.01: 0.008, 0.02: 0.015, 0.05: 0.032, 0.1: 0.051, 0.2: 0.076, 0.28: 0.089, 0.4: 0.099, 0.5: 0.101}
    for rate, rho in expected.items():
        assert typical_correlations(rate) == pytest.approx((rho, rho), abs=6e-4)
    assert typical_correlations(0.28, rater_spread=1, photo_spread=1.2) == pytest.approx((0.108, 0.158), abs=6e-4)


def test_plan_takes_the_least_number_of_raters_that_suffices() -> None:
    model = rate_model(0.28, correlations=NINE, votes_per_rater=40)
    for half_width, n_photos in ((0.03, 200), (0.05, 45), (0.06, 100)):
        found = plan(model, variance=half_width_variance(half_width), n_photos=n_photos, votes_per_rater=40)
        assert found.n_raters is not None
        assert half_widths(model, n_raters=found.n_raters, n_photos=n_photos) <= half_width
        assert half_widths(model, n_raters=found.n_raters - 1, n_photos=n_photos) > half_width
    easy = plan(model, variance=half_width_variance(0.4), n_photos=100, votes_per_rater=40)
    assert easy.n_raters == 10  # fewer give no interval


def test_plan_that_no_number_of_raters_fulfils_says_how_many_photos_would() -> None:
    model = rate_model(0.28, correlations=NINE, votes_per_rater=40)
    found = plan(model, variance=half_width_variance(0.02), n_photos=100, votes_per_rater=40, exclusion_rate=0.2)
    assert found.n_raters is found.n_recruits is None
    assert math.ceil(found.photos_floor) == 175
    assert plan(model, variance=half_width_variance(0.02), n_photos=175, votes_per_rater=40).n_raters is not None


@given(
    rate=st.floats(0.01, 0.99),
    spread=st.floats(0.05, 1.5),
    votes=st.integers(1, 40),
    n_photos=st.integers(60, 1000),
    half_width=st.floats(0.005, 0.2),
)
def test_more_photos_or_votes_never_take_more_raters(
    rate: float, spread: float, votes: int, n_photos: int, half_width: float
) -> None:
    rho = typical_correlations(rate, rater_spread=spread, photo_spread=spread)
    variance = half_width_variance(half_width)
    raters = [
        float(rate_model(rate, correlations=rho, votes_per_rater=m).raters(variance, n))
        for m, n in ((votes, n_photos), (votes, 2 * n_photos), (2 * votes, n_photos))
    ]
    assert raters[1] <= raters[0]
    assert raters[2] <= raters[0]


@pytest.mark.parametrize(("rate", "margin"), [(0.5, 0.05), (0.47, 0.06), (0.53, 0.06)])
def test_power_of_an_equivalence_is_that_of_simulated_estimates(rate: float, margin: float) -> None:
    error = math.sqrt(equivalence_variance(margin, rate=rate, power=0.8))
    found = rate + error * np.random.default_rng(0).normal(size=200_000)
    shown = (found - 1.6448536 * error > 0.5 - margin) & (found + 1.6448536 * error < 0.5 + margin)
    assert shown.mean() == pytest.approx(0.8, abs=0.004)


def test_pilot_gives_back_the_correlations_it_was_made_with() -> None:
    rng = np.random.default_rng(1)
    rater, photo = np.divmod(np.arange(300 * 200), 200)
    wanted = typical_correlations(0.28, rater_spread=0.9, photo_spread=0.6)
    from scipy import special

    from studies.statistics.simulation import logit_centre

    mu = logit_centre(0.28, spread=math.hypot(0.9, 0.6))
    chance = special.expit(mu + 0.9 * rng.normal(size=300)[rater] + 0.6 * rng.normal(size=200)[photo])
    found = pilot_correlations(rng.random(rater.size) < chance, rater=rater, photo=photo)
    assert found == pytest.approx(wanted, rel=0.25)
    assert found.raters > found.photos


def test_pilot_of_independent_votes_finds_no_correlation_below_zero() -> None:
    rater, photo = np.divmod(np.arange(900), 30)
    even = (rater + photo) % 2 == 0  # every rater and every photo: exactly one half
    assert variance_parts(even, rater=rater, photo=photo).raters == 0
    assert pilot_correlations(even, rater=rater, photo=photo) == (0, 0)


@pytest.mark.parametrize(
    ("fooled", "rater", "photo"),
    [([0, 0, 0, 0], [1, 1, 2, 2], [1, 2, 1, 2]), ([0, 1], [1, 1], [1, 2]), ([0, 1], [1, 2], [1, 2])],
    ids=["all alike", "one rater", "one vote each"],
)
def test_pilot_that_cannot_tell_is_refused(fooled: list[int], rater: list[int], photo: list[int]) -> None:
    with pytest.raises(ValueError, match="cannot tell how alike votes are; take a pilot with more of each"):
        pilot_correlations(fooled, rater=rater, photo=photo)


def test_recruits_allow_for_exclusions() -> None:
    assert [recruits(90, exclusion_rate=rate) for rate in (0, 0.1, 0.25)] == [90, 100, 120]


def test_smallest_difference_is_the_one_that_the_plan_for_it_takes() -> None:
    found = smallest_difference(0.22, n_raters=80, n_photos=100, votes_per_rater=40)
    assert found == pytest.approx(0.06, abs=5e-4)
    between = smallest_difference(0.22, n_raters=80, n_photos=100, votes_per_rater=40, is_within=False)
    assert between is not None
    assert found is not None
    assert between > found
    assert smallest_difference(0.98, n_raters=10, n_photos=10, votes_per_rater=1) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_photos": 9}, "9 photos are too few"),
        ({"votes_per_rater": 201}, "votes must be 1 to 200, got 201"),
        ({"exclusion_rate": 1}, "at least 0 and below 1, got 1"),
    ],
)
def test_plans_that_make_no_study_are_refused(options: dict[str, Any], message: str) -> None:
    model = rate_model(0.28, correlations=NINE, votes_per_rater=40)
    given: dict[str, Any] = {"variance": 0.001, "n_photos": 200, "votes_per_rater": 40}
    with pytest.raises(ValueError, match=message):
        plan(model, **given | options)


def test_rate_too_far_from_half_cannot_be_shown_to_be_near_it() -> None:
    with pytest.raises(ValueError, match=r"a true rate of 0\.44 is not within 0\.05 of 0\.5"):
        equivalence_variance(0.05, rate=0.44)


@pytest.mark.parametrize("wanted", [(0.0, 0.0), (0.05, 0.1), (0.2, 0.0), (0.3, 0.3)])
def test_spreads_give_the_correlations_back(wanted: tuple[float, float]) -> None:
    raters, photos = spreads(0.3, Correlations(*wanted))
    assert typical_correlations(0.3, rater_spread=raters, photo_spread=photos) == pytest.approx(wanted, abs=1e-5)


def test_simulated_studies_confirm_the_planned_half_width() -> None:
    rho = typical_correlations(0.28)
    model = rate_model(0.28, correlations=rho, votes_per_rater=20)
    found = plan(model, variance=half_width_variance(0.05), n_photos=80, votes_per_rater=20)
    assert found.n_raters is not None
    done: list[None] = []
    simulated = simulate_rate(
        0.28,
        correlations=rho,
        n_raters=found.n_raters,
        n_photos=80,
        votes_per_rater=20,
        n_studies=150,
        rng=np.random.default_rng(0),
        half_width=0.05,
        progress=lambda: done.append(None),
    )
    assert len(done) == simulated.n_studies == 150
    assert simulated.half_width == pytest.approx(0.05, rel=0.04)
    assert simulated.coverage == pytest.approx(0.95, abs=3.5 * simulated.monte_carlo_error)
    assert 0.3 < simulated.success < 0.8


def test_simulated_studies_confirm_the_planned_power() -> None:
    rho_a, rho_b = typical_correlations(0.4), typical_correlations(0.28)
    model = difference_model(0.4, 0.28, correlations_a=rho_a, correlations_b=rho_b, votes_per_rater=20)
    found = plan(model, variance=difference_variance(0.12), n_photos=60, votes_per_rater=20)
    assert found.n_raters is not None
    for is_within in (True, False):
        simulated = simulate_difference(
            0.4,
            0.28,
            correlations_a=rho_a,
            correlations_b=rho_b,
            n_raters=found.n_raters,
            n_photos=60,
            votes_per_rater=20,
            n_studies=150,
            rng=np.random.default_rng(0),
            is_within=is_within,
        )
        assert simulated.coverage == pytest.approx(0.95, abs=3.5 * simulated.monte_carlo_error)
        assert (simulated.success > 0.7) is is_within  # one method a session takes more raters


def test_simulated_studies_confirm_the_planned_equivalence() -> None:
    rho = typical_correlations(0.5)
    model = rate_model(0.5, correlations=rho, votes_per_rater=30)
    found = plan(model, variance=equivalence_variance(0.1), n_photos=70, votes_per_rater=30)
    assert found.n_raters is not None
    simulated = simulate_rate(
        0.5,
        correlations=rho,
        n_raters=found.n_raters,
        n_photos=70,
        votes_per_rater=30,
        n_studies=150,
        rng=np.random.default_rng(0),
        margin=0.1,
    )
    assert simulated.success == pytest.approx(0.8, abs=0.12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_raters": 9}, "9 raters and 40 photos give no interval"),
        ({"votes_per_rater": 41}, "41 pairs of a rater need as many photos, got 40"),
        ({"n_studies": 0}, "n_studies must be at least 1, got 0"),
        ({"correlations": Correlations(0.5, 0.45)}, r"0\.50 and 0\.45 at a rate of 0\.28 are too large to be sim"),
    ],
)
def test_simulations_that_make_no_study_are_refused(options: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "correlations": NINE,
        "n_raters": 20,
        "n_photos": 40,
        "votes_per_rater": 20,
        "n_studies": 1,
        "rng": np.random.default_rng(0),
    }
    with pytest.raises(ValueError, match=message):
        simulate_rate(0.28, **given | options)
