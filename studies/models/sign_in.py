"""Failed attempts to sign in, without names and addresses."""

from django.db import models
from django.db.models import Q


class SignInSubject(models.TextChoices):
    """Whose attempts are counted."""

    ACCOUNT = "account", "the account that was named"
    ADDRESS = "address", "the address that it came from"


class SignInAttempt(models.Model):
    """An attempt to sign in that has failed, or is being looked at. Nobody can tell from a row who it was.

    Names are digested as addresses are: people type their password into the wrong field.
    """

    subject = models.CharField(max_length=7, choices=SignInSubject)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the name or address under the key and the day.")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Rules, and the way in which attempts are looked up."""

        constraints = (
            models.CheckConstraint(condition=Q(subject__in=SignInSubject.values), name="sign_in_subject_known"),
        )
        indexes = (models.Index(fields=["subject", "digest", "at"], name="sign_in_looked_up"),)

    def __str__(self) -> str:
        """Return what is counted, and when it was."""
        return f"{self.get_subject_display()}, {self.at:%Y-%m-%d %H:%M:%S}"
