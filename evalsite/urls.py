"""Addresses of the whole site; those of the studies are in `studies/urls.py`."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.utils.functional import lazy
from django.views.decorators.cache import cache_control
from django.views.generic import RedirectView

from evalsite import health
from evalsite.metrics import metrics

icon = lazy(static, str)("evalsite/favicon.svg")  # its hashed name is known once Django is set up

urlpatterns = [
    path("", include("studies.urls")),  # first, since patterns are tried one after the other, and votes are most of all
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    # Browsers ask for it on every page that names no icon, as the admin's do.
    path("favicon.ico", cache_control(max_age=86_400)(RedirectView.as_view(url=icon))),
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/", admin.site.urls),
]
