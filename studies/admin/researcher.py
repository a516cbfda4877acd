"""Accounts of researchers, for superusers."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.http import HttpRequest

from studies.models import Researcher


class ResearcherCreationForm(AdminUserCreationForm):
    """A new account: a researcher, who may sign in here."""

    class Meta(AdminUserCreationForm.Meta):
        """Which model."""

        model = Researcher


@admin.register(Researcher)
class ResearcherAdmin(UserAdmin):
    """Accounts. A new one may sign in and work with its own photos and studies: no permission has to be given."""

    add_form = ResearcherCreationForm
    actions = None
    list_display = ("username", "first_name", "last_name", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        (
            "Rights",
            {
                "fields": ("is_active", "is_staff", "is_superuser"),
                "description": "Staff work with their own photos and studies; superusers with everybody's.",
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
