"""What is on the screen, pixel by pixel and frame by frame."""

import io
import shutil
import statistics
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from studies.models import RatingSession, Side
from studies.selectors.pictures import picture_read
from studies.services.sessions import session_start
from tests.browser import rater
from tests.factories import make_open_study, make_picture

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FRAME_MS = 1000 / 60


def bicubic_matrix(size: int, scale: int) -> NDArray[np.float64]:
    """Return Keys' kernel (a = -0.5) as a matrix (size * scale, size), its rows scaled to sum 1."""
    centre = (np.arange(size * scale) + 0.5) / scale - 0.5
    x = np.abs(centre[:, None] - np.arange(size))
    near = (x < 1) * (1.5 * x**3 - 2.5 * x**2 + 1)
    far = ((x >= 1) & (x < 2)) * (-0.5 * x**3 + 2.5 * x**2 - 4 * x + 2)
    weights: NDArray[np.float64] = near + far
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def enlarged(picture: NDArray[np.uint8], scale: int, kernel: str) -> NDArray[np.uint8]:
    """Enlarge a picture as the page should."""
    if kernel == "nearest":
        return np.repeat(np.repeat(picture, scale, axis=0), scale, axis=1)
    matrix = bicubic_matrix(len(picture), scale)
    exact = np.einsum("yi,xj,ijc->yxc", matrix, matrix, picture.astype(np.float64), optimize=True)
    rounded: NDArray[np.uint8] = np.clip(np.floor(exact + 0.5), 0, 255).astype(np.uint8)
    return rounded


