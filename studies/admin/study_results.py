"""What a study found, for its researcher: the table, the flow of sessions and the figures."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from studies.admin.ownership import OwnedAdmin
from studies.admin.study_bundle import bundle_context
from studies.admin.study_exports import reference_of, who
from studies.models import Origin, Saw, Study
from studies.reports.live import live_section
from studies.reports.published import PUBLISHED
from studies.reports.section import Section
from studies.selectors.figures import StudyFigures
from studies.selectors.looks import is_under_way, look_open
from studies.selectors.results import live_get, origin_default, origins_present
from studies.selectors.results_page import results_page
from studies.services.looks import look_record
from studies.statistics.results import ResultTable


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
    reference = reference_of(request)
    sections = live_sections(request, study, figures.table) if is_live else figures.sections(reference=reference)
    base = reverse("admin:studies_study_results", args=[study.pk]).removesuffix("results/")
    context = {
        **results_page(study, figures, base=base, sections=sections, hides_figures=is_live, reference=reference),
        "title": "Results",
        "tabs": tabs(study, origin),
        "is_live": is_live,
        "live_sections": sections if is_live else [],
        "looks": study.looks.all() if origin == Origin.PERSON else [],
        "references": [("", "none"), *((name, name.capitalize()) for name in PUBLISHED)],
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
