"""The whole way of a study in a browser: from an empty database and a zip of pictures to its bundle."""

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, expect

from studies.models import Response, Study
from tests.browser import rater
from tests.browser.test_admin import sign_in
from tests.factories import make_picture, make_researcher, png_bytes

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PHOTOS = 16


def zip_write(path: Path, *, seed: int, count: int) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(count):
            archive.writestr(f"room-{i:02}.png", png_bytes(make_picture(size=64, seed=seed + i)))
        archive.writestr("broken.png", b"no picture")
    return path


def go_on(page: Page, to: str) -> None:
    """Press the one primary button, and see where one is then."""
    expect(page.locator(".rp-button-primary:visible")).to_have_count(1)
    page.get_by_role("button", name=f"Next: {to}").click()
    expect(page.get_by_role("navigation", name="Set-up of the study").locator("[aria-current=step]")).to_contain_text(
        to.capitalize()
    )


def vote(page: Page, *, practice: int, pairs: int) -> None:
    """Go through a session by keyboard, and always take the first picture."""
    rater.consent(page)
    page.keyboard.press("Enter")
    for _ in range(practice):
        rater.wait_for_choice(page)
        page.keyboard.press("1")
        page.locator("#next").wait_for()
        page.keyboard.press("Enter")
    page.get_by_role("heading", name="Practice is over").wait_for()
    page.keyboard.press("Enter")
    for place in range(pairs):
        expect(page.locator("#progress-words")).to_contain_text(str(place + 1))
        rater.wait_for_choice(page)
        page.keyboard.press("1")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()


@pytest.mark.slow
def test_study_goes_from_a_zip_of_pictures_to_its_bundle_by_clicking(
    page: Page, tmp_path: Path, live_server: Any, open_context: Callable[..., BrowserContext], page_errors: list[str]
) -> None:
    sign_in(page.context, make_researcher(), live_server)
    page.goto(reverse("admin:studies_study_changelist"))
    page.get_by_role("link", name="Make the first study").click()
    page.get_by_label("Title").press_sequentially("Zimmer für Gäste, echt?")
    expect(page.get_by_label("Short name")).to_have_value("zimmer-fur-gaste-echt")
    page.get_by_role("button", name="Make the study").click()
    expect(page.get_by_text("a study asks about photos")).to_be_visible()
    page_errors.clear()  # the console calls the answer 422 an error
    photos = zip_write(tmp_path / "rooms.zip", seed=500, count=PHOTOS)
    page.get_by_label("New photos, or one zip of photos").set_input_files(photos)
    page.get_by_role("button", name="Make the study").click()

    # Photos
    expect(page.get_by_role("heading", name=f"{PHOTOS} photos to be judged")).to_be_visible()
    expect(page.get_by_text("broken.png")).to_be_visible()
    expect(page.get_by_text("A session shows 55 different photos")).to_be_visible()
    go_on(page, "conditions")

    # Conditions
    conditions = page.locator("[data-condition]:visible")
    expect(conditions).to_have_count(5)
    for _ in range(4):  # regression and pixel recursive need checkpoints
        conditions.last.get_by_role("button", name="Remove").click()
    for label in ("Smooth", "Smoother"):
        page.get_by_role("button", name="Add a condition").click()
        added = conditions.last
        added.get_by_label("Method").select_option(label="Pixel recursive")
        expect(added.get_by_label("tau")).to_be_visible()
        added.get_by_label("Method").select_option(label="Bicubic")
        expect(added.get_by_label("tau")).to_be_hidden()
        added.get_by_label("Label in tables").fill(label)
    conditions.last.get_by_role("button", name="Move up").click()
    go_on(page, "protocol")

    # Protocol
    page.get_by_text("Start from another protocol").click()
    page.get_by_label("Side by side, without limit").check()
    page.get_by_role("button", name="Take its settings").click()
    expect(page.get_by_text("The settings are now those of")).to_be_visible()
    for label, count in (("Practice pairs", 2), ("Test pairs", 4), ("Golden pairs", 1), ("Fixation mark, ms", 100)):
        page.get_by_label(label, exact=True).fill(str(count))
    go_on(page, "recruitment")
    go_on(page, "plan")

    # Plan
    answer = page.locator("[data-headline]")
    before = answer.inner_text()
    page.get_by_label("Half-width of the interval, points").fill("0.5")
    expect(answer).to_contain_text("No number of raters suffices")
    page.get_by_label("Half-width of the interval, points").fill("25")
    expect(answer).to_contain_text("of each method")
    assert answer.inner_text() != before
    for curve in page.locator(".rp-light").all():
        expect(curve).to_have_js_property("complete", value=True)
    page.get_by_label("Pay per hour").fill("9")
    page.get_by_role("button", name="Use this number").click()
    expect(page.get_by_text("The protocol wants this number.")).to_be_visible()
    page.get_by_role("button", name="Check by simulation").click()
    expect(page.get_by_text("simulated studies the 95 % interval held the truth")).to_be_visible(timeout=60_000)
    go_on(page, "check")

    # Check
    expect(page.locator(".rp-check-missing")).to_have_count(0)
    expect(page.locator(".rp-stage[data-drawn] canvas")).to_have_count(2)
    expect(page.get_by_role("heading", name="Cost and time to expect")).to_be_visible()
    page.get_by_role("button", name="Next: make the samples").click()
    expect(page.locator(".rp-badge").first).to_have_text("ready")
    picture = page.locator(".rp-stage[data-drawn] canvas").first
    expect(picture).to_have_css("width", "256px")  # 32 pixels, each eight times as wide: its true size
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Preview a session").click()
    vote(opened.value, practice=2, pairs=5)
    page.reload()
    expect(page.get_by_text("1 session gone through; none of its votes count")).to_be_visible()

    # Open
    page.get_by_role("link", name="Next: open the study").click()
    expect(page.get_by_text("The design below is frozen for good")).to_be_visible()
    page.get_by_role("button", name="Open the study").click()
    expect(page.locator(".rp-badge").first).to_have_text("open")
    expect(page.get_by_role("navigation", name="Set-up of the study")).to_have_count(0)

    # Votes
    visitor = open_context().new_page()
    visitor.goto(page.get_by_role("textbox", name="Link for raters").input_value())
    vote(visitor, practice=2, pairs=5)
    study = Study.objects.get()
    people = Response.objects.filter(trial__session__study=study, trial__session__rater__origin="person")
    assert people.count() == 7

    # Close
    page.goto(reverse("admin:studies_study_change", args=[study.pk]))
    page.get_by_role("link", name="Close the study").click()
    page.get_by_role("button", name="Close the study").click()
    expect(page.locator(".rp-badge").first).to_have_text("closed")
    page.goto(reverse("admin:studies_study_results", args=[study.pk]))
    expect(page.get_by_role("heading", name="Results by condition")).to_be_visible()

    # The bundle, and its own command
    page.get_by_role("button", name="Prepare the bundle").click(timeout=120_000)  # here tasks run within the request
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the bundle").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / study.slug
    command = [sys.executable, "-m", "studies.statistics", "responses.csv", "--more"]
    again = subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, check=True)
    assert again.stdout == (folder / "tables" / "results.txt").read_text(encoding="utf-8")
    assert "1 completed" in again.stdout
