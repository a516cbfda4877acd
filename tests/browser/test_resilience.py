"""Nothing is lost and nothing counts twice: hasty fingers, dropped networks, reloads, two tabs, closed studies."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import APIResponse, BrowserContext, Page, Route, expect

from studies.models import RatingSession, Response
from studies.services.sessions import session_start
from studies.services.studies import study_close
from tests.browser import rater
from tests.factories import make_open_study, make_session

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FAST = {"lead_in_ms": 100, "exposure_ms": 50, "gap_ms": 0}


@pytest.fixture
def session(live_server: object) -> RatingSession:
    study = make_open_study(practice_count=0, test_count=4, golden_count=1, **FAST)
    return session_start(study=study)


def start(page: Page, session: RatingSession) -> None:
    rater.open_session(page, session)
    page.get_by_role("button").press("Enter")


def test_only_the_first_of_many_presses_counts(page: Page, session: RatingSession) -> None:
    start(page, session)
    rater.wait_for_choice(page)
    page.evaluate(
        """() => {
            for (const key of ["ArrowRight", "ArrowLeft", "1", "2"]) {
                document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
            }
            document.getElementById("choose-first").click();
            document.getElementById("choose-first").click();
        }"""
    )
    expect(page.locator("#progress-words")).to_have_text("2 of 5")
    rater.wait_for_choice(page)
    assert [answer.chosen_side for answer in rater.answers_of(session)] == ["second"]


def test_keys_before_the_choice_and_held_keys_count_for_nothing(page: Page, session: RatingSession) -> None:
    type(session.study).objects.filter(pk=session.study.pk).update(lead_in_ms=2000)  # time for keys before the choice
    start(page, session)
    page.locator(".fixation.is-shown").wait_for()
    page.keyboard.press("ArrowLeft")
    page.keyboard.down("ArrowRight")
    rater.wait_for_choice(page)
    page.keyboard.down("ArrowRight")  # still held: the browser repeats it
    page.keyboard.up("ArrowRight")
    page.keyboard.press("Control+ArrowRight")
    page.keyboard.press("Tab")
    page.wait_for_timeout(200)
    assert rater.progress(page) == "1 of 5"
    assert not Response.objects.exists()


def test_buttons_work_with_enter_and_keep_the_focus(page: Page, session: RatingSession) -> None:
    start(page, session)
    rater.wait_for_choice(page)
    page.locator("#choose-second").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#progress-words")).to_have_text("2 of 5")
    expect(page.locator("#choose-second")).to_be_focused()
    rater.wait_for_choice(page)
    page.keyboard.press("Enter")
    expect(page.locator("#progress-words")).to_have_text("3 of 5")
    assert [answer.chosen_side for answer in rater.answers_of(session)] == ["second", "second"]


def test_answer_is_sent_again_when_the_network_is_back(
    page: Page, session: RatingSession, page_errors: list[str]
) -> None:
    start(page, session)
    rater.wait_for_choice(page)
    page.context.set_offline(True)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("Your answer is kept here and will be sent again.")).to_be_visible()
    assert not Response.objects.exists()
    page.context.set_offline(False)
    expect(page.locator("#progress-words")).to_have_text("2 of 5")
    expect(page.locator("#notice")).to_be_hidden()
    assert [answer.chosen_side for answer in rater.answers_of(session)] == ["first"]
    assert all("ERR_INTERNET_DISCONNECTED" in error for error in page_errors)
    page_errors.clear()


def test_answer_whose_acknowledgement_was_lost_counts_once(
    page: Page, session: RatingSession, page_errors: list[str]
) -> None:
    lost: list[APIResponse] = []

    def lose_the_first(route: Route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.fetch())  # The server has it; the browser never hears.
            route.abort()

    page.route("**/answer", lose_the_first)
    start(page, session)
    rater.wait_for_choice(page)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#progress-words")).to_have_text("2 of 5")
    assert len(lost) == 1
    assert [answer.chosen_side for answer in rater.answers_of(session)] == ["second"]
    page_errors.clear()


def test_unsent_answer_survives_a_reload(page: Page, session: RatingSession, page_errors: list[str]) -> None:
    page.route("**/answer", lambda route: route.abort())
    start(page, session)
    rater.wait_for_choice(page)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Your answer is kept here")).to_be_visible()
    page.unroute("**/answer")
    page.reload()
    expect(page.get_by_text("You are at pair 2 of 5.")).to_be_visible()
    answer = rater.answers_of(session)[0]
    assert answer.chosen_side == "second"
    assert answer.exposure_first_ms is not None
    page_errors.clear()


def test_trouble_of_the_server_is_waited_out(page: Page, session: RatingSession, page_errors: list[str]) -> None:
    """Errors of the site, of a proxy without a site behind it, of a crowd, and connections that nobody takes."""
    troubles = [500, 502, 503, 504, 429, 0, 200]

    def fail_at_first(route: Route) -> None:
        status = troubles.pop(0) if troubles else None
        if status is None:
            route.continue_()
        elif status == 0:
            route.abort("connectionrefused")
        else:
            route.fulfill(status=status, body="<html>no JSON</html>")

    page.route("**/answer", fail_at_first)
    start(page, session)
    rater.wait_for_choice(page)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("Your answer is kept here and will be sent again.")).to_be_visible()
    for _ in range(300):  # the pauses grow; a network that comes back ends them
        page.evaluate("window.dispatchEvent(new Event('online'))")
        page.wait_for_timeout(100)
        if rater.progress(page) != "1 of 5":
            break
    expect(page.locator("#progress-words")).to_have_text("2 of 5")
    assert troubles == []
    assert [answer.chosen_side for answer in rater.answers_of(session)] == ["first"]
    page_errors.clear()


def test_slow_pictures_are_waited_for(page: Page, session: RatingSession, page_errors: list[str]) -> None:
    gate = {"is_open": False}
    page.route("**/t/*", lambda route: route.continue_() if gate["is_open"] else route.abort())
    start(page, session)
    expect(page.get_by_text("The pictures are slow to arrive.")).to_be_visible()
    gate["is_open"] = True
    rater.wait_for_choice(page)
    expect(page.locator("#notice")).to_be_hidden()
    page_errors.clear()


def test_second_tab_goes_on_where_the_first_one_is(
    page: Page, session: RatingSession, open_context: Callable[..., BrowserContext]
) -> None:
    other = page.context.new_page()
    for tab in (page, other):
        start(tab, session)
        tab.bring_to_front()
        rater.wait_for_choice(tab)
    page.bring_to_front()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#progress-words")).to_have_text("2 of 5")
    other.bring_to_front()
    other.keyboard.press("ArrowRight")  # for pair 1, which has its answer
    expect(other.locator("#progress-words")).to_have_text("2 of 5")
    rater.wait_for_choice(other)
    other.keyboard.press("ArrowRight")
    expect(other.locator("#progress-words")).to_have_text("3 of 5")
    assert [answer.chosen_side for answer in rater.answers_of(session)] == ["first", "second"]


def test_study_that_closes_under_way_says_so(page: Page, session: RatingSession, page_errors: list[str]) -> None:
    start(page, session)
    rater.wait_for_choice(page)
    study_close(study=session.study)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("It was closed before you had finished.")).to_be_visible()
    page_errors.clear()


def test_pictures_that_are_refused_lead_to_a_calm_page(
    page: Page, session: RatingSession, page_errors: list[str]
) -> None:
    page.route("**/t/*", lambda route: route.fulfill(status=404, json={"error": "This pair cannot be shown now."}))
    start(page, session)
    expect(page.get_by_role("heading", name="Something is out of step")).to_be_visible()
    page.unroute("**/t/*")
    page.get_by_role("button", name="Load the page again").click()
    expect(page.get_by_role("heading", name="How it works")).to_be_visible()
    page_errors.clear()


def test_missing_picture_is_not_asked_for_for_ever(page: Page, session: RatingSession, page_errors: list[str]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    first = session.trials.get(position=0)
    Path(first.pair.sample.picture.path).unlink()
    start(page, session)
    expect(page.get_by_role("heading", name="Something is out of step")).to_be_visible()
    expect(page.get_by_text("A picture of this pair is missing on our side.")).to_be_visible()
    page.wait_for_timeout(2500)
    assert sum(address.endswith(first.code) for address in asked) == 1
    assert len(page_errors) == 1
    assert "410" in page_errors[0]
    page_errors.clear()


def test_second_click_on_start_begins_no_second_session(page: Page, live_server: object) -> None:
    study = make_open_study(**FAST)
    held: list[Route] = []
    rater.land(page, study)
    page.get_by_role("checkbox").check()
    page.route("**/s/*/", lambda route: held.append(route))  # noqa: PLW0108 -- Playwright marks what it is given
    page.get_by_role("button", name="Start").evaluate(
        "(button) => { button.click(); setTimeout(() => button.click(), 200); }"
    )
    for _ in range(100):  # until the first click's form is on its way
        if held:
            break
        page.wait_for_timeout(100)
    page.wait_for_timeout(600)
    assert len(held) == 1
    held[0].continue_()
    expect(page.get_by_role("heading", name="How it works")).to_be_visible()
    assert RatingSession.objects.count() == 1


def test_stepping_back_and_starting_again_begins_no_second_session(page: Page, live_server: object) -> None:
    rater.land(page, make_open_study(**FAST))
    page.reload()
    rater.consent(page)
    session = RatingSession.objects.get()
    page.go_back()
    page.get_by_role("checkbox").check()  # it may be ticked still
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", name="How it works")).to_be_visible()
    assert page.url.endswith(reverse("studies:rate", args=[session.code]))
    assert RatingSession.objects.count() == 1


def test_link_that_is_opened_anew_begins_a_new_session(page: Page, live_server: object) -> None:
    study = make_open_study(**FAST)
    for count in (1, 2):
        rater.land(page, study)
        rater.consent(page)
        assert RatingSession.objects.count() == count


def test_landing_offers_to_go_on(page: Page, live_server: object) -> None:
    study = make_open_study(practice_count=2, test_count=1, golden_count=0, **FAST)
    rater.land(page, study)
    expect(page.get_by_role("link", name="Go on where you were")).to_be_hidden()
    rater.consent(page)
    rater.land(page, study)
    page.get_by_role("link", name="Go on where you were").click()
    page.wait_for_url(f"**{reverse('studies:rate', args=[RatingSession.objects.get().code])}")


def test_landing_brings_back_the_completion_code(page: Page, live_server: object) -> None:
    study = make_open_study(practice_count=0, test_count=1, golden_count=0, **FAST)
    session = make_session(study)
    rater.open_session(page, session)
    expect(page.locator("#code")).to_have_text(session.completion_code)
    rater.land(page, study)
    page.get_by_role("link", name="Show my completion code").click()
    expect(page.locator("#code")).to_have_text(session.completion_code)


def test_page_works_where_nothing_may_be_stored(page: Page, session: RatingSession) -> None:
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('forbidden'); } });")
    start(page, session)
    rater.wait_for_choice(page)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#progress-words")).to_have_text("2 of 5")
    assert len(rater.answers_of(session)) == 1


def test_without_scripts_the_page_says_what_it_needs(
    open_context: Callable[..., BrowserContext], session: RatingSession
) -> None:
    page = open_context(java_script_enabled=False).new_page()
    rater.land(page, session.study)
    expect(page.locator("noscript p")).to_be_visible()
    rater.open_session(page, session)
    expect(page.locator("noscript h1")).to_be_visible()
    expect(page.locator("[data-panel=loading]")).to_be_hidden()


@pytest.mark.slow
def test_very_slow_network_has_a_page_with_honest_progress(
    page: Page, session: RatingSession, page_errors: list[str]
) -> None:
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")

    def throttle(bytes_per_s: int) -> None:
        rates = {"downloadThroughput": bytes_per_s, "uploadThroughput": bytes_per_s}
        client.send("Network.emulateNetworkConditions", {"offline": False, "latency": 0, **rates})

    def slow_down(route: Route) -> None:
        throttle(500)
        route.continue_()

    page.route("**/t/*", slow_down)
    start(page, session)
    expect(page.get_by_role("heading", name="The connection is very slow")).to_be_visible(timeout=15_000)
    some = re.compile(r"^[1-9]\d?% of the next pictures have arrived\.$")
    expect(page.locator("#arrived-words")).to_have_text(some, timeout=60_000)  # bytes come in gusts on a busy machine
    expect(page.get_by_role("button", name="Go on")).to_be_hidden()
    page.unroute("**/t/*")
    throttle(-1)
    page.get_by_role("button", name="Go on").click(timeout=30_000)
    rater.wait_for_choice(page)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#progress-words")).to_have_text("2 of 5")
    page_errors.clear()


def test_session_with_the_network_cut_at_every_step_and_a_wrong_clock_keeps_each_answer_once(
    page: Page, session: RatingSession, page_errors: list[str]
) -> None:
    page.add_init_script("const now = Date.now; Date.now = () => now() - 3 * 24 * 3600 * 1000;")
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")

    def network(*, offline: bool) -> None:
        rates = {"latency": 0 if offline else 50, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
        client.send("Network.emulateNetworkConditions", {"offline": offline, **rates})

    network(offline=False)  # slow from the beginning
    start(page, session)
    given = []
    for number in range(1, 6):
        expect(page.locator("#progress-words")).to_have_text(f"{number} of 5")
        network(offline=True)  # while pictures are fetched ahead or up
        page.wait_for_timeout(150)
        network(offline=False)
        rater.wait_for_choice(page)
        network(offline=True)  # as the answer is handed in
        given.append("first" if number % 2 else "second")
        page.keyboard.press("1" if number % 2 else "2")
        expect(page.get_by_text("Your answer is kept here")).to_be_visible()
        network(offline=False)
        page.evaluate("window.dispatchEvent(new Event('online'))")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    session.refresh_from_db()
    expect(page.locator("#code")).to_have_text(session.completion_code)
    answers = rater.answers_of(session)
    assert [answer.pressed_side for answer in answers] == given
    assert all(answer.rt_ms < 60_000 for answer in answers), "times hang on the clock of the day"
    page_errors.clear()


def test_call_in_the_middle_and_another_device_go_on_where_they_were(
    page: Page, session: RatingSession, open_context: Callable[..., BrowserContext]
) -> None:
    hide = """(isHidden) => {
        Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    start(page, session)
    rater.wait_for_choice(page)
    page.evaluate(hide, arg=True)  # the telephone rings
    page.locator("#choose-first").click()
    expect(page.locator("#progress-words")).to_have_text("2 of 5")
    page.wait_for_timeout(700)
    expect(page.locator("#choose-first")).to_have_attribute("aria-disabled", "true")
    page.evaluate(hide, arg=False)
    rater.wait_for_choice(page)

    phone = open_context(viewport={"width": 390, "height": 844}, has_touch=True).new_page()
    rater.open_session(phone, session)
    expect(phone.get_by_text("You are at pair 2 of 5.")).to_be_visible()
    phone.get_by_role("button", name="Go on").click()
    rater.wait_for_choice(phone)
    phone.locator("#choose-second").click()
    expect(phone.locator("#progress-words")).to_have_text("3 of 5")
    page.locator("#choose-first").click()  # the old device answers what the new one has answered
    expect(page.locator("#progress-words")).to_have_text("3 of 5")
    assert [answer.chosen_side for answer in rater.answers_of(session)] == ["first", "second"]
    assert [answer.focus_losses for answer in rater.answers_of(session)] == [1, 0]
