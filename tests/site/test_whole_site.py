"""One study from photos to its export, by a whole site's pages: one story for embedded and production parts."""

import csv
import io
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import rater
from tests.factories import make_picture, png_bytes
from tests.site.parts import Site

pytestmark = [pytest.mark.site, pytest.mark.browser, pytest.mark.worker, pytest.mark.slow]

PARTICIPANT = "5f1e0c0ffee0badc0de0a11c"
"""A panel's id that must never stand in a log."""

PRACTICE, TEST, GOLDEN = 2, 4, 1
MADE_S = 120

Visitor = Callable[..., BrowserContext]


def sign_in(page: Page, site: Site) -> None:
    page.goto("/admin/")
    page.get_by_label("Username").fill(site.username)
    page.get_by_label("Password").fill(site.password)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile("/admin/$"))


def make_photos(page: Page, folder: Path, *, name: str, count: int, seed: int) -> None:
    """Make a set and upload photos; ends on the report of the upload."""
    page.goto("/admin/studies/photoset/add/")
    page.locator("[name=name]").fill(name)
    page.get_by_role("button", name="Make the set").click()
    files = []
    for i in range(count):
        path = folder / f"{seed + i}.png"
        path.write_bytes(png_bytes(make_picture(size=64, seed=seed + i)))
        files.append(path)
    page.get_by_label("Photos, or one zip of photos").set_input_files(files)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text(f"{count} pictures added.")).to_be_visible(timeout=60_000)  # the worker decodes them


def make_study(page: Page, folder: Path, *, name: str) -> str:
    """Make a study of two methods with a short session for a panel; returns the address of its page."""
    make_photos(page, folder, name=f"{name} bank", count=3, seed=900)
    make_photos(page, folder, name=f"{name} photos", count=8, seed=500)
    page.get_by_role("link", name="New study with these photos").click()
    page.locator("[name=title]").fill(name)
    page.locator("[name=slug]").fill(name)
    page.get_by_role("button", name="Make the study").click()
    expect(page).to_have_url(re.compile(r"/study/\d+/photos/$"))
    study = page.url.replace("/photos/", "/change/")

    page.goto(study.replace("/change/", "/protocol/"))
    counts = {"practice_count": PRACTICE, "test_count": TEST, "golden_count": GOLDEN}
    for field, value in {**counts, "lead_in_ms": 100, "exposure_ms": 50, "gap_ms": 0}.items():
        page.locator(f"[name={field}]").fill(str(value))
    page.get_by_role("button", name="Save the protocol").click()
    expect(page).to_have_url(study)
    page.goto(study.replace("/change/", "/conditions/"))
    conditions = page.locator("[data-condition]:visible")
    for _ in range(4):  # those that need weights, which take a minute to load
        conditions.last.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Add a condition").click()
    conditions.last.get_by_label("Method").select_option(label="Nearest neighbour")
    banks = conditions.last.get_by_label("Bank of training photos")
    bank = banks.locator("option", has_text=f"{name} bank").get_attribute("value")
    banks.select_option(value=bank)
    page.get_by_role("button", name="Save conditions").click()
    expect(page).to_have_url(study)
    page.goto(study.replace("/change/", "/recruitment/"))
    page.get_by_label("Prolific", exact=True).check()
    page.locator("[name=exit_completed]").fill("DONE1")
    page.get_by_role("button", name="Save the recruitment").click()
    expect(page.get_by_text("The recruitment is saved.")).to_be_visible()
    return study


def prepare_and_open(page: Page, study: str) -> str:
    """Let the workers make the samples, and open the study; returns the link for raters."""
    page.goto(study)
    page.get_by_role("button", name="Prepare samples").click()
    badge = page.locator(".rp-badge").first
    expect(badge).to_have_text("ready", timeout=MADE_S * 1000)
    page.goto(study.replace("/change/", "/open/"))
    page.get_by_role("button", name="Open the study").click()
    expect(badge).to_have_text("open")
    link = page.locator("#vote-link").input_value()
    return link.partition("?")[0]


