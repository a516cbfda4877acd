"""The Django app of the platform."""

from django.apps import AppConfig


class StudiesConfig(AppConfig):
    """Studies, their photos and samples, raters and their answers."""

    name = "studies"
    verbose_name = "Studies"
