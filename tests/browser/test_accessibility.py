"""Every rater page for everybody: axe finds nothing, by day and by night, on a phone and on a desk."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, Response, Route, expect

from studies.models import Origin, RatingSession, Recruitment, StudyState, Withdrawal
from studies.protocols import PRESETS, texts_of
from studies.recruitment import Arrival
from studies.services.sessions import origin_sign, session_return, session_start
from studies.services.studies import study_close
from tests.browser import rater
from tests.factories import (
    PASSWORD,
    make_open_study,
    make_researcher,
    make_session,
    make_small_study,
    make_study,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DESK: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def assert_accessible(page: Page) -> None:
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def assert_accessible_in_every_look(page: Page, heading: str) -> None:
    """Look at the page under a heading on a phone and on a desk, by day and by night."""
    expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=30_000)
    for viewport in (PHONE["viewport"], DESK["viewport"]):
        page.set_viewport_size(viewport)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_on_any_rater_page(
    open_context: Callable[..., BrowserContext], screen: dict[str, Any], scheme: str, page_errors: list[str]
) -> None:
    study = make_open_study(practice_count=2, test_count=3, golden_count=0, lead_in_ms=100, exposure_ms=3000, gap_ms=0)
    page = open_context(**screen, color_scheme=scheme).new_page()
    rater.land(page, study)
    assert_accessible(page)
    rater.consent(page)
    assert_accessible(page)
    page.keyboard.press("Enter")
    rater.wait_for_picture(page)
    assert_accessible(page)
    for key in ("1", "2"):  # one of them right or both wrong: both looks of feedback have the same parts
        rater.wait_for_choice(page)
        assert_accessible(page)
        page.keyboard.press(key)
        page.locator("#next").wait_for()
        assert_accessible(page)
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Practice is over")).to_be_visible()
    assert_accessible(page)
    rater.land(page, study)
    expect(page.get_by_role("link", name="Go on where you were")).to_be_visible()
    assert_accessible(page)
    rater.open_session(page, make_session(study, answers=[True] * 3))
    expect(page.get_by_role("heading", name="Welcome back")).to_be_visible()
    assert_accessible(page)
    rater.open_session(page, make_session(study))
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert_accessible(page)
    page.goto(reverse("studies:entry", args=[make_study(state=StudyState.CLOSED).code]))
    assert_accessible(page)
    page.goto(reverse("studies:rate", args=["unknown"]))
    assert_accessible(page)
    page.goto(
        reverse("studies:entry", args=[study.code]) + f"?origin={origin_sign(study=study, origin=Origin.PREVIEW)}"
    )
    assert_accessible(page)
    page.goto("/nowhere")
    assert_accessible(page)
    page_errors[:] = [error for error in page_errors if "404" not in error and "409" not in error]


@pytest.mark.slow
def test_axe_finds_nothing_where_something_is_amiss(
    open_context: Callable[..., BrowserContext], settings: Any, monkeypatch: pytest.MonkeyPatch, page_errors: list[str]
) -> None:
    """One rater meets whatever can go wrong: no place, no way in, no network, and the site's own failures."""
    page = open_context(**DESK).new_page()
    study = make_small_study(lead_in_ms=100, exposure_ms=50, gap_ms=0, raters_wanted=2)
    entrance = reverse("studies:entry", args=[study.code])

    # Ways in that lead nowhere: the study is not open, or its panel's link is damaged, or its room does not fit.
    for state in (StudyState.READY, StudyState.PAUSED, StudyState.CLOSED):
        page.goto(reverse("studies:entry", args=[make_small_study(state=state).code]))
        assert_accessible_in_every_look(page, "This study is not open")
    page.goto(reverse("studies:entry", args=["unknown"]))
    assert_accessible_in_every_look(page, "There is no study at this address")
    page.goto(f"{entrance}?origin=forged")
    assert_accessible_in_every_look(page, "This link cannot be used")
    room = Recruitment.objects.create(study=study, panel="prolific", exits={"wrong_device": "DEV1", "full": "FULL1"})
    page.goto(entrance)
    assert_accessible_in_every_look(page, "This link is not whole")
    room.window_minimum_px = 2000
    room.save()
    page.goto(f"{entrance}?PROLIFIC_PID=pid1")
    assert_accessible_in_every_look(page, "Your window is too narrow")
    page.get_by_role("button", name="I cannot; let me leave").click()
    assert_accessible_in_every_look(page, "This device will not do")
    room.window_minimum_px = 0
    room.save()

    # A session whose pictures do not come, and then not at all.
    session = session_start(study=study, arrival=Arrival("pid1"))
    held: list[Route] = []
    page.route("**/t/*", lambda route: held.append(route))  # noqa: PLW0108 -- Playwright marks what it is given
    rater.open_session(page, session)
    page.keyboard.press("Enter")
    expect(page.get_by_text("The pictures are slow to arrive.")).to_be_visible(timeout=30_000)
    assert_accessible(page)
    assert_accessible_in_every_look(page, "The connection is very slow")
    held[0].continue_()
    assert_accessible_in_every_look(page, "The pictures have arrived.")
    expect(page.get_by_text("If it stays like this")).to_be_hidden()
    page.unroute("**/t/*")
    page.route("**/t/*", lambda route: route.fulfill(status=404, json={"error": "This pair cannot be shown now."}))
    rater.open_session(page, session)
    page.keyboard.press("Enter")
    assert_accessible_in_every_look(page, "Something is out of step")
    page.unroute("**/t/*")

    # Ends before the end: given back, no place left, the study closed under way, withdrawn.
    session_return(session=session)
    rater.open_session(page, session)
    assert_accessible_in_every_look(page, "You gave this study back")
    sessions = [make_session(study, answers=[True]) for _ in range(2)]
    page.goto(f"{entrance}?PROLIFIC_PID=pid2")
    assert_accessible_in_every_look(page, "Every place is taken")
    study.refresh_from_db()
    study_close(study=study)
    rater.open_session(page, sessions[0])
    assert_accessible_in_every_look(page, "This study is not open")
    for policy, sessions_own in zip(Withdrawal, sessions, strict=True):
        room.withdrawal = policy
        room.save()
        page.goto(reverse("studies:withdraw", args=[sessions_own.code]))
        assert_accessible_in_every_look(page, "Do you want to withdraw?")
        page.get_by_role("button", name="Withdraw").click()
        assert_accessible_in_every_look(page, "You have withdrawn")

    # The site itself: 400, 403, 404 and 500.
    page.goto("/nowhere")
    assert_accessible_in_every_look(page, "There is nothing at this address")
    page.goto(reverse("studies:entry", args=[make_small_study().code]))
    page.get_by_role("checkbox").check()
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 1
    page.get_by_role("button", name="Start").click()
    assert_accessible_in_every_look(page, "The site could not take that")
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 100
    page.goto(reverse("admin:login"))
    page.get_by_label("Username").fill(make_researcher().username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")
    page.goto(reverse("admin:studies_researcher_changelist"))
    assert_accessible_in_every_look(page, "This is not allowed")

    def fail(**_: object) -> None:
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr("studies.views.rating.session_get", fail)
    rater.open_session(page, sessions[1])
    assert_accessible_in_every_look(page, "Something went wrong on our side")
    page_errors[:] = [error for error in page_errors if "Failed to load resource" not in error]


@pytest.mark.parametrize(("screen", "scheme"), [(DESK, "dark"), (PHONE, "light")], ids=["desk", "phone"])
def test_axe_finds_nothing_on_the_ways_out_in_a_script_from_right_to_left(
    open_context: Callable[..., BrowserContext],
    settings: Any,
    screen: dict[str, Any],
    scheme: str,
) -> None:
    settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "العربية")]
    study = make_open_study(
        practice_count=0, test_count=4, golden_count=0, layout="simultaneous", debriefing_text="# Why\n\n- one\n- two"
    )
    Recruitment.objects.create(
        study=study, shows_score=True, shows_pairs=True, window_minimum_px=200, exits={"no_consent": "NO-7"}
    )
    session = make_session(study)
    RatingSession.objects.filter(pk=session.pk).update(language="ar")
    context = open_context(**screen, color_scheme=scheme, locale="ar")
    page = context.new_page()
    rater.land(page, study)
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    assert_accessible(page)
    page.get_by_role("button", name="I do not want to take part").click()
    expect(page.get_by_role("heading", name="You do not take part")).to_be_visible()
    assert_accessible(page)
    rater.open_session(page, session)
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("link", name="See how you did").click()
    expect(page.get_by_role("heading", name="Why")).to_be_visible()
    assert_accessible(page)
    page.goto(reverse("studies:withdraw", args=[session.code]))
    assert_accessible(page)
    page.get_by_role("button", name="Withdraw").press("Enter")
    expect(page.get_by_role("heading", name="You have withdrawn")).to_be_visible()
    assert_accessible(page)
    blind = open_context(**screen, color_scheme=scheme, locale="ar", java_script_enabled=False).new_page()
    rater.land(blind, study)
    expect(blind.locator("noscript p")).to_be_visible()


