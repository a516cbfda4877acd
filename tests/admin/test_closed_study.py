"""A closed study can be read everywhere and changed nowhere: every address of it that takes a form is tried."""

from typing import Any

import pytest
from django.contrib import admin
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms.models import model_to_dict
from django.test import Client
from django.urls import URLPattern, reverse

from studies.models import (
    Condition,
    Pair,
    Recruitment,
    Researcher,
    Response,
    ResultsLook,
    Sample,
    SampleUpload,
    Study,
    StudyState,
    Trial,
    UploadedPicture,
)
from studies.services.studies import ConditionSpec, study_close
from tests.factories import make_picture, make_session, make_small_study, png_bytes

pytestmark = pytest.mark.django_db

PLACES: dict[str, Any] = {
    "condition_slug": "smooth",
    "picture": 1,
    "format_name": "csv",
    "name": "fool-rates",
    "file_format": "svg",
    "section": "comparisons",
}
"""What stands in addresses besides the study's number."""
NOT_THE_STUDY = {"studies_study_clone", "studies_study_sharing"}
"""They make another study, or say who may read this one; its design and its votes stay all the same."""


def doors() -> list[URLPattern]:
    """Return every address of the admin that names a study."""
    patterns = admin.site.get_model_admin(Study).get_urls()
    found = [p for p in patterns if p.name and "object_id" in p.pattern.converters]
    return [p for p in found if p.name not in NOT_THE_STUDY]


def address(door: URLPattern, study: Study) -> str:
    places = {name: PLACES[name] for name in door.pattern.converters if name != "object_id"}
    return reverse(f"admin:{door.name}", kwargs={"object_id": study.pk} | places)


def everything(study: Study) -> list[Any]:
    """Return all rows that belong to a study."""
    of_study = (
        Condition.objects.filter(study=study),
        Sample.objects.filter(condition__study=study),
        Pair.objects.filter(study=study),
        Trial.objects.filter(session__study=study),
        Response.objects.filter(trial__session__study=study),
        SampleUpload.objects.filter(condition__study=study),
        UploadedPicture.objects.filter(condition__study=study),
        Recruitment.objects.filter(study=study),
        ResultsLook.objects.filter(study=study),
        study.sessions.all(),
        study.study_photos.all(),
        Study.objects.filter(pk=study.pk),
    )
    return [list(rows.order_by("pk").values()) for rows in of_study]


@pytest.fixture
def study(researcher: Researcher) -> Study:
    conditions = (ConditionSpec("bicubic"), ConditionSpec("bicubic", role="test", label="Smooth"))
    study = make_small_study(owner=researcher, state=StudyState.OPEN, conditions=conditions)
    make_session(study)
    make_session(study, answers=[True])
    study_close(study=study)
    return study


def payload(study: Study) -> dict[str, Any]:
    """Return a form that would change a draft in every way."""
    fields = {name: value for name, value in model_to_dict(study).items() if value is not None}
    condition = {"method": "bicubic", "role": "test", "label": "New", "ORDER": 1}
    return fields | {
        "title": "Another title",
        "question": "Another question?",
        "test_count": 3,
        "raters_wanted": 99,
        "panel": "prolific",
        "code_completed": "ABC",
        "form-TOTAL_FORMS": 1,
        "form-INITIAL_FORMS": 0,
        **{f"form-0-{name}": value for name, value in condition.items()},
        "pictures": SimpleUploadedFile("photo-000.png", png_bytes(make_picture())),
        "post": "yes",
    }


def test_there_are_doors_to_try() -> None:
    names = {door.name for door in doors()}
    assert {f"studies_study_{name}" for name in ("conditions", "protocol", "close", "open", "reopen", "live")} <= names


@pytest.mark.parametrize("door", doors(), ids=lambda door: door.name)
def test_no_form_changes_a_closed_study(
    client: Client, study: Study, door: URLPattern, django_capture_on_commit_callbacks: Any
) -> None:
    before = everything(study)
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(address(door, study), payload(study))
    assert response.status_code < 500
    assert everything(study) == before
