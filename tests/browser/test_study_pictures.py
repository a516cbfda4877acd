"""A researcher brings pictures of a method of their own into a study, by clicking."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, expect

from studies.models import StudyState
from studies.selectors.photos import photo_stems
from studies.services.studies import ConditionSpec
from tests.factories import PASSWORD, make_picture, make_small_study, png_bytes

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def assert_fits_and_is_accessible(page: Page) -> None:
    """Look at the page by day and by night, on a small computer and a phone."""
    for width in (390, 1024):
        for scheme in ("light", "dark"):
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme)
            page.evaluate("Promise.all(document.getAnimations().map((change) => change.finished))")  # links fade
            results = Axe().run(page)
            assert results.violations_count == 0, results.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_pictures_come_as_a_zip_are_reported_on_and_taken_over_and_go_along_to_a_clone(
    open_context: Callable[..., BrowserContext], tmp_path: Path
) -> None:
    conditions = (ConditionSpec("bicubic"), ConditionSpec("uploaded", label="Diffusion"))
    study = make_small_study(state=StudyState.DRAFT, conditions=conditions)
    page = open_context(viewport={"width": 1024, "height": 800}).new_page()
    page.goto(reverse("admin:login"))
    page.get_by_label("Username").fill(study.owner.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{reverse('admin:index')}")
    page.goto(reverse("admin:studies_study_change", args=[study.pk]))
    page.get_by_role("link", name="Upload its pictures").click()
    expect(page.get_by_text("0 of 4 photos have a picture")).to_be_visible()
    assert_fits_and_is_accessible(page)

    packed = io.BytesIO()
    *most, last = photo_stems(study.photo_set.photos.order_by("pk")).values()
    with zipfile.ZipFile(packed, "w") as archive:
        for i, stem in enumerate(most):
            archive.writestr(f"out/{stem}.png", png_bytes(make_picture(seed=i)))
        archive.writestr(f"out/{last}.png", png_bytes(make_picture(size=64)))
        archive.writestr("out/stranger.png", b"?")
    (tmp_path / "outputs.zip").write_bytes(packed.getvalue())
    page.get_by_label("Pictures, or one zip of pictures").set_input_files(tmp_path / "outputs.zip")
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_text("is 64 x 64 pixels, but the photos are 32 x 32")).to_be_visible()
    assert_fits_and_is_accessible(page)
    page.get_by_role("button", name="Take over 3 pictures").click()
    expect(page.get_by_text("3 of 4 photos have a picture")).to_be_visible()
    expect(page.locator(".rp-sheet img")).to_have_count(3)
    for picture in page.locator(".rp-sheet img").all():
        expect(picture).to_have_js_property("naturalWidth", 32)
    assert_fits_and_is_accessible(page)
    page.goto(reverse("admin:studies_study_conditions", args=[study.pk]))
    assert_fits_and_is_accessible(page)
    for name, args in (("clone", [study.pk]), ("import", [])):
        page.goto(reverse(f"admin:studies_study_{name}", args=args))
        assert_fits_and_is_accessible(page)
    page.goto(reverse("admin:studies_study_clone", args=[study.pk]))
    page.get_by_role("button", name="Make the clone").click()
    expect(page.get_by_text(f"all the settings of “{study.slug}”")).to_be_visible()
    expect(page.get_by_role("link", name="Upload its pictures")).to_be_visible()
