"""Raw responses as rows of text, by the schema in docs/export-schema.md."""

from collections.abc import Iterator

from studies.models import Origin, Response, SessionState, Study
from studies.selectors.results import FIDELITY, fidelity_get

COLUMNS = (
    "study",
    "design_sha256",
    "session",
    "rater",
    "origin",
    "completed",
    "excluded",
    "exclusion_reason",
    "condition",
    "condition_label",
    "role",
    "photo",
    "position",
    "kind",
    "photo_side",
    "chosen_side",
    "fooled",
    "rt_ms",
    "exposure_first_ms",
    "exposure_second_ms",
    "was_hidden",
    "answered_at",
    "question",
    *FIDELITY,
)
"""Written out by hand: a new column of the database cannot leak into an export."""


def responses_rows(study: Study, *, origin: Origin) -> Iterator[list[str]]:
    """Yield the header, then one row a response of one origin, in the order of sessions and positions."""
    yield list(COLUMNS)
    fidelity = {
        slug: ["" if (value := getattr(means, name)) is None else repr(value) for name in FIDELITY]
        for slug, means in fidelity_get(study).items()
    }
    responses = (
        Response.objects.filter(trial__session__study=study, trial__session__rater__origin=origin)
        .select_related("trial__session__rater", "trial__pair__sample__condition", "trial__photo")
        .order_by("trial__session", "trial__position")
    )
    for response in responses.iterator(chunk_size=2_000):
        trial = response.trial
        session, condition = trial.session, trial.pair.sample.condition
        yield [
            study.slug,
            study.design_sha256,
            str(session),
            str(session.rater),
            session.rater.origin,
            _flag(session.state != SessionState.ACTIVE),
            _flag(session.state == SessionState.EXCLUDED),
            session.exclusion_reason,
            condition.slug,
            condition.label,
            condition.role,
            trial.photo.sha256[:16],
            str(trial.position),
            trial.kind,
            trial.photo_side,
            response.chosen_side,
            _flag(response.chosen_side != trial.photo_side),
            str(response.rt_ms),
            _ms(response.exposure_first_ms),
            _ms(response.exposure_second_ms),
            _flag(response.was_hidden),
            response.answered_at.isoformat(timespec="milliseconds"),
            study.question,
            *fidelity.get(condition.slug, [""] * len(FIDELITY)),
        ]


def _flag(value: bool) -> str:
    return "1" if value else "0"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
