"""What several commands look up, with a sentence when it is not there."""

from django.core.management.base import CommandError

from studies.models import Origin, Study

ORIGINS = {"people": Origin.PERSON, "simulated": Origin.SIMULATED}


def study_find(slug: str) -> Study:
    """Return a study by its slug.

    Raises:
        CommandError: If there is none; the sentence lists those there are.
    """
    try:
        return Study.objects.select_related("photo_set", "owner").get(slug=slug)
    except Study.DoesNotExist as error:
        known = ", ".join(Study.objects.values_list("slug", flat=True)) or "none yet"
        raise CommandError(f"There is no study {slug!r}; there is: {known}.") from error
