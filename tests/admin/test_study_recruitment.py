"""A researcher says how raters come and where each outcome leads: in any state, without touching the design."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from studies.models import Recruitment, Researcher, Study, StudyState
from studies.recruitment import Outcome
from tests.factories import make_small_study

pytestmark = pytest.mark.django_db


def address(study: Study) -> str:
    return reverse("admin:studies_study_recruitment", args=[study.pk])


def form_of(**changes: str) -> dict[str, str]:
    names = ("participant_parameter", "session_parameter", "study_parameter", "group")
    given = {"panel": "open", "window_minimum_px": "0", "withdrawal": "delete", "frame_origins": ""}
    return dict.fromkeys(names, "") | {f"exit_{outcome}": "" for outcome in Outcome} | given | changes


def test_study_starts_with_the_open_link(client: Client, researcher: Researcher) -> None:
    study = make_small_study(owner=researcher, state=StudyState.DRAFT)
    text = client.get(address(study)).content.decode()
    assert f'value="http://testserver{reverse("studies:entry", args=[study.code])}"' in text
    assert "Mechanical Turk" not in text
    assert not Recruitment.objects.exists()


def test_page_of_prolific_says_what_to_paste_where(client: Client, researcher: Researcher) -> None:
    study = make_small_study(owner=researcher, state=StudyState.DRAFT)
    response = client.post(address(study), form_of(panel="prolific", exit_completed=" C1ABC "), follow=True)
    text = response.content.decode()
    assert "?PROLIFIC_PID={{%PROLIFIC_PID%}}&amp;SESSION_ID={{%SESSION_ID%}}&amp;STUDY_ID={{%STUDY_ID%}}" in text
    assert "INCOMPATIBLE_DEVICE" in text
    history = " ".join(client.get(reverse("admin:studies_study_history", args=[study.pk])).content.decode().split())
    assert "Panel: <del>open</del> → <ins>prolific</ins>" in history
    assert "Exit completed: <del>nothing</del> → <ins>C1ABC</ins>" in history
    assert study.recruitment.exits == {"completed": "C1ABC"}


def test_codes_change_while_a_study_is_open_and_leave_its_design_as_it_is(
    client: Client, researcher: Researcher
) -> None:
    study = make_small_study(owner=researcher)
    design = (study.design, study.design_sha256)
    client.post(address(study), form_of(panel="prolific", exit_completed="C1"))
    client.post(address(study), form_of(panel="prolific", exit_completed="C2", exit_full="F1"))
    study.refresh_from_db()
    assert (study.design, study.design_sha256) == design
    assert study.recruitment.exits == {"completed": "C2", "full": "F1"}
    assert "PROLIFIC_PID" in client.get(reverse("admin:studies_study_change", args=[study.pk])).content.decode()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"exit_completed": "two words"}, "neither a code"),
        ({"exit_full": "http://x.example"}, "neither a code"),
        ({"sends_failed_attention": "on"}, "Give the code that sessions left out end with"),
        ({"exit_completed": "SAME", "exit_full": "SAME"}, "give this outcome another one"),
        ({"participant_parameter": "a", "session_parameter": "a"}, "stands for two ids"),
        ({"participant_parameter": "a&b"}, "letters, digits, dots, dashes"),
        ({"panel": "mturk"}, "Select a valid choice"),
        ({"panel": "nobody"}, "Select a valid choice"),
        ({"frame_origins": "https://a.example/x"}, "is no origin"),
        ({"frame_origins": "*"}, "is no origin"),
        ({"frame_origins": "https://a.example; script-src *"}, "is no origin"),
    ],
)
def test_setting_that_cannot_be_is_refused_at_its_field(
    client: Client, researcher: Researcher, changes: dict[str, str], sentence: str
) -> None:
    study = make_small_study(owner=researcher, state=StudyState.DRAFT)
    text = client.post(address(study), form_of(**{"panel": "generic"} | changes)).content.decode()
    assert "Nothing was saved" in text
    assert sentence in text
    assert not Recruitment.objects.exists()


def test_mechanical_turk_is_offered_where_an_operator_switched_it_on(
    client: Client, researcher: Researcher, settings: Any
) -> None:
    settings.MTURK = True
    study = make_small_study(owner=researcher, state=StudyState.DRAFT)
    text = client.post(address(study), form_of(panel="mturk"), follow=True).content.decode()
    assert "ExternalURL" in text


def test_what_raters_were_promised_stays_as_it_was_when_the_study_opened(
    client: Client, researcher: Researcher
) -> None:
    draft, opened = (make_small_study(owner=researcher, state=state) for state in (StudyState.DRAFT, StudyState.OPEN))
    origins = "https://a.example https://*.b.example:8443"
    changes = {"withdrawal": "keep", "window_minimum_px": "900", "shows_score": "on", "frame_origins": origins}
    for study in (draft, opened):
        client.post(address(study), form_of(**changes))
    kept = Recruitment.objects.order_by("pk").values_list("withdrawal", "window_minimum_px", "shows_score")
    assert list(kept) == [("keep", 900, True), ("delete", 0, True)]
    assert draft.recruitment.framed_by == origins.split()


def test_recruitment_of_others_is_not_to_be_seen(client: Client) -> None:
    assert client.get(address(make_small_study(state=StudyState.DRAFT))).status_code in {302, 404}
