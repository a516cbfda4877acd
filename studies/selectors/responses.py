"""Responses as aligned arrays."""

from collections.abc import Iterable
from datetime import UTC
from typing import Any

import numpy as np
from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, F, Max, OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.functions import Cast
from numpy.typing import NDArray

from studies.models import FINISHED, Kind, Origin, Pair, RatingSession, Response, SessionState, Side, Study
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


def as_read(rows: QuerySet[Any, Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a `values_list` as the database's driver gives them.

    Of a million responses, making models would take most of the time, and so would Django's conversions of columns.
    Truth values come as bool or as 0 and 1; moments come in another form from each driver: ask for `ANSWERED_AT`.
    """
    sql, parameters = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


ANSWERED_AT = Cast("answered_at", TextField())
"""When the server received a response, in UTC, as text: `2026-11-25 18:04:59.123456`, with or without a zone."""


def votes_get(study: Study, *, origin: Origin) -> Votes:
    """Return every response of one origin, practice and golden pairs included, as statistics take them.

    Where pictures are shown alone, the first side is: if that is the photo, the vote is on a photo and fools nobody.
    """
    sessions = sessions_of(study, origin=origin).order_by("pk")
    pairs = Pair.objects.filter(study=study).order_by("pk")
    answers = responses_of(study, origin=origin).order_by("trial__session_id", "trial__position")
    session_ids, rater, state, reason = _columns(sessions, "pk", "rater_id", "state", "exclusion_reason")
    pair_ids, photo, scene, condition, psnr, ssim = _columns(
        pairs,
        *("pk", "sample__photo_id", "sample__photo__source_sha256", "sample__condition__slug"),
        *("sample__psnr", "sample__ssim"),
    )
    session, pair, kinds, photo_side, chosen_side, position, rt_ms, set_aside, block, exposure, answered_at = _columns(
        answers,
        *("trial__session_id", "trial__pair_id", "trial__kind", "trial__photo_side", "chosen_side"),
        *("trial__position", "rt_ms", "is_set_aside", "trial__block", "exposure_asked_ms", ANSWERED_AT),
    )
    at_session = np.searchsorted(np.array(session_ids, np.int64), np.array(session, np.int64))
    at_pair = np.searchsorted(np.array(pair_ids, np.int64), np.array(pair, np.int64))
    ended = np.array(state, np.str_)[at_session]
    blocks = np.array(block, np.float64)
    side, kind = np.array(photo_side, np.str_), np.array(kinds, np.str_)
    if study.is_single:
        kind = np.where((kind == Kind.TEST) & (side == Side.FIRST), REAL, kind)
    return Votes(
        session=np.array(session, np.int64),
        rater=np.array(rater, np.int64)[at_session],
        photo=np.array(photo, np.int64)[at_pair],
        scene=np.array(scene, np.str_)[at_pair],
        condition=np.array(condition, np.str_)[at_pair],
        kind=np.where(np.array(set_aside, np.bool_), SET_ASIDE, kind),
        fooled=side != np.array(chosen_side, np.str_),
        excluded=ended == SessionState.EXCLUDED,
        completed=np.isin(ended, FINISHED),
        origin=np.full(len(session), origin.value),
        exclusion_reason=np.array(reason, np.str_)[at_session],
        photo_side=side,
        position=np.array(position, np.float64),
        rt_ms=np.array(rt_ms, np.float64),
        sample_psnr=np.array(psnr, np.float64)[at_pair],  # not measured: NaN
        sample_ssim=np.array(ssim, np.float64)[at_pair],
        block=np.where(blocks > 0, blocks, np.nan),
        exposure_asked_ms=np.array(exposure, np.float64),  # not kept, of old answers: NaN
        answered_s=_seconds(answered_at),
    )


def counted_get(study: Study, *, origin: Origin) -> Votes:
    """Return the votes of test pairs that count by now, with what rates are made of and when each session ended.

    They are those of `votes_get` that a table counts. The database chooses them and compares the sides, so that a
    million of them take a third of the time. All votes of a session have the moment of its last one.
    """
    is_counted = Q(trial__kind=Kind.TEST, is_set_aside=False)
    if study.is_single:
        is_counted &= Q(trial__photo_side=Side.SECOND)
    sessions = sessions_of(study, origin=origin).filter(state=SessionState.COMPLETE)
    last = Response.objects.filter(is_counted, trial__session=OuterRef("pk")).order_by()
    ended = last.values("trial__session").annotate(ended=Max("answered_at")).values("ended")
    pairs = Pair.objects.filter(study=study).order_by("pk")
    is_fooled = ExpressionWrapper(~Q(chosen_side=F("trial__photo_side")), BooleanField())
    answers = responses_of(study, origin=origin).filter(is_counted, trial__session__state=SessionState.COMPLETE)
    session_ids, rater, ended_at = _columns(
        sessions.order_by("pk"), "pk", "rater_id", Cast(Subquery(ended), TextField())
    )
    pair_ids, photo, source, condition = _columns(
        pairs, "pk", "sample__photo_id", "sample__photo__source_sha256", "sample__condition__slug"
    )
    found = np.array(as_read(answers.values_list("trial__session_id", "trial__pair_id", is_fooled)), np.int64)
    session, pair, fooled = found.reshape(-1, 3).T
    at_session = np.searchsorted(np.array(session_ids, np.int64), session)
    at_pair = np.searchsorted(np.array(pair_ids, np.int64), pair)
    _, scene = np.unique(np.array(source, np.str_), return_inverse=True)
    answered_s = _seconds(moment or "NaT" for moment in ended_at)  # of a session none of whose votes counts
    return Votes(
        session=session,
        rater=np.array(rater, np.int64)[at_session],
        photo=np.array(photo, np.int64)[at_pair],
        scene=scene[at_pair],
        condition=np.array(condition, np.str_)[at_pair],
        kind=np.full(len(session), Kind.TEST.value),
        fooled=fooled.astype(np.bool_),
        excluded=np.zeros(len(session), np.bool_),
        completed=np.ones(len(session), np.bool_),
        origin=np.full(len(session), origin.value),
        exclusion_reason=np.full(len(session), ""),
        answered_s=answered_s[at_session],
    )


def _columns(rows: QuerySet[Any], *names: str | Cast) -> list[tuple[Any, ...]]:
    """Return columns of these rows."""
    return list(zip(*as_read(rows.values_list(*names)), strict=True)) or [()] * len(names)


def _seconds(moments: Iterable[str]) -> NDArray[np.float64]:
    """Return moments as seconds since 1970, to the millisecond as exports write them."""
    without_zone = [moment.partition("+")[0] for moment in moments]
    seconds: NDArray[np.float64] = np.array(without_zone, "datetime64[ms]").astype(np.int64) / 1000
    return seconds
