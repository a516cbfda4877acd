"""A photo against a sample."""

from django.db import models

from studies.models.choices import Kind
from studies.models.sample import Sample
from studies.models.study import Study


class Pair(models.Model):
    """A photo against what one condition made of it; made when the study opens, and never changed."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="pairs")
    sample = models.OneToOneField(Sample, models.PROTECT, related_name="pair")
    kind = models.CharField(max_length=8, choices=Kind)

    class Meta:
        """Order and index."""

        ordering = ("study", "pk")
        indexes = (models.Index(fields=["study", "kind"], name="pair_study_kind"),)

    def __str__(self) -> str:
        """Return the sample's name."""
        return str(self.sample)
