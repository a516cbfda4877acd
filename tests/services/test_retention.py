"""What need not be kept goes, and nothing else."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from studies.models import Bundle, Origin, PanelEntry, Rater, RatingSession, Recruitment, Response, StudyEvent, Trial
from studies.recruitment import Arrival
from studies.services.sessions import session_start
from tests.factories import answer_current, make_session, make_small_study

pytestmark = pytest.mark.django_db


def run(command: str, *arguments: str) -> str:
    said = StringIO()
    call_command(command, *arguments, stdout=said)
    return said.getvalue().strip()


@pytest.mark.parametrize("by", ["rater", "session", "completion code", "code", "participant"])
def test_rater_is_erased_with_all_that_they_left_and_others_stay(by: str) -> None:
    study = make_small_study()
    other = make_session(study)
    Recruitment.objects.create(study=study, panel="prolific")
    session = session_start(study=study, arrival=Arrival("pid7"))
    while not RatingSession.objects.get(pk=session.pk).completion_code:
        answer_current(session)
    session.refresh_from_db()
    answers, others = session.trials.count(), Response.objects.filter(trial__session=other).count()
    Bundle.objects.create(study=study, origin=Origin.PERSON, version="1")
    elsewhere = Bundle.objects.create(study=make_small_study(), origin=Origin.PERSON, version="1")
    words = {
        "rater": [str(session.rater)],
        "session": [str(session)],
        "completion code": [session.completion_code],
        "code": [session.code],
        "participant": ["--participant", "pid7"],
    }
    assert run("rater_erase", *words[by]) == f"Erased {session.rater} with {answers} answers."
    assert list(RatingSession.objects.all()) == [other]
    assert list(Rater.objects.all()) == [other.rater]
    assert Response.objects.count() == others
    assert not Trial.objects.exclude(session=other).exists()
    assert not PanelEntry.objects.exists()
    assert Bundle.objects.get() == elsewhere
    event = StudyEvent.objects.filter(sentence__startswith="Erased").get()
    assert event.sentence == f"Erased a rater with {answers} answers, as asked for."
    assert "pid7" not in str(event.changes)


@pytest.mark.parametrize(
    "arguments", [("rater-999",), ("session-x",), ("NOTACODE",), ("rater-",), ("--participant", "nobody")]
)
def test_nobody_is_erased_by_a_word_that_names_nobody(arguments: tuple[str, ...]) -> None:
    session = make_session(make_small_study())
    with pytest.raises(CommandError, match=r"names no rater|Nobody came"):
        run("rater_erase", *arguments)
    assert RatingSession.objects.get() == session


def test_leftovers_go_by_age_and_answers_stay() -> None:
    study = make_small_study()
    old = timezone.now() - timedelta(days=100)
    answered, unanswered, young = (session_start(study=study) for _ in range(3))
    answer_current(answered)
    preview = session_start(study=study, origin=Origin.PREVIEW)
    answer_current(preview)
    finished = make_session(study)
    RatingSession.objects.exclude(pk=young.pk).update(started_at=old)
    said = run("leftovers_delete", "--older-than", "90")
    assert said == "Deleted previews: 1, sessions without an answer: 1, expired sign-ins: 0."
    assert set(RatingSession.objects.all()) == {answered, young, finished}
    assert Rater.objects.count() == 3
    assert not RatingSession.objects.filter(pk__in=[unanswered.pk, preview.pk]).exists()
    assert run("leftovers_delete", "--older-than", "90").startswith(
        "Deleted previews: 0, sessions without an answer: 0"
    )
    with pytest.raises(CommandError, match="--older-than is 0; give"):
        run("leftovers_delete", "--older-than", "0")
