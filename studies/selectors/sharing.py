"""Who reads results without an account."""

from studies.models import PublicLink, StudyState


def public_link_find(code: str) -> PublicLink | None:
    """Return the link of this code; None if it is switched off, or its study's results may not be seen."""
    return PublicLink.objects.select_related("study").filter(code=code, study__state=StudyState.CLOSED).first()
