"""The bytes that a rater's browser gets."""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import structlog
from django.core.files.storage import Storage
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from numpy.typing import NDArray
from structlog.contextvars import bind_contextvars

from studies import images
from studies.errors import PictureMissing, TrialUnknown
from studies.models import Kind, Layout, Photo, Response, Sample, Side, Study, Trial
from studies.selectors.compiled import CompiledQuery
from studies.selectors.photos import photos_judged
from studies.selectors.pictures import picture_open, picture_read
from studies.selectors.sessions import AHEAD, session_get

logger = structlog.get_logger(__name__)


class Shown(NamedTuple):
    """What a trial shows, and on which side: the columns `SHOWN` of its row.

    Attributes:
        trial: Primary key of the trial.
        session: Primary key of its session.
        study: Primary key of its study.
        photo_side: Where the photo is; never for a browser.
        layout: Setting of the study.
        high_res: File of the photo.
        low_res: File of the photo's input.
        sample: File of the sample.
    """

    trial: int
    session: int
    study: int
    photo_side: str
    layout: str
    high_res: str
    low_res: str
    sample: str


SHOWN: Final = (
    *("pk", "session_id", "session__study_id", "photo_side", "session__study__layout"),
    *("photo__high_res", "photo__low_res", "pair__sample__picture"),
)
"""Where a query of trials finds the fields of `Shown`."""


def _trial_query(session_code: str, trial_code: str) -> QuerySet[Trial, tuple[object, ...]]:
    of_session = Response.objects.filter(trial__session=OuterRef("session")).order_by()
    answered = of_session.values("trial__session").annotate(n=Count("pk")).values("n")
    return (
        Trial.objects.filter(session__code=session_code, code=trial_code)
        .annotate(answered=Subquery(answered, output_field=IntegerField()))
        .values_list("position", "answered", *SHOWN)
    )


_TRIAL: Final = CompiledQuery(_trial_query, "session_code", "trial_code")


def stimulus_get(*, session_code: str, trial_code: str) -> bytes:
    """Return the images of a trial as raw values: the one shown first, then the second, and their input between them.

    The input is there only in the layout that shows it. Where one picture is shown alone, it is the first one, and the
    other is no part of the bytes; it is read all the same, so that the time taken tells nothing either.

    Only the last answered trial, the current one and the few after it can be had, so that nobody collects a session.

    Returns:
        2 * S * S * 3 bytes for a study of S pixels a side, 3 * S * S * 3 with the input, S * S * 3 for one picture
        alone: the same for every trial.

    Raises:
        SessionUnknown: If no session has this code.
        TrialUnknown: If the session has no such trial within that window.
        PictureMissing: If a picture's file cannot be read.
    """
    rows = _TRIAL.rows(session_code=session_code, trial_code=trial_code)
    if not rows:
        session_get(code=session_code)
        raise TrialUnknown("This pair cannot be shown now; reload the page.")
    [(position, answered, *columns)] = rows
    shown = Shown(*columns)
    bind_contextvars(study=shown.study, session=shown.session)
    answered = answered or 0
    if position not in range(max(0, answered - 1), answered + 1 + AHEAD):
        raise TrialUnknown("This pair cannot be shown now; reload the page.")
    return stimulus_make(shown)


Read = Callable[[Storage, str], NDArray[np.uint8]]
"""Reads a picture: see `picture_open`."""

picture_kept: Read = lru_cache(maxsize=4096)(picture_open)
"""`picture_open` for small pictures, remembered: those of a study are shown over and over, and never change."""


def stimulus_make(shown: Shown, *, read: Read = picture_open) -> bytes:
    """Return the images of a trial whose browser may have them now; see `stimulus_get`.

    Args:
        shown: What the trial shows.
        read: How its pictures are read.

    Raises:
        PictureMissing: If a picture's file cannot be read.
    """
    files = [(Photo.high_res.field, shown.high_res), (Sample.picture.field, shown.sample)]
    if shown.layout == Layout.INPUT_BETWEEN:
        files.append((Photo.low_res.field, shown.low_res))
    try:
        photo, sample, *between = (read(field.storage, name) for field, name in files)
        sides = (photo, sample) if shown.photo_side == Side.FIRST else (sample, photo)
        if shown.layout == Layout.SINGLE:
            return images.stimulus_bytes(sides[0])
        return images.stimulus_bytes(*sides, between=between[0] if between else None)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow calls a broken PNG any of these
        logger.error(  # noqa: TRY400 -- the reason says it all; a traceback for each try would bury the log
            "picture_missing",
            session=shown.session,
            trial=shown.trial,
            files=[name for _, name in files],
            reason=str(error),
        )
        raise PictureMissing(
            "A picture of this pair is missing on our side. Please tell whoever gave you the link to the study."
        ) from error


def preview_count(study: Study) -> int:
    """Return of how many trials a preview can show the pictures."""
    pairs = study.pairs.filter(kind=Kind.TEST).count()
    return pairs or max(0, photos_judged(study).count() - 1)


def preview_get(study: Study, *, number: int) -> bytes:
    """Return the pictures of one trial as a rater's browser gets them, on sides that tell nothing.

    Before there are samples, two photos stand in for a photo and a sample.

    Args:
        study: The study.
        number: Which trial; drawn by it from those that there are.

    Raises:
        PictureMissing: If there is none to show.
    """
    count = preview_count(study)
    if not count:
        raise PictureMissing("There are no photos to show yet; add some first.")
    order = hashlib.sha256(f"{study.code}/{number % count}".encode()).digest()
    place = int.from_bytes(order[:8], "big") % count
    pair = study.pairs.filter(kind=Kind.TEST).select_related("sample__photo").order_by("pk")[place : place + 1].first()
    if pair is None:
        one, other = photos_judged(study).order_by("pk")[place : place + 2]
        files, low_res = [one.high_res, other.high_res], one.low_res
    else:
        photo = pair.sample.photo
        files, low_res = [photo.high_res, pair.sample.picture], photo.low_res
    if order[8] % 2:
        files.reverse()
    first, second = (picture_read(file) for file in files)
    if study.is_single:
        return images.stimulus_bytes(first)
    is_between = study.layout == Layout.INPUT_BETWEEN
    return images.stimulus_bytes(first, second, between=picture_read(low_res) if is_between else None)
