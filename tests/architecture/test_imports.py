"""What may load when, seen from outside. The direction of imports is checked by `make lint` (import-linter)."""

import subprocess
import sys

import pytest

# Torch takes two seconds and hundreds of megabytes; the others are for drawing and statistics, on demand.
DOORS = ["evalsite.urls", "studies.urls", "studies.views", "studies.admin", "studies.tasks", "studies.forms"]


def modules_loaded_by(*names: str) -> set[str]:
    """Import modules in a new process with Django set up, and name everything that is loaded then."""
    code = (
        "import importlib, sys, django; django.setup();"
        f"[importlib.import_module(name) for name in {names!r}];"
        "print(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_web_process_does_not_load_torch() -> None:
    loaded = modules_loaded_by(*DOORS)
    assert set(DOORS) <= loaded
    assert loaded.isdisjoint({"torch", "sr_models", "baselines"})


@pytest.mark.parametrize("module", ["studies.planning", "studies.images", "studies.statistics", "studies.reports"])
def test_pure_module_runs_without_django(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert set(result.stdout.split()).isdisjoint({"celery", "django", "torch"})
