"""Files of results, for every door: the table and each further one in its forms, each figure and the data behind it."""

from collections.abc import Callable
from typing import NamedTuple

from studies.models import Study
from studies.reports import FORMATS
from studies.reports.figures import FileFormat, ThemeName
from studies.reports.published import Reference
from studies.reports.section import Section, section_csv
from studies.reports.table_latex import section_latex
from studies.reports.table_markdown import section_markdown
from studies.selectors.figures import FIGURE_FORMATS, StudyFigures
from studies.statistics.results import ResultTable


class ResultsFile(NamedTuple):
    """A file to be sent."""

    name: str
    content: bytes
    content_type: str


class TableFormat(NamedTuple):
    """How a form of the table leaves."""

    label: str
    ending: str
    content_type: str


TABLE_FORMATS: dict[str, TableFormat] = {
    "csv": TableFormat("CSV", "csv", "text/csv; charset=utf-8"),
    "json": TableFormat("JSON", "json", "application/json"),
    "latex": TableFormat("LaTeX", "tex", "application/x-tex; charset=utf-8"),
    "markdown": TableFormat("Markdown", "md", "text/markdown; charset=utf-8"),
    "html": TableFormat("HTML", "html", "text/html; charset=utf-8"),
    "text": TableFormat("Text", "txt", "text/plain; charset=utf-8"),
}
SECTION_RENDERERS: dict[str, Callable[[ResultTable, Section], str]] = {
    "csv": lambda _table, section: section_csv(section),
    "latex": section_latex,
    "markdown": section_markdown,
}
SECTION_FORMATS = {name: TABLE_FORMATS[name] for name in SECTION_RENDERERS}
FIGURE_TYPES: dict[FileFormat, str] = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png"}


def table_file(
    study: Study, figures: StudyFigures, *, format_name: str, reference: Reference | None = None
) -> ResultsFile | None:
    """Return the table with all that stands below it; None where there is no such form."""
    if format_name not in TABLE_FORMATS:
        return None
    form = TABLE_FORMATS[format_name]
    sections = [] if format_name == "csv" else figures.sections(reference=reference)
    name = f"{study.slug}-results-{figures.origin.value}.{form.ending}"
    return ResultsFile(name, FORMATS[format_name](figures.table, sections).encode(), form.content_type)


def section_file(
    study: Study, figures: StudyFigures, *, section: str, format_name: str, reference: Reference | None = None
) -> ResultsFile | None:
    """Return one of the further tables by itself; None where there is no such table or form."""
    found = next((one for one in figures.sections(reference=reference) if one.name == section), None)
    if found is None or format_name not in SECTION_RENDERERS:
        return None
    form = TABLE_FORMATS[format_name]
    name = f"{study.slug}-{section.replace('_', '-')}-{figures.origin.value}.{form.ending}"
    return ResultsFile(name, SECTION_RENDERERS[format_name](figures.table, found).encode(), form.content_type)


def figure_file(
    study: Study, figures: StudyFigures, *, name: str, ending: str, theme: ThemeName = "light"
) -> ResultsFile | None:
    """Return a figure, or the data behind it as CSV; None where there is no such figure or form."""
    if name not in figures.names:
        return None
    file_name = f"{study.slug}-{name}-{figures.origin.value}.{ending}"
    if ending == "csv":
        return ResultsFile(file_name, figures.data(name).encode(), TABLE_FORMATS["csv"].content_type)
    kind = next((kind for kind in FIGURE_FORMATS if kind == ending), None)
    if kind is None:
        return None
    return ResultsFile(file_name, figures.draw(name, file_format=kind, theme=theme), FIGURE_TYPES[kind])
