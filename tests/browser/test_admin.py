"""The researcher's pages in a real browser: what their script does, and that everybody can use them."""

import io
from collections.abc import Callable
from itertools import product
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, expect

from studies import tasks, training
from studies.admin.training import configs_ordered
from studies.models import Origin, Researcher, Study, StudyState
from studies.services.photo_uploads import photo_uploads_begin
from studies.services.studies import ConditionSpec
from tests.factories import (
    answer_current,
    make_photo_set,
    make_picture,
    make_researcher,
    make_session,
    make_study,
    png_bytes,
)
from tests.training import CONFIG, in_state, make_run, progress_write

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: Faults that shut people out; axe calls the others moderate or minor.
GRAVE = {"serious", "critical"}

#: axe would fetch style sheets once more to look for locked orientations, and break the policy as it puts them in.
OPTIONS = {"preload": False}

#: The rules of axe that are about colours: the night has others, and nothing else.
COLOURS = ["color-contrast", "link-in-text-block"]

OpenContext = Callable[..., BrowserContext]


def address(name: str, study: Study) -> str:
    return reverse(f"admin:studies_study_{name}", args=[study.pk])


def sign_in(context: BrowserContext, researcher: Researcher, live_server: Any) -> None:
    """Give a browser the cookie of a session that the test opens."""
    client = Client()
    client.force_login(researcher)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])


