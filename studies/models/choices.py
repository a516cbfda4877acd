"""Words that several models share."""

import secrets

from django.db import models


class Kind(models.TextChoices):
    """What a trial is for."""

    PRACTICE = "practice", "practice (with feedback, not counted)"
    TEST = "test", "test (counted)"
    GOLDEN = "golden", "golden (obvious; tells whether the rater attends)"


class AsksFor(models.TextChoices):
    """Which of the two pictures the question asks raters to point at."""

    PHOTO = "photo", "the photo (“which is from a camera?”)"
    SAMPLE = "sample", "the sample (“which is fake?”)"


class Side(models.TextChoices):
    """Which of a trial's two stimuli: the one shown first, or second."""

    FIRST = "first", "first"
    SECOND = "second", "second"

    @property
    def other(self) -> "Side":
        """Return the opposite side."""
        return Side.SECOND if self is Side.FIRST else Side.FIRST


TOKEN_LENGTH = 22
"""Characters of a word of an address."""


def token_make() -> str:
    """Return an unguessable word for an address: 22 characters, 132 bits."""
    return secrets.token_urlsafe(17)[:TOKEN_LENGTH]
