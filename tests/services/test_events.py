"""Everything done to a study stands in its log: from every door, with what changed, and for good."""

import csv
import io
import re
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse

from studies.errors import LogIsAppendOnly
from studies.models import About, Change, Origin, Recruitment, Saw, Study, StudyEvent, StudyState
from studies.selectors.events import EVENT_COLUMNS, events_rows
from studies.selectors.studies import design_json
from studies.services.designs import design_import, study_clone
from studies.services.events import acting_as, changes_between, event_record
from studies.services.looks import look_record
from studies.services.recruitment import recruitment_change
from studies.services.studies import ConditionSpec, conditions_replace, settings_change, study_delete
from tests.factories import make_open_study, make_researcher, make_small_study

pytestmark = pytest.mark.django_db


def log_of(study: Study) -> list[tuple[str, str]]:
    return list(StudyEvent.objects.filter(study_id=study.pk).values_list("who", "sentence"))


def test_life_of_a_study_is_recorded_by_the_services_alone() -> None:
    with acting_as(lambda: "ada"):
        study = make_small_study(state=StudyState.CLOSED)
    assert log_of(study) == [
        ("ada", "Made the study from the protocol “founding”."),
        ("ada", "Changed the conditions."),
        ("ada", "Changed the conditions."),
        ("ada", "Started the preparation of the samples."),
        ("worker", "Finished the preparation."),
        ("ada", "Opened the study and froze its design."),
        ("ada", "Closed the study."),
    ]
    opened = study.events.get(sentence__startswith="Opened")
    assert opened.changed == [Change("State", "ready", "open"), Change("Design SHA-256", None, study.design_sha256)]


def test_settings_and_conditions_are_recorded_with_both_values_and_only_where_they_differ() -> None:
    study = make_small_study(state=StudyState.DRAFT)
    study.gap_ms, study.consent_text = 700, "Agree?"
    before = Study.objects.get(pk=study.pk).consent_text
    settings_change(study=study, fields=["gap_ms", "lead_in_ms", "consent_text"])
    settings_change(study=study, fields=["gap_ms"])
    (event,) = study.events.filter(about=About.SETTINGS)
    assert event.changed == [Change("Gap, ms", 600, 700), Change("Consent text", before, "Agree?")]
    conditions_replace(study=study, conditions=[ConditionSpec("bicubic", role="test", label="Smooth")])
    (*_, event) = study.events.filter(about=About.CONDITIONS)
    assert event.changed == [
        Change("Smooth", "2. test bicubic", "1. test bicubic"),
        Change("Bicubic", "1. golden bicubic", None),
    ]


def test_clones_imports_looks_recruitment_and_deletion_are_recorded() -> None:
    study = make_open_study()
    look_record(study=study, who="ada", saw=Saw.RATES, shown="table as CSV", origin=Origin.PERSON)
    assert log_of(study)[-1] == ("command line", "Saw results before the end: table as CSV.")
    clone = study_clone(study=study, owner=study.owner, title="Again", slug="again")
    assert log_of(clone) == [("command line", f"Cloned the study from “{study.slug}”.")]
    came = design_import(data=design_json(study).encode(), owner=study.owner, photo_set=study.photo_set, slug="third")
    first = came.events.earliest("pk")
    assert (first.sentence, first.changed[0].after) == (
        "Made the study from an imported design.",
        came.imported_sha256,
    )
    recruitment_change(recruitment=Recruitment(study=clone, panel="prolific", exits={"completed": "C1"}))
    assert clone.events.get(about=About.RECRUITMENT).changed == [
        Change("Panel", "open", "prolific"),
        Change("Exit completed", None, "C1"),
    ]
    key = clone.pk
    study_delete(study=clone)
    assert StudyEvent.objects.filter(study_id=key, study_slug="again").last().sentence == "Deleted the draft “Again”."  # type: ignore[union-attr] # there is one


