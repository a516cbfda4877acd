"""A site of real processes: the one that the environment names, or an embedded one that is started for the tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.site.parts import Site, environment_of, serving


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the site at `SITE_URL`, whose operator is `SITE_USERNAME` with `SITE_PASSWORD`; without it, an embedded one.

    `SITE_METRICS_TOKEN` and the folder `SITE_LOGS` are what tests of metrics and logs need; there are none elsewhere.
    """
    url = os.environ.get("SITE_URL", "").rstrip("/")
    if url:
        kept = os.environ.get("SITE_LOGS", "")
        yield Site(
            url,
            os.environ["SITE_USERNAME"],
            os.environ["SITE_PASSWORD"],
            os.environ.get("SITE_METRICS_TOKEN", ""),
            Path(kept) if kept else None,
        )
        return
    folder = tmp_path_factory.mktemp("site")
    logs = folder / "logs"
    logs.mkdir()
    environment = environment_of(folder / "data", EVALSITE_METRICS_TOKEN="open for the tests")
    with serving(environment, logs=logs, workers={"worker": "celery,training"}) as embedded:
        yield embedded


@pytest.fixture
def visitor(chromium: Browser, site: Site) -> Iterator[Callable[..., BrowserContext]]:
    """Open browser contexts, each a visitor with cookies of its own, on the site; no page may have a script error."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_one(**options: Any) -> BrowserContext:
        context = chromium.new_context(base_url=site.url, ignore_https_errors=True, **options)
        context.set_default_timeout(30_000)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        contexts.append(context)
        return context

    yield open_one
    for context in contexts:
        context.close()
    assert errors == []
