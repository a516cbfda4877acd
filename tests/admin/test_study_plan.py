"""The planning page answers with a curve and in words, writes its number into a draft, and has the worker check it."""

import html
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from studies import tasks
from studies.models import PlanCheck, PlanCheckState, Researcher, Study, StudySetup, StudyState
from studies.selectors.setup import answer_saved
from studies.services.plan_checks import BATCH, check_begin, check_run
from studies.statistics.study_plan import PlanInvalid, PlanQuestion
from tests.admin.test_study_settings import address
from tests.factories import make_researcher, make_small_study

pytestmark = pytest.mark.django_db

PLANNER = reverse("admin:studies_study_planner")
ASKED: dict[str, Any] = {
    "goal": "half_width",
    "half_width": 3,
    "rate": 28,
    "n_photos": 200,
    "votes_per_rater": 40,
    "is_within": "one",
    "rater_spread": 0.8,
    "photo_spread": 0.8,
    "exclusion_rate": 10,
    "power": 80,
    "comparisons": 1,
}
SMALL = PlanQuestion(goal="half_width", target=0.12, rate=0.28, n_photos=20, votes_per_rater=10)
COST = {"pay_per_hour": "12", "currency": "USD", "fee_percent": "33"}


def words(page: bytes) -> str:
    """Return the words of a page, its spaces made one."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html.unescape(page.decode())))


def curve_of(page: bytes) -> str:
    found = re.search(r'class="rp-light"\s+src="([^"]+)"', page.decode())
    assert found
    return html.unescape(found[1])


def a_draft(researcher: Researcher) -> Study:
    return make_small_study(owner=researcher, state=StudyState.DRAFT, spare_photos=16)


def test_planner_answers_the_question_in_its_address_as_the_command_does(client: Client) -> None:
    answer = client.get(PLANNER, ASKED)
    said = words(answer.content)
    assert "A 95 % interval of 28 % ±3 points, for new raters and new images" in said
    assert "153 raters with 40 counted votes each on 200 photos" in said
    assert "170 to recruit" in said
    assert "With fewer than 77 photos no number of raters would suffice." in said
    assert "never gets below ±1.9 points" in said
    assert re.search(r"Photos Raters 100 398 200 153 400 117 1000 102", said)
    drawn = client.get(curve_of(answer.content))
    assert (drawn.status_code, drawn.headers["Content-Type"]) == (200, "image/svg+xml")
    assert b">153 raters" in drawn.content
    assert client.get(curve_of(answer.content) + "&theme=dark").content != drawn.content


def test_planner_starts_from_usual_numbers_and_says_what_will_stay_open(client: Client) -> None:
    said = words(client.get(PLANNER).content)
    assert "The study will tell" in said
    assert "that one is not shown does not make two methods alike" in said
    assert "Use this number" not in said


def test_what_is_typed_is_answered_without_a_page(client: Client) -> None:
    answer = client.get(
        reverse("admin:studies_study_planner_answer"), ASKED | {"goal": "difference", "against": 22, "is_within": "all"}
    )
    assert b"<html" not in answer.content
    assert "To show, with a chance of 80 %, that 28 % and 22 % differ" in words(answer.content)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"half_width": ""}, "Give the number that you want."),
        ({"half_width": 0}, "The half-width must lie between 0 and 50 points, got 0."),
        ({"rate": 100}, "The fool rate that is expected must lie between 0 and 100 %"),
        ({"rate": "much"}, "Enter a number."),
        ({"n_photos": 30}, "40 pairs a rater need as many photos, got 30"),
        ({"half_width": 0.5}, "No number of raters suffices"),
    ],
)
def test_numbers_that_make_no_plan_are_said_in_a_sentence(client: Client, change: Any, sentence: str) -> None:
    assert sentence in words(client.get(PLANNER, ASKED | change).content)


@pytest.mark.parametrize("change", [{"goal": "guess"}, {"rate": "x"}, {"rate": 1.5}, {"n_photos": ""}, {"power": None}])
def test_curve_of_no_question_is_not_found(client: Client, change: Any) -> None:
    asked = {name: value for name, value in (SMALL.as_json() | change).items() if value is not None}
    assert client.get(reverse("admin:studies_study_plan_curve"), asked).status_code == 404


def test_study_plans_with_its_own_photos_and_votes_and_takes_the_number(client: Client, researcher: Researcher) -> None:
    study = a_draft(researcher)
    typed = ASKED | COST | {"half_width": 15, "n_photos": 9_999, "votes_per_rater": 9}
    said = words(client.get(address("plan_answer", study), typed).content)
    found = re.search(r"(\d+) raters with 2 counted votes each on 19 photos", said)
    assert found
    assert "The protocol wants 40 now." in said
    assert "in all" in said
    response = client.post(address("plan", study), typed | {"use": "1"})
    assert response.headers["Location"] == address("plan", study)
    study.refresh_from_db()
    assert study.raters_wanted == int(found[1])
    assert "The protocol wants this number." in words(client.get(address("plan", study)).content)
    (change,) = study.events.latest("pk").changed
    assert (change.before, change.after) == (40, study.raters_wanted)


def test_saved_plan_follows_the_study(client: Client, researcher: Researcher) -> None:
    study = a_draft(researcher)
    client.post(address("plan", study), ASKED | COST | {"half_width": 15})
    study = Study.objects.get(pk=study.pk)
    saved = answer_saved(study)
    assert saved is not None
    assert saved.question.votes_per_rater == 2
    study.test_count = 8
    study.save()
    later = answer_saved(study)
    assert later is not None
    assert later.question.votes_per_rater == 8
    assert later.plan.n_raters is not None
    assert saved.plan.n_raters is not None
    assert later.plan.n_raters < saved.plan.n_raters


def test_wrong_cost_saves_nothing(client: Client, researcher: Researcher) -> None:
    study = a_draft(researcher)
    response = client.post(address("plan", study), ASKED | COST | {"half_width": 15, "currency": "euro", "use": "1"})
    assert response.status_code == 422
    assert not StudySetup.objects.exists()
    study.refresh_from_db()
    assert study.raters_wanted == 40


def test_ready_study_keeps_its_number(client: Client, researcher: Researcher) -> None:
    study = make_small_study(owner=researcher, state=StudyState.READY, spare_photos=16)
    page = client.post(address("plan", study), ASKED | COST | {"half_width": 15, "use": "1"}, follow=True)
    assert "take it back to draft" in words(page.content)
    study.refresh_from_db()
    assert study.raters_wanted == 40


# --- The check by simulation ----------------------------------------------------------------------------------------


def test_check_is_run_by_the_worker_and_told_on_the_page(
    client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    asked = ASKED | {"half_width": 12, "n_photos": 20, "votes_per_rater": 10}
    with django_capture_on_commit_callbacks():
        page = client.post(PLANNER, asked | {"simulate": "1"})
    check = PlanCheck.objects.get()
    progress = reverse("admin:studies_study_plan_check", args=[check.pk])
    waiting = client.get(page.headers["Location"].partition("#")[0])
    assert progress in waiting.content.decode()
    assert client.get(progress).json()["version"] == "waiting"
    PlanCheck.objects.update(studies_wanted=BATCH)
    tasks.plan_check(check.pk)
    payload = client.get(progress).json()
    assert (payload["version"], payload["texts"]) == ("done", {"simulated": str(BATCH)})
    said = words(client.get(page.headers["Location"].partition("#")[0]).content)
    assert f"In {BATCH} simulated studies the 95 % interval held the truth in" in said


def test_check_belongs_to_who_asked(client: Client) -> None:
    check = check_begin(owner=make_researcher(), question=SMALL)
    assert client.get(reverse("admin:studies_study_plan_check", args=[check.pk])).status_code == 404


def test_same_question_is_checked_once(researcher: Researcher) -> None:
    first = check_begin(owner=researcher, question=SMALL, studies=BATCH)
    assert check_begin(owner=researcher, question=SMALL, studies=BATCH) == first
    check_run(key=first.pk)
    before = PlanCheck.objects.values().get()
    check_run(key=first.pk)
    check_run(key=first.pk + 1)
    assert PlanCheck.objects.values().get() == before
    assert before["found"] is not None
    assert before["found"]["n_studies"] == BATCH


def test_check_ends_when_its_time_is_spent(researcher: Researcher) -> None:
    check = check_begin(owner=researcher, question=SMALL, studies=100 * BATCH)
    check_run(key=check.pk, longest_s=0)
    check.refresh_from_db()
    assert (check.state, check.studies_done) == (PlanCheckState.DONE, BATCH)


def test_check_that_cannot_be_made_says_why_and_may_be_asked_for_again(researcher: Researcher) -> None:
    beyond = PlanQuestion(goal="half_width", target=0.02, rate=0.28, n_photos=100)
    check = check_begin(owner=researcher, question=beyond)
    check_run(key=check.pk)
    check.refresh_from_db()
    assert (check.state, "take more photos" in check.reason) == (PlanCheckState.FAILED, True)
    assert check_begin(owner=researcher, question=beyond) != check
    with pytest.raises(PlanInvalid):
        check_begin(owner=researcher, question=PlanQuestion(goal="half_width", target=0, rate=0.28, n_photos=100))


def test_worker_that_starts_takes_up_checks_left_behind(researcher: Researcher) -> None:
    check = check_begin(owner=researcher, question=SMALL, studies=BATCH)
    PlanCheck.objects.update(state=PlanCheckState.RUNNING, studies_done=7)
    tasks.work_resume()
    check.refresh_from_db()
    assert (check.state, check.studies_done) == (PlanCheckState.DONE, BATCH)
