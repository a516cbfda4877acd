"""What there is to see in the votes beside fool rates: every further summary of each tested condition.

Counted are the same votes as in the results table: test pairs of completed sessions that no rule left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.statistics.agreement import Agreement, agreement
from studies.statistics.correlation import RankCorrelation, rank_correlation
from studies.statistics.detection import Detection, SidedDetection, detection, sided_detection
from studies.statistics.fool_rate import Estimand, FoolRate
from studies.statistics.order import Learning, SideEffect, learning, side_effect
from studies.statistics.ranking import Ranking, ranking
from studies.statistics.reaction_time import ReactionTimes, reaction_times
from studies.statistics.results import (
    REAL,
    CompletedVotes,
    Origin,
    ResultCondition,
    Votes,
    completed_votes,
    fool_rates,
)
from studies.statistics.single import SingleErrors, single_errors
from studies.statistics.staircase import ExposureScore, exposure_score

SEED = 0
"""Of the draws behind intervals without a formula, so that the same votes give the same table."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConditionSummary:
    """One tested condition with counted votes; None where the votes lack what a summary needs.

    Attributes:
        condition: Name of the condition.
        label: What people read.
        detection: d' of a choice between two, with its interval; None where pictures were shown alone.
        single: Errors on samples and on photos where pictures were shown alone.
        exposure: The exposure at which a staircase held raters; None where answers did not set exposures.
        sided: d' with the preference for a side taken out.
        ranking: Best and worst pictures; identifiers are those of the votes' photos.
        agreement: Whether raters are fooled by the same images.
        reaction_times: How long raters took.
        learning: Change over the session.
        side_effect: What it does that the photo comes first.
        correlations: Of the pictures' fool rates with their pSNR and SSIM, as far as measured.
    """

    condition: str
    label: str
    detection: Detection | None
    single: SingleErrors | None
    exposure: ExposureScore | None
    sided: SidedDetection | None
    ranking: Ranking
    agreement: Agreement
    reaction_times: ReactionTimes | None
    learning: Learning | None
    side_effect: SideEffect | None
    correlations: tuple[RankCorrelation, ...]


