"""A study goes from draft to closed by the buttons of its page."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from kombu.exceptions import OperationalError

from studies.models import About, Origin, RatingSession, Researcher, Study, StudyState
from studies.services.studies import ConditionSpec
from tests.factories import make_session, make_study

pytestmark = pytest.mark.django_db

#: Runs what waits for the end of a transaction, as the request's own would.
Committing = Callable[..., Any]


def address(name: str, study: Study) -> str:
    return reverse(f"admin:studies_study_{name}", args=[study.pk])


def take(client: Client, name: str, study: Study) -> str:
    """Press a step's button; return the page that follows."""
    response = client.post(address(name, study), follow=True)
    assert response.status_code == 200
    study.refresh_from_db()
    return response.content.decode()


def primary_of(page: str) -> list[str]:
    """Return the words on the primary buttons of a page."""
    return [
        re.sub(r"<[^>]*>|\s+", " ", words).strip()
        for words in re.findall(r'rp-button-primary"[^>]*>(.*?)</(?:a|button)>', page, re.DOTALL)
    ]


def test_study_goes_all_the_way(
    client: Client, researcher: Researcher, django_capture_on_commit_callbacks: Committing
) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    page = client.get(address("change", study)).content.decode()
    assert primary_of(page) == ["Next: photos"]
    assert primary_of(client.get(address("check", study)).content.decode()) == ["Next: make the samples"]

    with django_capture_on_commit_callbacks(execute=True):
        take(client, "prepare", study)
    study.refresh_from_db()
    page = client.get(address("change", study)).content.decode()
    assert (study.state, primary_of(page)) == ("ready", ["Open the study"])

    confirmation = client.get(address("open", study)).content.decode()
    assert "frozen for good" in confirmation
    (sha256,) = re.findall(r"\b[0-9a-f]{64}\b", confirmation)
    page = take(client, "open", study)
    assert (study.state, primary_of(page)) == ("open", ["Copy the link for raters"])
    assert study.design_sha256 == sha256  # what was shown is what was frozen
    assert sha256 in page
    assert f"http://testserver/s/{study.code}/" in page

    assert primary_of(take(client, "pause", study)) == ["Take raters again"]
    take(client, "resume", study)
    assert study.state == "open"
    assert "ends for good" in client.get(address("close", study)).content.decode()
    assert primary_of(take(client, "close", study)) == ["See results"]
    assert study.state == "closed"

    events = [(event.who, event.sentence) for event in study.events.filter(about=About.STEP)]
    assert events.pop(1) == ("worker", "Finished the preparation.")
    assert {who for who, _ in events} == {researcher.username}
    assert [sentence for _, sentence in events] == [
        "Started the preparation of the samples.",
        "Opened the study and froze its design.",
        "Paused the study: nobody new can start, and those under way may finish.",
        "Opened the study to raters again.",
        "Closed the study.",
    ]


def test_back_to_draft_asks_first(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.READY)
    assert "votes of previews are deleted" in client.get(address("reopen", study)).content.decode()
    take(client, "reopen", study)
    assert study.state == "draft"


@pytest.mark.parametrize("name", ["prepare", "resume"])
def test_no_step_is_taken_by_following_a_link(client: Client, researcher: Researcher, name: str) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    assert client.get(address(name, study)).status_code == 405


@pytest.mark.parametrize("name", ["open", "pause", "close", "reopen"])
def test_asking_changes_nothing(client: Client, researcher: Researcher, name: str) -> None:
    study = make_study(owner=researcher, state=StudyState.READY)
    assert client.get(address(name, study)).status_code == 200
    study.refresh_from_db()
    assert study.state == "ready"


@pytest.mark.parametrize("name", ["prepare", "open", "close", "reopen", "pause", "resume"])
def test_forged_form_is_refused(researcher: Researcher, name: str) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    client = Client(enforce_csrf_checks=True)
    client.force_login(researcher)
    assert client.post(address(name, study)).status_code == 403


@pytest.mark.parametrize(
    ("state", "name"),
    [("draft", "open"), ("ready", "pause"), ("open", "reopen"), ("closed", "resume"), ("ready", "close")],
)
def test_step_out_of_turn_is_a_message(client: Client, researcher: Researcher, state: StudyState, name: str) -> None:
    study = make_study(owner=researcher, state=StudyState(state))
    events = study.events.count()
    page = take(client, name, study)
    assert 'class="error"' in page
    assert study.state == state
    assert events == study.events.count()


