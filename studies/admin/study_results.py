"""What a study found, for its researcher: the table, the flow of sessions and the figures."""

from collections.abc import Sequence
from typing import NamedTuple

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from studies.admin.ownership import OwnedAdmin
from studies.admin.study_bundle import bundle_context
from studies.admin.study_exports import EXPORTS, FIGURE_TYPES, who
from studies.models import Origin, SampleStatus, Saw, Study, StudyState
from studies.reports import wording
from studies.reports.live import live_section
from studies.reports.palette import ConditionStyle, condition_style
from studies.reports.section import Column, Section
from studies.selectors.figures import LABELS, StudyFigures
from studies.selectors.looks import interval_get, is_under_way, look_open
from studies.selectors.results import live_get, origin_default, origins_present, sections_get
from studies.services.looks import look_record
from studies.statistics.results import ResultRow, ResultTable

#: Columns that need pictures of some size.
SIZED = ("SSIM", "MS-SSIM", "MS-SSIM-3")


class Cell(NamedTuple):
    """A cell of the table.

    Attributes:
        head: Of its column, which stands beside it on narrow screens.
        text: What it says.
        note: Why it is missing; "" if it is not.
        is_main: Whether it is the figure that the study is about.
    """

    head: str
    text: str
    note: str
    is_main: bool


class Line(NamedTuple):
    """A row of the table: a condition, with its colour and marker."""

    label: str
    style: ConditionStyle
    cells: list[Cell]


def results_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Show the results of people or of simulated raters, never of both."""
    wanted = request.GET.get("origin", "")
    if wanted and wanted not in (Origin.PERSON, Origin.SIMULATED):
        model_admin.message_user(request, f"There are no results of “{wanted}”.", messages.ERROR)
        return redirect("admin:studies_study_results", study.pk)
    origin = Origin(wanted) if wanted else origin_default(study)
    is_live = is_under_way(study) and origin == Origin.PERSON
    if request.method == "POST" and is_live:
        look_record(study=study, who=who(request), saw=Saw.SEQUENCE, shown="live results", origin=origin)
        return redirect(f"{request.path}?origin={origin.value}")
    figures = StudyFigures(study, origin=origin)
    table = figures.table
    has_samples = study.conditions.filter(samples__status=SampleStatus.READY).exists()
    context = {
        "study": study,
        "title": "Results",
        "origin": origin,
        "is_simulated": origin == Origin.SIMULATED,
        "tabs": tabs(study, origin),
        "table": table,
        "level": wording.level(table),
        "columns": [column.head for column in wording.columns(table)][1:],
        "lines": lines(table, wording.columns(table), side=study.photo_set.high_res_size, has_samples=has_samples),
        "heading_all": wording.HEADING_ALL,
        "columns_all": [column.head for column in wording.columns_all(table)][1:],
        "lines_all": lines(
            table,
            wording.columns_all(table),
            rows=wording.rows_all(table),
            side=study.photo_set.high_res_size,
            has_samples=has_samples,
        ),
        "legend": wording.legend(table),
        "preamble": wording.preamble(table)[1 if table.is_simulated else 0],
        "notes": wording.grouped_notes(table),
        "n_votes": sum(row.n_responses for row in table.rows),
        "has_votes": any(row.n_responses_all for row in table.rows),
        "has_samples": has_samples,
        "not_finished": table.flow.started - table.flow.completed - (table.flow.failed_practice or 0),
        "reasons": [(reason.replace("_", " "), count) for reason, count in table.flow.excluded],
        "exports": EXPORTS,
        "figures": [] if is_live else [(name, LABELS[name]) for name in figures.names],
        "is_live": is_live,
        "interval": interval_get(study) if origin == Origin.PERSON else None,
        "looks": study.looks.all() if origin == Origin.PERSON else [],
        "figure_types": list(FIGURE_TYPES),
        "sections": live_sections(request, study, table) if is_live else sections_get(study, table, has_more=True),
        "empty": empty_sentence(study),
        "base": reverse("admin:studies_study_results", args=[study.pk]).removesuffix("results/"),
        **({} if is_live else bundle_context(study, origin=origin)),
    }
    return model_admin.page(request, "study/results", context)


def live_sections(request: HttpRequest, study: Study, table: ResultTable) -> list[Section]:
    """Return what may be seen while the study is under way: nothing, or what a recorded look shows."""
    look = look_open(study, who=who(request))
    live = live_get(study, table) if look else {}
    return [live_section(live, table, reason=table.caution)] if live else []


def tabs(study: Study, origin: Origin, *, page: str = "results") -> list[tuple[str, str, bool]]:
    """Return label, address and whether it is shown, of a page on people and of the same on simulated raters."""
    shown = [Origin.PERSON, *(o for o in origins_present(study) if o == Origin.SIMULATED)]
    address = reverse(f"admin:studies_study_{page}", args=[study.pk])
    labels = {Origin.PERSON: "People", Origin.SIMULATED: "Simulated raters"}
    return [(labels[o], f"{address}?origin={o.value}", o == origin) for o in shown]


def lines(
    table: ResultTable,
    columns: Sequence[Column],
    *,
    side: int,
    has_samples: bool,
    rows: Sequence[ResultRow] | None = None,
) -> list[Line]:
    """Return the rows of a table with every missing figure explained."""
    places = {row.condition: place for place, row in enumerate(table.rows)}
    return [
        Line(
            row.label,
            condition_style(places[row.condition]),
            [
                Cell(
                    column.head,
                    text := column.cell(row),
                    _why_missing(column.head, row, side=side, has_samples=has_samples)
                    if text == wording.MISSING
                    else "",
                    column.head.startswith("% fooled"),
                )
                for column in columns[1:]
            ],
        )
        for row in (table.rows if rows is None else rows)
    ]


def _why_missing(head: str, row: ResultRow, *, side: int, has_samples: bool) -> str:
    """Say why a cell has no figure."""
    if not has_samples and not head.startswith("% fooled"):
        return "No samples yet."
    if head in SIZED:
        return f"Not defined for pictures as small as these, of {side} px."
    return " ".join(row.notes) or "Not measured."


def empty_sentence(study: Study) -> str:
    """Say why there are no votes yet, and what comes next."""
    match StudyState(study.state):
        case StudyState.DRAFT | StudyState.PREPARING | StudyState.READY:
            return "No votes yet: the study was not opened."
        case StudyState.OPEN | StudyState.PAUSED:
            return "No finished session yet. Send raters the link on the study's page; sessions show here as they end."
        case StudyState.CLOSED:
            return "The study was closed before anybody finished."
