"""Accounts of researchers, for superusers."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.contrib.auth.models import Group
from django.http import HttpRequest

from studies.models import Researcher

admin.site.unregister(Group)  # roles do what groups are for elsewhere


class ResearcherCreationForm(AdminUserCreationForm):
    """A new account: a researcher, who may sign in here."""

    class Meta(AdminUserCreationForm.Meta):
        """Which model."""

        model = Researcher


@admin.register(Researcher)
class ResearcherAdmin(UserAdmin):
    """Accounts. A new one may sign in at once, by its role: no permission and no group has to be given."""

    add_form = ResearcherCreationForm
    actions = None
    list_display = ("username", "first_name", "last_name", "role", "is_active", "is_superuser", "last_login")
    list_filter = ("role", "is_active", "is_superuser")
    add_fieldsets = (
        *UserAdmin.add_fieldsets,
        (None, {"fields": ("role",)}),
    )
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        (
            "Rights",
            {
                "fields": ("role", "is_active", "is_staff", "is_superuser"),
                "description": "Only staff may sign in. Superusers do what lab managers do, and give out accounts.",
            },
        ),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Give the list its plain name as a heading."""
        return super().changelist_view(request, {"title": "Researchers", **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: Researcher, form: Any, change: bool) -> None:
        """Make a new account a researcher's: they are the only users there are."""
        if not change:
            obj.is_staff = True
        super().save_model(request, obj, form, change)