def test_draft_says_what_is_missing_and_leads_there(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT, conditions=[ConditionSpec("bicubic")])
    page = client.get(address("change", study)).content.decode()
    assert "No condition is tested" in page
    assert primary_of(page) == ["Edit conditions"]
    assert "No condition is tested" in take(client, "prepare", study)
    assert study.state == "draft"


def test_too_few_photos_lead_to_the_photo_set(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT, spare_photos=0)
    Study.objects.filter(pk=study.pk).update(test_count=30)
    page = client.get(address("change", study)).content.decode()
    assert primary_of(page) == ["Add photos"]
    assert "add 26 or ask for fewer pairs" in page


def test_ready_study_that_cannot_open_leads_back(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.READY)
    Study.objects.filter(pk=study.pk).update(test_count=30)
    page = client.get(address("change", study)).content.decode()
    assert primary_of(page) == ["Back to draft"]
    assert "Open the study" not in primary_of(client.get(address("open", study)).content.decode())
    take(client, "open", study)
    assert study.state == "ready"


def test_failed_samples_show_their_reason_once_and_run_again(
    client: Client,
    researcher: Researcher,
    django_capture_on_commit_callbacks: Committing,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    monkeypatch.setattr("studies.methods.checkpoints_folder", lambda: tmp_path)
    study = make_study(
        owner=researcher,
        state=StudyState.DRAFT,
        conditions=[ConditionSpec("bicubic"), ConditionSpec("regression")],
    )
    with django_capture_on_commit_callbacks(execute=True):
        take(client, "prepare", study)
    page = client.get(address("change", study)).content.decode()
    assert study.state == "preparing"
    assert primary_of(page) == ["Run the failed ones again"]
    assert page.count("regression_small.safetensors") == 1
    payload = client.get(address("progress", study)).json()
    assert "9 failed" in " ".join(payload["texts"].values())

    # The researcher gives it up: back to draft, another method, and on.
    take(client, "reopen", study)
    page = client.get(address("check", study)).content.decode()
    assert primary_of(page) == ["Next: make the samples"]


def test_queue_that_cannot_be_reached_is_a_message(
    client: Client, researcher: Researcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_study_pk: int) -> None:
        raise OperationalError("connection refused")

    study = make_study(owner=researcher, state=StudyState.DRAFT)
    monkeypatch.setattr("studies.tasks.samples_plan.delay_on_commit", away)
    page = take(client, "prepare", study)
    assert "the queue of the workers cannot be reached" in page
    assert "begins by itself once a worker reaches it" in page


# --- What the page shows by itself ----------------------------------------------------------------------------------


def test_progress_tells_words_bars_and_when_to_reload(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.PREPARING)
    page = client.get(address("change", study)).content.decode()
    payload = client.get(address("progress", study)).json()
    assert payload["next_ms"] == 2000
    assert f'data-version="{payload["version"]}"' in page
    Study.objects.filter(pk=study.pk).update(state="draft")
    assert client.get(address("progress", study)).json()["version"] != payload["version"]


def test_live_counts_keep_people_simulated_raters_and_previews_apart(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, golden_count=1)
    make_session(study, origin=Origin.SIMULATED)
    make_session(study, origin=Origin.PREVIEW)
    page = client.get(address("change", study)).content.decode()
    assert "SIMULATED raters" in page
    assert "1 preview, kept apart" in page
    assert primary_of(page) == ["Copy the link for raters"]  # no person has finished
    make_session(study)
    page = client.get(address("change", study)).content.decode()
    assert primary_of(page) == ["See results"]
    person = RatingSession.objects.get(rater__origin=Origin.PERSON)
    texts = client.get(address("progress", study)).json()["texts"]
    assert texts[f"complete-person-{person.condition_id}"] == "1 of 40"


@pytest.mark.parametrize("state", [StudyState.READY, StudyState.OPEN, StudyState.PAUSED])
def test_preview_goes_through_the_raters_door_and_is_kept_apart(
    client: Client, researcher: Researcher, state: StudyState
) -> None:
    study = make_study(owner=researcher, state=state)
    assert address("preview", study) in client.get(address("change", study)).content.decode()
    response = client.get(address("preview", study))
    target = response.headers["Location"]
    assert target.startswith(f"/s/{study.code}/?origin=")
    rater = Client()
    assert rater.get(target).status_code == 200
    rater.post(target, {"agrees": "on"})
    assert list(RatingSession.objects.values_list("rater__origin", flat=True)) == ["preview"]
