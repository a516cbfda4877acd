"""The plan of a session: which pairs a rater sees, in which order, and on which side the photo is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from studies.errors import PlanImpossible


@dataclass(frozen=True, slots=True)
class PairOption:
    """A pair that may be shown.

    Attributes:
        pair: Its number.
        photo: Number of its photo.
        condition: Number of its condition.
        kind: "practice", "test" or "golden".
        picture: Digest of its sample: two samples may be the same picture, which shown twice would be known again.
        seen: How often it was planned in sessions that finished or still run.
    """

    pair: int
    photo: int
    condition: int
    kind: str
    picture: str
    seen: int


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """One showing.

    Attributes:
        option: The pair.
        photo_side: "first" or "second".
    """

    option: PairOption
    photo_side: str


def plan_session(
    options: Sequence[PairOption],
    *,
    practice_count: int,
    test_count: int,
    golden_count: int,
    rng: np.random.Generator,
) -> list[PlannedTrial]:
    """Plan one session.

    Practice comes first. Golden pairs are spread over the rest, one in each of `golden_count` equal stretches, and
    never among its first two. No photo comes twice, and no sample's picture while there are others (the nearest
    training example of two photos may be the same picture). Conditions come equally often; what is left over goes to
    the least seen. Within a condition the least seen pairs come first, ties at random. In each kind
    the photo is first in half of the trials, as nearly in each condition as can be.

    Args:
        options: Every pair that this session may show: of one condition, or of all.
        practice_count: Practice trials.
        test_count: Test trials.
        golden_count: Golden trials, at most `test_count`.
        rng: Source of every random choice.

    Returns:
        The trials in order: practice, then test and golden.

    Raises:
        PlanImpossible: If there are too few photos for the counts.
    """
    used_photos: set[int] = set()
    used_pictures: set[str] = set()
    chosen = {
        kind: _options_choose(
            [option for option in options if option.kind == kind],
            count=count,
            kind=kind,
            used_photos=used_photos,
            used_pictures=used_pictures,
            rng=rng,
        )
        for kind, count in (("test", test_count), ("golden", golden_count), ("practice", practice_count))
    }
    trials = {kind: _sides_assign(picked, rng=rng) for kind, picked in chosen.items()}
    return trials["practice"] + _golden_spread(trials["test"], trials["golden"], rng=rng)


def plan_practice(
    options: Sequence[PairOption], *, shown: Sequence[PairOption], rng: np.random.Generator
) -> list[PlannedTrial]:
    """Plan practice once more: as many pairs, of other photos if there are enough, else the same in another order.

    Args:
        options: Every practice pair that the session may show.
        shown: Those of the first try.
        rng: Source of every random choice.
    """
    used = {option.photo for option in shown}
    try:
        picked = _options_choose(
            [option for option in options if option.photo not in used],
            count=len(shown),
            kind="practice",
            used_photos=set(),
            used_pictures={option.picture for option in shown},
            rng=rng,
        )
    except PlanImpossible:
        picked = list(shown)
    return _sides_assign(picked, rng=rng)


def _options_choose(
    options: Sequence[PairOption],
    *,
    count: int,
    kind: str,
    used_photos: set[int],
    used_pictures: set[str],
    rng: np.random.Generator,
) -> list[PairOption]:
    """Pick the least seen options within equal shares of the conditions, each photo once; first without repeats."""
    quota = _quotas(options, count=count, rng=rng)
    picked: list[PairOption] = []
    order = [options[i] for i in sorted(rng.permutation(len(options)), key=lambda i: options[i].seen)]
    for may_repeat in (False, True):
        for option in order:
            is_new = option.photo not in used_photos and (may_repeat or option.picture not in used_pictures)
            if len(picked) < count and is_new and quota[option.condition]:
                quota[option.condition] -= 1
                used_photos.add(option.photo)
                used_pictures.add(option.picture)
                picked.append(option)
    if len(picked) < count:
        photos = len({option.photo for option in options})
        raise PlanImpossible(
            f"A session needs {count} {kind} pairs of different photos, but only {len(picked)} can be found among "
            f"{photos} photos; add photos to the set or ask for fewer {kind} pairs."
        )
    return picked


def _quotas(options: Sequence[PairOption], *, count: int, rng: np.random.Generator) -> dict[int, int]:
    seen: dict[int, int] = {}
    for option in options:
        seen[option.condition] = seen.get(option.condition, 0) + option.seen
    if not seen:
        return {}
    share, rest = divmod(count, len(seen))
    conditions = list(seen)
    order = sorted(rng.permutation(len(conditions)), key=lambda i: seen[conditions[i]])
    return {conditions[i]: share + (place < rest) for place, i in enumerate(order)}


def _sides_assign(options: Sequence[PairOption], *, rng: np.random.Generator) -> list[PlannedTrial]:
    """Alternate the sides along the conditions, then shuffle: half and half in all, and in each condition."""
    shuffled = [options[i] for i in rng.permutation(len(options))]
    by_condition = sorted(shuffled, key=lambda option: option.condition)
    sides = ("first", "second") if rng.integers(2) else ("second", "first")
    trials = [PlannedTrial(option, sides[i % 2]) for i, option in enumerate(by_condition)]
    return [trials[i] for i in rng.permutation(len(trials))]


def _golden_spread(
    tests: Sequence[PlannedTrial], goldens: Sequence[PlannedTrial], *, rng: np.random.Generator
) -> list[PlannedTrial]:
    total = len(tests) + len(goldens)
    first_place = min(2, len(tests))
    edges = np.linspace(first_place, total, len(goldens) + 1).round().astype(int)
    places = {int(rng.integers(low, high)) for low, high in pairwise(edges)}
    remaining_tests, remaining_goldens = iter(tests), iter(goldens)
    return [next(remaining_goldens if place in places else remaining_tests) for place in range(total)]