def test_first_stands_left_and_the_left_arrow_takes_it_in_a_script_from_right_to_left(
    phone_page: Page, live_server: Any
) -> None:
    study = make_open_study(
        practice_count=1, test_count=1, golden_count=0, lead_in_ms=100, exposure_ms=1000, layout="input_between"
    )
    session = session_start(study=study, language="ar")
    rater.open_session(phone_page, session)
    expect(phone_page.locator("html")).to_have_attribute("dir", "rtl")
    phone_page.keyboard.press("Enter")
    rater.wait_for_picture(phone_page)

    def left_of(name: str) -> float:
        box = phone_page.locator(name).bounding_box()
        assert box is not None
        return box["x"]

    assert left_of("#first") < left_of("#between") < left_of("#second")
    assert left_of("#choose-first") < left_of("#choose-second")
    rater.wait_for_choice(phone_page)
    phone_page.keyboard.press("ArrowLeft")
    phone_page.locator("#next").wait_for()
    assert [answer.pressed_side for answer in rater.answers_of(session)] == ["first"]
    assert left_of("#again [data-side=first]") < left_of("#again [data-side=second]")
    width = phone_page.evaluate("document.documentElement.scrollWidth")
    assert width == 390


@pytest.mark.parametrize("language", ["de", "hi"])
def test_long_words_of_a_language_fit_on_a_phone(phone_page: Page, live_server: Any, language: str) -> None:
    fast = {"practice_count": 1, "test_count": 1, "golden_count": 0, "lead_in_ms": 100, "exposure_ms": 50, "gap_ms": 0}
    texts = texts_of({**PRESETS["founding"].settings, **fast})
    study = make_open_study(**fast, **texts, language=language)
    rater.land(phone_page, study)
    assert phone_page.evaluate("document.documentElement.scrollWidth") == 390
    assert_accessible(phone_page)
    rater.open_session(phone_page, session_start(study=study, language=language))
    assert_accessible(phone_page)
    phone_page.keyboard.press("Enter")
    rater.wait_for_choice(phone_page)
    assert phone_page.evaluate("document.documentElement.scrollHeight") <= 844
    assert_accessible(phone_page)
    phone_page.keyboard.press("1")
    phone_page.locator("#next").wait_for()
    assert phone_page.evaluate("document.documentElement.scrollWidth") == 390
    assert_accessible(phone_page)


