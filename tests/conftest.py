"""What every test can rely on: a data folder of its own, tasks that run at once, no network, and a real browser."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.core.servers.basehttp import WSGIRequestHandler
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, sync_playwright

# Settings read the environment when Django is set up, below. A developer's own EVALSITE_ variables are left out;
# DATABASE_URL is kept, so that the suite can run on PostgreSQL.
_data_dir = tempfile.mkdtemp(prefix="evalsite-tests-")
atexit.register(shutil.rmtree, _data_dir, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith("EVALSITE_")]:
    del os.environ[_name]
os.environ["EVALSITE_DATA_DIR"] = _data_dir
os.environ["EVALSITE_SECRET_KEY"] = "a key for tests only"
os.environ["DJANGO_SETTINGS_MODULE"] = "evalsite.settings"

#: As root Chromium needs --no-sandbox; the others keep it from calling home.
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Set Django up in the environment above; pytest-django does it earlier than this file could speak."""
    django.setup()


@pytest.fixture(autouse=True)
def _own_data(settings: Any, tmp_path: Path) -> None:
    """Keep each test's files apart, and hash passwords fast."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.INCOMING_DIR = tmp_path / "incoming"
    settings.TRAINING_DIR = tmp_path / "training"
    settings.CHECKPOINTS_DIR = tmp_path / "checkpoints"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session", autouse=True)
def _answers_at_once() -> None:
    """Let the live server send each answer when it is there.

    It writes head and body apart, and without this the body waits 40 ms for the other side to acknowledge the head.
    """
    WSGIRequestHandler.disable_nagle_algorithm = True


@pytest.fixture(scope="session", autouse=True)
def _flush_past_the_log() -> Iterator[None]:
    """Let tests that commit be cleaned up after: on SQLite that deletes rows, which triggers of the log refuse.

    Cleaning up takes the triggers away and makes them again; within a test they hold.
    """
    from django.db.backends.sqlite3.base import DatabaseWrapper

    DatabaseOperations = DatabaseWrapper.ops_class
    sql_flush = DatabaseOperations.sql_flush

    def flushing(self: Any, *arguments: Any, **options: Any) -> list[str]:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = cursor.fetchall()
        dropped = [f"DROP TRIGGER {name}" for name, _ in triggers]
        return [*dropped, *sql_flush(self, *arguments, **options), *(sql for _, sql in triggers)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", flushing)
        yield


@pytest.fixture(autouse=True)
def _eager_tasks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run tasks where they are sent from, and let their errors through; tests marked `worker` send them for real."""
    from evalsite.celery import app

    eager = request.node.get_closest_marker("worker") is None
    app.conf.update(task_always_eager=eager, task_eager_propagates=eager)
    yield
    app.conf.update(task_always_eager=False, task_eager_propagates=False)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start one real Chromium for all browser tests of this process."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.fail("Browser tests need the command `chromium`: run tests/browser/ensure_chromium.sh", pytrace=False)
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright's synchronous calls run inside an event loop, which makes Django refuse to query the database.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page_errors() -> list[str]:
    """What went wrong in the pages of this test: script errors, refused resources, broken content security policy.

    It must be empty when the test ends. A test that provokes an error looks at it here, and clears the list.
    """
    return []


@pytest.fixture
def open_context(
    chromium: Browser, live_server: Any, page_errors: list[str]
) -> Iterator[Callable[..., BrowserContext]]:
    """Open browser contexts (each a visitor with cookies of its own) on the live server: `open_context(viewport=…)`."""
    contexts: list[BrowserContext] = []

    def note_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            page_errors.append(f"{message.text} ({message.location.get('url', '')})")

    def note_error(error: Error) -> None:
        page_errors.append(str(error))

    def watch(page: Page) -> None:
        page.on("console", note_console)
        page.on("pageerror", note_error)

    def open_one(**options: Any) -> BrowserContext:
        context = chromium.new_context(base_url=live_server.url, **options)
        context.set_default_timeout(10_000)
        context.on("page", watch)
        contexts.append(context)
        return context

    yield open_one
    for context in contexts:
        context.close()
    assert page_errors == []


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    """Give a page of a computer's size."""
    return open_context(viewport={"width": 1440, "height": 900}).new_page()


@pytest.fixture
def phone_page(open_context: Callable[..., BrowserContext]) -> Page:
    """Give a page of a phone's size, with touch."""
    options = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 3, "is_mobile": True}
    return open_context(**options, has_touch=True).new_page()