def assert_same_but_ties(shown: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    """Compare two pictures, of which one may have rounded a tie the other way."""
    assert np.mean(shown != expected) < 1e-3
    assert np.max(np.abs(shown.astype(int) - expected)) <= 1


def first_picture(session: RatingSession, position: int = 0) -> NDArray[np.uint8]:
    trial = session.trials.get(position=position)
    is_photo = trial.photo_side == Side.FIRST
    return picture_read(trial.photo.high_res if is_photo else trial.pair.sample.picture)


@pytest.fixture
def screen_of(chromium: Browser, live_server: Any) -> Iterator[Callable[[float], Page]]:
    """Open a page on a screen of so many device pixels a CSS pixel.

    The ratio is the browser's own: Playwright's emulation of it puts things on whole CSS pixels, which no screen does.
    """
    browsers = []

    def open_one(ratio: float) -> Page:
        arguments = ["--no-sandbox", f"--force-device-scale-factor={ratio}", "--window-size=701,903"]
        browser = chromium.browser_type.launch(executable_path=shutil.which("chromium"), args=arguments)
        browsers.append(browser)
        page = browser.new_context(no_viewport=True, base_url=live_server.url).new_page()
        assert page.evaluate("window.devicePixelRatio") == pytest.approx(ratio)
        return page

    yield open_one
    for browser in browsers:
        browser.close()


@pytest.mark.parametrize("kernel", ["nearest", "bicubic"])
@pytest.mark.parametrize("ratio", [1, 1.25, 1.5, 2, 2.625, 3])
def test_picture_on_the_screen_is_the_enlargement_to_the_pixel(
    screen_of: Callable[[float], Page], kernel: str, ratio: float
) -> None:
    study = make_open_study(practice_count=0, test_count=1, golden_count=0, kernel=kernel, exposure_ms=20_000)
    session = session_start(study=study)
    page = screen_of(ratio)
    rater.open_session(page, session)
    page.keyboard.press("Enter")
    rater.wait_for_picture(page)
    screen = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    box, side = page.evaluate(
        """() => {
            const canvas = document.getElementById("first");
            const { left, top, width, height } = canvas.getBoundingClientRect();
            return [[left, top, width, height].map((edge) => edge * window.devicePixelRatio), canvas.width];
        }"""
    )
    scale = round(8 * ratio)
    assert side == 32 * scale
    np.testing.assert_allclose(box, np.round(box), atol=0.06)
    left, top, width, height = (round(edge) for edge in box)
    assert (width, height) == (side, side)
    shown = screen[top : top + side, left : left + side]
    expected = enlarged(first_picture(session), scale, kernel)
    assert_same_but_ties(shown, expected)
    around = [screen[top - 1, left : left + side], screen[top + side, left : left + side], screen[top, left - 1]]
    assert all(np.all(pixels == 0x77) for pixels in around)


def test_bicubic_enlargement_is_pillows(page: Page, live_server: Any) -> None:
    # Pillow clips between its two passes: with little contrast there is nothing to clip.
    picture = (64 + make_picture(size=16, seed=7) // 2).astype(np.uint8)
    page.goto("/healthz")
    rgba = page.evaluate(
        """async ([rgb, size, scale]) => {
            const { enlarge } = await import("/static/studies/pictures.js");
            return Array.from(enlarge(new Uint8Array(rgb), size, scale, "bicubic"));
        }""",
        [picture.ravel().tolist(), 16, 5],
    )
    ours = np.array(rgba, np.uint8).reshape(80, 80, 4)
    pillows = np.asarray(Image.fromarray(picture).resize((80, 80), Image.Resampling.BICUBIC))
    assert np.all(ours[..., 3] == 255)
    assert np.max(np.abs(ours[..., :3].astype(int) - pillows)) <= 1  # it rounds between them too
    assert_same_but_ties(ours[..., :3], enlarged(picture, 5, "bicubic"))


@pytest.mark.parametrize(
    ("display", "scale"),
    [
        ({"size": 32, "displayScale": 8, "pixelRatio": 1, "room": 600}, 8),
        ({"size": 32, "displayScale": 8, "pixelRatio": 1.5, "room": 600}, 12),
        ({"size": 32, "displayScale": 8, "pixelRatio": 1, "room": 250}, 7),
        ({"size": 32, "displayScale": 8, "pixelRatio": 3, "room": 250}, 23),
        ({"size": 32, "displayScale": 1, "pixelRatio": 0.3, "room": 250}, 1),
        ({"size": 512, "displayScale": 2, "pixelRatio": 1, "room": 300}, 1),
    ],
)
def test_scale_is_whole_and_fits_the_screen(
    page: Page, live_server: Any, display: dict[str, float], scale: int
) -> None:
    page.goto("/healthz")
    found = page.evaluate(
        """async (display) => {
            const { scaleFit } = await import("/static/studies/pictures.js");
            return scaleFit(display);
        }""",
        display,
    )
    assert found == scale


@pytest.mark.parametrize(("ratio", "display_scale", "scale"), [(1, 8, 8), (2.625, 8, 21), (2, 32, None)])
def test_scale_that_was_used_is_kept_with_the_answer(
    screen_of: Callable[[float], Page], ratio: float, display_scale: int, scale: int | None
) -> None:
    options = {"practice_count": 0, "test_count": 1, "golden_count": 0, "lead_in_ms": 100, "exposure_ms": 50}
    session = session_start(study=make_open_study(display_scale=display_scale, **options))
    page = screen_of(ratio)
    rater.open_session(page, session)
    page.keyboard.press("Enter")
    rater.wait_for_choice(page)
    side, room = page.evaluate(
        """() => {
            const stage = document.getElementById("stage");
            return [document.getElementById("second").width, Math.min(stage.clientWidth, stage.clientHeight) - 16];
        }"""
    )
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    [answer] = rater.answers_of(session)
    assert answer.pixel_ratio == pytest.approx(ratio)
    assert answer.device_scale == side / 32
    if scale is None:  # no room for so large a picture: the largest that fits
        scale = int(room * ratio / 32)
        assert scale < display_scale * ratio
    assert answer.device_scale == scale


#: Notes, on every frame, which of the two pictures is visible, apart from the page's own clock.
WATCH_FRAMES = """
window.framesSeen = [];
const look = (now) => {
    const shown = ["first", "second"].filter((id) => {
        const canvas = document.getElementById(id);
        return canvas && getComputedStyle(canvas).visibility === "visible" && canvas.clientWidth > 0;
    });
    window.framesSeen.push([now, shown.join()]);
    requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


def times_seen(frames: list[tuple[float, str]], which: str) -> list[float]:
    """Return for how long a picture was visible, each time it was."""
    times, onset = [], None
    for now, shown in frames:
        if shown == which and onset is None:
            onset = now
        if shown != which and onset is not None:
            times.append(now - onset)
            onset = None
    return times


def interval_seen(page: Page) -> float:
    """Return the median time between the frames with a picture or mask that were seen since this was asked last."""
    frames: list[tuple[float, str]] = page.evaluate("window.framesSeen.splice(0)")
    steps = [now - before for (before, shown), (now, _) in pairwise(frames) if shown]
    return statistics.median(steps)


def test_exposure_of_a_second_is_kept_and_reported_within_two_frames(page: Page, live_server: Any) -> None:
    study = make_open_study(practice_count=0, test_count=3, golden_count=0, lead_in_ms=100, gap_ms=100)
    session = session_start(study=study)
    page.add_init_script(WATCH_FRAMES)
    rater.open_session(page, session)
    page.keyboard.press("Enter")
    frames: list[tuple[float, str]] = []
    for _ in range(3):
        rater.wait_for_choice(page)
        frames = page.evaluate("window.framesSeen")
        page.keyboard.press("1")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    answers = rater.answers_of(session)
    first = [answer.exposure_first_ms or 0 for answer in answers]
    second = [answer.exposure_second_ms or 0 for answer in answers]
    assert abs(statistics.median(first + second) - 1000) <= 2 * FRAME_MS
    np.testing.assert_allclose(times_seen(frames, "first"), first, atol=2 * FRAME_MS)
    np.testing.assert_allclose(times_seen(frames, "second"), second, atol=2 * FRAME_MS)
    assert {shown for _, shown in frames} == {"", "first", "second"}, "the two pictures were on the screen together"
    assert all(answer.rt_ms < 60_000 for answer in answers)


def test_page_that_was_hidden_while_pictures_showed_is_noted(page: Page, live_server: Any) -> None:
    study = make_open_study(practice_count=0, test_count=2, golden_count=0, lead_in_ms=100, exposure_ms=600, gap_ms=0)
    session = session_start(study=study)
    rater.open_session(page, session)
    page.keyboard.press("Enter")
    rater.wait_for_picture(page)
    # Chromium without a screen never hides a tab, so the browser's word for it is put in its mouth.
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { value: true, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
            delete document.hidden;
        }"""
    )
    for _ in range(2):
        rater.wait_for_choice(page)
        page.keyboard.press("1")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert [answer.was_hidden for answer in rater.answers_of(session)] == [True, False]


def test_nothing_moves_on_the_page_of_a_trial(page: Page, live_server: Any) -> None:
    study = make_open_study(practice_count=0, test_count=3, golden_count=0, lead_in_ms=200, exposure_ms=200, gap_ms=100)
    session = session_start(study=study)
    rater.open_session(page, session)
    page.keyboard.press("Enter")
    rater.wait_for_picture(page)
    page.evaluate(
        """() => {
            window.shifts = [];
            new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((entry) => entry.value)))
                .observe({ type: "layout-shift" });
        }"""
    )
    for _ in range(2):
        rater.wait_for_choice(page)
        page.wait_for_timeout(600)  # Shifts within half a second of a key are left out by the browser.
        page.keyboard.press("2")
    rater.wait_for_choice(page)
    assert page.evaluate("window.shifts") == []


def test_trial_tells_frames_focus_masks_and_who_answered(page: Page, live_server: Any) -> None:
    study = make_open_study(
        practice_count=0, test_count=3, golden_count=0, lead_in_ms=100, exposure_ms=300, gap_ms=100, mask_count=2
    )
    session = session_start(study=study)
    page.add_init_script(
        WATCH_FRAMES.replace(
            '["first", "second"]',
            '["first", "second", "mask-first-0", "mask-first-1", "mask-second-0", "mask-second-1"]',
        )
    )
    rater.open_session(page, session)
    page.keyboard.press("Enter")
    rater.wait_for_choice(page)
    seen = [shown for _, shown in page.evaluate("window.framesSeen")]
    intervals = [interval_seen(page)]
    order = [shown for shown, before in zip(seen[1:], seen, strict=False) if shown != before and shown]
    assert order == ["first", "mask-first-0", "mask-first-1", "second", "mask-second-0", "mask-second-1"]
    page.keyboard.press("1")
    rater.wait_for_picture(page)
    page.evaluate("window.dispatchEvent(new Event('blur'))")
    rater.wait_for_choice(page)
    intervals.append(interval_seen(page))
    page.evaluate("window.dispatchEvent(new Event('focus')); window.dispatchEvent(new Event('blur'))")
    page.keyboard.press("1")
    rater.wait_for_choice(page)
    intervals.append(interval_seen(page))
    page.evaluate("document.getElementById('choose-first').click()")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    answers = rater.answers_of(session)
    assert [(answer.lost_focus, answer.focus_losses) for answer in answers] == [(False, 0), (True, 2), (False, 0)]
    assert [set(answer.automation.split()) for answer in answers] == [
        {"webdriver", "headless"},
        {"webdriver", "headless"},
        {"webdriver", "headless", "scripted"},
    ]
    for answer, interval_ms in zip(answers, intervals, strict=True):
        assert answer.frame_interval_ms == pytest.approx(interval_ms, abs=4)
        assert answer.frames_first is not None
        assert answer.frames_first * FRAME_MS <= (answer.exposure_first_ms or 0) + FRAME_MS / 2


def test_masks_are_noise_that_tells_nothing_of_the_pair(page: Page, live_server: Any) -> None:
    page.goto("/healthz")
    one, again, other = (
        np.array(
            page.evaluate(
                """async (seed) => {
                    const { noise } = await import("/static/studies/pictures.js");
                    return Array.from(noise(32, seed));
                }""",
                seed,
            )
        )
        for seed in ("main 3 0", "main 3 0", "main 4 0")
    )
    np.testing.assert_array_equal(one, again)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.06
    assert abs(np.corrcoef(one[:-3], one[3:])[0, 1]) < 0.06, "neighbours resemble each other"
    counts = np.bincount(one // 16, minlength=16)
    assert ((counts - 192) ** 2 / 192).sum() < 44, "values are not drawn evenly"  # chi squared, 15 degrees, p 1e-4


@pytest.mark.slow
def test_whole_session_weighs_under_two_megabytes_and_is_one_request_a_vote(page: Page, live_server: Any) -> None:
    study = make_open_study(
        practice_count=10, test_count=40, golden_count=5, lead_in_ms=100, exposure_ms=50, gap_ms=0, spare_photos=0
    )
    session = session_start(study=study)
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    received: list[float] = []
    client.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    pictures: list[str] = []
    page.on("request", lambda request: pictures.append(request.url) if "/t/" in request.url else None)
    rater.open_session(page, session)
    page.get_by_role("button", name="Start").click()
    for number in range(1, 56):
        rater.wait_for_choice(page)
        assert len(pictures) == 3, "a pair after the first and two ahead did not come with a reply"
        page.keyboard.press("1")
        if number <= 10:
            page.locator("#next").click()
        if number == 10:
            page.locator('[data-panel="interstitial"] [data-go]').click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert 55 * 2 * 32 * 32 * 3 < sum(received) < 700_000, f"a session took {sum(received):.0f} bytes"


@pytest.mark.parametrize("layout", ["simultaneous", "input_between"])
def test_side_by_side_pictures_stand_together_until_the_answer(
    page: Page, phone_page: Page, live_server: Any, layout: str
) -> None:
    names = ["first", "between", "second"] if layout == "input_between" else ["first", "second"]
    study = make_open_study(
        practice_count=1, test_count=2, golden_count=0, lead_in_ms=100, exposure_ms=0, layout=layout, asks_for="sample"
    )
    for screen in (page, phone_page):
        session = session_start(study=study)
        rater.open_session(screen, session)
        screen.get_by_role("button", name="Start").click()
        rater.wait_for_choice(screen)
        boxes = [screen.locator(f"#{name}.is-shown").bounding_box() for name in names]
        assert all(box is not None for box in boxes)
        lefts = [(box["x"], box["x"] + box["width"]) for box in boxes if box is not None]
        assert all(right < left for (_, right), (left, _) in pairwise(lefts)), "pictures overlap"
        assert len({box["width"] for box in boxes if box is not None}) == 1
        trial = session.trials.get(position=0)
        fake = "Right" if trial.photo_side == Side.FIRST else "Left"
        screen.locator("#choice").get_by_role("button", name=fake).click()
        told = f"Correct. The photo was on the {'left' if fake == 'Right' else 'right'}."
        expect(screen.locator("#verdict-words")).to_have_text(told)
        screen.get_by_role("button", name="Next").click()
        screen.locator('[data-panel="interstitial"] [data-go]').click()
        for _ in range(2):
            rater.wait_for_choice(screen)
            screen.wait_for_timeout(300)
            screen.locator("#choose-first").click()
        expect(screen.get_by_role("heading", name="Thank you")).to_be_visible()
        answers = rater.answers_of(session)
        assert answers[0].chosen_side == trial.photo_side
        assert [answer.pressed_side for answer in answers[1:]] == [Side.FIRST, Side.FIRST]
        for answer in answers[1:]:
            shown_ms = answer.exposure_first_ms or 0
            assert shown_ms == answer.exposure_second_ms
            assert 250 < answer.rt_ms < shown_ms + FRAME_MS < answer.rt_ms + 1000  # however busy the machine is
            assert not answer.exposure_missed
