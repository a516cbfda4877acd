"""The people who run studies."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q


class AccountRole(models.TextChoices):
    """What an account is for. Whoever is a superuser may do everything, and gives out the roles."""

    RESEARCHER = "researcher", "researcher: own studies, and reads what is shared"
    MANAGER = "manager", "lab manager: everybody's studies"
    VIEWER = "viewer", "viewer: reads what is shared, changes nothing"


class Researcher(AbstractUser):
    """Somebody who signs in to the admin. Raters are never users."""

    role = models.CharField(max_length=10, choices=AccountRole, default=AccountRole.RESEARCHER)

    class Meta(AbstractUser.Meta):
        """Names in the admin, and rules."""

        verbose_name = "researcher"
        verbose_name_plural = "researchers"
        constraints = (models.CheckConstraint(condition=Q(role__in=AccountRole.values), name="researcher_role_known"),)

    @property
    def sees_all(self) -> bool:
        """Tell whether everybody's studies are theirs to see and to change."""
        return self.is_superuser or self.role == AccountRole.MANAGER

    @property
    def only_reads(self) -> bool:
        """Tell whether they change nothing, not even what was theirs before they got this role."""
        return self.role == AccountRole.VIEWER and not self.is_superuser
