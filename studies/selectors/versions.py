"""What results depend on, as a short word: as long as it stays the same, so does all that is computed of votes."""

import hashlib
import json
from functools import cache
from pathlib import Path

from django.db.models import Count

import studies
from studies.models import Origin, RatingSession, Response, Study
from studies.selectors.looks import is_under_way
from studies.selectors.recruitment import arrivals_get


def results_version(study: Study, *, origin: Origin) -> str:
    """Return the SHA-256 of what the results of one origin depend on; it takes milliseconds at any number of votes.

    An answer changes the newest response as long as there can be answers; what changes which answers count (an end, a
    rule, a withdrawal) changes the number of sessions in some state.
    """
    sessions = RatingSession.objects.filter(study=study, rater__origin=origin)
    facts = (
        sources_digest(),
        study.code,
        study.slug,
        study.title,
        study.state,
        study.design_sha256,
        origin.value,
        sorted(sessions.values_list("state").annotate(Count("pk"))),
        arrivals_get(study),
        study.looks.count(),
        Response.objects.order_by("pk").values_list("pk", flat=True).last() if is_under_way(study) else None,
    )
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@cache
def sources_digest() -> str:
    """Return the SHA-256 of the sources that compute results: other ones may compute, or read, something else."""
    package = Path(str(studies.__file__)).parent
    digest = hashlib.sha256()
    for path in sorted(
        path for name in ("statistics", "reports", "selectors") for path in (package / name).rglob("*.py")
    ):
        digest.update(path.read_bytes())
    return digest.hexdigest()
