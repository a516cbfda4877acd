"""Results for whoever has a study's public link: read only, without an account, a cookie or a script."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from studies.models import BundleState, PublicLink
from studies.reports.figures import ThemeName
from studies.selectors.bundle import bundle_get
from studies.selectors.figures import StudyFigures, sample_grid
from studies.selectors.results_files import ResultsFile, figure_file, section_file, table_file
from studies.selectors.results_page import results_page
from studies.selectors.sharing import public_link_find

View = Callable[..., HttpResponseBase]


def linked(view: View) -> View:
    """Let in whoever has the code of a link that is on; nobody is told more of one that is off."""

    @require_safe
    @wraps(view)
    def opened(request: HttpRequest, link_code: str, **kwargs: Any) -> HttpResponseBase:
        link = public_link_find(link_code)
        if link is None:
            raise Http404("There is nothing at this address.")
        response = view(request, link=link, **kwargs)
        response["X-Robots-Tag"] = "noindex, nofollow"
        response["Referrer-Policy"] = "no-referrer"  # the address is the key
        response["Cache-Control"] = "private, no-cache"
        return response

    return opened


@linked
def results(request: HttpRequest, *, link: PublicLink) -> HttpResponse:
    """Show the results."""
    figures = StudyFigures(link.study)
    base = reverse("studies:public", args=[link.code])
    bundle = bundle_get(link.study, origin=figures.origin) if link.gives_bundle else None
    context = results_page(link.study, figures, base=base, sections=figures.sections(), hides_names=True)
    context |= {"is_public": True, "bundle": bundle, "gives_bundle": link.gives_bundle}
    return render(request, "admin/studies/study/public.html", context)


@linked
def table(request: HttpRequest, *, link: PublicLink, format_name: str) -> HttpResponse:
    """Send the table."""
    return _sent(table_file(link.study, StudyFigures(link.study), format_name=format_name))


@linked
def section(request: HttpRequest, *, link: PublicLink, section: str, format_name: str) -> HttpResponse:
    """Send one of the further tables."""
    figures = StudyFigures(link.study)
    return _sent(section_file(link.study, figures, section=section, format_name=format_name))


@linked
def figure(request: HttpRequest, *, link: PublicLink, name: str, file_format: str) -> HttpResponse:
    """Show or send a figure, or its data."""
    theme: ThemeName = "dark" if request.GET.get("theme") == "dark" else "light"
    file = figure_file(link.study, StudyFigures(link.study), name=name, ending=file_format, theme=theme)
    return _sent(file, is_shown="download" not in request.GET)


@linked
def samples(request: HttpRequest, *, link: PublicLink) -> HttpResponse:
    """Show or send samples side by side."""
    grid = sample_grid(link.study)
    file = ResultsFile(f"{link.study.slug}-samples.png", grid, "image/png") if grid else None
    return _sent(file, is_shown="download" not in request.GET)


@linked
def bundle(request: HttpRequest, *, link: PublicLink) -> FileResponse:
    """Send the bundle, if the link gives it and it is ready."""
    found = bundle_get(link.study, origin=StudyFigures(link.study).origin) if link.gives_bundle else None
    if found is None or found.state != BundleState.READY:
        raise Http404("There is nothing at this address.")
    name = f"{link.study.slug}-{found.origin}.zip"
    return FileResponse(found.file.open("rb"), as_attachment=True, filename=name, content_type="application/zip")


def _sent(file: ResultsFile | None, *, is_shown: bool = False) -> HttpResponse:
    if file is None:
        raise Http404("There is nothing at this address.")
    response = HttpResponse(file.content, content_type=file.content_type)
    if not is_shown:
        response["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return response
