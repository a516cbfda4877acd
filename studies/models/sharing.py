"""Results that can be read without an account."""

from django.db import models

from studies.models.choices import token_make
from studies.models.study import Study


class PublicLink(models.Model):
    """An address at which anybody reads a study's results. Switched off, it is deleted: its code never works again."""

    study = models.OneToOneField(Study, models.CASCADE, related_name="public_link")
    code = models.CharField(max_length=22, unique=True, default=token_make, editable=False)
    gives_bundle = models.BooleanField(default=False)
    opened_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        """Return the study, without the code that opens its results."""
        return f"public link of {self.study}"
