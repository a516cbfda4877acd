"""The people who run studies."""

from django.contrib.auth.models import AbstractUser


class Researcher(AbstractUser):
    """Somebody who signs in to the admin. Raters are never users."""

    class Meta(AbstractUser.Meta):
        """Names in the admin."""

        verbose_name = "researcher"
        verbose_name_plural = "researchers"
