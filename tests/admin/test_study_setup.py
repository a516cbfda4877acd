"""A study is set up in one flow: each step is a page, and what is missing leads to where it is mended."""

import html
import io
import re
import zipfile
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from studies.models import Origin, Recruitment, Researcher, Study, StudySetup, StudyState
from studies.protocols import PRESETS
from studies.selectors.pictures import picture_read
from studies.selectors.setup import STEPS, question_default, steps_get, votes_per_rater
from studies.selectors.studies import PROTOCOL, design_get
from studies.services.setup import protocol_apply, step_done
from studies.services.studies import ConditionSpec, conditions_replace, study_create
from tests.admin.test_study_settings import address, conditions_form, protocol_form
from tests.admin.test_study_steps import primary_of
from tests.factories import make_photo_set, make_picture, make_researcher, make_session, make_small_study, png_bytes

pytestmark = pytest.mark.django_db


def shown(client: Client, name: str, study: Study) -> str:
    """Return the words of a page."""
    return html.unescape(client.get(address(name, study)).content.decode())


def stops_of(page: str) -> dict[str, str]:
    """Return what the stepper says of each step."""
    found = re.findall(r'rp-stop-(done|missing|open)">.*?<span class="rp-stop-label">(\w+)</span>', page, re.DOTALL)
    return {label.lower(): state for state, label in found}


def zip_of(count: int) -> SimpleUploadedFile:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for i in range(count):
            archive.writestr(f"room-{i}.png", png_bytes(make_picture(seed=900 + i)))
        archive.writestr("broken.png", b"no picture")
    return SimpleUploadedFile("rooms.zip", file.getvalue(), "application/zip")


def test_new_study_takes_a_zip_along_and_says_what_became_of_it(
    client: Client, researcher: Researcher, django_capture_on_commit_callbacks: Any
) -> None:
    make_photo_set(owner=researcher, name="Rooms", photos=0)
    form = {"title": "Rooms", "slug": "rooms", "seed": 0, "high_res_size": 32, "low_res_size": 8, "cropping": "centre"}
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(reverse("admin:studies_study_add"), form | {"photos": zip_of(3)})
    study = Study.objects.get()
    assert response.headers["Location"] == address("photos", study)
    assert (study.photo_set.name, study.photo_set.photos.count()) == ("Rooms, 2", 3)
    page = shown(client, "photos", study)
    assert "3 pictures added" in page
    assert '"broken.png"' in page
    assert "A session shows 55 different photos" in page
    assert stops_of(page)["photos"] == "missing"


def test_photos_of_a_study_are_added_on_its_page(
    client: Client, researcher: Researcher, django_capture_on_commit_callbacks: Any
) -> None:
    study = make_small_study(owner=researcher, state=StudyState.DRAFT)
    upload = reverse("admin:studies_photoset_upload", args=[study.photo_set_id])
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(upload, {"study": study.pk, "photos": zip_of(1)})
    assert response.headers["Location"] == address("photos", study)
    assert "5 photos to be judged" in shown(client, "photos", study)


def test_each_step_leads_to_the_next_and_is_done_once_saved(client: Client, researcher: Researcher) -> None:
    study = make_small_study(owner=researcher, state=StudyState.DRAFT, spare_photos=16)
    page = shown(client, "photos", study)
    assert set(stops_of(page)) == set(STEPS)
    assert set(stops_of(page).values()) == {"open"}
    question = {"goal": "half_width", "half_width": 20, "rate": 25, "rater_spread": 0.8, "photo_spread": 0.8}
    plan = question | {"exclusion_rate": 10, "power": 80, "comparisons": 1}
    forms: dict[str, dict[str, Any]] = {
        "photos": {},
        "conditions": conditions_form(
            {"method": "bicubic", "role": "golden"}, {"method": "bicubic", "label": "Smooth"}
        ),
        "protocol": protocol_form(study),
        "recruitment": {"panel": "open", "window_minimum_px": 0, "withdrawal": "delete"},
        "plan": plan | {"pay_per_hour": "9.60", "currency": "EUR", "fee_percent": "0"},
    }
    for name, after in pairwise(STEPS):
        assert primary_of(shown(client, name, study)) == [f"Next: {after}"]
        response = client.post(address(name, study), forms[name] | {"next": "1"})
        assert response.status_code == 302, html.unescape(response.content.decode())
        assert response.headers["Location"] == address(after, study)
        study = Study.objects.get(pk=study.pk)
        assert stops_of(shown(client, after, study))[name] == "done"
    assert primary_of(shown(client, "check", study)) == ["Next: make the samples"]
    assert primary_of(shown(client, "change", study)) == ["Next: check"]


