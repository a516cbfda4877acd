"""The admin works under the same strict content security policy as the rater pages."""

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.urls import reverse
from playwright.sync_api import Page, expect


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_admin_pages_break_no_policy(page: Page, page_errors: list[str]) -> None:
    """Log in by the form, then open the index and the list of everything there is to administer."""
    get_user_model().objects.create_superuser("ada", password="correct horse battery")
    page.goto(reverse("admin:login"))
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{reverse('admin:index')}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    for model in admin.site._registry:
        response = page.goto(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
        assert response is not None
        assert response.ok
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page_errors == []