def take_part(page: Page, link: str, *, participant: str) -> None:
    """Go through a whole session, by keyboard; ends on the panel's code."""
    page.goto(f"{link}?PROLIFIC_PID={participant}&SESSION_ID=sub{participant}&STUDY_ID=st1")
    rater.consent(page)
    page.keyboard.press("Enter")
    for i in range(PRACTICE):
        rater.wait_for_choice(page)
        page.keyboard.press("12"[i % 2])
        page.locator("#next").wait_for()
        page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    for i in range(TEST + GOLDEN):
        rater.wait_for_choice(page)
        page.keyboard.press("12"[i % 2])
    expect(page.locator("#code")).to_have_text("DONE1")


def assert_logs_name_ids_and_nobody(logs: Path) -> None:
    """A rater came from a panel, and workers made samples: lines name study, session and task, and no person."""
    texts = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in logs.glob("*.log")}
    for name, text in texts.items():
        assert PARTICIPANT not in text, name
        assert "HeadlessChrome" not in text, name
    lines = [json.loads(line) for text in texts.values() for line in text.splitlines() if line.startswith("{")]
    answers = [line for line in lines if str(line.get("path", "")).endswith("/answer")]
    assert len(answers) >= PRACTICE + TEST + GOLDEN
    assert all(line["study"] and line["session"] for line in answers)
    tasks = [line for line in lines if line.get("task") == "studies.tasks.samples_generate"]
    assert tasks, "no worker made a sample"
    assert all(line["task_id"] and line["study"] for line in tasks)
    addresses = re.compile(r"\b127\.0\.0\.1(?!:\d)")  # with a port it is where a server listens, and no visitor's
    told = [line for line in lines if "request" in str(line["event"]) and addresses.search(json.dumps(line))]
    assert told == []


def assert_metrics_tell_the_votes(site: Site) -> None:
    """Whichever process is asked, it tells what all have counted."""
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{site.url}/metrics", timeout=30)
    request = urllib.request.Request(f"{site.url}/metrics", headers={"Authorization": f"Bearer {site.metrics_token}"})
    with urllib.request.urlopen(request, timeout=30) as response:
        text = response.read().decode()
    votes = PRACTICE + TEST + GOLDEN
    counted = re.search(
        r'^evalsite_request_seconds_count\{.*status="200",view="studies:answer".*\} (\S+)$', text, re.MULTILINE
    )
    assert counted is not None, text
    assert float(counted[1]) >= votes
    kept = re.search(r"^evalsite_votes (\S+)$", text, re.MULTILINE)
    assert kept is not None, text
    assert float(kept[1]) >= votes
    assert 'evalsite_queue_length{queue="training"} 0.0' in text


def test_study_goes_from_photos_to_its_export(site: Site, visitor: Visitor, tmp_path: Path) -> None:
    page = visitor(viewport={"width": 1440, "height": 900}).new_page()
    sign_in(page, site)
    study = make_study(page, tmp_path, name=f"whole-{tmp_path.name.replace('_', '-')[-20:]}")
    link = prepare_and_open(page, study)

    take_part(visitor(locale="en").new_page(), link, participant=PARTICIPANT)

    page.goto(study.replace("/change/", "/close/"))
    page.get_by_role("button", name="Close the study").click()
    expect(page.locator(".rp-badge").first).to_have_text("closed")
    page.goto(study.replace("/change/", "/results/"))
    expect(page.locator(".rp-next-sentence").first).to_contain_text(re.compile(rf"{TEST} votes of 1 session|left out"))
    export = page.request.get(study.replace("/change/", "/responses.csv"))
    assert export.ok, export.status
    rows = list(csv.DictReader(io.StringIO(export.text())))
    kinds = [row["kind"] for row in rows]
    assert (kinds.count("practice"), kinds.count("test"), kinds.count("golden")) == (PRACTICE, TEST, GOLDEN)
    assert all(float(row["exposure_first_ms"]) > 0 for row in rows)
    assert PARTICIPANT not in export.text()
    if site.metrics_token:
        assert_metrics_tell_the_votes(site)
    if site.logs is not None:
        assert_logs_name_ids_and_nobody(site.logs)
