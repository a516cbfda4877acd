"""Responses as aligned arrays."""

from datetime import UTC, datetime

import numpy as np
from django.db.models import Max, QuerySet

from studies.models import FINISHED, Kind, Origin, RatingSession, Response, SessionState, Side, Study
from studies.statistics.results import REAL, SET_ASIDE, Votes


def sessions_of(study: Study, *, origin: Origin) -> QuerySet[RatingSession]:
    """Return the sessions of one origin, but for those of raters who withdrew."""
    sessions = RatingSession.objects.filter(study=study, rater__origin=origin)
    return sessions.exclude(state=SessionState.WITHDRAWN)


def responses_of(study: Study, *, origin: Origin) -> QuerySet[Response]:
    """Return the responses of one origin. Those of raters who withdrew are never among them, kept or not."""
    responses = Response.objects.filter(trial__session__study=study, trial__session__rater__origin=origin)
    return responses.exclude(trial__session__state=SessionState.WITHDRAWN)


def last_vote_get(study: Study, *, origin: Origin) -> str:
    """Return the day of the last vote of one origin (UTC), as 2026-11-25; "" before the first."""
    responses = responses_of(study, origin=origin)
    latest = responses.aggregate(latest=Max("answered_at"))["latest"]
    return latest.astimezone(UTC).date().isoformat() if latest else ""


def _to_the_millisecond(moment: datetime) -> datetime:
    """Return a moment as exports write it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def votes_get(study: Study, *, origin: Origin) -> Votes:
    """Return every response of one origin, practice and golden pairs included, as statistics take them.

    Where pictures are shown alone, the first side is: if that is the photo, the vote is on a photo and fools nobody.
    """
    rows = list(
        responses_of(study, origin=origin)
        .order_by("trial__session_id", "trial__position")
        .values_list(
            "trial__session_id",
            "trial__session__rater_id",
            "trial__photo_id",
            "trial__photo__source_sha256",
            "trial__pair__sample__condition__slug",
            "trial__kind",
            "trial__photo_side",
            "chosen_side",
            "trial__session__state",
            "trial__session__exclusion_reason",
            "trial__position",
            "rt_ms",
            "trial__pair__sample__psnr",
            "trial__pair__sample__ssim",
            "is_set_aside",
            "answered_at",
        )
    )
    columns = list(zip(*rows, strict=True)) if rows else [()] * 16
    state = np.array(columns[8], dtype=np.str_)
    kind, photo_side = (np.array(columns[place], dtype=np.str_) for place in (5, 6))
    if study.is_single:
        kind = np.where((kind == Kind.TEST) & (photo_side == Side.FIRST), REAL, kind)
    return Votes(
        session=np.array(columns[0], dtype=np.int64),
        rater=np.array(columns[1], dtype=np.int64),
        photo=np.array(columns[2], dtype=np.int64),
        scene=np.array(columns[3], dtype=np.str_),
        condition=np.array(columns[4], dtype=np.str_),
        kind=np.where(np.array(columns[14], dtype=np.bool_), SET_ASIDE, kind),
        fooled=photo_side != np.array(columns[7], dtype=np.str_),
        excluded=state == SessionState.EXCLUDED,
        completed=np.isin(state, FINISHED),
        origin=np.full(len(rows), origin.value),
        exclusion_reason=np.array(columns[9], dtype=np.str_),
        photo_side=photo_side,
        position=np.array(columns[10], dtype=np.float64),
        rt_ms=np.array(columns[11], dtype=np.float64),
        sample_psnr=np.array(columns[12], dtype=np.float64),  # not measured: NaN
        sample_ssim=np.array(columns[13], dtype=np.float64),
        answered_s=np.array([_to_the_millisecond(answered).timestamp() for answered in columns[15]], dtype=np.float64),
    )
