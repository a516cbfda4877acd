"""The bytes that a rater's browser gets."""

from studies import images
from studies.errors import TrialUnknown
from studies.models import RatingSession, Side, Trial
from studies.selectors.pictures import picture_read
from studies.selectors.sessions import AHEAD


def stimulus_get(*, session: RatingSession, trial_code: str) -> bytes:
    """Return both images of a trial as raw values: the one shown first, then the second.

    Only the last answered trial, the current one and the few after it can be had, so that nobody collects a session.

    Returns:
        2 * S * S * 3 bytes for a study of S pixels a side: the same length for every trial.

    Raises:
        TrialUnknown: If the session has no such trial within that window.
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
    photo, sample = picture_read(trial.photo.high_res), picture_read(trial.pair.sample.picture)
    return images.stimulus_bytes(*((photo, sample) if trial.photo_side == Side.FIRST else (sample, photo)))
