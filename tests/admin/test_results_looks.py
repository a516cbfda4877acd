"""While a study runs its results are hidden; whoever looks is recorded, and the report prints what holds for that."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from studies.models import Origin, Researcher, ResultsLook, Saw, Study
from studies.reports.methods_text import methods_paragraphs
from studies.selectors.looks import interval_get
from studies.selectors.results import result_table
from studies.selectors.studies import design_get
from studies.services.looks import look_record
from studies.services.studies import study_close
from tests.factories import make_crowd, make_open_study, make_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(researcher: Researcher) -> Study:
    """A running study that 12 people have finished, of 12 that were wanted."""
    study = make_open_study(owner=researcher, preset="founding_mixed", raters_wanted=12, spare_photos=8)
    make_crowd(study, raters=12)
    return study


def address(name: str, study: Study, *args: str) -> str:
    return reverse(f"admin:studies_study_{name}", args=[study.pk, *args])


def page_of(client: Client, study: Study) -> str:
    return re.sub(r"\s+", " ", client.get(address("results", study)).content.decode())


def test_running_study_shows_no_rate_until_it_is_asked_for(client: Client, study: Study) -> None:
    page = page_of(client, study)
    assert "% fooled" not in page
    assert "/figures/" not in page
    assert "Fool rates are not shown until the study is closed" in page
    assert "By the design, results stay hidden until the end." in page
    assert "Where the sessions went" in page
    assert not study.looks.exists()


def test_look_is_recorded_and_shows_the_interval_made_for_looking(
    client: Client, study: Study, researcher: Researcher
) -> None:
    page = client.post(address("results", study), follow=True).content.decode()
    assert "Confidence sequence: the interval that holds however often one looks" in page
    assert "two-way Wilson" not in page.split("Where the sessions went")[0].split("Confidence sequence")[1]
    (look,) = study.looks.all()
    assert (look.who, look.saw, look.shown) == (researcher.username, Saw.SEQUENCE, "live results")
    assert look.sessions == study.sessions.filter(state="complete").count()
    assert researcher.username in page[page.index("Who looked before the end") :]
    assert "% fooled" in page_of(client, study)  # the same look, not another one
    assert study.looks.count() == 1
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert "% fooled" not in page_of(client, study)


def test_one_persons_look_shows_nothing_to_another(client: Client, study: Study) -> None:
    look_record(study=study, who="somebody else", saw=Saw.SEQUENCE, shown="live results", origin=Origin.PERSON)
    assert "% fooled" not in page_of(client, study)


def test_files_with_rates_are_looks_at_rates(client: Client, study: Study) -> None:
    client.get(address("table", study, "json"))
    b"".join(client.get(address("responses", study)).streaming_content)  # type: ignore[attr-defined] # it streams
    client.get(address("figure", study, "fool-rates", "svg"))
    assert list(study.looks.values_list("saw", "shown")) == [
        ("rates", "table as JSON"),
        ("rates", "raw responses"),
        ("rates", "figure fool-rates"),
    ]
    study_close(study=study)
    page = page_of(client, study)
    assert "Print the confidence sequence, not the fixed intervals." in page
    assert "Results were looked at 3 times before the study closed" in page
    latex = client.get(address("table", study, "latex")).content.decode()
    assert "DO NOT QUOTE THESE INTERVALS. Fool rates were seen before the study closed" in latex
    assert "Confidence sequence" in latex


def test_study_that_nobody_looked_into_prints_the_fixed_interval(client: Client, study: Study) -> None:
    study_close(study=study)
    page = page_of(client, study)
    assert "nobody had seen a result that could have stopped it" in page
    assert "DO NOT QUOTE" not in page
    assert "Confidence sequence" not in page
    client.get(address("table", study, "json"))
    assert not study.looks.exists()  # after the closing nothing can be stopped any more
    table, interval = result_table(study), interval_get(study)
    assert table.caution == ""
    assert interval is not None
    assert interval.reason in methods_paragraphs(design_get(study), table=table, interval=interval)[-1]


def test_results_of_simulated_raters_are_no_secret(client: Client, researcher: Researcher) -> None:
    study = make_open_study(owner=researcher)
    make_session(study, origin=Origin.SIMULATED)
    assert "% fooled" in page_of(client, study)
    client.get(address("table", study, "json"))
    assert not study.looks.exists()
    assert result_table(study).caution == ""


def test_before_anybody_finished_there_is_nothing_to_look_at(client: Client, researcher: Researcher) -> None:
    page = page_of(client, make_open_study(owner=researcher))
    assert "Fool rates are not shown until the study is closed" in page
    assert "Show live results" not in page


def test_what_was_seen_is_one_of_two_things(study: Study) -> None:
    with pytest.raises(IntegrityError):
        ResultsLook.objects.create(study=study, who="x", saw="nothing", shown="x", sessions=0)
