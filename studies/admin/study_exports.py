"""Files that leave: the table in every form, raw responses, the design, the figures."""

import csv
from collections.abc import Iterable
from typing import TypeVar

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse

from studies.admin.ownership import OwnedAdmin
from studies.errors import SharingImpossible
from studies.models import Origin, Saw, Study
from studies.reports.figures import ThemeName
from studies.reports.published import PUBLISHED, Reference
from studies.selectors import figures
from studies.selectors.events import events_rows
from studies.selectors.exports import responses_csv
from studies.selectors.looks import is_under_way
from studies.selectors.results import origin_default
from studies.selectors.results_files import TABLE_FORMATS, figure_file, section_file, table_file
from studies.selectors.studies import design_json
from studies.services.looks import look_record

Response = TypeVar("Response", HttpResponse, StreamingHttpResponse)


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, line: str) -> str:
        return line


def table_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study, format_name: str) -> HttpResponse:
    """Send the results table with all that stands below it."""
    origin = origin_of(request, study)
    drawn = figures.StudyFigures(study, origin=origin)
    file = table_file(study, drawn, format_name=format_name, reference=reference_of(request))
    if file is None:
        raise Http404(f"There is no format {format_name}; there are {', '.join(TABLE_FORMATS)}.")
    look(request, model_admin, study, shown=f"table as {TABLE_FORMATS[format_name].label}", origin=origin)
    return attached(HttpResponse(file.content, content_type=file.content_type), file.name)


def section_view(
    request: HttpRequest, *, model_admin: OwnedAdmin, study: Study, section: str, format_name: str
) -> HttpResponse:
    """Send one of the tables below the first one."""
    origin = origin_of(request, study)
    drawn = figures.StudyFigures(study, origin=origin)
    file = section_file(study, drawn, section=section, format_name=format_name, reference=reference_of(request))
    if file is None:
        raise Http404(f"There is no table {section} as {format_name} of these votes.")
    look(request, model_admin, study, shown=f"table {section}", origin=origin)
    return attached(HttpResponse(file.content, content_type=file.content_type), file.name)


def responses_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> StreamingHttpResponse:
    """Send every response of people or of simulated raters, while they are read."""
    origin = origin_of(request, study)
    look(request, model_admin, study, shown="raw responses", origin=origin)
    return csv_sent(responses_csv(study, origin=origin), f"{study.slug}-responses-{origin.value}.csv")


def events_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> StreamingHttpResponse:
    """Send the log of the study."""
    rows = events_rows(study, hides_codes=not model_admin.owns(request, study))
    writer = csv.writer(_Echo(), lineterminator="\n")
    return csv_sent(map(writer.writerow, rows), f"{study.slug}-events.csv")


def csv_sent(lines: Iterable[str], name: str) -> StreamingHttpResponse:
    """Send lines as a CSV file of this name, while they are made."""
    return attached(StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8"), name)


def design_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Send the design: the frozen one, byte for byte as it was hashed, once the study was opened."""
    response = HttpResponse(design_json(study), content_type="application/json")
    return attached(response, f"{study.slug}-design{'' if study.is_frozen else '-draft'}.json")


def figure_view(
    request: HttpRequest, *, model_admin: OwnedAdmin, study: Study, name: str, file_format: str
) -> HttpResponse:
    """Send a figure of the votes, light or dark, or the data behind it."""
    origin = origin_of(request, study)
    drawn = figures.StudyFigures(study, origin=origin)
    file = figure_file(study, drawn, name=name, ending=file_format, theme=theme_of(request))
    if file is None:
        raise Http404(f"There is no figure {name}.{file_format} of these votes; there are {', '.join(drawn.names)}.")
    look(request, model_admin, study, shown=f"figure {name}", origin=origin)
    return shown_or_attached(request, HttpResponse(file.content, content_type=file.content_type), file.name)


def samples_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Send the figure of samples side by side."""
    rows = request.GET.get("rows", "")
    grid = figures.sample_grid(study, count=min(int(rows), 24) if rows.isdecimal() and int(rows) else figures.GRID_ROWS)
    if grid is None:
        raise Http404("There are no samples yet.")
    return shown_or_attached(request, HttpResponse(grid, content_type="image/png"), f"{study.slug}-samples.png")


def look(request: HttpRequest, model_admin: OwnedAdmin, study: Study, *, shown: str, origin: Origin) -> None:
    """Record that somebody takes rates away; whoever only reads the study may not decide what its report may print.

    Raises:
        SharingImpossible: If they only read it, and the study is under way.
    """
    if origin == Origin.PERSON and is_under_way(study) and not model_admin.owns(request, study):
        raise SharingImpossible(
            f"“{study.title}” is {study.state}: those it is shared with see results once it is closed."
        )
    look_record(study=study, who=who(request), saw=Saw.RATES, shown=shown, origin=origin)


def who(request: HttpRequest) -> str:
    """Return the name of the account that asks."""
    return request.user.get_username()


def theme_of(request: HttpRequest) -> ThemeName:
    """Return which theme a figure is asked for in."""
    return "dark" if request.GET.get("theme") == "dark" else "light"


def reference_of(request: HttpRequest) -> Reference | None:
    """Return which published figures are to stand below, if any."""
    return next((name for name in PUBLISHED if name == request.GET.get("reference")), None)


def origin_of(request: HttpRequest, study: Study) -> Origin:
    """Return whose answers are asked for; people's unless only simulated raters finished."""
    wanted = request.GET.get("origin", "")
    if not wanted:
        return origin_default(study)
    if wanted not in (Origin.PERSON, Origin.SIMULATED):
        raise Http404(f"There are no results of {wanted}.")
    return Origin(wanted)


def shown_or_attached(request: HttpRequest, response: HttpResponse, name: str) -> HttpResponse:
    """Send a figure to be shown on a page, or as a file if `download` is asked for."""
    response["Cache-Control"] = "private, no-cache"
    return attached(response, name) if "download" in request.GET else response


def attached(response: Response, name: str) -> Response:
    """Send a response as a file of this name; the slug in it has only letters, digits and hyphens."""
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    return response