@pytest.fixture(autouse=True)
def _checked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check training configs in this process, and not in one of its own, which would load torch first each time."""
    monkeypatch.setattr(training, "_checked", lambda orders: [training._order_check(order) for order in orders])
    training.shipped_facts()


@pytest.fixture
def researcher() -> Researcher:
    return make_researcher()


@pytest.fixture
def signed_in(page: Page, researcher: Researcher, live_server: Any) -> Page:
    sign_in(page.context, researcher, live_server)
    return page


@pytest.mark.slow
@pytest.mark.parametrize("width", [1024, 390])
def test_pages_have_no_grave_fault_and_fit_the_screen(
    open_context: OpenContext, researcher: Researcher, live_server: Any, width: int
) -> None:
    draft = make_study(owner=researcher, state=StudyState.DRAFT)
    ready = make_study(owner=researcher, state=StudyState.READY)
    opened = make_study(owner=researcher)
    make_session(opened)
    make_session(opened, origin=Origin.SIMULATED)
    make_session(opened, origin=Origin.PREVIEW)
    running = in_state(make_run(owner=researcher, photo_set=draft.photo_set, steps=2_000), "running", step=40)
    progress_write(running)
    (running.folder / "samples.png").write_bytes(png_bytes(make_picture(size=1536)[:512]))
    waiting = make_run(owner=researcher, photo_set=draft.photo_set)
    finished = in_state(make_run(owner=researcher, photo_set=draft.photo_set), "finished", step=20, reason="Finished.")
    empty = make_photo_set(owner=researcher, photos=0)
    files = [("good.png", io.BytesIO(png_bytes(make_picture()))), ("broken.png", io.BytesIO(b"no picture"))]
    (upload,) = photo_uploads_begin(photo_set=empty, files=files)
    tasks.photo_upload_run(upload.pk)
    photo = draft.photo_set.photos.first()
    assert photo is not None
    addresses = [
        reverse("admin:index"),
        reverse("admin:studies_study_changelist"),
        reverse("admin:studies_study_add"),
        reverse("admin:studies_study_planner"),
        *(address("change", study) for study in (draft, ready, opened)),
        *(address(name, draft) for name in ("photos", "plan", "check", "recruitment")),
        *(address(name, ready) for name in ("protocol", "check")),
        address("plan", opened),
        address("conditions", draft),
        address("conditions", opened),
        address("protocol", draft),
        address("protocol", opened),
        address("open", ready),
        address("close", opened),
        address("history", opened),
        address("sharing", opened),
        address("live", opened),
        address("live", opened) + "?origin=simulated",
        address("pause", opened),
        reverse("admin:studies_jobs"),
        *(reverse("admin:studies_job", args=job) for job in (("training", running.pk), ("samples", ready.pk))),
        reverse("admin:studies_job", args=["photos", upload.pk]),
        address("results", draft),
        address("results", opened),
        address("results", opened) + "?origin=simulated",
        reverse("admin:studies_photoset_changelist"),
        reverse("admin:studies_photoset_add"),
        reverse("admin:studies_photoset_change", args=[empty.pk]),
        reverse("admin:studies_photoset_change", args=[opened.photo_set_id]),
        reverse("admin:studies_photo_changelist"),
        reverse("admin:studies_photo_change", args=[photo.pk]),
        reverse("admin:studies_ratingsession_changelist"),
        reverse("admin:studies_trainingrun_changelist"),
        reverse("admin:studies_trainingrun_add"),
        *(reverse("admin:studies_trainingrun_change", args=[run.pk]) for run in (running, waiting, finished)),
        reverse("admin:studies_trainingrun_stop", args=[running.pk]),
        reverse("admin:studies_trainingrun_delete", args=[finished.pk]),
        reverse("admin:studies_trainingrun_history", args=[finished.pk]),
    ]
    context = open_context(viewport={"width": width, "height": 844})
    sign_in(context, researcher, live_server)
    page = context.new_page()
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    faults = []
    for place, scheme in product(addresses, schemes):
        page.emulate_media(color_scheme=scheme)
        page.goto(place)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        rules = OPTIONS if scheme == "light" else {**OPTIONS, "runOnly": COLOURS}
        faults += [
            (place, scheme, fault["id"], node["html"][:200])
            for fault in Axe().run(page, options=rules).response["violations"]
            if fault["impact"] in GRAVE
            for node in fault["nodes"]
        ]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append((place, scheme, "wider than the screen", ""))
    assert not faults, "\n".join(map(str, faults))


def test_run_is_made_by_clicking_and_its_config_follows_the_choice_until_it_is_changed(
    signed_in: Page, researcher: Researcher
) -> None:
    page = signed_in
    photo_set = make_photo_set(owner=researcher, photos=3)
    page.goto(reverse("admin:studies_trainingrun_add"))
    page.get_by_label("Name").fill("Rooms, by hand")
    page.get_by_label("Photos to train on").select_option(str(photo_set.pk))
    first, second = [config.name for config in configs_ordered()][:2]
    texts = {config.name: config.text for config in training.configs_list()}
    config = page.get_by_label("Config as TOML")
    expect(config).to_have_value(texts[first])
    page.get_by_label(second).check()
    expect(config).to_have_value(texts[second])

    config.fill("[network]\nname = 'nothing'\n")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_label(first).check()
    expect(config).to_have_value("[network]\nname = 'nothing'\n")
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_text("Nothing was started")).to_be_visible()
    expect(config).to_have_value("[network]\nname = 'nothing'\n")

    config.fill(CONFIG.format(steps=2, validate_every=1))
    page.get_by_role("button", name="Start training").click(timeout=60_000)  # here tasks run within the request
    expect(page.get_by_text("2 of 2 steps")).to_be_visible()
    expect(page.locator(".rp-badge")).to_have_text("finished")


def test_page_follows_a_training_run_by_itself(signed_in: Page, researcher: Researcher) -> None:
    run = in_state(make_run(owner=researcher, steps=2_000), "running", step=40)
    progress_write(run)
    (run.folder / "samples.png").write_bytes(png_bytes(make_picture(size=64)))
    page = signed_in
    page.goto(reverse("admin:studies_trainingrun_change", args=[run.pk]))
    page.evaluate("document.querySelector('[data-live]').dataset.mark = 'the same page'")
    line, grid = page.locator("[data-path=training]"), page.locator("[data-source=grid]")
    before = line.get_attribute("d"), grid.get_attribute("src")
    progress_write(run, steps=80)
    in_state(run, "running", step=80)
    (run.folder / "samples.png").write_bytes(png_bytes(make_picture(size=64, seed=1)))
    expect(page.get_by_text("80 of 2,000 steps")).to_be_visible()
    expect(page.locator("[data-text=log]")).to_contain_text("step 80: validation joint 0.11")
    expect(line).not_to_have_attribute("d", str(before[0]))
    expect(grid).not_to_have_attribute("src", str(before[1]))
    expect(page.locator("[data-mark]")).to_have_count(1)
    in_state(run, "stopped")
    expect(page.locator(".rp-badge")).to_have_text("stopped")


def test_link_is_copied(signed_in: Page, researcher: Researcher, live_server: Any) -> None:
    study = make_study(owner=researcher)
    signed_in.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=live_server.url)
    signed_in.goto(address("change", study))
    signed_in.get_by_role("button", name="Copy the link for raters").click()
    expect(signed_in.get_by_role("button", name="Copied")).to_be_visible()
    assert signed_in.evaluate("navigator.clipboard.readText()") == f"{live_server.url}/s/{study.code}/"


def test_page_follows_the_preparation_by_itself(signed_in: Page, researcher: Researcher) -> None:
    conditions = (ConditionSpec("bicubic"), ConditionSpec("bicubic", role="test", label="Smooth"))
    study = make_study(owner=researcher, state=StudyState.PREPARING, conditions=conditions)
    signed_in.goto(address("change", study))
    expect(signed_in.get_by_text("none yet").first).to_be_visible()
    tasks.samples_plan(study.pk)
    expect(signed_in.locator(".rp-badge")).to_have_text("ready")
    expect(signed_in.get_by_text("9 of 9").first).to_be_visible()


def test_page_counts_votes_by_itself(signed_in: Page, researcher: Researcher) -> None:
    study = make_study(owner=researcher)
    make_session(study)
    make_session(study, answers=[])
    signed_in.goto(address("change", study))
    signed_in.evaluate("document.querySelector('[data-live]').dataset.mark = 'the same page'")
    place = f"[data-text=complete-person-{study.sessions.latest('pk').condition_id}]"
    expect(signed_in.locator(place)).to_have_text("0 of 40")
    session = study.sessions.latest("pk")
    for _ in range(study.practice_count + study.main_count):
        answer_current(session)
    expect(signed_in.locator(place)).to_have_text("1 of 40", timeout=15_000)
    expect(signed_in.locator("[data-mark]")).to_have_count(1)


def test_text_for_raters_is_previewed_while_it_is_typed(
    signed_in: Page, researcher: Researcher, live_server: Any
) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    signed_in.goto(live_server.url + address("protocol", study))
    preview = signed_in.locator("#id_debriefing_text_preview")
    button = signed_in.locator("[aria-controls=id_debriefing_text_preview]")
    button.click()
    expect(preview).to_have_text("Nothing is written yet: raters see no such text.")
    signed_in.fill("[name=debriefing_text]", "# Why\n\n- **one**\n- <img src=x onerror=alert(1)>")
    expect(preview.locator("h3")).to_have_text("Why")
    expect(preview.locator("li strong")).to_have_text("one")
    expect(preview.locator("li").last).to_have_text("<img src=x onerror=alert(1)>")
    expect(button).to_have_attribute("aria-expanded", "true")
    results = Axe().run(signed_in, ".rp-written-preview")
    assert results.violations_count == 0, results.generate_report()
    button.click()
    expect(preview).to_be_hidden()
    expect(button).to_have_text("Preview")


def test_figures_of_the_rules_follow_what_is_typed_and_presets_type_it(
    signed_in: Page, researcher: Researcher, live_server: Any
) -> None:
    study = make_study(
        owner=researcher, state=StudyState.DRAFT, practice_count=10, test_count=40, golden_count=5, spare_photos=0
    )
    signed_in.goto(live_server.url + address("protocol", study))
    figures = signed_in.locator("[data-figures]")
    expect(figures).to_contain_text("out at 1 of 5 missed")
    signed_in.fill("[name=golden_misses_allowed]", "1")
    expect(figures).to_contain_text("out at 2 of 5 missed")
    expect(figures).to_contain_text("18.8 % who guesses")
    signed_in.fill("[name=golden_misses_allowed]", "6")
    expect(figures).to_contain_text("Of 5 golden pairs, no more than 5 can be missed")
    signed_in.get_by_role("button", name="Robust").click()
    expect(figures).to_contain_text("out at 2 of 8 missed")
    expect(figures).to_contain_text("out at 15 in a row on one side")
    expect(signed_in.locator("[name=golden_count]")).to_have_value("8")
    signed_in.get_by_role("button", name="Founding paper").click()
    expect(figures).to_contain_text("out at 1 of 5 missed")
    expect(figures).not_to_contain_text("in a row")
    signed_in.get_by_role("button", name="Robust").click()
    signed_in.get_by_role("button", name="Save the protocol").click()
    signed_in.wait_for_url(f"**{address('change', study)}")
    study.refresh_from_db()
    assert (study.golden_count, study.golden_misses_allowed, study.side_bias_p) == (8, 1, 0.001)
