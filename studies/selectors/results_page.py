"""What the results page says, for researchers and for whoever has the public link."""

from typing import Any

from studies.models import Origin, SampleStatus, Study, StudyState
from studies.reports import wording
from studies.reports.page_lines import lines
from studies.reports.published import Reference
from studies.reports.section import Section
from studies.selectors.figures import FIGURE_FORMATS, LABELS, StudyFigures
from studies.selectors.looks import interval_get
from studies.selectors.results_files import SECTION_FORMATS, TABLE_FORMATS

PLACES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "tau": ("Rate against tau", ("tau",), ()),
    "compared": ("Comparisons", ("differences",), ("sequence", "differences", "against_half")),
    "pictures": ("Best and worst pictures", ("gallery",), ()),
    "times": ("Reaction times and order", ("reaction-times",), ("times_and_order",)),
    "sensitivity": ("Sensitivity and agreement", (), ("single_pictures", "sensitivity")),
    "realism": ("Realism against pixel metrics", ("realism",), ("realism_and_fidelity",)),
    "published": ("Published figures", (), ("published",)),
}
"""Anchor of a part of the page -> its heading, its figures and its sections, in the order of the page."""


def results_page(
    study: Study,
    figures: StudyFigures,
    *,
    base: str,
    sections: list[Section],
    hides_figures: bool = False,
    reference: Reference | None = None,
    hides_names: bool = False,
) -> dict[str, Any]:
    """Return the context of the page.

    Args:
        study: The study.
        figures: Its table and figures of one origin.
        base: Address that those of the figures and files begin with.
        sections: What stands below the table.
        hides_figures: Whether figures, which show rates, are left out.
        reference: Which published figures are among the sections, if any.
        hides_names: Whether those who looked are numbered instead of named.
    """
    table, origin = figures.table, figures.origin
    side = study.photo_set.high_res_size
    has_samples = study.conditions.filter(samples__status=SampleStatus.READY).exists()
    shown = [] if hides_figures else figures.names
    parts = parts_of(shown, sections)
    columns, columns_all = wording.columns(table), wording.columns_all(table)
    return {
        "study": study,
        "base": base,
        "origin": origin,
        "query": f"origin={origin.value}" + (f"&reference={reference}" if reference else ""),
        "reference": reference,
        "is_simulated": origin == Origin.SIMULATED,
        "table": table,
        "level": wording.level(table),
        "columns": [column.head for column in columns][1:],
        "lines": lines(table, columns, side=side, has_samples=has_samples),
        "heading_all": wording.HEADING_ALL,
        "columns_all": [column.head for column in columns_all][1:],
        "lines_all": lines(table, columns_all, rows=wording.rows_all(table), side=side, has_samples=has_samples),
        "legend": wording.legend(table),
        "preamble": wording.preamble(table)[1 if table.is_simulated else 0],
        "notes": wording.grouped_notes(table),
        "n_votes": sum(row.n_responses for row in table.rows),
        "has_votes": any(row.n_responses_all for row in table.rows),
        "has_samples": has_samples,
        "not_finished": table.flow.started - table.flow.completed - (table.flow.failed_practice or 0),
        "reasons": [(reason.replace("_", " "), count) for reason, count in table.flow.excluded],
        "exports": TABLE_FORMATS,
        "forest": LABELS["fool-rates"] if "fool-rates" in shown else "",
        "figure_types": FIGURE_FORMATS,
        "section_types": SECTION_FORMATS,
        "parts": parts,
        "interval": interval_get(study, hides_names=hides_names) if origin == Origin.PERSON else None,
        "empty": empty_sentence(study),
    }


def parts_of(
    figures: list[str], sections: list[Section]
) -> list[tuple[str, str, list[tuple[str, str]], list[Section]]]:
    """Return anchor, heading, figures with their names, and sections of each part that has any."""
    named = {section.name: section for section in sections}
    parts = []
    for anchor, (heading, of_figures, of_sections) in PLACES.items():
        drawn = [(name, LABELS[name]) for name in of_figures if name in figures]
        below = [named[name] for name in of_sections if name in named]
        if drawn or below:
            parts.append((anchor, heading, drawn, below))
    return parts


def empty_sentence(study: Study) -> str:
    """Say why there are no votes yet, and what comes next."""
    match StudyState(study.state):
        case StudyState.DRAFT | StudyState.PREPARING | StudyState.READY:
            return "No votes yet: the study was not opened."
        case StudyState.OPEN | StudyState.PAUSED:
            return "No finished session yet. Send raters the link on the study's page; sessions show here as they end."
        case StudyState.CLOSED:
            return "The study was closed before anybody finished."
