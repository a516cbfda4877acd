"""The log of a study: who did what, when, and what changed."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse

from studies.admin.ownership import OwnedAdmin
from studies.models import About, Study
from studies.selectors.events import events_get

EVENTS_PER_PAGE = 50


def history_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Show the log, the newest first; `?about=` narrows it, `?page=` turns it."""
    wanted = request.GET.get("about", "")
    about = About(wanted) if wanted in About.values else None
    there = set(study.events.values_list("about", flat=True))
    events = Paginator(events_get(study, about=about), EVENTS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "study": study,
        "title": "History",
        "events": events,
        "about": about,
        "address": f"?about={about or ''}&page=",
        "kinds": [kind for kind in About if kind in there],
    }
    return model_admin.page(request, "study/history", context)
