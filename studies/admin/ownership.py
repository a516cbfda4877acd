"""Who sees what: researchers their own objects and what is shared with them, lab managers and superusers all.

Only what is one's own can be changed, by viewers nothing. No permission has to be given out by hand.
"""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from studies.models import Researcher, Study


def researcher_of(request: HttpRequest) -> Researcher:
    """Return who asks; the admin's doors have let in nobody else."""
    if not isinstance(request.user, Researcher):
        raise PermissionDenied
    return request.user


class OwnedAdmin(admin.ModelAdmin):
    """Objects that belong to a researcher; those of others do not exist for them."""

    #: From the model to its owner, as a lookup.
    owner_path = "owner"
    #: From the model to those with whom it is shared, to read; "" for what is never shared.
    shared_path = ""
    actions = None

    class Media:
        """The researcher's pages have one style sheet and one script."""

        css = {"all": ["studies/researcher.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Keep to what the researcher may read; a long list is not gone through for that, as `distinct` would."""
        found = super().get_queryset(request)
        readable = self._theirs(request) | self._shared(request)
        return found.filter(pk__in=self.model._default_manager.filter(readable).values("pk")) if readable else found  # noqa: SLF001 -- the documented way to a model's first manager

    def _theirs(self, request: HttpRequest) -> Q:
        """Return the condition for what the researcher owns, or may treat as if they did."""
        researcher = researcher_of(request)
        return Q() if researcher.sees_all else Q(**{self.owner_path: researcher})

    def _shared(self, request: HttpRequest) -> Q:
        researcher = researcher_of(request)
        if not self.shared_path or researcher.sees_all:
            return Q()
        return Q(pk__in=self.model._default_manager.filter(**{self.shared_path: researcher}).values("pk"))  # noqa: SLF001 -- as above

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the object, or answer 404 if it does not exist or may not be read, 403 if it may only be read.

        The latter of every request that could change something: no view has to think of it.
        """
        found = super().get_object(request, object_id, from_field)
        if found is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id} of yours.")
        if request.method not in ("GET", "HEAD") and not self.owns(request, found):
            raise PermissionDenied
        return found

    def enters(self, request: HttpRequest) -> bool:
        """Tell whether somebody may come in here at all."""
        return bool(request.user.is_active and request.user.is_staff)

    def reads(self, request: HttpRequest, obj: Model) -> bool:
        """Tell whether somebody may read this object."""
        return self.enters(request) and bool(self.get_queryset(request).filter(pk=obj.pk).exists())

    def owns(self, request: HttpRequest, obj: Model) -> bool:
        """Tell whether somebody may change this object."""
        if not self.enters(request) or researcher_of(request).only_reads:
            return False
        theirs = self.model._default_manager.filter(self._theirs(request))  # noqa: SLF001 -- as above
        return bool(theirs.filter(pk=obj.pk).exists())

    def owns_study(self, request: HttpRequest, study: Study) -> bool:
        """Tell whether somebody may change a study."""
        researcher = researcher_of(request)
        return not researcher.only_reads and (researcher.sees_all or study.owner_id == researcher.pk)

    def add_require(self, request: HttpRequest) -> None:
        """Refuse those who may make nothing here."""
        if not self.has_add_permission(request):
            raise PermissionDenied

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Let every account in."""
        return self.enters(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Show what is theirs or shared with them."""
        return self.enters(request) if obj is None else self.reads(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let everybody add but viewers."""
        return self.enters(request) and not researcher_of(request).only_reads

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let them change what is theirs."""
        return self.has_add_permission(request) if obj is None else self.owns(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let them delete what is theirs."""
        return self.has_change_permission(request, obj)

    def page(self, request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
        """Render a page of our own in the admin's frame."""
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        study = context.get("study")
        shared["may_change"] = isinstance(study, Study) and self.owns_study(request, study)
        return TemplateResponse(request, f"admin/studies/{template}.html", shared | context, status=status)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Give the list its plain name as a heading."""
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {"title": title, **(extra_context or {})})


class ReadOnlyAdmin(OwnedAdmin):
    """Objects that are looked at here, and made and changed elsewhere."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False
