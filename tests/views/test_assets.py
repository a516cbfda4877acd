"""Rater pages are small, without code or style in the page, and ask nothing of other hosts."""

import re
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from studies.services.sessions import session_start
from tests.factories import make_open_study

STATIC = Path(__file__).parents[2] / "studies" / "static" / "studies"
SHEETS = ("tokens.css", "rater.css")
SCRIPTS = ("trial.js", "onward.js", "pictures.js", "presence.js", "timing.js", "transport.js", "words.js", "landing.js")


def test_style_sheets_stay_under_12_kb() -> None:
    assert sum((STATIC / name).stat().st_size for name in SHEETS) < 12_000


@pytest.mark.django_db
def test_whole_page_stays_under_60_kb_and_keeps_to_itself(client: Client) -> None:
    session = session_start(study=make_open_study())
    addresses = (reverse("studies:entry", args=[session.study.code]), reverse("studies:rate", args=[session.code]))
    assets = sum((STATIC / name).stat().st_size for name in (*SHEETS, *SCRIPTS, "icon.svg"))
    for address in addresses:
        page = client.get(address).content.decode()
        assert assets + len(page.encode()) < 60_000
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page)
        assert not re.search(r"<script(?![^>]*(\ssrc=|application/json))", page)
        assert not re.search(r"""(src|href|action)=["'](https?:)?//""", page)