def test_saving_without_going_on_leads_to_the_study(client: Client, researcher: Researcher) -> None:
    study = make_small_study(owner=researcher, state=StudyState.DRAFT)
    response = client.post(address("protocol", study), protocol_form(study))
    assert response.headers["Location"] == address("change", study)
    assert [step.name for step in steps_get(study) if step.is_done] == ["protocol"]
    step_done(study=study, step="protocol")  # once more does no harm
    assert StudySetup.objects.get().steps_done == ["protocol"]


def test_check_says_what_is_missing_and_leads_there(client: Client, researcher: Researcher) -> None:
    study = make_small_study(owner=researcher, state=StudyState.DRAFT)
    other = make_photo_set(owner=researcher, photos=2, size=64)
    conditions_replace(
        study=study, conditions=[ConditionSpec("nearest_neighbour", bank=other), ConditionSpec("uploaded")]
    )
    Study.objects.filter(pk=study.pk).update(test_count=30)
    page = shown(client, "check", study)
    assert primary_of(page) == ["Next: mend the photos"]
    assert "add 28 or ask for fewer pairs" in page
    assert "has other sizes than the study's photos" in page
    assert "exactly one condition must have the role “golden”" in page
    uploaded = study.conditions.get(method="uploaded")
    assert reverse("admin:studies_study_pictures", args=[study.pk, uploaded.slug]) in page
    assert {name for name, state in stops_of(page).items() if state == "missing"} == {"photos", "conditions"}


def test_check_advises_without_standing_in_the_way(client: Client, researcher: Researcher) -> None:
    study = make_small_study(owner=researcher, state=StudyState.DRAFT, spare_photos=16)
    Recruitment.objects.create(study=study, panel="prolific")
    question = question_default(study).as_json() | {"target": 0.1}
    setup = StudySetup.objects.create(study=study, question=question)
    page = shown(client, "check", study)
    assert "no code of Prolific for who completes" in page
    assert "The plan that was saved takes" in page
    assert primary_of(page) == ["Next: make the samples"]
    setup.question = question | {"target": 0.01}
    setup.save()
    assert "no number of raters suffices for its goal" in shown(client, "check", study)
    setup.question = question | {"rate": 0.0}
    setup.save()
    assert "makes no sense any more" in shown(client, "check", study)


def test_check_adds_up_what_the_study_will_cost(client: Client, researcher: Researcher) -> None:
    study = make_small_study(owner=researcher, state=StudyState.DRAFT, raters_wanted=45)
    conditions_replace(
        study=study,
        conditions=[ConditionSpec("bicubic"), *(ConditionSpec("bicubic", role="test", label=name) for name in "ab")],
    )
    StudySetup.objects.create(study=study, pay_per_hour=Decimal("9.00"), currency="GBP", fee_percent=Decimal("33.3"))
    page = re.sub(r"<[^>]*>|\s+", " ", shown(client, "check", study))
    page = re.sub(r" +", " ", page)
    assert study.minutes == 1
    # A tenth is left out and paid all the same: 50 people for each of two methods, 15 pence a minute.
    assert "People paid 100, over 2 methods" in page
    assert "For each 0.15 GBP Pay 15.00 GBP Panel's fee 5.00 GBP" in page
    assert "20.00 GBP in all" in page


@pytest.mark.parametrize(
    ("layout", "places"), [("sequential", 2), ("input_between", 3), ("single", 1), ("simultaneous", 2)]
)
@pytest.mark.parametrize("state", [StudyState.DRAFT, StudyState.READY])
def test_trial_is_sent_as_raters_get_it_and_tells_no_side(
    client: Client, researcher: Researcher, layout: str, places: int, state: StudyState
) -> None:
    single = {"golden_count": 0} if layout == "single" else {}
    # The sides are drawn by the study's code: of this one, eight trials have their photo on either side.
    study = make_small_study(
        owner=researcher, state=state, layout=layout, spare_photos=6, code="both-sides-in-8-trials", **single
    )
    assert shown(client, "check", study).count("<canvas") == places
    door = address("trial", study)
    trials = [client.get(door, {"pair": number}) for number in range(8)]
    assert {len(trial.content) for trial in trials} == {places * 32 * 32 * 3}
    assert trials[0].content == client.get(door, {"pair": 0}).content
    assert all("no-store" in trial.headers["Cache-Control"] for trial in trials)
    photos = [picture_read(photo.high_res).tobytes() for photo in study.photo_set.photos.all()]
    firsts = [trial.content[: 32 * 32 * 3] in photos for trial in trials]
    if state == StudyState.READY:
        assert set(firsts) == {True, False}


