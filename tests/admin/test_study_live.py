"""The page to watch a running study by: no rate unless somebody asks, and one look however often it updates."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from studies.models import Origin, Researcher, Saw, Study, StudyState
from studies.services.studies import study_close
from tests.factories import make_crowd, make_open_study, make_researcher, make_session, make_small_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(researcher: Researcher) -> Study:
    """A running study that 12 people have finished, of 14 that are wanted."""
    study = make_open_study(
        owner=researcher, preset="founding_mixed", raters_wanted=14, test_count=6, golden_count=0, spare_photos=8
    )
    make_crowd(study, raters=12)
    return study


def address(study: Study, name: str = "live") -> str:
    return reverse(f"admin:studies_study_{name}", args=[study.pk])


def text_of(client: Client, study: Study, name: str = "live", query: str = "") -> str:
    response = client.get(address(study, name) + query)
    assert response.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.content.decode()))


def test_page_shows_how_the_study_fills_and_no_rate(client: Client, study: Study) -> None:
    assert "% fooled" not in text_of(client, study, "live_rates")
    for name in ("live", "live_parts"):
        page = text_of(client, study, name)
        counted = study.sessions.filter(state="complete").count()
        assert f"{counted} of 14 sessions complete" in page
        assert "All conditions" in page
        assert "Missed their exposure" in page
        assert "% fooled" not in page
    assert "Your look is kept with your name and the time" in text_of(client, study)
    assert not study.looks.exists()


def test_a_look_is_one_look_however_often_the_page_updates(
    client: Client, study: Study, researcher: Researcher
) -> None:
    client.post(address(study))
    for _ in range(3):
        assert "% fooled [95 %, at all times]" in text_of(client, study, "live_rates")
        client.post(address(study))
    assert "Peeking is safe with this interval" in text_of(client, study)
    (look,) = study.looks.all()
    assert (look.who, look.saw, look.shown) == (researcher.username, Saw.SEQUENCE, "live page")
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert "% fooled" not in text_of(client, study, "live_rates")
        client.post(address(study))
        assert "% fooled" in text_of(client, study, "live_rates")
    assert study.looks.count() == 2


def test_live_rates_are_those_of_the_results_page(client: Client, study: Study) -> None:
    client.post(address(study))
    rates = re.findall(r"\d+\.\d \[\d+\.\d, \d+\.\d\]", text_of(client, study))
    assert len(rates) == 2
    assert set(rates) <= set(re.findall(r"\d+\.\d \[\d+\.\d, \d+\.\d\]", text_of(client, study, "results")))


def test_a_look_is_only_for_who_took_it(client: Client, study: Study) -> None:
    client.post(address(study))
    other = Client()
    other.force_login(make_researcher(is_superuser=True))
    assert "% fooled" not in text_of(other, study, "live_rates")


def test_rates_follow_a_session_that_is_finished(client: Client, study: Study) -> None:
    client.post(address(study))
    before = text_of(client, study, "live_rates")
    assert text_of(client, study, "live_rates") == before
    make_session(study)
    assert text_of(client, study, "live_rates") != before


def test_rates_of_very_many_votes_come_after_the_page(
    client: Client, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studies.admin.study_live.VOTES_AT_ONCE", 10)
    client.post(address(study))
    page = client.get(address(study)).content.decode()
    assert "data-asks-now" in page
    assert "% fooled" not in page
    assert "% fooled" in text_of(client, study, "live_rates")


def test_closed_study_shows_how_it_ended_and_asks_for_nothing_more(client: Client, study: Study) -> None:
    study_close(study=study)
    page = client.get(address(study)).content.decode()
    assert 'data-next-ms="0"' in page
    assert "this is how it ended" in page
    client.post(address(study))
    assert not study.looks.exists()


def test_simulated_raters_are_watched_apart_and_need_no_look(client: Client, study: Study) -> None:
    for _ in range(3):
        make_session(study, origin=Origin.SIMULATED)
    page = text_of(client, study, query="?origin=simulated")
    assert "SIMULATED raters" in page
    assert "3 sessions complete" in page
    assert "% fooled" in page
    assert not study.looks.exists()
    assert client.get(address(study) + "?origin=preview").status_code == 302


def test_study_that_was_never_opened_has_nothing_to_watch(client: Client, researcher: Researcher) -> None:
    draft = make_small_study(owner=researcher, state=StudyState.DRAFT)
    assert "nothing to watch before the study is opened" in text_of(client, draft)
    assert address(draft) not in client.get(address(draft, "change")).content.decode().split("rp-tabs")[1]


def test_parts_take_few_queries(client: Client, study: Study, django_assert_max_num_queries: Any) -> None:
    client.post(address(study))
    client.get(address(study, "live_parts"))
    with django_assert_max_num_queries(20):
        client.get(address(study, "live_parts"))
