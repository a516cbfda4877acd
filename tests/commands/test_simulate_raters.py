"""Simulated raters vote through the real doors, and the table finds the rates they were made with."""

import io
import random
from itertools import combinations, count
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from studies.management.commands import simulate_raters
from studies.models import Origin, Rater, Response
from studies.selectors.results import result_table, summaries_get
from studies.services.studies import study_pause
from tests import factories
from tests.factories import make_open_study

RATES = {"nearest-neighbour": 0.4, "smooth": 0.1}


def simulate(study: Any, url: str, **options: Any) -> str:
    out = io.StringIO()
    rates = [f"{slug}={rate}" for slug, rate in RATES.items()]
    call_command("simulate_raters", study.slug, url=url, rate=rates, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def same_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the same pictures and draw the same plans in every run, so that nothing is left to chance.

    For that raters come one after the other, and where photos have effects of their own, their numbers begin at 1.
    """
    monkeypatch.setattr("secrets.randbits", random.Random(1).getrandbits)
    monkeypatch.setattr(factories, "_serial", count(1))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, reset_sequences=True)
@pytest.mark.usefixtures("same_plans")
def test_raters_through_http_give_intervals_that_cover_their_rates(live_server: Any) -> None:
    study = make_open_study(
        preset="founding_mixed", practice_count=2, test_count=40, golden_count=5, golden_misses_allowed=4
    )
    said = simulate(study, live_server.url, raters=16, at_once=1)
    assert "16 simulated raters voted" in said
    assert set(Rater.objects.values_list("origin", flat=True)) == {Origin.SIMULATED}
    assert Response.objects.count() == 16 * 47
    rows = {row.condition: row for row in result_table(study, alpha=0.001).rows if row.role == "test"}
    assert set(rows) == set(RATES)
    for slug, rate in RATES.items():
        row = rows[slug]
        assert row.n_raters == 16
        assert row.n_responses == 320
        assert row.ci_low is not None
        assert row.ci_high is not None
        assert row.ci_low < rate < row.ci_high
        assert row.ci_high - row.ci_low < 0.45


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("same_plans")
def test_pictures_alone_are_judged_at_the_rates_of_samples_and_of_photos(live_server: Any) -> None:
    study = make_open_study(
        preset="hype_infinity", assignment="mixed", practice_count=2, test_count=40, golden_count=0, spare_photos=0
    )
    said = simulate(study, live_server.url, raters=3, spread=0.0, photo_errors=0.9, at_once=1)
    assert "photos taken for samples at 90.0 %" in said
    for one in summaries_get(study, result_table(study)):
        assert one.single is not None
        assert (one.single.samples.n_responses, one.single.photos.n_responses) == (30, 30)
        assert abs(one.single.samples.rate - RATES[one.condition]) < 0.36  # four standard deviations
        assert abs(one.single.photos.rate - 0.9) < 0.22
    with pytest.raises(CommandError, match="--photo-errors must lie between 0 and 1, not 1"):
        simulate(study, live_server.url, raters=1, photo_errors=1.0)


@pytest.mark.django_db(transaction=True)
def test_a_site_that_is_not_there_is_said() -> None:
    study = make_open_study()
    with pytest.raises(CommandError, match=r"cannot be reached .* start it, or give its --url"):
        simulate(study, "http://127.0.0.1:9", raters=1)


@pytest.mark.django_db(transaction=True)
def test_a_study_that_is_not_open_is_said(live_server: Any) -> None:
    study = make_open_study()
    study_pause(study=study)
    with pytest.raises(CommandError, match="is paused: only an open one takes raters"):
        simulate(study, live_server.url, raters=1)


@pytest.mark.django_db(transaction=True)
def test_a_site_that_refuses_is_said(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_open_study()
    monkeypatch.setattr(simulate_raters, "origin_sign", lambda **_: "forged")
    with pytest.raises(CommandError, match=r"refused a simulated rater: GET /s/.*/ gave 403"):
        simulate(study, live_server.url, raters=1)


@pytest.mark.django_db(transaction=True)
def test_raters_added_later_answer_by_random_numbers_of_their_own(live_server: Any) -> None:
    study = make_open_study()
    simulate(study, live_server.url, raters=2)
    simulate(study, live_server.url, raters=1)
    times = [
        list(
            Response.objects.filter(trial__session=session).order_by("trial__position").values_list("rt_ms", flat=True)
        )
        for session in study.sessions.order_by("pk")
    ]
    assert len(times) == 3
    assert all(one != other for one, other in combinations(times, 2))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("same_plans")
def test_a_staircase_finds_the_exposures_at_which_simulated_raters_tell_three_in_four(live_server: Any) -> None:
    study = make_open_study(
        preset="hype_time", practice_count=0, test_count=80, golden_count=0, staircase_blocks=1, raters_wanted=20
    )
    given = {"nearest-neighbour": 700.0, "smooth": 250.0}
    out = io.StringIO()
    options = {"threshold": [f"{slug}={ms}" for slug, ms in given.items()], "spread": 0.0, "at_once": 1, "stdout": out}
    call_command("simulate_raters", study.slug, url=live_server.url, raters=6, **options)
    assert "told three of four pictures after nearest-neighbour 700 ms, smooth 250 ms" in out.getvalue()
    table = result_table(study)
    found = {one.condition: one.exposure for one in summaries_get(study, table)}
    for slug, threshold_ms in given.items():
        score = found[slug]
        assert score is not None
        assert (score.n_raters, score.n_blocks, score.n_responses) == (3, 3, 240)
        assert abs(score.score_ms - threshold_ms) < 170  # a block of 80 moves by some 90 ms; the mean of three, less
    for bad, words in (("smooth=0", "more than 0 ms, not 0"), ("rough=1", "no tested condition 'rough'")):
        with pytest.raises(CommandError, match=words):
            call_command("simulate_raters", study.slug, url=live_server.url, raters=1, threshold=[bad])
    with pytest.raises(CommandError, match="a number of ms, not 'x'"):
        call_command("simulate_raters", study.slug, url=live_server.url, raters=1, threshold=["smooth=x"])
