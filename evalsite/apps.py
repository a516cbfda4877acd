"""Which admin the project has."""

from django.contrib.admin.apps import AdminConfig


class ResearcherAdminConfig(AdminConfig):
    """Django's admin, on the researcher's site."""

    default_site = "evalsite.researcher_site.ResearcherSite"
