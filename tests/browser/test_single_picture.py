"""One picture alone, real or fake, in a real browser: by keys on a desk, by touch on a phone in the dark."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from studies.models import Kind, Side
from studies.services.sessions import session_start
from tests.browser import rater
from tests.browser.test_accessibility import DESK, PHONE, assert_accessible
from tests.factories import make_open_study

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def press(page: Page, side: Side, *, by_touch: bool) -> None:
    rater.wait_for_choice(page)
    if by_touch:
        page.get_by_role("button", name="Real" if side == Side.FIRST else "Fake").tap()
    else:
        page.keyboard.press("ArrowLeft" if side == Side.FIRST else "2")


def test_a_picture_stands_alone_until_it_is_called_real_or_fake(
    open_context: Callable[..., BrowserContext], live_server: Any, page_errors: list[str]
) -> None:
    study = make_open_study(preset="hype_infinity", practice_count=2, test_count=4, golden_count=0, lead_in_ms=100)
    for screen, scheme in ((DESK, "light"), (PHONE, "dark")):
        by_touch = screen is PHONE
        page = open_context(**screen, color_scheme=scheme).new_page()
        rater.land(page, study)
        expect(page.locator(".facts")).to_contain_text("4 pictures")
        assert_accessible(page)
        session = session_start(study=study)
        rater.open_session(page, session)
        expect(page.get_by_text("Half of all the pictures are real")).to_be_visible()
        assert_accessible(page)
        page.get_by_role("button", name="Start").click()
        trials = list(session.trials.order_by("position"))
        for trial in trials:
            rater.wait_for_choice(page)
            expect(page.locator(".slots canvas.is-shown")).to_have_count(1)
            if trial.position == 0:
                assert_accessible(page)
                page.wait_for_timeout(300)
            press(page, Side.FIRST, by_touch=by_touch)
            if trial.kind == Kind.PRACTICE:
                is_real = trial.photo_side == Side.FIRST
                told = "Correct. It was real." if is_real else "Not this time. It was fake."
                expect(page.locator("#verdict-words")).to_have_text(told)
                expect(page.locator("#again figcaption")).to_have_text(
                    "from a camera" if is_real else "from the computer"
                )
                assert_accessible(page)
                page.get_by_role("button", name="Next").click()
            if trial.position == 1:
                expect(page.get_by_text("4 pictures follow, without feedback.")).to_be_visible()
                page.locator('[data-panel="interstitial"] [data-go]').click()
        expect(page.get_by_text("That was the last picture.")).to_be_visible()
        answers = rater.answers_of(session)
        assert [answer.chosen_side for answer in answers] == ["first"] * 6
        assert all(answer.exposure_second_ms is None and answer.frames_second is None for answer in answers)
        assert all((answer.exposure_first_ms or 0) > 0 and not answer.exposure_missed for answer in answers)
        assert (answers[0].exposure_first_ms or 0) > 250, "the picture left before the answer"
    assert page_errors == []
