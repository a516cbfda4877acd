"""How far a study's set-up is, what was planned for its size and what it may cost. No part of the frozen design."""

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from studies.models.study import Study


class StudySetup(models.Model):
    """What the researcher has been through, and the numbers of the plan."""

    study = models.OneToOneField(Study, models.CASCADE, related_name="setup")
    steps_done = models.JSONField(default=list, blank=True, help_text="Names of the steps that were saved.")
    question = models.JSONField(null=True, blank=True, help_text="Of the plan of its size; none before it was saved.")
    pay_per_hour = models.DecimalField(
        max_digits=7, decimal_places=2, default=Decimal(12), validators=[MinValueValidator(0)]
    )
    currency = models.CharField(
        max_length=3,
        default="USD",
        validators=[RegexValidator(r"^[A-Z]{3}\Z", "A currency has three capital letters, such as USD or EUR.")],
    )
    fee_percent = models.DecimalField(
        "the panel's fee, %",
        max_digits=4,
        decimal_places=1,
        default=Decimal(33),
        validators=[MinValueValidator(0), MaxValueValidator(200)],
        help_text="What it adds to the pay, by its price list; 0 for the open link.",
    )

    class Meta:
        """Rules."""

        constraints = (
            models.CheckConstraint(condition=Q(pay_per_hour__gte=0), name="studysetup_pay_not_negative"),
            models.CheckConstraint(condition=Q(fee_percent__gte=0), name="studysetup_fee_not_negative"),
        )

    def __str__(self) -> str:
        """Return the study."""
        return f"set-up of {self.study}"
