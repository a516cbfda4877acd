"""Follow docs/tutorial.md on a running demo, and take the README's pictures on the way.

`make demo RATERS=40` in one terminal, `.venv/bin/python -m tests.tutorial http://127.0.0.1:8000` in another; it asks
for the password of the demo's account. It needs a site in which no study is called “my-rooms” yet.
"""

import argparse
import getpass
import shutil
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.conftest import CHROMIUM_ARGUMENTS

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "images"
SIZE = {"width": 1200, "height": 860}
WORKER_MS = 300_000
"""For what the worker makes, on a busy machine."""


def sign_in(page: Page, password: str) -> None:
    """Step 1."""
    page.goto("/admin/")
    page.get_by_label("Username").fill("researcher")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.locator("#studies-study").get_by_role("link", name="Studies").click()


def set_up(page: Page) -> None:
    """Steps 2 to 6."""
    page.get_by_role("link", name="New study").click()
    page.get_by_label("Title").press_sequentially("My rooms")
    page.get_by_label("Photos that are here").select_option(label="Interiors: judged (8 → 32 px), 101 photos")
    page.get_by_role("button", name="Make the study").click()
    page.get_by_role("button", name="Next: conditions").click()

    conditions = page.locator("[data-condition]:visible")
    expect(conditions).to_have_count(5)
    conditions.nth(4).get_by_role("button", name="Remove").click()
    conditions.nth(2).get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Add a condition").click()
    conditions.last.get_by_label("Method").select_option(label="Nearest neighbour")
    conditions.last.get_by_label("Bank of training photos").select_option(label="Interiors: bank (8 → 32 px)")
    conditions.nth(2).locator("[name$=pixel_recursive__checkpoint]").select_option("rooms")
    page.get_by_role("button", name="Next: protocol").click()

    page.get_by_text("Start from another protocol").click()
    page.get_by_label("Founding protocol, mixed").check()
    page.get_by_role("button", name="Take its settings").click()
    for label, count in (("Practice pairs", 2), ("Test pairs", 12), ("Golden pairs", 2)):
        page.get_by_label(label, exact=True).fill(str(count))
    page.get_by_role("button", name="Next: recruitment").click()
    page.get_by_role("button", name="Next: plan").click()

    answer = page.locator("[data-headline]")
    expect(answer).to_contain_text("rater")
    picture(page, "plan")
    before = answer.inner_text()
    page.get_by_label("Half-width of the interval, points").fill("15")
    expect(answer).not_to_have_text(before)
    page.get_by_role("button", name="Next: check").click()


def check_and_open(page: Page) -> None:
    """Steps 7 and 8."""
    page.get_by_role("button", name="Next: make the samples").click()
    expect(page.locator(".rp-badge").first).to_have_text("ready", timeout=WORKER_MS)
    expect(page.locator(".rp-stage[data-drawn]")).to_be_visible()
    picture(page, "set-up")
    page.get_by_role("link", name="Next: open the study").click()
    page.get_by_role("button", name="Open the study").click()
    expect(page.get_by_role("textbox", name="Link for raters")).to_be_visible()


def close(page: Page) -> None:
    """Step 9."""
    page.get_by_role("link", name="Close the study").click()
    page.get_by_role("button", name="Close the study").click()
    expect(page.locator(".rp-badge").first).to_have_text("closed")
    page.get_by_role("link", name="See results").click()


def demo_show(page: Page) -> None:
    """Take the pages of the study that came with the demo."""
    page.goto("/admin/studies/study/")
    page.get_by_role("link", name="Rooms: which picture is a photo?").click()
    pages = page.get_by_role("navigation", name="Pages of this study")
    pages.get_by_role("link", name="Live").click()
    picture(page, "live")
    pages.get_by_role("link", name="Results").click()
    picture(page, "results")


def picture(page: Page, name: str) -> None:
    """Take what one sees without scrolling."""
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PICTURES / f"{name}.png")


def main() -> None:
    """Follow it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of the running demo, such as http://127.0.0.1:8000")
    url = parser.parse_args().url
    password = getpass.getpass("Password of “researcher”: ")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGUMENTS)
        page = browser.new_context(base_url=url, viewport=SIZE).new_page()  # type: ignore[arg-type] # two numbers
        page.set_default_timeout(30_000)
        sign_in(page, password)
        set_up(page)
        check_and_open(page)
        close(page)
        demo_show(page)
        browser.close()


if __name__ == "__main__":
    main()
