"""How raters come to a study, who came, and where they go at the end."""

from typing import Final, NamedTuple

from django.db.models import Count, Sum

from studies.models import ENDED, FINISHED, PanelEntry, RatingSession, Recruitment, SessionState, Study
from studies.recruitment import Arrival, Exit, Outcome, mturk
from studies.selectors.compiled import CompiledQuery

_FRAMES: Final = ("panel", "frame_origins")


class Arrivals(NamedTuple):
    """What came of visits to a study's first page, over all days; see `ArrivalCount`."""

    arrived: int
    declined: int
    turned_away: int
    wrong_device: int


class HandIns(NamedTuple):
    """People who finished a study on Mechanical Turk, and those of them who pressed to hand in."""

    answered: int
    attempted: int


def recruitment_get(study: Study) -> Recruitment:
    """Return how raters come to the study: by the open link if nothing was set."""
    try:
        return study.recruitment
    except Recruitment.DoesNotExist:
        return Recruitment(study=study)


def arrivals_get(study: Study) -> Arrivals:
    """Return the counts of a study."""
    sums = study.arrivals.aggregate(**{name: Sum(name, default=0) for name in Arrivals._fields})
    return Arrivals(**sums)


def hand_ins_get(study: Study) -> HandIns:
    """Count finished assignments of Mechanical Turk; one without an attempt was answered, and perhaps never paid."""
    counts = PanelEntry.objects.filter(study=study, panel=mturk.PANEL.slug, session__state__in=FINISHED)
    return HandIns(**counts.aggregate(answered=Count("pk"), attempted=Count("submit_attempted_at")))


_ARRIVAL: Final = CompiledQuery(
    lambda session_code: (
        PanelEntry.objects.filter(session__code=session_code)
        .order_by()
        .values_list("participant", "panel_session", "panel_study", "submit_to")
    ),
    "session_code",
)


def arrival_of(session: RatingSession) -> Arrival | None:
    """Return the panel's ids of a session; None if it came without, or they were deleted."""
    rows = _ARRIVAL.rows(session_code=session.code)
    return Arrival(*rows[0]) if rows else None


def entry_find(*, study: Study, panel: str, participant: str) -> PanelEntry | None:
    """Return how a participant came to the study before; None if this is the first time."""
    entries = PanelEntry.objects.filter(study=study, panel=panel, participant=participant)
    return entries.select_related("session__rater", "session__study").first()


def outcome_of(session: RatingSession) -> Outcome:
    """Return how a session that is over ends for its panel, which may differ from how it counts."""
    recruitment = recruitment_get(session.study)
    is_told = session.state == SessionState.EXCLUDED and recruitment.sends_failed_attention
    if session.state == SessionState.FAILED:
        return Outcome.FAILED_PRACTICE
    if session.state in ENDED:
        return Outcome.NO_CONSENT
    return Outcome.FAILED_ATTENTION if is_told else Outcome.COMPLETED


def exit_of(session: RatingSession) -> Exit:
    """Return what the rater of a session that is over takes along; the session's own code if the study has none."""
    recruitment = recruitment_get(session.study)
    leads = recruitment.exit_get(outcome_of(session), arrival_of(session))
    return leads if any(leads) else Exit(code=session.completion_code)  # "" if it did not finish


def taken_elsewhere(*, recruitment: Recruitment, participant: str) -> bool:
    """Return whether a participant has a session in another study of the same owner and group."""
    return bool(recruitment.group) and (
        PanelEntry.objects.filter(
            panel=recruitment.panel,
            participant=participant,
            study__recruitment__group=recruitment.group,
            study__owner=recruitment.study.owner_id,
        )
        .exclude(study=recruitment.study)
        .exists()
    )


_OF_STUDY: Final = CompiledQuery(
    lambda study_code: Recruitment.objects.filter(study__code=study_code).order_by().values_list(*_FRAMES), "study_code"
)
_OF_SESSION: Final = CompiledQuery(
    lambda session_code: (
        Recruitment.objects.filter(study__sessions__code=session_code).order_by().values_list(*_FRAMES)
    ),
    "session_code",
)


def framed_by(*, study_code: str, session_code: str) -> list[str]:
    """Return the origins that may frame the pages of a study, which is known by its code or by that of a session."""
    rows = _OF_STUDY.rows(study_code=study_code) if study_code else _OF_SESSION.rows(session_code=session_code)
    return [origin for panel, origins in rows for origin in Recruitment(panel=panel, frame_origins=origins).framed_by]


def debrief_offered(study: Study) -> bool:
    """Return whether raters of the study are told more at the end: what it was for, or how they did."""
    return recruitment_get(study).shows_score or pairs_offered(study) or bool(study.debriefing_text)


def pairs_offered(study: Study) -> bool:
    """Return whether raters see their hardest and easiest pairs at the end; of pictures shown alone there are none."""
    return recruitment_get(study).shows_pairs and not study.is_single
