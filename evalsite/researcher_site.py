"""The researcher's site: its start page shows their studies, each with its state and what comes next."""

from typing import Any, NamedTuple

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse

from studies.models import Study, StudyState

SHOWN = 12
"""Studies on the start page, the newest; the list has all."""

NEXT: dict[StudyState, tuple[str, str]] = {
    StudyState.DRAFT: ("Go on with the set-up", "change"),
    StudyState.PREPARING: ("Watch its samples", "change"),
    StudyState.READY: ("Check and open it", "check"),
    StudyState.OPEN: ("Watch it fill", "live"),
    StudyState.PAUSED: ("Resume or close it", "change"),
    StudyState.CLOSED: ("See the results", "results"),
}
"""What a study's owner does next, and on which of its pages."""


class StudyLine(NamedTuple):
    """A study on the start page.

    Attributes:
        study: The study, with its `people_count`.
        label: What comes next.
        address: Where that is done.
    """

    study: Study
    label: str
    address: str


class ResearcherSite(admin.AdminSite):
    """Django's admin with a start page of our own."""

    site_title = "evalsite"
    site_header = "evalsite"
    index_title = "Your studies and photos"
    site_url = None
    enable_nav_sidebar = False
    index_template = "admin/studies/index.html"

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the newest studies that somebody may read."""
        study_admin = self.get_model_admin(Study)
        studies = study_admin.get_queryset(request).defer("design").order_by("-created_at", "-pk")[: SHOWN + 1]
        lines = [_line(study, is_own=study_admin.has_change_permission(request, study)) for study in studies[:SHOWN]]
        context = {
            "lines": lines,
            "has_more": len(studies) > SHOWN,
            "may_add": study_admin.has_add_permission(request),
            "media": study_admin.media,
        }
        return super().index(request, context | (extra_context or {}))


def _line(study: Study, *, is_own: bool) -> StudyLine:
    label, page = NEXT[StudyState(study.state)] if is_own else ("Look at it", "change")
    return StudyLine(study, label, reverse(f"admin:studies_study_{page}", args=[study.pk]))
