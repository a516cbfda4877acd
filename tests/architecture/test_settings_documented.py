"""docs/operations.md lists the environment variables that settings read: all of them, and no other."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READ = re.compile(r"""\benv\.\w+\(\s*["'](\w+)["']""")
DOCUMENTED = re.compile(r"^\| `([A-Z][A-Z0-9_]+)` \|", re.MULTILINE)


def variables_read() -> list[str]:
    return READ.findall((ROOT / "evalsite" / "settings.py").read_text(encoding="utf-8"))


def variables_documented() -> list[str]:
    return DOCUMENTED.findall((ROOT / "docs" / "operations.md").read_text(encoding="utf-8"))


def test_every_variable_that_settings_read_is_documented() -> None:
    assert set(variables_read()) - set(variables_documented()) == set()


def test_every_documented_variable_is_read_by_settings() -> None:
    assert set(variables_documented()) - set(variables_read()) == set()


@pytest.mark.parametrize("names", [variables_read(), variables_documented()], ids=["read", "documented"])
def test_no_variable_is_named_twice(names: list[str]) -> None:
    assert len(names) >= 10
    assert sorted(names) == sorted(set(names))


def test_the_environment_is_read_in_settings_only() -> None:
    """Only settings read variables; the doors of Django name the settings module, torchrun speaks by variables."""
    readers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("evalsite", "studies", "baselines", "sr_models")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if re.search(r"os\.environ\b|getenv|environ\.Env", path.read_text(encoding="utf-8"))
    ]
    assert set(readers) <= {"evalsite/settings.py", "evalsite/celery.py", "evalsite/wsgi.py", "sr_models/ranks.py"}
