"""docs/upgrading.md has a section for each release, and names the migrations that go through rows."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UPGRADING = (ROOT / "docs" / "upgrading.md").read_text(encoding="utf-8")


def test_every_release_of_the_changelog_says_what_it_needs() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\S+)", changelog, re.MULTILINE)
    assert released
    assert set(released) <= set(re.findall(r"^## (\S+)", UPGRADING, re.MULTILINE))


def test_migrations_that_go_through_rows_are_named() -> None:
    slow = {
        path.stem
        for path in (ROOT / "studies" / "migrations").glob("0*.py")
        if re.search(r"RunPython|RunSQL", path.read_text(encoding="utf-8"))
    }
    named = set(re.findall(r"`(\d{4}_\w+)`", UPGRADING))
    assert slow - named == set(), "tell in docs/upgrading.md what they do, and whether they take long"
    assert named <= {path.stem for path in (ROOT / "studies" / "migrations").glob("0*.py")}
