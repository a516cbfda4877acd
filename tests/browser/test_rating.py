"""Raters in a real browser: whole sessions by keyboard and by touch, with the founding protocol's counts."""

import re
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from studies.models import Kind, RatingSession, SessionState, Study
from studies.services.sessions import session_start
from studies.services.studies import study_close
from tests.browser import rater
from tests.browser.test_admin import sign_in
from tests.factories import make_open_study

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FAST = {"lead_in_ms": 100, "exposure_ms": 50, "gap_ms": 0}
SIDES = ["first", "second", "second", "first", "first", "second", "first"]
"""What is chosen, over and over: neither side always, in no step with the trials."""


@pytest.fixture
def study(live_server: object) -> Study:
    return make_open_study(practice_count=10, test_count=40, golden_count=5, **FAST)


def assert_session_holds(session: RatingSession, chosen: list[str]) -> None:
    answers = rater.answers_of(session)
    assert [answer.chosen_side for answer in answers] == chosen
    assert [answer.trial.kind == Kind.PRACTICE for answer in answers] == [True] * 10 + [False] * 45
    assert session.state in {SessionState.COMPLETE, SessionState.EXCLUDED}
    for answer in answers:
        assert answer.exposure_first_ms is not None
        assert answer.exposure_second_ms is not None
        assert 15 < answer.exposure_first_ms < 1000  # the browser's own measure, on a machine that others use too
        assert 15 < answer.exposure_second_ms < 1000
        assert not answer.was_hidden


def assert_researcher_sees(page: Page, session: RatingSession, live_server: Any) -> None:
    """The results page holds the votes of this one session: 40, and as many fooled as the answers say."""
    study_close(study=session.study)
    sign_in(page.context, session.study.owner, live_server)
    page.goto(live_server.url + reverse("admin:studies_study_results", args=[session.study_id]))
    tests = [answer for answer in rater.answers_of(session) if answer.trial.kind == Kind.TEST]
    fooled = sum(answer.chosen_side != answer.trial.photo_side for answer in tests)
    condition = session.condition
    assert condition is not None
    row = page.locator("section", has=page.locator("#everyone")).get_by_role("row", name=condition.label)
    expect(row.locator('[data-head="votes"]')).to_have_text("40")
    expect(row.locator('[data-head="raters"]')).to_have_text("1")
    expect(row.locator('[data-head^="% fooled"]')).to_contain_text(f"{100 * fooled / 40:.1f}")


@pytest.mark.slow
def test_whole_session_by_keyboard_with_two_reloads(page: Page, study: Study, live_server: Any) -> None:
    rater.land(page, study)
    rater.consent(page)
    page.keyboard.press("Enter")
    chosen = [SIDES[i % 7] for i in range(55)]
    keys = {"first": ("ArrowLeft", "1"), "second": ("ArrowRight", "2")}
    pages_of_pairs = set()

    for i in range(10):
        rater.wait_for_choice(page)
        assert rater.progress(page) == f"Practice {i + 1} of 10"
        if i == 4:
            page.reload()
            expect(page.get_by_text("You are at practice pair 5 of 10.")).to_be_visible()
            page.keyboard.press("Enter")
            rater.wait_for_choice(page)
        page.keyboard.press(keys[chosen[i]][i % 2])
        expect(page.locator("#verdict-words")).to_have_text(re.compile(r"The photo was the (first|second) one\."))
        expect(page.locator("#next")).to_be_focused()
        page.keyboard.press("Enter")

    expect(page.get_by_text("45 pairs follow, without feedback.")).to_be_visible()
    page.keyboard.press("Enter")
    for i in range(45):
        rater.wait_for_choice(page)
        assert rater.progress(page) == f"{i + 1} of 45"
        if i == 20:
            page.reload()
            expect(page.get_by_text("You are at pair 21 of 45.")).to_be_visible()
            page.keyboard.press("Enter")
            rater.wait_for_choice(page)
        if i > 20:
            html: str = page.evaluate("document.documentElement.outerHTML")
            html = re.sub(r'<script id="state".*?</script>', "", html, flags=re.DOTALL)
            pages_of_pairs.add(re.sub(r'\d+ of 45|value="\d+"', "", html))
        page.keyboard.press(keys[chosen[10 + i]][i % 2])

    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    session = RatingSession.objects.get()
    expect(page.locator("#code")).to_have_text(session.completion_code)
    assert_session_holds(session, chosen)
    assert len(pages_of_pairs) == 1, "the page of one pair differs from that of another before the answer"
    assert_researcher_sees(page, session, live_server)


