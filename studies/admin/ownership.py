"""Who sees what: researchers their own objects, superusers all. No permission has to be given out by hand."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from studies.models import Researcher


def researcher_of(request: HttpRequest) -> Researcher:
    """Return who asks; the admin's doors have let in nobody else."""
    if not isinstance(request.user, Researcher):
        raise PermissionDenied
    return request.user


class OwnedAdmin(admin.ModelAdmin):
    """Objects that belong to a researcher; those of others do not exist for them."""

    #: From the model to its owner, as a lookup.
    owner_path = "owner"
    actions = None

    class Media:
        """The researcher's pages have one style sheet and one script."""

        css = {"all": ["studies/researcher.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Keep to what the researcher owns."""
        everything = super().get_queryset(request)
        if request.user.is_superuser:
            return everything
        return everything.filter(**{self.owner_path: request.user}).distinct()

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the object, or answer 404 if it does not exist or belongs to somebody else."""
        found = super().get_object(request, object_id, from_field)
        if found is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id} of yours.")
        return found

    def owns(self, request: HttpRequest, obj: Model | None) -> bool:
        """Tell whether somebody may work here, or with this object."""
        user = request.user
        if not (user.is_active and user.is_staff):
            return False
        return obj is None or user.is_superuser or self.get_queryset(request).filter(pk=obj.pk).exists()

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Let every researcher in."""
        return self.owns(request, None)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Show researchers what is theirs."""
        return self.owns(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let every researcher add."""
        return self.owns(request, None)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let researchers change what is theirs."""
        return self.owns(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let researchers delete what is theirs."""
        return self.owns(request, obj)

    def page(self, request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
        """Render a page of our own in the admin's frame."""
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
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