def test_pages_weigh_less_than_60_kb_and_their_style_less_than_12_kb(page: Page, live_server: Any) -> None:
    study = make_open_study(practice_count=1, test_count=1, golden_count=0, language="hi")
    sizes: dict[str, int] = {}

    def weigh(response: Response) -> None:
        sizes[response.url] = len(response.body())

    page.on("response", weigh)
    for address in (
        reverse("studies:entry", args=[study.code]),
        reverse("studies:rate", args=[session_start(study=study, language="hi").code]),
    ):
        sizes.clear()
        page.goto(address, wait_until="networkidle")
        assert {url.split("/")[2] for url in sizes} == {live_server.url.split("/")[2]}
        weight = sum(size for url, size in sizes.items() if "/t/" not in url)
        assert weight < 60_000
        assert sum(size for url, size in sizes.items() if url.endswith(".css")) < 12_000


def test_screen_reader_hears_places_and_prompts_and_nothing_else(page: Page, live_server: Any) -> None:
    study = make_open_study(practice_count=0, test_count=4, golden_count=2, lead_in_ms=100, exposure_ms=50, gap_ms=0)
    session = session_start(study=study)
    rater.open_session(page, session)
    page.evaluate(
        """() => {
            window.heard = [];
            const live = document.getElementById("live");
            new MutationObserver(() => window.heard.push(live.textContent)).observe(live, { childList: true });
        }"""
    )
    page.keyboard.press("Enter")
    for _ in range(6):
        rater.wait_for_choice(page)
        page.keyboard.press("1")
    expect(page.get_by_role("heading", name="Thank you")).to_be_focused()
    expected = []
    for place in range(1, 7):
        expected += [f"Pair {place} of 6.", "Choose now: first or second."]
    assert page.evaluate("window.heard") == expected


@pytest.mark.parametrize("options", [{"forced_colors": "active"}, {"contrast": "more"}, {"reduced_motion": "reduce"}])
def test_trial_can_be_answered_under_every_preference(
    open_context: Callable[..., BrowserContext], live_server: Any, options: dict[str, Any]
) -> None:
    study = make_open_study(practice_count=0, test_count=1, golden_count=0, lead_in_ms=100, exposure_ms=50, gap_ms=0)
    page = open_context(**DESK, **options).new_page()
    rater.open_session(page, session_start(study=study))
    page.keyboard.press("Enter")
    rater.wait_for_choice(page)
    stage = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert stage == "rgb(119, 119, 119)"
    assert_accessible(page)
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()


def test_page_of_half_the_size_as_with_200_percent_zoom_can_be_used(
    open_context: Callable[..., BrowserContext], live_server: Any
) -> None:
    study = make_open_study(practice_count=0, test_count=1, golden_count=0, lead_in_ms=100, exposure_ms=50, gap_ms=0)
    page = open_context(viewport={"width": 640, "height": 400}, device_scale_factor=2).new_page()
    rater.land(page, study)
    rater.consent(page)
    page.get_by_role("button", name="Start").click()
    rater.wait_for_choice(page)
    for box in (page.locator(name).bounding_box() for name in ("#question", "#choose-first", "#choose-second")):
        assert box is not None
        assert box["y"] + box["height"] <= 400
    page.locator("#choose-first").click()
    expect(page.locator("#code")).to_be_visible()