def test_study_without_photos_has_no_trial_to_show(client: Client, researcher: Researcher) -> None:
    empty = make_photo_set(owner=researcher, photos=0)
    study = study_create(owner=researcher, title="Empty", slug="empty", photo_set=empty)
    assert "There are no photos yet" in shown(client, "check", study)
    assert client.get(address("trial", study)).headers["Location"] == address("change", study)
    assert "This makes no plan yet" in shown(client, "plan", study)


def test_ready_study_leads_to_its_opening_and_counts_previews(client: Client, researcher: Researcher) -> None:
    study = make_small_study(owner=researcher, state=StudyState.READY)
    page = shown(client, "check", study)
    assert primary_of(page) == ["Next: open the study"]
    assert "nobody has gone through a session yet" in page
    make_session(study, origin=Origin.PREVIEW)
    assert "1 session gone through; none of its votes count" in shown(client, "check", study)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (StudyState.DRAFT, "possible once the samples are there"),
        (StudyState.OPEN, "nobody has gone through a session yet"),
        (StudyState.CLOSED, "nobody went through a session beforehand"),
    ],
)
def test_check_says_what_is_true_of_a_preview(
    client: Client, researcher: Researcher, state: StudyState, words: str
) -> None:
    assert words in shown(client, "check", make_small_study(owner=researcher, state=state))


def test_open_study_has_pages_instead_of_steps(client: Client, researcher: Researcher) -> None:
    study = make_small_study(owner=researcher)
    page = shown(client, "protocol", study)
    assert stops_of(page) == {}
    assert f'href="{address("conditions", study)}"' in page
    assert primary_of(page) == []
    assert "this is what was planned" in shown(client, "plan", study)


@pytest.mark.parametrize("name", ["photos", "plan", "plan_answer", "check", "trial"])
def test_pages_of_others_do_not_exist(client: Client, name: str) -> None:
    study = make_small_study(owner=make_researcher(), state=StudyState.DRAFT)
    assert client.get(address(name, study)).status_code == 404


# --- Protocols ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", list(PRESETS))
def test_draft_that_takes_a_protocol_is_as_if_made_from_it(researcher: Researcher, preset: str) -> None:
    photo_set = make_photo_set(owner=researcher, photos=1)
    fresh = study_create(owner=researcher, title="A", slug="a", photo_set=photo_set, preset=preset)
    study = study_create(owner=researcher, title="B", slug="b", photo_set=photo_set, preset="founding")
    for name, value in {"practice_pass": 4, "side_bias_p": 0.001, "run_limit": 15, "fast_ms": 200}.items():
        setattr(study, name, value)
    study.save()
    protocol_apply(study=study, preset=preset)
    study = Study.objects.get(pk=study.pk)
    assert {name: getattr(study, name) for name in PROTOCOL} == {name: getattr(fresh, name) for name in PROTOCOL}
    assert design_get(study)["exclusions"] == design_get(fresh)["exclusions"]
    assert study.title == "B"


def test_protocol_is_taken_on_its_page_and_stands_in_the_log(client: Client, researcher: Researcher) -> None:
    study = make_small_study(owner=researcher, state=StudyState.DRAFT)
    page = client.post(address("preset", study), {"preset": "side_by_side"}, follow=True).content.decode()
    assert "The settings are now those of “Side by side, without limit”." in page
    study.refresh_from_db()
    assert (study.preset, study.layout, study.exposure_ms) == ("side_by_side", "simultaneous", 0)
    assert "Changed the protocol." in [event.sentence for event in study.events.all()]


def test_frozen_study_takes_no_other_protocol(client: Client, researcher: Researcher) -> None:
    study = make_small_study(owner=researcher)
    page = client.post(address("preset", study), {"preset": "side_by_side"}, follow=True).content.decode()
    assert "frozen since it was opened" in page
    study.refresh_from_db()
    assert study.preset == "founding"


# --- The plan -------------------------------------------------------------------------------------------------------


def test_votes_of_a_plan_follow_from_the_protocol(researcher: Researcher) -> None:
    study = make_small_study(owner=researcher, state=StudyState.DRAFT, test_count=40)
    assert (votes_per_rater(study), question_default(study).is_within) == (40, False)
    study.assignment = "mixed"
    conditions_replace(
        study=study,
        conditions=[ConditionSpec("bicubic"), *(ConditionSpec("bicubic", role="test", label=x) for x in "abc")],
    )
    study.assignment = "mixed"
    assert (votes_per_rater(study), question_default(study).is_within) == (13, True)
    study.layout = "single"
    assert votes_per_rater(study) == 6
