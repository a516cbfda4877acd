"""A short HYPE-time session in a real browser: exposures go as the answers say, through reload and change of device."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from studies.models import RatingSession, Side, Trial
from studies.selectors.sessions import passage_get
from studies.services.sessions import session_start
from tests.browser import rater
from tests.browser.test_accessibility import DESK, PHONE, assert_accessible
from tests.factories import make_open_study

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FRAME_MS = 1000 / 60


def press(page: Page, trial: Trial, *, correct: bool) -> None:
    """Press the key that is right, or wrong, for a picture."""
    is_real = trial.photo_side == Side.FIRST
    page.keyboard.press("ArrowLeft" if is_real is correct else "ArrowRight")


def answer(page: Page, session: RatingSession, *, correct: bool) -> str:
    """Answer the current picture by key; return what the page must say of it."""
    rater.wait_for_choice(page)
    trial = session.trials.get(code=passage_get(session).trials[0])
    press(page, trial, correct=correct)
    is_real = trial.photo_side == Side.FIRST
    what = "real" if is_real else "fake"
    return f"Correct. It was {what}." if correct else f"Not this time. It was {what}."


@pytest.mark.slow
def test_exposures_follow_the_answers_through_reload_and_change_of_device(
    open_context: Callable[..., BrowserContext], live_server: Any, page_errors: list[str]
) -> None:
    study = make_open_study(
        preset="hype_time",
        practice_count=2,
        practice_pass=2,
        test_count=8,
        golden_count=0,
        staircase_blocks=2,
        staircase_up_ms=300,
        staircase_down_ms=100,
        lead_in_ms=150,
    )
    session = session_start(study=study)
    page = open_context(**DESK).new_page()
    rater.open_session(page, session)
    expect(page.get_by_text("at least 1 of its real and 1 of its fake pictures right")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Start practice").click()
    for correct in (False, False, True, True):  # HYPE's qualification: real and fake ones apart, in two tries
        told = answer(page, session, correct=correct)
        expect(page.locator("#verdict-words")).to_have_text(told)
        expect(page.locator("#again")).to_be_visible()
        page.get_by_role("button", name="Next").click()
        if passage_get(session).is_phase_start and not correct:
            expect(page.get_by_text("Too few of the real or of the fake pictures were right.")).to_be_visible()
            page.get_by_role("button", name="Start practice again").click()
    expect(page.get_by_text("8 pictures follow.", exact=True)).to_be_visible()
    page.get_by_role("button", name="Go on").click()

    expect(page.locator(".slots canvas")).to_have_count(1 + study.mask_count)
    for number, correct in enumerate([True, True, False]):
        told = answer(page, session, correct=correct)
        expect(page.locator("#verdict-words")).to_have_text(told)
        expect(page.locator("#again")).to_have_class("again is-away")  # the picture is not shown again
        if number == 1:
            page.reload()
            expect(page.get_by_text("You are at picture 3 of 8.")).to_be_visible()
            page.get_by_role("button", name="Go on").click()
    answer(page, session, correct=True)
    expect(page.get_by_role("heading", name="Time for a rest")).to_be_visible()
    expect(page.get_by_text("Block 2 of 2 comes next.")).to_be_visible()
    assert_accessible(page)

    phone = open_context(**PHONE, color_scheme="dark").new_page()
    rater.open_session(phone, session)
    expect(phone.get_by_role("heading", name="Welcome back")).to_be_visible()
    phone.get_by_role("button", name="Go on").tap()
    rater.wait_for_choice(phone)  # without another page for a rest
    assert_accessible(phone)
    for correct in (False, False, True, True):
        told = answer(phone, session, correct=correct)
        expect(phone.locator("#verdict-words")).to_have_text(told)
    expect(phone.get_by_text("That was the last picture.")).to_be_visible()

    answers = rater.answers_of(session)
    assert [kept.exposure_asked_ms for kept in answers] == [500] * 4 + [500, 400, 300, 600] + [500, 800, 1000, 900]
    for kept in answers:
        assert kept.exposure_asked_ms is not None
        assert (kept.exposure_first_ms or 0) > kept.exposure_asked_ms - FRAME_MS, "it left before its time"
    assert page_errors == []


@pytest.mark.slow
def test_two_tabs_climb_one_staircase(
    open_context: Callable[..., BrowserContext], live_server: Any, page_errors: list[str]
) -> None:
    study = make_open_study(
        preset="hype_time",
        practice_count=0,
        practice_pass=0,
        test_count=4,
        golden_count=0,
        staircase_blocks=1,
        staircase_up_ms=300,
        staircase_down_ms=100,
        lead_in_ms=150,
    )
    session = session_start(study=study)
    trials = list(session.trials.order_by("position"))
    context = open_context(**DESK)
    one, other = context.new_page(), context.new_page()
    for tab in (one, other):
        tab.bring_to_front()
        rater.open_session(tab, session)
        tab.get_by_role("button", name="Start").click()
        rater.wait_for_choice(tab)

    one.bring_to_front()
    told = answer(one, session, correct=True)
    expect(one.locator("#verdict-words")).to_have_text(told)
    other.bring_to_front()
    press(other, trials[0], correct=False)  # it has its answer, which is told here too
    expect(other.locator("#verdict-words")).to_have_text(told)
    expect(other.locator("#progress-words")).to_contain_text("2 of 4")
    told = answer(other, session, correct=False)
    expect(other.locator("#verdict-words")).to_have_text(told)
    one.bring_to_front()
    rater.wait_for_choice(one)
    press(one, trials[1], correct=True)
    expect(one.locator("#progress-words")).to_contain_text("3 of 4")
    answer(one, session, correct=True)
    expect(one.locator("#progress-words")).to_contain_text("4 of 4")
    answer(one, session, correct=True)
    expect(one.get_by_text("That was the last picture.")).to_be_visible()
    other.bring_to_front()
    rater.wait_for_choice(other)
    press(other, trials[2], correct=False)
    expect(other.get_by_text("That was the last picture.")).to_be_visible()

    answers = rater.answers_of(session)
    assert [kept.exposure_asked_ms for kept in answers] == [500, 400, 700, 600]
    assert [kept.chosen_side == kept.trial.photo_side for kept in answers] == [True, False, True, True]
    assert (answers[1].exposure_first_ms or 0) > 400 - FRAME_MS, "the tab that fell behind showed it as long as asked"
    assert page_errors == []
