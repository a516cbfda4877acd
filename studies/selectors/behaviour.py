"""How a session went, as far as the rules of exclusion may know."""

import numpy as np

from studies.models import Kind, RatingSession, Response, Side
from studies.statistics.quality import Behaviour


def behaviour_get(session: RatingSession, *, is_complete: bool = True) -> Behaviour:
    """Return golden and practice answers, times and sides of a session; answers that were set aside are left out.

    Args:
        session: The session.
        is_complete: Whether all its trials are answered.
    """
    rows = list(
        Response.objects.filter(trial__session=session, is_set_aside=False)
        .order_by("trial__position")
        .values_list("trial__kind", "trial__photo_side", "chosen_side", "rt_ms")
    )
    main = [(chosen == Side.FIRST, rt_ms) for kind, _, chosen, rt_ms in rows if kind != Kind.PRACTICE]

    def correct(of: Kind) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.array([chosen == side for kind, side, chosen, _ in rows if kind == of], dtype=np.bool_)

    return Behaviour(
        golden_correct=correct(Kind.GOLDEN),
        practice_correct=correct(Kind.PRACTICE),
        rt_ms=np.array([rt_ms for _, rt_ms in main], dtype=np.int64),
        chosen_first=np.array([is_first for is_first, _ in main], dtype=np.bool_),
        is_complete=is_complete,
    )
