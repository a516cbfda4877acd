"""A participant of a panel in a real browser: comes, answers, is told how they did, goes back; or leaves on the way."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, expect

from studies.models import RatingSession, Recruitment, SessionState
from studies.recruitment import Arrival
from studies.selectors.recruitment import HandIns, arrivals_get, hand_ins_get
from studies.services.sessions import session_start
from tests.browser import rater
from tests.factories import answer_current, make_small_study

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DESK: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "color_scheme": "dark",
    "is_mobile": True,
    "has_touch": True,
}
EXITS = {"completed": "DONE1", "no_consent": "NO1", "wrong_device": "DEV1", "failed_practice": "PRAC1"}


def assert_accessible(page: Page) -> None:
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def assert_accessible_everywhere(page: Page) -> None:
    """Look at a page at both sizes, light and dark; ends as it began, at a desk."""
    for screen in (PHONE, DESK):
        page.set_viewport_size(screen["viewport"])
        page.emulate_media(color_scheme=screen["color_scheme"], reduced_motion="reduce")
        assert_accessible(page)


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_participant_comes_from_a_panel_and_goes_back(
    open_context: Callable[..., BrowserContext], screen: dict[str, Any], page_errors: list[str]
) -> None:
    study = make_small_study(practice_count=0, test_count=4, golden_count=0, lead_in_ms=100, exposure_ms=50, gap_ms=0)
    Recruitment.objects.create(study=study, panel="prolific", exits=EXITS, shows_score=True, shows_pairs=True)
    page = open_context(**screen).new_page()
    entrance = reverse("studies:entry", args=[study.code])
    page.goto(f"{entrance}?PROLIFIC_PID=pid1&SESSION_ID=sub1&STUDY_ID=st1")
    assert_accessible(page)
    page.reload()  # counts no second time
    expect(page.get_by_label("I have read this")).to_be_visible()
    page.get_by_label("I have read this").check()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", name="How it works")).to_be_visible()
    expect(page.get_by_role("link", name="Withdraw from this study")).to_be_visible()
    assert_accessible(page)
    page.locator('[data-panel="instructions"] [data-go]').click()
    for _ in range(4):
        rater.wait_for_choice(page)
        expect(page.get_by_role("link", name="Withdraw from this study")).to_be_hidden()
        page.keyboard.press("1")
    expect(page.locator("#code")).to_have_text("DONE1")
    page.get_by_role("button", name="Stay on this page").click()
    expect(page.get_by_role("button", name="Stay on this page")).to_be_hidden()
    finish = page.get_by_role("link", name="Finish at Prolific")
    expect(finish).to_be_focused()
    expect(finish).to_have_attribute("href", "https://app.prolific.com/submissions/complete?cc=DONE1")
    assert_accessible(page)
    page.get_by_role("link", name="See how you did").click()
    expect(page.get_by_role("heading", name="How you did")).to_be_visible()
    assert_accessible(page)
    assert arrivals_get(study).arrived == 1
    session = RatingSession.objects.get()
    page.goto(reverse("studies:withdraw", args=[session.code]))
    assert_accessible(page)
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_role("heading", name="You have withdrawn")).to_be_visible()
    assert_accessible(page)
    session.refresh_from_db()
    assert session.state == SessionState.WITHDRAWN
    page.goto(f"{entrance}?PROLIFIC_PID=pid1&SESSION_ID=sub1&STUDY_ID=st1")
    expect(page.locator("#again")).to_be_hidden()  # nothing there to go on with
    page.get_by_role("button", name="I do not want to take part").click()
    expect(page.get_by_role("link", name="Go back to Prolific")).to_have_attribute(
        "href", "https://app.prolific.com/submissions/complete?cc=NO1"
    )
    assert_accessible(page)
    assert RatingSession.objects.count() == 1


def test_phone_is_told_at_once_that_a_study_needs_more_room(
    open_context: Callable[..., BrowserContext], page_errors: list[str]
) -> None:
    study = make_small_study()
    Recruitment.objects.create(study=study, panel="prolific", exits=EXITS, window_minimum_px=1000)
    page = open_context(**PHONE).new_page()
    page.goto(f"{reverse('studies:entry', args=[study.code])}?PROLIFIC_PID=pid1")
    expect(page.get_by_role("heading", name="Your window is too narrow")).to_be_visible()
    expect(page.locator("#consent")).to_be_hidden()
    assert_accessible(page)
    page.get_by_role("button", name="I cannot; let me leave").click()
    expect(page.get_by_text("DEV1", exact=True)).to_be_visible()
    assert_accessible(page)
    page_errors[:] = [error for error in page_errors if "409" not in error]


def test_participant_who_does_not_pass_practice_tries_twice_and_goes_back(
    open_context: Callable[..., BrowserContext],
) -> None:
    timing: dict[str, Any] = {"lead_in_ms": 100, "exposure_ms": 50, "gap_ms": 0}
    study = make_small_study(practice_count=2, practice_pass=2, test_count=2, golden_count=0, **timing)
    Recruitment.objects.create(study=study, panel="prolific", exits=EXITS)
    page = open_context(**DESK).new_page()
    page.goto(f"{reverse('studies:entry', args=[study.code])}?PROLIFIC_PID=pid1")
    page.get_by_label("I have read this").check()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("at least 2 of its 2 pairs right")).to_be_visible()
    assert_accessible_everywhere(page)
    page.keyboard.press("Enter")
    session = RatingSession.objects.get()
    for place in range(4):
        if place == 2:
            expect(page.get_by_role("heading", name="Practice once more")).to_be_visible()
            assert_accessible_everywhere(page)
            page.reload()
            page.keyboard.press("Enter")
        rater.wait_for_choice(page)
        assert rater.progress(page) == f"Practice {place % 2 + 1} of 2"
        page.keyboard.press("2" if session.trials.get(position=place).photo_side == "first" else "1")
        page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="Thank you for trying")).to_be_visible()
    expect(page.get_by_role("link", name="Go back to Prolific")).to_have_attribute(
        "href", "https://app.prolific.com/submissions/complete?cc=PRAC1"
    )
    assert_accessible_everywhere(page)
    session.refresh_from_db()
    assert session.state == SessionState.FAILED


def test_finished_participant_goes_back_by_itself_after_seconds_that_were_seen(
    open_context: Callable[..., BrowserContext],
) -> None:
    timing: dict[str, Any] = {"lead_in_ms": 100, "exposure_ms": 50, "gap_ms": 0}
    study = make_small_study(practice_count=0, test_count=1, golden_count=0, **timing)
    Recruitment.objects.create(study=study, panel="prolific", exits=EXITS)
    context = open_context(**DESK)
    context.route("https://app.prolific.com/**", lambda route: route.fulfill(body="Welcome back"))
    page = context.new_page()
    session = session_start(study=study, arrival=Arrival("pid1"))
    rater.open_session(page, session)
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => window.isAway === true })")
    page.evaluate("document.getElementById('onward').dataset.seconds = 1")
    page.keyboard.press("Enter")
    rater.wait_for_choice(page)
    page.evaluate("window.isAway = true")
    page.keyboard.press("1")
    expect(page.get_by_text("This page takes you back after 1 seconds.")).to_be_visible()
    expect(page.get_by_text("DONE1", exact=True)).to_be_visible()
    assert_accessible_everywhere(page)  # takes longer than the second that nobody sees
    page.wait_for_timeout(1_500)
    session.refresh_from_db()
    assert session.state == SessionState.COMPLETE
    page.evaluate("window.isAway = false")
    page.wait_for_url("https://app.prolific.com/submissions/complete?cc=DONE1")
    rater.open_session(page, session)
    expect(page.get_by_role("link", name="Finish at Prolific")).to_be_visible()
    expect(page.locator("#onward")).to_be_hidden()  # who comes back is not sent away again


def test_worker_who_presses_hand_in_is_known_to_have_tried(
    open_context: Callable[..., BrowserContext], settings: Any
) -> None:
    settings.MTURK = True
    study = make_small_study()
    Recruitment.objects.create(study=study, panel="mturk")
    arrival = Arrival("W1", "A1", "H1", "https://www.mturk.com")
    session = session_start(study=study, arrival=arrival)
    for _ in range(study.practice_count + study.main_count):
        answer_current(session)
    context = open_context(**DESK)
    context.route("https://www.mturk.com/**", lambda route: route.fulfill(body="Thank you"))
    page = context.new_page()
    page.goto(reverse("studies:hand_in", args=[session.code]))
    assert_accessible_everywhere(page)
    assert hand_ins_get(study) == HandIns(answered=1, attempted=0)
    page.get_by_role("button", name="Hand in").click()
    page.wait_for_url("https://www.mturk.com/mturk/externalSubmit")
    for _ in range(50):  # the note is on its way by itself
        if hand_ins_get(study).attempted:
            break
        page.wait_for_timeout(100)
    assert hand_ins_get(study) == HandIns(answered=1, attempted=1)
