"""Raters and their sessions, to look at: pseudonymous, and without the codes that are the raters' keys."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from studies.admin.ownership import ReadOnlyAdmin
from studies.models import Rater, RatingSession, Response


@admin.register(Rater)
class RaterAdmin(ReadOnlyAdmin):
    """Raters of the researcher's studies."""

    owner_path = "sessions__study__owner"
    shared_path = "sessions__study__shared_with"
    list_display = ("__str__", "origin", "created_at")
    list_filter = ("origin",)
    fields = ("origin", "created_at")


@admin.register(RatingSession)
class RatingSessionAdmin(ReadOnlyAdmin):
    """Sessions of the researcher's studies."""

    owner_path = "study__owner"
    shared_path = "study__shared_with"
    list_display = (
        "__str__",
        "rater",
        "study",
        "origin",
        "condition",
        "state",
        "exclusion_reason",
        "answered",
        "started_at",
        "finished_at",
    )
    list_filter = (("study", admin.RelatedOnlyFieldListFilter), "rater__origin", "state")
    list_select_related = ("rater", "study", "condition")
    fields = (
        "study",
        "rater",
        "origin",
        "condition",
        "state",
        "exclusion_reason",
        "broken_rules",
        "answered",
        "started_at",
        "finished_at",
        "completion_code",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[RatingSession]:
        """Leave the designs of the studies out, which are megabytes where there are many photos."""
        sessions: QuerySet[RatingSession] = super().get_queryset(request)
        return sessions.defer("study__design")

    @admin.display(ordering="rater__origin")
    def origin(self, session: RatingSession) -> str:
        """Return where the answers come from."""
        return session.rater.get_origin_display()

    @admin.display(description="answers")
    def answered(self, session: RatingSession) -> int:
        """Return the number of answers given: one query a row, since a joint one would count all pages."""
        return Response.objects.filter(trial__session=session).count()
