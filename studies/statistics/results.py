"""The results table of a study: one row for each condition, from its votes and its fidelity figures.

Primary figures count the test pairs of completed sessions that no rule excluded. Beside them stands the same rate with
everyone who completed, so that a reader sees what the exclusions did. People and simulated raters never meet in one
table, and previews are never counted.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from studies import __version__
from studies.errors import OriginsMixed
from studies.statistics.fool_rate import (
    ESTIMANDS,
    INTERVAL_METHODS,
    Estimand,
    FoolRate,
    IntervalMethod,
    cluster_codes,
    fool_rate,
)

Origin = Literal["person", "simulated"]
Role = Literal["test", "golden", "fidelity"]
Mask = NDArray[np.bool_]

ORIGINS: tuple[Origin, ...] = get_args(Origin)
ROLES: tuple[Role, ...] = get_args(Role)
PREVIEW = "preview"
TEST = "test"
SET_ASIDE = "set_aside"
"""Kind of a vote that missed its exposure and, by the study's rule, counts for nothing."""
REAL = "real"
"""Kind of a vote on a photo that was shown alone: taking it for a sample is an error, but fools nobody."""
NO_REASON = "no reason recorded"

_ROLE_NOTES: dict[Role, str] = {
    "golden": "Shown in golden pairs only, which never count: no fool rate.",
    "fidelity": "Not shown to raters: no fool rate.",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Votes:
    """The responses of one study as aligned columns; the order of the rows does not matter.

    Attributes:
        session: (n,) identifiers of sessions, integers or strings.
        rater: (n,) identifiers of raters.
        photo: (n,) identifiers of photos: one for each input, however many samples were made of it.
        scene: (n,) identifiers of the photographs that the photos were cut from, one for each photo: the clusters of
            images. The photo itself if it is a photograph of its own.
        condition: (n,) names of conditions.
        kind: (n,) "practice", "test", "golden", "set_aside", or "real" for the photo of a test pair shown alone; only
            "test" counts in fool rates.
        fooled: (n,) bool: the sample was taken for the photo; of a photo shown alone, it was taken for a sample.
        excluded: (n,) bool, the same in all rows of a session: a rule leaves this session out.
        completed: (n,) bool, the same in all rows of a session: the session reached its end.
        origin: (n,) "person", "simulated" or "preview".
        exclusion_reason: (n,) the rule that excluded the session, or "".
        position: (n,) float, place of the trial in its session, NaN where not known. This and the following columns are
            for further summaries; None if the source of the votes does not have them.
        rt_ms: (n,) float, reaction time, NaN where not known.
        photo_side: (n,) "first" or "second": where the photo was; "" where not known.
        sample_psnr: (n,) float, pSNR of the picture that was judged, in dB; NaN where not measured.
        sample_ssim: (n,) float, SSIM of it, likewise.
        block: (n,) float, block of a staircase that the trial belongs to, from 1; NaN for none.
        exposure_asked_ms: (n,) float, exposure asked for, 0 for until the answer; NaN where not known.
        answered_s: (n,) float, when the answer came, in s since 1970 UTC, to the millisecond; NaN where not known.
    """

    session: NDArray[Any]
    rater: NDArray[Any]
    photo: NDArray[Any]
    scene: NDArray[Any]
    condition: NDArray[np.str_]
    kind: NDArray[np.str_]
    fooled: Mask
    excluded: Mask
    completed: Mask
    origin: NDArray[np.str_]
    exclusion_reason: NDArray[np.str_]
    position: NDArray[np.float64] | None = None
    rt_ms: NDArray[np.float64] | None = None
    photo_side: NDArray[np.str_] | None = None
    sample_psnr: NDArray[np.float64] | None = None
    sample_ssim: NDArray[np.float64] | None = None
    block: NDArray[np.float64] | None = None
    exposure_asked_ms: NDArray[np.float64] | None = None
    answered_s: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Refuse columns that are not aligned, or truth values that are not bool."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        shapes = {name: column.shape for name, column in columns.items() if column is not None}
        if len(set(shapes.values())) > 1 or len(self.session.shape) != 1:
            raise ValueError(f"the columns of votes must be aligned rows, got {shapes}")
        for name in ("fooled", "excluded", "completed"):
            if getattr(self, name).dtype != np.bool_:
                raise ValueError(f"{name} must be bool, got {getattr(self, name).dtype}")

    def __len__(self) -> int:
        """Return the number of responses."""
        return int(self.session.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultCondition:
    """A condition as a row of the table.

    Attributes:
        name: What the `condition` column of the votes says.
        label: What people read.
        role: "test" (has a fool rate), "golden" (in golden pairs only) or "fidelity" (never shown).
    """

    name: str
    label: str
    role: Role = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionFidelity:
    """Means over all samples of a condition; None where not measured.

    Attributes:
        psnr: dB; infinite if a sample equals its photo.
        ssim: In [-1, 1].
        ms_ssim: Five scales, in [0, 1].
        ms_ssim_3: Three scales, in [0, 1].
        consistency: Mean squared error on [0, 1] between the input and the sample made small again.
    """

    psnr: float | None = None
    ssim: float | None = None
    ms_ssim: float | None = None
    ms_ssim_3: float | None = None
    consistency: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Where the sessions went. `started = not completed + excluded + counted`.

    Attributes:
        started: Sessions with at least one response, practice included.
        completed: Sessions that reached their end.
        excluded: Completed sessions left out, by reason, sorted by reason.
        counted: Completed sessions that no rule left out.
        arrived: Visitors, where known; an export of responses does not tell.
        consented: Visitors who agreed to take part, where known.
        failed_practice: Started sessions that ended since practice was not passed; None where it need not be, or
            where that is not known.
    """

    started: int
    completed: int
    excluded: tuple[tuple[str, int], ...]
    counted: int
    arrived: int | None = None
    consented: int | None = None
    failed_practice: int | None = None

    @property
    def n_excluded(self) -> int:
        """Number of completed sessions left out by any rule."""
        return sum(count for _, count in self.excluded)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompletedVotes:
    """Votes on test pairs in completed sessions of one origin: what every figure about fool rates is made of.

    Attributes:
        conditions: Names of the test conditions, in the study's order.
        session: (n,) int64 codes of sessions.
        rater: (n,) int64 codes of raters.
        photo: (n,) int64 codes of photos.
        scene: (n,) int64 codes of scenes.
        condition: (n,) int16 places in `conditions`.
        fooled: (n,) bool.
        excluded: (n,) bool: a rule leaves the session out; the other votes are the counted ones.
        row: (n,) int64 places in the columns of the votes that these were picked from.
    """

    conditions: tuple[str, ...]
    session: NDArray[np.int64]
    rater: NDArray[np.int64]
    photo: NDArray[np.int64]
    scene: NDArray[np.int64]
    condition: NDArray[np.int16]
    fooled: Mask
    excluded: Mask
    row: NDArray[np.int64]

    def of(self, name: str, *, everyone: bool = False) -> Mask:
        """Return (n,) which votes count for a condition; none for one without a fool rate."""
        if name not in self.conditions:
            return np.zeros(self.fooled.size, dtype=np.bool_)
        chosen: Mask = self.condition == self.conditions.index(name)
        return chosen if everyone else chosen & ~self.excluded

    def n_excluded_sessions(self, name: str) -> int:
        """Return how many sessions with votes on a condition are left out."""
        return int(np.unique(self.session[self.of(name, everyone=True) & self.excluded]).size)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One condition: its fidelity, its fool rate, and all that is needed to judge both. None where not measured.

    Rates and interval ends are in [0, 1]. `n_...` describe the counted votes; the fields that end in `_all` describe
    everyone who completed. `independent_...` is the Wilson interval as if all votes were independent, for contrast
    only. The other fields are those of `FoolRate` and `ConditionFidelity`.
    """

    condition: str
    label: str
    role: Role
    psnr: float | None
    ssim: float | None
    ms_ssim: float | None
    ms_ssim_3: float | None
    consistency: float | None
    fool_rate: float | None
    ci_low: float | None
    ci_high: float | None
    ci_method: IntervalMethod | None
    deff: float | None
    deff_raters: float | None
    deff_photos: float | None
    is_deff_assumed: bool
    n_responses: int
    n_fooled: int
    n_raters: int
    n_photos: int
    n_scenes: int
    excluded_sessions: int
    fool_rate_all: float | None
    ci_low_all: float | None
    ci_high_all: float | None
    n_responses_all: int
    n_raters_all: int
    independent_low: float | None
    independent_high: float | None
    rater_bound: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTable:
    """What a study found: rows in the study's order of conditions, and what they rest on.

    Attributes:
        study: The study's slug.
        title: The study's title for people.
        design_sha256: Digest of the frozen design; "" if unknown.
        origin: Whose votes these are: of people, or of simulated raters.
        alpha: One minus the level of the intervals.
        estimand: What the intervals speak about.
        ci_method: Which interval was asked for.
        version: Version of evalsite that made the table.
        last_vote: Day of the last vote of this origin (UTC), as 2026-11-25; "" if unknown.
        caution: Why the intervals of this table may not be printed, in one sentence; "" if they may.
        is_alone: Whether each picture was shown alone, real or fake: of such fool rates 0.5 is no "cannot tell".
        flow: Where the sessions went.
        rows: One for each condition.
    """

    study: str
    title: str
    design_sha256: str
    origin: Origin
    alpha: float
    estimand: Estimand
    ci_method: IntervalMethod
    version: str
    last_vote: str
    caution: str
    is_alone: bool
    flow: Flow
    rows: tuple[ResultRow, ...]

    @property
    def is_simulated(self) -> bool:
        """Whether these are votes of programs, not of people."""
        return self.origin == "simulated"

    @property
    def is_tiled(self) -> bool:
        """Whether several photos were cut from one photograph, so that scenes are fewer than photos."""
        return any(row.n_scenes != row.n_photos for row in self.rows)


def session_flow(votes: Votes, *, origin: Origin = "person") -> Flow:
    """Count the sessions of one origin, as far as their responses tell.

    A session that never finished is counted as not completed, even if a rule also excludes it.
    """
    of_origin = votes.origin == origin
    _, first = np.unique(cluster_codes(votes.session[of_origin]), return_index=True)
    completed = votes.completed[of_origin][first]
    excluded = completed & votes.excluded[of_origin][first]
    reasons = votes.exclusion_reason[of_origin][first][excluded]
    by_reason = Counter(str(reason) or NO_REASON for reason in reasons)
    return Flow(
        started=first.size,
        completed=int(completed.sum()),
        excluded=tuple(sorted(by_reason.items())),
        counted=int((completed & ~excluded).sum()),
    )


def completed_votes(
    votes: Votes, *, conditions: Sequence[ResultCondition], origin: Origin = "person", kind: str = TEST
) -> CompletedVotes:
    """Pick the votes that may count: test pairs of completed sessions of one origin.

    Args:
        votes: All responses of the study.
        conditions: All its conditions; those with the role "test" keep their order.
        origin: Whose votes.
        kind: "test" for what fool rates are made of, "real" for the photos that were shown alone among them.

    Returns:
        The votes, those of excluded sessions still among them.

    Raises:
        ValueError: If the origin is unknown, votes name a condition that is not given, a condition that is not for test
            pairs has votes in them, or a photo has two scenes.

    Example:
        >>> column = lambda *cells: np.array(cells)
        >>> votes = Votes(
        ...     session=column(1, 1, 2), rater=column(1, 1, 2), photo=column(7, 8, 7), scene=column(7, 8, 7),
        ...     condition=column("smooth", "smooth", "smooth"), kind=column("practice", "test", "test"),
        ...     fooled=column(True, False, True), excluded=column(False, False, True),
        ...     completed=column(True, True, True), origin=column("person", "person", "person"),
        ...     exclusion_reason=column("", "", "golden_missed"),
        ... )
        >>> chosen = completed_votes(votes, conditions=[ResultCondition(name="smooth", label="Smooth")])
        >>> [int(chosen.of("smooth", everyone=everyone).sum()) for everyone in (True, False)]
        [2, 1]
    """
    _check_choice("origin", origin, ORIGINS)
    is_test = votes.kind == kind
    tested = [condition.name for condition in conditions if condition.role == TEST]
    place = np.full(len(votes), -1, dtype=np.int16)
    is_known = np.zeros(len(votes), dtype=np.bool_)
    for condition in conditions:
        is_named = votes.condition == condition.name
        is_known |= is_named
        if condition.role == TEST:
            np.copyto(place, tested.index(condition.name), where=is_named)
        elif (is_test & is_named).any():
            raise ValueError(f"{condition.name} has the role {condition.role!r}, but votes in test pairs")
    if not is_known.all():
        unknown = np.unique(votes.condition[~is_known])
        raise ValueError(f"votes name conditions that have no row: {', '.join(unknown)}")

    photo = cluster_codes(votes.photo)
    scene = photo if np.array_equal(votes.photo, votes.scene) else cluster_codes(votes.scene)
    scene_of = np.zeros(int(photo.max(initial=0)) + 1, dtype=np.int64)
    scene_of[photo] = scene
    if (scene != scene_of[photo]).any():
        raise ValueError(f"photo {votes.photo[scene != scene_of[photo]][0]} has two scenes; give it one")
    chosen = is_test & (votes.origin == origin) & votes.completed
    return CompletedVotes(
        conditions=tuple(tested),
        session=cluster_codes(votes.session)[chosen],
        rater=cluster_codes(votes.rater)[chosen],
        photo=photo[chosen],
        scene=scene[chosen],
        condition=place[chosen],
        fooled=votes.fooled[chosen],
        excluded=votes.excluded[chosen],
        row=np.flatnonzero(chosen),
    )


def fool_rates(
    votes: CompletedVotes,
    *,
    everyone: bool = False,
    alpha: float = 0.05,
    estimand: Estimand = "new",
    method: IntervalMethod = "two_way_wilson",
) -> dict[str, FoolRate]:
    """Estimate the fool rate of each condition that has a vote.

    Where all votes of a condition are alike its design effect is taken to be the largest of the others.

    Args:
        votes: From `completed_votes`.
        everyone: Whether sessions that a rule left out count too.
        alpha: One minus the level of the intervals.
        estimand: "new" raters and new images, or "these" images only.
        method: Which interval.

    Returns:
        Fool rates by name of the condition, in the order of the conditions.

    Raises:
        ValueError: If an argument has no meaning.
    """
    _check_choice("estimand", estimand, ESTIMANDS)
    _check_choice("method", method, INTERVAL_METHODS)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    of_condition = {name: np.flatnonzero(votes.of(name, everyone=everyone)) for name in votes.conditions}

    def rate(name: str, *, assumed_deff: float = 1.0) -> FoolRate:
        chosen = of_condition[name]
        return fool_rate(
            votes.fooled[chosen],
            rater=votes.rater[chosen],
            photo=votes.photo[chosen],
            scene=votes.scene[chosen],
            alpha=alpha,
            estimand=estimand,
            method=method,
            assumed_deff=assumed_deff,
        )

    rates = {name: rate(name) for name, chosen in of_condition.items() if chosen.size}
    largest = max((r.deff for r in rates.values() if r.deff is not None and not r.is_deff_assumed), default=1.0)
    return {name: rate(name, assumed_deff=max(1.0, largest)) if r.is_deff_assumed else r for name, r in rates.items()}


def result_table(
    votes: Votes,
    *,
    conditions: Sequence[ResultCondition],
    fidelity: Mapping[str, ConditionFidelity],
    study: str,
    title: str = "",
    design_sha256: str = "",
    origin: Origin = "person",
    alpha: float = 0.05,
    estimand: Estimand = "new",
    method: IntervalMethod = "two_way_wilson",
    flow: Flow | None = None,
    last_vote: str = "",
    caution: str = "",
) -> ResultTable:
    """Make the results table of a study.

    Args:
        votes: All responses of the study; those of another origin, practice and golden pairs are set aside.
        conditions: The rows, in their order.
        fidelity: Figures by name of condition; a condition that is absent was not measured.
        study: Slug of the study.
        title: Title of the study for people.
        design_sha256: Digest of the frozen design.
        origin: Whose votes to count: of "person" or of "simulated" raters.
        alpha: One minus the level of the intervals.
        estimand: "new" raters and new images, or "these" images only.
        method: Which interval.
        flow: Where the sessions went, if more is known than `session_flow` finds in the votes.
        last_vote: Day of the last vote of this origin (UTC), as 2026-11-25; "" if unknown.
        caution: Why the intervals of this table may not be printed, in one sentence; "" if they may.

    Returns:
        The table.

    Raises:
        ValueError: If an argument has no meaning, votes name a condition that has no row, or a photo has two scenes.

    Example:
        >>> n = 400
        >>> rater, photo = np.divmod(np.arange(n), 20)
        >>> words = lambda word: np.full(n, word)
        >>> votes = Votes(
        ...     session=rater, rater=rater, photo=photo, scene=photo, condition=words("regression"),
        ...     kind=words("test"), fooled=(rater + photo) % 10 == 0, excluded=rater == 19, completed=rater >= 0,
        ...     origin=words("person"), exclusion_reason=words(""),
        ... )
        >>> table = result_table(
        ...     votes, conditions=[ResultCondition(name="regression", label="Regression")],
        ...     fidelity={"regression": ConditionFidelity(psnr=23.5)}, study="rooms",
        ... )
        >>> row, = table.rows
        >>> row.fool_rate, row.n_responses, row.n_raters, row.excluded_sessions
        (0.1, 380, 19, 1)
        >>> row.fool_rate_all, row.n_responses_all
        (0.1, 400)
    """
    completed = completed_votes(votes, conditions=conditions, origin=origin)
    rates, rates_all = (
        fool_rates(completed, everyone=everyone, alpha=alpha, estimand=estimand, method=method)
        for everyone in (False, True)
    )
    alone = completed_votes(votes, conditions=conditions, origin=origin, kind=REAL)
    rows = [
        _row(
            condition,
            fidelity=fidelity.get(condition.name, ConditionFidelity()),
            rate=rates.get(condition.name),
            rate_all=rates_all.get(condition.name),
            excluded_sessions=completed.n_excluded_sessions(condition.name),
            n_alone=int(alone.of(condition.name).sum()),
            is_held=votes.block is not None
            and bool((votes.block[completed.row[completed.of(condition.name, everyone=True)]] > 0).any()),
        )
        for condition in conditions
    ]
    return ResultTable(
        study=study,
        title=title,
        design_sha256=design_sha256,
        origin=origin,
        alpha=alpha,
        estimand=estimand,
        ci_method=method,
        version=__version__,
        last_vote=last_vote,
        caution=caution,
        is_alone=bool((votes.kind == REAL).any()),
        flow=flow or session_flow(votes, origin=origin),
        rows=tuple(rows),
    )


def single_origin(votes: Votes) -> Origin:
    """Return whose votes these are, or refuse a mixture.

    Previews are set aside; without any other vote the answer is "person".

    Raises:
        OriginsMixed: If both people and simulated raters voted.
    """
    found = [origin for origin in ORIGINS if (votes.origin == origin).any()]
    if len(found) > 1:
        raise OriginsMixed(
            "The votes of people and of simulated raters are never counted in one table; "
            "choose one with --origin person or --origin simulated."
        )
    return found[0] if found else "person"


def _row(
    condition: ResultCondition,
    *,
    fidelity: ConditionFidelity,
    rate: FoolRate | None,
    rate_all: FoolRate | None,
    excluded_sessions: int,
    n_alone: int,
    is_held: bool,
) -> ResultRow:
    notes = list(rate.notes) if rate else []
    if is_held:
        notes.append(
            "Answers set the exposures, which held errors at one share whatever the method: what tells methods apart "
            "is the exposure, not this rate."
        )
    elif n_alone:
        notes.append(
            f"Single pictures: the fool rate counts samples alone, not the {n_alone} answers on photos. Photos were "
            "taken for samples too, so compare it with those errors, not with 50 %."
        )
    if condition.role != TEST:
        notes.append(_ROLE_NOTES[condition.role])
    elif rate is None:
        notes.append("No counted vote yet: no fool rate." if not rate_all else "All completed sessions were excluded.")
    holds_half, holds_half_all = _holds_half(rate), _holds_half(rate_all)
    if holds_half is not None and holds_half_all is not None and holds_half != holds_half_all:
        notes.append(
            "The exclusions decide whether the interval holds 50 %: "
            f"it {'does' if holds_half else 'does not'} with them, "
            f"and {'does' if holds_half_all else 'does not'} with everyone who completed."
        )
    if fidelity.psnr == float("inf"):
        notes.append("pSNR is infinite: at least one sample equals its photo.")
    return ResultRow(
        condition=condition.name,
        label=condition.label,
        role=condition.role,
        psnr=fidelity.psnr,
        ssim=fidelity.ssim,
        ms_ssim=fidelity.ms_ssim,
        ms_ssim_3=fidelity.ms_ssim_3,
        consistency=fidelity.consistency,
        fool_rate=rate.rate if rate else None,
        ci_low=rate.ci_low if rate else None,
        ci_high=rate.ci_high if rate else None,
        ci_method=rate.ci_method if rate else None,
        deff=rate.deff if rate else None,
        deff_raters=rate.deff_raters if rate else None,
        deff_photos=rate.deff_photos if rate else None,
        is_deff_assumed=rate.is_deff_assumed if rate else False,
        n_responses=rate.n_responses if rate else 0,
        n_fooled=rate.n_fooled if rate else 0,
        n_raters=rate.n_raters if rate else 0,
        n_photos=rate.n_photos if rate else 0,
        n_scenes=rate.n_scenes if rate else 0,
        excluded_sessions=excluded_sessions,
        fool_rate_all=rate_all.rate if rate_all else None,
        ci_low_all=rate_all.ci_low if rate_all else None,
        ci_high_all=rate_all.ci_high if rate_all else None,
        n_responses_all=rate_all.n_responses if rate_all else 0,
        n_raters_all=rate_all.n_raters if rate_all else 0,
        independent_low=rate.independent_low if rate else None,
        independent_high=rate.independent_high if rate else None,
        rater_bound=rate.rater_bound if rate else None,
        notes=tuple(notes),
    )


def _holds_half(rate: FoolRate | None) -> bool | None:
    """Return whether the interval holds 50 %; None without an interval."""
    if rate is None or rate.ci_low is None or rate.ci_high is None:
        return None
    return rate.ci_low <= 0.5 <= rate.ci_high


def _check_choice(name: str, value: str, choices: Sequence[str] | Mapping[Any, str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
