"""What stands in the README of a bundle."""

import platform
from importlib.metadata import version

from studies import __version__
from studies.reports.wording import SIMULATED
from studies.statistics.results import ResultTable

REQUIREMENTS = ("numpy", "scipy")
"""What the command of a bundle needs, besides Python and the sources in it."""


def bundle_requirements() -> list[str]:
    """Return the packages with which the tables were computed, as pip names them."""
    return [f"{name}=={version(name)}" for name in REQUIREMENTS]


def bundle_readme(table: ResultTable, *, has_parquet: bool) -> str:
    """Return the README, in Markdown.

    Args:
        table: The results that are in the bundle.
        has_parquet: Whether the responses are in it as Parquet too.
    """
    notice = [SIMULATED, ""] if table.is_simulated else []
    parquet = [("`responses.parquet`", "the same, typed")] if has_parquet else []
    files = [
        ("`design.json`", "the frozen design: protocol, texts, conditions, photos, pairs, rules, analysis"),
        ("`responses.csv`", "every response, pseudonymous; columns in the platform's `docs/export-schema.md`"),
        *parquet,
        ("`tables/`", "the results in every form, and each further table as CSV"),
        ("`figures/`", "every figure as SVG, PDF and PNG"),
        ("`methods.*`", "the methods section, written from the design"),
        ("`stimuli/`", "the pictures that raters saw, pixel by pixel; `stimuli.csv` lists them"),
        ("`events.csv`", "what was done to the study, and when; accounts are numbered"),
        ("`studies/`", "the sources that compute the tables"),
        ("`requirements.txt`", "the packages that they need"),
    ]
    python = ".".join(platform.python_version_tuple()[:2])
    lines = [
        f"# {table.title}",
        "",
        *notice,
        f"Study `{table.study}`, votes up to {table.last_vote or '(none yet)'}, made by evalsite {__version__}.",
        f"The SHA-256 of the design is `{table.design_sha256}`.",
        "",
        "## The table again",
        "",
        f"From the responses alone, to the last digit, on any computer with Python {python} or later:",
        "",
        "    python3 -m venv env",
        "    env/bin/pip install -r requirements.txt",
        "    env/bin/python -m studies.statistics responses.csv --more > again.txt",
        "    cmp again.txt tables/results.txt",
        "",
        "`--format csv`, `json`, `latex`, `markdown` and `html` give the other forms (without `--more` for CSV).",
        "",
        "## What is in it",
        "",
        "| file | what |",
        "|---|---|",
        *(f"| {name} | {what} |" for name, what in files),
        "",
        "A photo is named by the first 16 digits of the SHA-256 of its pixels, in `responses.csv` as in file names.",
        "No address, no id of a recruitment platform and no code is in here.",
    ]
    return "\n".join(lines) + "\n"
