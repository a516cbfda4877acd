"""The fool rates of a study with intervals that hold however often one looks: every tested condition."""

from collections.abc import Sequence

import numpy as np

from studies.statistics.fool_rate import Estimand
from studies.statistics.results import Origin, ResultCondition, Votes, completed_votes
from studies.statistics.sequential import LiveEstimate, live_fool_rate


def live_rates(
    votes: Votes,
    *,
    conditions: Sequence[ResultCondition],
    origin: Origin = "person",
    alpha: float = 0.05,
    estimand: Estimand = "new",
) -> dict[str, LiveEstimate]:
    """Estimate the fool rate of each tested condition that has a vote, all conditions sharing alpha.

    Args:
        votes: All responses of the study.
        conditions: All its conditions.
        origin: Whose votes.
        alpha: One minus the level that holds for all conditions and all times together.
        estimand: "new" raters and new images, or "these" images only.

    Returns:
        Estimates by name of the condition; none if the times of the answers are not known.

    Example:
        >>> rater, photo = np.divmod(np.arange(800), 20)
        >>> words = lambda word: np.full(800, word)
        >>> votes = Votes(
        ...     session=rater, rater=rater, photo=photo, scene=photo, condition=words("smooth"), kind=words("test"),
        ...     fooled=(rater + photo) % 5 == 0, excluded=rater < 0, completed=rater >= 0, origin=words("person"),
        ...     exclusion_reason=words(""), answered_s=1.0 * rater,
        ... )
        >>> live = live_rates(votes, conditions=[ResultCondition(name="smooth", label="Smooth")], estimand="these")
        >>> f"{live['smooth'].estimate:.2f} after {live['smooth'].n_raters} raters"
        '0.20 after 40 raters'
    """
    counted = completed_votes(votes, conditions=conditions, origin=origin)
    if votes.answered_s is None or np.isnan(votes.answered_s[counted.row]).any():
        return {}
    finished = np.full(int(counted.session.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(finished, counted.session, votes.answered_s[counted.row])
    shown = {name: chosen for name in counted.conditions if (chosen := counted.of(name)).any()}
    return {
        name: live_fool_rate(
            counted.fooled[chosen],
            rater=counted.rater[chosen],
            photo=counted.photo[chosen],
            scene=counted.scene[chosen],
            finished=finished[counted.session[chosen]],
            alpha=alpha,
            n_shown=len(counted.conditions),
            estimand=estimand,
        )
        for name, chosen in shown.items()
    }