def test_each_door_says_who_acts() -> None:
    researcher = make_researcher()
    study = make_small_study(owner=researcher, state=StudyState.READY)
    client = Client()
    client.force_login(researcher)
    client.post(reverse("admin:studies_study_open", args=[study.pk]))
    client.post(reverse("admin:studies_study_pause", args=[study.pk]))
    assert {who for who, _ in log_of(study)[-2:]} == {researcher.username}
    heir = make_researcher()
    researcher.studies.update(owner=heir)
    researcher.photo_sets.update(owner=heir)
    researcher.delete()
    assert {who for who, _ in log_of(study)[-2:]} == {researcher.username}


def test_a_visit_that_records_nothing_reads_no_cookie() -> None:
    study = make_small_study()
    response = Client().get(reverse("studies:entry", args=[study.code]))
    assert "Cookie" not in response.headers.get("Vary", "")


def test_what_is_undone_is_not_in_the_log() -> None:
    study = make_small_study(state=StudyState.DRAFT)
    before = study.events.count()
    with transaction.atomic():
        event_record(study=study, about=About.OTHER, sentence="Did something.")
        transaction.set_rollback(True)
    assert study.events.count() == before


def test_nothing_in_the_log_can_be_changed_through_django() -> None:
    event = make_small_study(state=StudyState.DRAFT).events.earliest("pk")
    event.sentence = "Another one."
    for change in (event.save, event.delete, StudyEvent.objects.all().delete):
        with pytest.raises(LogIsAppendOnly):
            change()
    with pytest.raises(LogIsAppendOnly):
        StudyEvent.objects.update(who="nobody")


@pytest.mark.parametrize(
    "statement", ["UPDATE studies_studyevent SET who = 'nobody'", "DELETE FROM studies_studyevent"]
)
def test_nothing_in_the_log_can_be_changed_past_django(statement: str) -> None:
    make_small_study(state=StudyState.DRAFT)
    with pytest.raises(DatabaseError, match="only added to"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_changes_name_what_came_what_went_and_what_became_another() -> None:
    changes = changes_between({"kept": 1, "gone": 2, "other": 3}, {"kept": 1, "other": 4, "new": 5})
    assert changes == [Change("other", 3, 4), Change("new", None, 5), Change("gone", 2, None)]


def test_log_leaves_as_csv_with_a_row_for_each_change() -> None:
    study = make_small_study(state=StudyState.DRAFT)
    change = [Change("Gap, ms", 600, 700), Change("Text", "", "a\nb")]
    event_record(study=study, about=About.SETTINGS, sentence="Changed the protocol.", changes=change)
    client = Client()
    client.force_login(study.owner)
    sent = client.get(reverse("admin:studies_study_events", args=[study.pk]))
    text = b"".join(sent.streaming_content).decode()  # type: ignore[attr-defined] # it streams
    rows = list(csv.reader(io.StringIO(text)))
    assert rows == list(events_rows(study))
    assert rows[0] == list(EVENT_COLUMNS)
    assert [row[1:] for row in rows[-2:]] == [
        ["command line", "settings", "Changed the protocol.", "Gap, ms", "600", "700"],
        ["command line", "settings", "Changed the protocol.", "Text", "", "a\nb"],
    ]


def test_columns_of_the_log_are_documented() -> None:
    text = Path("docs/export-schema.md").read_text().split("## The log as CSV")[1]
    named = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE)
    assert re.findall(r"\w+", " ".join(named)) == list(EVENT_COLUMNS)


def test_history_can_be_narrowed_and_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.admin.study_history.EVENTS_PER_PAGE", 2)
    study = make_small_study(state=StudyState.PAUSED)
    client = Client()
    client.force_login(study.owner)
    page = reverse("admin:studies_study_history", args=[study.pk])
    first = client.get(page).content.decode()
    assert "Paused the study" in first
    assert "Made the study" not in first
    assert "Made the study" in client.get(page + "?page=99").content.decode()
    steps = client.get(page + "?about=made").content.decode()
    assert "Made the study" in steps
    assert "Paused the study" not in steps