@pytest.mark.slow
def test_whole_session_by_touch_on_a_phone(phone_page: Page, study: Study) -> None:
    page = phone_page
    rater.land(page, study)
    page.get_by_text("I have read this").tap()
    page.get_by_role("button", name="Start").tap()
    page.get_by_role("button", name="Start practice").tap()
    chosen = [SIDES[i % 7] for i in range(55)]
    for i in range(10):
        rater.wait_for_choice(page)
        page.locator(f"#choose-{chosen[i]}").tap()
        page.locator("#next").tap()
    page.get_by_role("button", name="Go on").tap()
    for i in range(45):
        rater.wait_for_choice(page)
        page.locator(f"#choose-{chosen[10 + i]}").tap()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    session = RatingSession.objects.get()
    expect(page.locator("#code")).to_have_text(session.completion_code)
    assert_session_holds(session, chosen)


@pytest.mark.parametrize("on", ["page", "phone_page"])
def test_targets_are_large_and_nothing_is_wider_than_the_screen(on: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(on)
    study = make_open_study(practice_count=1, test_count=1, golden_count=0, **FAST)

    def check() -> None:
        for button in page.get_by_role("button").all():
            box = button.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 48
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    rater.land(page, study)
    check()
    rater.consent(page)
    check()
    page.keyboard.press("Enter")
    rater.wait_for_choice(page)
    check()
    assert page.evaluate("document.documentElement.scrollHeight <= window.innerHeight")
    page.keyboard.press("1")
    page.locator("#next").wait_for()
    check()
    assert page.evaluate("document.documentElement.scrollHeight <= window.innerHeight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Practice is over")).to_be_visible()
    check()
    page.keyboard.press("Enter")
    rater.wait_for_choice(page)
    page.keyboard.press("2")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    check()


def test_feedback_shows_both_pictures_and_frames_the_photo(page: Page) -> None:
    study = make_open_study(practice_count=2, test_count=1, golden_count=0, **FAST)
    rater.land(page, study)
    rater.consent(page)
    page.keyboard.press("Enter")
    session = RatingSession.objects.get()
    for trial, is_right in zip(session.trials.order_by("position")[:2], (True, False), strict=True):
        side = trial.photo_side if is_right else {"first": "second", "second": "first"}[trial.photo_side]
        rater.wait_for_choice(page)
        page.keyboard.press({"first": "1", "second": "2"}[side])
        said = "Correct." if is_right else "Not this time."
        expect(page.locator("#verdict-words")).to_have_text(f"{said} The photo was the {trial.photo_side} one.")
        expect(page.locator("#verdict-right")).to_be_visible(visible=is_right)
        expect(page.locator("#verdict-miss")).to_be_visible(visible=not is_right)
        for figure in page.locator("#again figure").all():
            is_photo = figure.get_attribute("data-side") == trial.photo_side
            words = "from a camera" if is_photo else "from the computer"
            expect(figure.locator("figcaption")).to_contain_text(words)
            assert ("is-photo" in (figure.get_attribute("class") or "")) == is_photo
        page.keyboard.press("Enter")


def test_phone_that_is_turned_while_pictures_are_up_shows_them_whole(page: Page) -> None:
    """On a trial without a limit, and on its feedback; the scale stored is the one that the rater saw last."""
    study = make_open_study(
        practice_count=1, test_count=1, golden_count=0, lead_in_ms=100, exposure_ms=0, gap_ms=0, layout="simultaneous"
    )
    session = session_start(study=study)
    rater.open_session(page, session)
    page.keyboard.press("Enter")
    rater.wait_for_choice(page)

    def assert_apart(first: str, second: str, *, width: int) -> None:
        for name in (first, second):  # the window's size comes to the page with its next frame
            page.wait_for_function(
                "([name, width]) => document.querySelector(name).getBoundingClientRect().width < width / 2 - 8",
                arg=[name, width],
            )
        left, right = (page.locator(name).bounding_box() for name in (first, second))
        assert left is not None
        assert right is not None
        assert left["x"] >= 0
        assert left["x"] + left["width"] <= right["x"]
        assert right["x"] + right["width"] <= width

    assert_apart("#first", "#second", width=1440)
    page.set_viewport_size({"width": 390, "height": 844})
    assert_apart("#first", "#second", width=390)
    scale = page.locator("#first").evaluate("(canvas) => canvas.getBoundingClientRect().width / 32")
    page.keyboard.press("1")
    page.locator("#next").wait_for()
    page.set_viewport_size({"width": 1440, "height": 900})
    page.set_viewport_size({"width": 390, "height": 844})
    assert_apart("#again [data-side=first] canvas", "#again [data-side=second] canvas", width=390)
    assert [answer.device_scale for answer in rater.answers_of(session)] == [scale]


def test_completion_code_can_be_copied(page: Page) -> None:
    study = make_open_study(practice_count=0, test_count=1, golden_count=0, **FAST)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    rater.land(page, study)
    rater.consent(page)
    page.get_by_role("button", name="Start").press("Enter")
    rater.wait_for_choice(page)
    page.locator("#choose-second").click()
    page.get_by_role("button", name="Copy the code").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == RatingSession.objects.get().completion_code