def summaries(
    votes: Votes,
    *,
    conditions: Sequence[ResultCondition],
    rng: np.random.Generator,
    origin: Origin = "person",
    everyone: bool = False,
    alpha: float = 0.05,
    estimand: Estimand = "new",
) -> tuple[ConditionSummary, ...]:
    """Sum up each tested condition that has a counted vote, in the order of the conditions.

    Args:
        votes: All responses of the study.
        conditions: All its conditions.
        rng: Source of the draws of the agreement's interval; `np.random.default_rng(SEED)` in everything that is shown.
        origin: Whose votes to count: of "person" or of "simulated" raters.
        everyone: Whether sessions that a rule left out are counted too.
        alpha: One minus the level of the intervals.
        estimand: "new" raters and new images, or "these" images only.

    Returns:
        One summary for each condition with a counted vote.

    Raises:
        ValueError: As `completed_votes` and `fool_rates` do.

    Example:
        >>> session, photo = np.divmod(np.arange(400), 20)
        >>> words = lambda word: np.full(400, word)
        >>> votes = Votes(
        ...     session=session, rater=session, photo=photo, scene=photo, condition=words("tau_1"), kind=words("test"),
        ...     fooled=(session * 3 + photo) % 10 < 2, excluded=session == 19, completed=session >= 0,
        ...     origin=words("person"), exclusion_reason=words(""), rt_ms=700.0 + 10 * session,
        ... )
        >>> one, = summaries(
        ...     votes, conditions=[ResultCondition(name="tau_1", label="1")], rng=np.random.default_rng(SEED)
        ... )
        >>> round(one.detection.d_prime, 2), one.reaction_times.overall.median_ms, one.learning
        (1.19, 790.0, None)
    """
    counted = completed_votes(votes, conditions=conditions, origin=origin)
    rates = fool_rates(counted, everyone=everyone, alpha=alpha, estimand=estimand)
    alone = completed_votes(votes, conditions=conditions, origin=origin, kind=REAL)
    labels = {condition.name: condition.label for condition in conditions}
    found = []
    for name, rate in rates.items():
        chosen = counted.of(name, everyone=everyone)
        row = counted.row[chosen]
        fooled = counted.fooled[chosen]
        rater, photo, scene = counted.rater[chosen], counted.photo[chosen], counted.scene[chosen]
        learned = sided = side = times = None
        if votes.position is not None:
            is_placed = ~np.isnan(votes.position[row])
            learned = learning(
                fooled[is_placed],
                position=votes.position[row][is_placed],
                rater=rater[is_placed],
                photo=photo[is_placed],
                scene=scene[is_placed],
                alpha=alpha,
                estimand=estimand,
            )
        if votes.photo_side is not None:
            has_side = votes.photo_side[row] != ""
            first = votes.photo_side[row][has_side] == "first"
            sided = sided_detection(fooled[has_side], photo_first=first)
            side = side_effect(
                fooled[has_side],
                photo_first=first,
                rater=rater[has_side],
                photo=photo[has_side],
                scene=scene[has_side],
                alpha=alpha,
                estimand=estimand,
            )
        if votes.rt_ms is not None and not np.isnan(votes.rt_ms[row]).all():
            times = reaction_times(
                votes.rt_ms[row],
                fooled=fooled,
                rater=rater,
                photo=photo,
                scene=scene,
                alpha=alpha,
                estimand=estimand,
            )
        single = _single(counted, alone, name=name, rate=rate, everyone=everyone)
        measured = {"psnr": votes.sample_psnr, "ssim": votes.sample_ssim}
        found.append(
            ConditionSummary(
                condition=name,
                label=labels[name],
                detection=None if single else detection(rate),
                single=single,
                exposure=_exposure(votes, (counted, alone), name=name, everyone=everyone, alpha=alpha, rng=rng),
                sided=sided,
                ranking=ranking(fooled, picture=votes.photo[row]),
                agreement=agreement(fooled, photo=photo, scene=scene, rng=rng, alpha=alpha),
                reaction_times=times,
                learning=learned,
                side_effect=side,
                correlations=tuple(
                    rank_correlation(
                        fooled, picture=votes.photo[row], figure=figure[row], metric=metric, scene=scene, alpha=alpha
                    )
                    for metric, figure in measured.items()
                    if figure is not None and not np.isnan(figure[row]).all()
                ),
            )
        )
    return tuple(found)


def _exposure(
    votes: Votes,
    parts: tuple[CompletedVotes, CompletedVotes],
    *,
    name: str,
    everyone: bool,
    alpha: float,
    rng: np.random.Generator,
) -> ExposureScore | None:
    """Return the score of a condition whose exposures answers set, from answers on samples and on photos."""
    if votes.block is None or votes.exposure_asked_ms is None:
        return None
    row, session, rater = (
        np.concatenate([getattr(part, column)[part.of(name, everyone=everyone)] for part in parts])
        for column in ("row", "session", "rater")
    )
    block = votes.block[row]
    of_block = block > 0
    if not of_block.any():
        return None
    each = int(block[of_block].max()) + 1
    return exposure_score(
        votes.exposure_asked_ms[row][of_block],
        ~votes.fooled[row][of_block],
        rater=rater[of_block],
        block=session[of_block] * each + block[of_block].astype(np.int64),
        rng=rng,
        alpha=alpha,
    )


def _single(
    counted: CompletedVotes, alone: CompletedVotes, *, name: str, rate: FoolRate, everyone: bool
) -> SingleErrors | None:
    """Return the errors of a condition whose pictures were shown alone; None where they came in pairs."""
    parts = [(votes, votes.of(name, everyone=everyone)) for votes in (counted, alone)]

    def joined(column: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.concatenate([getattr(votes, column)[chosen] for votes, chosen in parts])

    n_samples, n_photos = (int(chosen.sum()) for _, chosen in parts)
    return single_errors(
        rate,
        joined("fooled"),
        is_photo=np.repeat([False, True], [n_samples, n_photos]),
        rater=joined("rater"),
        photo=joined("photo"),
        scene=joined("scene"),
    )
