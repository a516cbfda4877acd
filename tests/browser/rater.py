"""A rater with a browser: the steps that one takes, by keyboard or by touch."""

from django.urls import reverse
from playwright.sync_api import Page, expect

from studies.models import RatingSession, Response, Study


def land(page: Page, study: Study) -> None:
    """Open the link to a study."""
    page.goto(reverse("studies:entry", args=[study.code]))


def consent(page: Page) -> None:
    """Agree and start, by keyboard; ends on the instructions."""
    page.get_by_role("checkbox").press("Space")
    page.get_by_role("button", name="Start").press("Enter")
    expect(page.get_by_role("heading", name="How it works")).to_be_visible()


def open_session(page: Page, session: RatingSession) -> None:
    """Open a session's own address."""
    page.goto(reverse("studies:rate", args=[session.code]))


def wait_for_choice(page: Page) -> None:
    """Wait until the buttons can be used."""
    page.locator("#choose-first[aria-disabled=false]").wait_for()


def wait_for_picture(page: Page, which: str = "first") -> None:
    """Wait until a picture is on the screen."""
    page.locator(f"#{which}.is-shown").wait_for()


def progress(page: Page) -> str:
    """Return where the page says that the rater is."""
    return page.locator("#progress-words").inner_text()


def answers_of(session: RatingSession) -> list[Response]:
    """Return what was kept, in the order of the trials."""
    return list(Response.objects.filter(trial__session=session).order_by("trial__position").select_related("trial"))
