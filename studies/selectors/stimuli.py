"""The bytes that a rater's browser gets."""

import hashlib

import structlog

from studies import images
from studies.errors import PictureMissing, TrialUnknown
from studies.models import Kind, Layout, RatingSession, Side, Study, Trial
from studies.selectors.photos import photos_judged
from studies.selectors.pictures import picture_read
from studies.selectors.sessions import AHEAD

logger = structlog.get_logger(__name__)


def stimulus_get(*, session: RatingSession, trial_code: str) -> bytes:
    """Return the images of a trial as raw values: the one shown first, then the second, and their input between them.

    The input is there only in the layout that shows it. Where one picture is shown alone, it is the first one, and the
    other is no part of the bytes; it is read all the same, so that the time taken tells nothing either.

    Only the last answered trial, the current one and the few after it can be had, so that nobody collects a session.

    Returns:
        2 * S * S * 3 bytes for a study of S pixels a side, 3 * S * S * 3 with the input, S * S * 3 for one picture
        alone: the same for every trial.

    Raises:
        TrialUnknown: If the session has no such trial within that window.
        PictureMissing: If a picture's file cannot be read.
    """
    answered = Trial.objects.filter(session=session, response__isnull=False).count()
    window = range(max(0, answered - 1), answered + 1 + AHEAD)
    trial = (
        Trial.objects.filter(session=session, code=trial_code, position__in=window)
        .select_related("photo", "pair__sample")
        .first()
    )
    if trial is None:
        raise TrialUnknown("This pair cannot be shown now; reload the page.")
    files = [trial.photo.high_res, trial.pair.sample.picture]
    if session.study.layout == Layout.INPUT_BETWEEN:
        files.append(trial.photo.low_res)
    try:
        photo, sample, *between = (picture_read(file) for file in files)
        sides = (photo, sample) if trial.photo_side == Side.FIRST else (sample, photo)
        if session.study.is_single:
            return images.stimulus_bytes(sides[0])
        return images.stimulus_bytes(*sides, between=between[0] if between else None)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow calls a broken PNG any of these
        logger.error(  # noqa: TRY400 -- the reason says it all; a traceback for each try would bury the log
            "picture_missing",
            session=session.pk,
            trial=trial.pk,
            files=[file.name for file in files],
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
