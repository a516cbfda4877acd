"""Which workers make samples of a study right now."""

from django.db import models

from studies.models.study import Study


class SamplingClaim(models.Model):
    """A worker that makes some samples of a study. It goes with them; of a worker that dies it stays, and is silent."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="sampling_claims")
    heard_at = models.DateTimeField()

    def __str__(self) -> str:
        """Return when the worker gave its last sign of life."""
        return f"heard of at {self.heard_at:%Y-%m-%d %H:%M:%S}"
