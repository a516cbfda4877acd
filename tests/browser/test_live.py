"""The live page in a real browser: it follows by itself, and asks a server that is away less and less often."""

import itertools
import time
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from studies.models import Study
from studies.services.studies import study_close
from tests.browser.test_admin import GRAVE, OPTIONS, address, sign_in
from tests.factories import make_crowd, make_open_study, make_researcher, make_session

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PATIENT_MS = 60_000
"""On a busy machine answers take long, and the page asks the less often for that."""


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setattr("studies.admin.study_live.POLL_MS", 200)
    study = make_open_study(preset="founding_mixed", raters_wanted=14, spare_photos=8, owner=make_researcher())
    make_crowd(study, raters=11)
    return study


def test_page_follows_looks_and_ends_with_the_study(
    page: Page, study: Study, live_server: Any, page_errors: list[str]
) -> None:
    sign_in(page.context, study.owner, live_server)
    page.goto(address("live", study))
    done = study.sessions.filter(state="complete").count()
    expect(page.get_by_text(f"{done} of 14 sessions complete")).to_be_visible()
    page.evaluate("document.querySelector('.rp-next').dataset.marked = 'yes'")
    make_session(study)
    expect(page.get_by_text(f"{done + 1} of 14 sessions complete")).to_be_visible(timeout=PATIENT_MS)
    assert page.evaluate("document.querySelector('.rp-next').dataset.marked") == "yes"  # the page was not loaded anew

    page.get_by_role("button", name="Show live rates").click()
    expect(page.get_by_role("columnheader", name="% fooled [95 %, at all times]")).to_be_visible()
    found = Axe().run(page, options=OPTIONS)
    assert [violation["id"] for violation in found.response["violations"] if violation["impact"] in GRAVE] == []
    make_session(study)
    expect(page.get_by_text(f"{done + 2} of 14 sessions complete")).to_be_visible(timeout=PATIENT_MS)
    raters = str(study.sessions.filter(state="complete").count())
    expect(page.locator("[data-part=rates] tbody tr td:last-child").first).to_have_text(raters, timeout=PATIENT_MS)
    assert study.looks.count() == 1

    asked: list[float] = []

    def away(route: Route) -> None:
        asked.append(time.monotonic())
        route.abort()

    page.route("**/live/parts/**", away)
    expect(page.get_by_text("The server does not answer; the page goes on asking, less often.")).to_be_visible(
        timeout=PATIENT_MS
    )
    deadline = time.monotonic() + 90
    waits = [0.0]
    while waits[-1] <= 1.5 * waits[0]:  # they grow, however long an answer took before
        assert time.monotonic() < deadline, waits
        page.wait_for_timeout(50)
        waits = [later - earlier for earlier, later in itertools.pairwise(asked)] or [0.0]
    page.unroute("**/live/parts/**")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # who comes back to the page need not wait
    expect(page.get_by_text("The server does not answer")).to_be_hidden(timeout=PATIENT_MS)
    page_errors[:] = [error for error in page_errors if "ERR_FAILED" not in error]

    page.get_by_role("link", name="Pause").click()
    expect(page.get_by_text("Nobody new can start: the link tells newcomers to come back later.")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".rp-badge").first).to_have_text("paused")
    page.goto(address("live", study))
    study_close(study=study)
    expect(page.get_by_text("The study is closed: this is how it ended.")).to_be_visible(timeout=PATIENT_MS)
