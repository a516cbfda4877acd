"""The command that forgets panels' ids: by age, in one study or in all, and what it says."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from studies.models import PanelEntry, RatingSession, Recruitment, Response, Study
from studies.recruitment import Arrival
from studies.services.sessions import session_start
from tests.factories import answer_current, make_small_study

pytestmark = pytest.mark.django_db


def forget(*arguments: str) -> str:
    said = StringIO()
    call_command("panel_ids_delete", *arguments, stdout=said)
    return said.getvalue().strip()


def study_with(*ages: int) -> Study:
    """Make a study with a participant for each age in days."""
    study = make_small_study()
    Recruitment.objects.create(study=study, panel="prolific")
    for number, age in enumerate(ages):
        session = session_start(study=study, arrival=Arrival(f"pid{number}"))
        answer_current(session)
        came = timezone.now() - timedelta(days=age)
        PanelEntry.objects.filter(session=session).update(created_at=came)
    return study


def test_ids_older_than_so_many_days_go_and_answers_stay() -> None:
    first, second = study_with(100, 91, 1), study_with(200)
    assert (
        forget("--older-than", "90", "--study", first.slug)
        == f"Deleted the panel's ids of 2 participants of {first.slug}."
    )
    assert list(PanelEntry.objects.values_list("study", "participant")) == [(first.pk, "pid2"), (second.pk, "pid0")]
    assert forget("--older-than", "90") == "Deleted the panel's ids of 1 participant."
    assert forget("--older-than", "90") == "Deleted the panel's ids of 0 participants."
    assert forget("--older-than", "0") == "Deleted the panel's ids of 1 participant."
    assert not PanelEntry.objects.exists()
    assert (RatingSession.objects.count(), Response.objects.count()) == (4, 4)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--older-than", "-1"), "--older-than is -1; give a number of days, 0 or more."),
        ((), "--older-than"),
        (("--older-than", "1", "--study", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_deleted(arguments: tuple[str, ...], sentence: str) -> None:
    study_with(100)
    with pytest.raises(CommandError, match=sentence):
        forget(*arguments)
    assert PanelEntry.objects.count() == 1
