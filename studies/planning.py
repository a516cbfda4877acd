"""The plan of a session: which pairs a rater sees, in which order, and on which side the photo is."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from studies.errors import PlanImpossible

_FORBIDDEN = 1e12
"""What an impossible choice costs: more than all possible ones together."""
_TRIES = 5
"""How often one picture that two pairs share is taken out of a choice before pairs are chosen one by one."""


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
        block: Which block of a staircase it belongs to, from 1; 0 for none.
    """

    option: PairOption
    photo_side: str
    block: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class PairTable:
    """Every pair of a study, in columns; row i is one pair.

    Attributes:
        pair: (n,) its number, in rising order.
        photo: Number of its photo, for each pair.
        condition: Number of its condition.
        kind: "practice", "test" or "golden".
        picture: Digest of its sample.
        order: (n,) its place in the order that the design gives.
        groups: (kind, condition) -> (m,) rows of those pairs, in the order that the design gives, as are the groups.
        photo_place: (n,) which of the different photos it has, from 0.
    """

    pair: NDArray[np.int64]
    photo: Sequence[int]
    condition: Sequence[int]
    kind: Sequence[str]
    picture: Sequence[str]
    order: NDArray[np.int64]
    groups: Mapping[tuple[str, int], NDArray[np.int64]]
    photo_place: NDArray[np.int64]

    @classmethod
    def of(cls, options: Sequence[PairOption]) -> "PairTable":
        """Return the table of these pairs, however often they were seen."""
        by_pair = sorted(range(len(options)), key=lambda i: options[i].pair)
        rows = [options[i] for i in by_pair]
        groups: dict[tuple[str, int], list[int]] = {}
        for row in sorted(range(len(rows)), key=by_pair.__getitem__):
            groups.setdefault((rows[row].kind, rows[row].condition), []).append(row)
        _, photo_place = np.unique([option.photo for option in rows], return_inverse=True)
        return cls(
            pair=np.array([option.pair for option in rows], np.int64),
            photo=[option.photo for option in rows],
            condition=[option.condition for option in rows],
            kind=[option.kind for option in rows],
            picture=[option.picture for option in rows],
            order=np.array(by_pair, np.int64),
            groups={group: np.array(places, np.int64) for group, places in groups.items()},
            photo_place=photo_place.astype(np.int64),
        )

    def places(self, pairs: ArrayLike) -> NDArray[np.int64]:
        """Return the rows of pairs, which are given by their numbers."""
        return np.searchsorted(self.pair, np.asarray(pairs, np.int64))

    def least_seen(
        self, seen: NDArray[np.int64], *, conditions: Collection[int], most: int, rng: np.random.Generator
    ) -> list[PairOption]:
        """Return what a session may show, of each condition and kind only those that are seen least, ties at random.

        Args:
            seen: (n,) how often each pair was planned.
            conditions: Numbers of the tested conditions of the session; golden pairs may always be shown.
            most: Pairs of each condition and kind.
            rng: Source of the choice among pairs that are seen equally often.
        """
        chosen: list[NDArray[np.int64]] = []
        for (kind, condition), places in self.groups.items():
            if kind != "golden" and condition not in conditions:
                continue
            if len(places) > most:
                key = seen[places] + rng.random(len(places))
                chosen.append(places[np.argpartition(key, most)[:most]])
            else:
                chosen.append(places)
        rows = np.concatenate(chosen) if chosen else np.zeros(0, np.int64)
        return self._options(rows[np.argsort(self.order[rows])], seen)

    def plan(
        self,
        seen: NDArray[np.int64],
        *,
        conditions: Collection[int],
        practice_count: int,
        test_count: int,
        golden_count: int,
        block_count: int = 0,
        rng: np.random.Generator,
    ) -> list[PlannedTrial]:
        """Plan one session from the pairs that are seen least: what `plan_session` promises, in a fraction of its time.

        Where there are many more pairs than a session shows, each condition can nearly always have exactly the pairs
        that it would choose if it were alone, and no better plan exists. Only where conditions get into each other's
        way is the choice an assignment problem, of some of the least seen pairs.

        Args:
            seen: (n,) how often each pair was planned.
            conditions: Numbers of the tested conditions of the session.
            practice_count: See `plan_session`, as for those that follow.
            test_count: Test trials.
            golden_count: Golden trials.
            block_count: Blocks of a staircase.
            rng: Source of every random choice.

        Raises:
            PlanImpossible: See `plan_session`.
        """
        counts = {"test": test_count, "golden": golden_count, "practice": practice_count}
        _blocks_check(test_count=test_count, golden_count=golden_count, block_count=block_count)
        used = np.zeros(int(self.photo_place.max(initial=-1)) + 1, bool)
        pictures: set[str] = set()
        chosen: dict[str, list[PairOption]] = {}
        for kind, count in counts.items():
            groups = [
                places
                for (of, condition), places in self.groups.items()
                if of == kind and (kind == "golden" or condition in conditions)
            ]
            rows = self._each_alone(groups, seen, count=count, used=used, pictures=pictures, rng=rng)
            if rows is None:
                return self._together(seen, conditions, counts, block_count=block_count, rng=rng)
            chosen[kind] = self._options(np.array(rows, np.int64), seen)
        return _trials_order(chosen, block_count=block_count, rng=rng)

    def _together(
        self,
        seen: NDArray[np.int64],
        conditions: Collection[int],
        counts: Mapping[str, int],
        *,
        block_count: int,
        rng: np.random.Generator,
    ) -> list[PlannedTrial]:
        """Plan a session whose conditions exclude each other's choices: from the least seen pairs, or else from all."""
        of_each = {f"{kind}_count": count for kind, count in counts.items()}
        with suppress(PlanImpossible):
            some = self.least_seen(seen, conditions=conditions, most=2 * sum(counts.values()), rng=rng)
            planned = plan_session(some, **of_each, block_count=block_count, rng=rng)
            if len({trial.option.picture for trial in planned}) == len(planned):
                return planned
        every = self.least_seen(seen, conditions=conditions, most=len(self.pair), rng=rng)
        return plan_session(every, **of_each, block_count=block_count, rng=rng)

    def _each_alone(
        self,
        groups: Sequence[NDArray[np.int64]],
        seen: NDArray[np.int64],
        *,
        count: int,
        used: NDArray[np.bool_],
        pictures: set[str],
        rng: np.random.Generator,
    ) -> list[int] | None:
        """Return as many rows of each group as its share, the very best of each; None if they exclude each other.

        A row is the better the less it is seen, and then the more groups wait for its photo.

        Args:
            groups: (m,) rows of each condition.
            seen: (n,) how often each pair was planned.
            count: Rows in all.
            used: (photos,) which photos the session has; those of the rows are added.
            pictures: The pictures that it has; those of the rows are added.
            rng: Source of the choice among equals.
        """
        if not count:
            return []
        shares = _shares([int(seen[places].sum()) for places in groups], count=count, rng=rng)
        degree = np.zeros(len(used), np.int64)
        free: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []
        has_used = bool(used.any())
        for every in groups:
            places = every[~used[self.photo_place[every]]] if has_used else every
            times, photos = seen[places], self.photo_place[places]
            free.append((places, times, photos))
            waiting = times == times.min(initial=np.iinfo(np.int64).max)
            degree += np.bincount(photos if waiting.all() else photos[waiting], minlength=len(degree))
        rows: list[int] = []
        for group in rng.permutation(len(groups)).tolist():
            (places, times, photos), share = free[group], shares[group]
            key = times * (len(groups) + 1) - degree[photos] + rng.random(len(places))
            looked_at = min(len(places), share + count)
            best = np.argpartition(key, looked_at - 1)[:looked_at] if looked_at else np.zeros(0, np.int64)
            best = best[np.argsort(key[best])]
            best_times = times[best].tolist()
            taken = 0
            for row, seen_times, photo in zip(places[best].tolist(), best_times, photos[best].tolist(), strict=True):
                if taken == share or seen_times != best_times[taken]:
                    break  # enough, or the next one was seen more often than what this group would have alone
                if not used[photo] and self.picture[row] not in pictures:
                    used[photo] = True
                    pictures.add(self.picture[row])
                    rows.append(row)
                    taken += 1
            if taken < share:
                return None
        return rows

    def _options(self, rows: NDArray[np.int64], seen: NDArray[np.int64]) -> list[PairOption]:
        return [
            PairOption(pair, self.photo[row], self.condition[row], self.kind[row], self.picture[row], count)
            for row, pair, count in zip(rows.tolist(), self.pair[rows].tolist(), seen[rows].tolist(), strict=True)
        ]


def plan_session(
    options: Sequence[PairOption],
    *,
    practice_count: int,
    test_count: int,
    golden_count: int,
    block_count: int = 0,
    rng: np.random.Generator,
) -> list[PlannedTrial]:
    """Plan one session.

    Practice comes first. Golden pairs are spread over the rest, one in each of `golden_count` equal stretches, and
    never among its first two. No photo comes twice, and no sample's picture while there are others (the nearest
    training example of two photos may be the same picture). Conditions come equally often; what is left over goes to
    the least seen. Within a condition the least seen pairs come first, ties at random; where several conditions share
    photos, those photos first of which most pairs wait, so that in the end no two are left that exclude each other. In
    each kind the photo is first in half of the trials, as nearly in each condition as can be; with blocks, in half of
    each.

    Args:
        options: Every pair that this session may show: of one condition, or of all.
        practice_count: Practice trials.
        test_count: Test trials.
        golden_count: Golden trials, at most `test_count`.
        block_count: Blocks of a staircase, of equally many test trials; 0 for none. They have no golden trials.
        rng: Source of every random choice.

    Returns:
        The trials in order: practice, then test and golden.

    Raises:
        PlanImpossible: If there are too few photos for the counts, or blocks would not be alike.
    """
    _blocks_check(test_count=test_count, golden_count=golden_count, block_count=block_count)
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
    return _trials_order(chosen, block_count=block_count, rng=rng)


def plan_text(trials: Sequence[PlannedTrial]) -> str:
    """Return a plan in one line: the numbers of its pairs in their order, with a minus where the photo is second."""
    return " ".join(
        str(trial.option.pair) if trial.photo_side == "first" else f"-{trial.option.pair}" for trial in trials
    )


def plan_pairs(text: str) -> NDArray[np.int64]:
    """Return the pairs of a plan in one line: (trials,) their numbers, without the sides."""
    return np.abs(np.array(text.split(), np.int64))


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


def _blocks_check(*, test_count: int, golden_count: int, block_count: int) -> None:
    """Raise `PlanImpossible` if blocks of a staircase would not be alike."""
    if block_count and (test_count % (2 * block_count) or golden_count):
        raise PlanImpossible(
            f"{block_count} blocks with as many real as fake pictures cannot be made of {test_count} test and "
            f"{golden_count} golden ones; take a multiple of {2 * block_count}, and no golden ones."
        )


def _trials_order(
    chosen: Mapping[str, Sequence[PairOption]], *, block_count: int, rng: np.random.Generator
) -> list[PlannedTrial]:
    """Give the chosen pairs of each kind their sides and places."""
    trials = {kind: _sides_assign(picked, rng=rng) for kind, picked in chosen.items()}
    if block_count:
        return trials["practice"] + _blocks_deal(trials["test"], block_count=block_count, rng=rng)
    return trials["practice"] + _golden_spread(trials["test"], trials["golden"], rng=rng)


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
    free = [option for option in options if option.photo not in used_photos and option.picture not in used_pictures]
    picked = _options_match(free, quota=quota, rng=rng) if len(quota) > 1 else []
    if picked:
        used_photos.update(option.photo for option in picked)
        used_pictures.update(option.picture for option in picked)
        return picked
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


def _options_match(
    options: Sequence[PairOption], *, quota: dict[int, int], rng: np.random.Generator
) -> list[PairOption]:
    """Pick the options that are seen least in all, no photo and no picture twice; none if that cannot be found.

    One row of an assignment problem for each showing, one column for each photo. Of choices that are seen equally
    seldom the one is taken whose photos have most pairs waiting.
    """
    conditions = [condition for condition, share in quota.items() for _ in range(share)]
    photos, columns = np.unique([option.photo for option in options], return_inverse=True)
    if not conditions or len(conditions) > len(photos):
        return []
    seen = np.array([option.seen for option in options], np.float64)
    of_condition = {condition: np.flatnonzero([o.condition == condition for o in options]) for condition in quota}
    waiting = np.zeros(len(options), bool)
    for places in of_condition.values():
        waiting[places] = seen[places] == seen[places].min(initial=np.inf)
    degree = np.bincount(columns[waiting], minlength=len(photos)) / (len(quota) + 1)
    tie = rng.random(len(options)) / (len(conditions) * (len(quota) + 1) + 1)
    price = (seen - seen.min()) ** 2 * (len(conditions) + 1) - degree[columns] + tie
    for _ in range(_TRIES):
        cost = np.full((len(conditions), len(photos)), _FORBIDDEN)
        which = np.zeros((len(conditions), len(photos)), np.intp)
        for row, condition in enumerate(conditions):
            places = of_condition[condition]
            cost[row, columns[places]], which[row, columns[places]] = price[places], places
        rows, chosen = linear_sum_assignment(cost)
        if cost[rows, chosen].max() >= _FORBIDDEN:
            return []
        picked = which[rows, chosen]
        _, firsts = np.unique([options[place].picture for place in picked], return_index=True)
        repeats = np.delete(picked, firsts)
        if not len(repeats):
            return [options[place] for place in picked]
        price[repeats] = _FORBIDDEN
    return []


def _quotas(options: Sequence[PairOption], *, count: int, rng: np.random.Generator) -> dict[int, int]:
    seen: dict[int, int] = {}
    for option in options:
        seen[option.condition] = seen.get(option.condition, 0) + option.seen
    if not seen:
        return {}
    return dict(zip(seen, _shares(list(seen.values()), count=count, rng=rng), strict=True))


def _shares(totals: Sequence[int], *, count: int, rng: np.random.Generator) -> list[int]:
    """Share `count` out evenly; what is left over goes to those with the least totals, ties at random."""
    share, rest = divmod(count, len(totals)) if totals else (0, 0)
    shares = [share] * len(totals)
    for i in sorted(rng.permutation(len(totals)), key=lambda i: totals[i])[:rest]:
        shares[i] += 1
    return shares


def _sides_assign(options: Sequence[PairOption], *, rng: np.random.Generator) -> list[PlannedTrial]:
    """Alternate the sides along the conditions, then shuffle: half and half in all, and in each condition."""
    shuffled = [options[i] for i in rng.permutation(len(options))]
    by_condition = sorted(shuffled, key=lambda option: option.condition)
    sides = ("first", "second") if rng.integers(2) else ("second", "first")
    trials = [PlannedTrial(option, sides[i % 2]) for i, option in enumerate(by_condition)]
    return [trials[i] for i in rng.permutation(len(trials))]


def _blocks_deal(trials: Sequence[PlannedTrial], *, block_count: int, rng: np.random.Generator) -> list[PlannedTrial]:
    """Deal trials in random order to blocks, as many of each side to each, and shuffle every block."""
    each = len(trials) // (2 * block_count)
    by_side = [[trial for trial in trials if trial.photo_side == side] for side in ("first", "second")]
    dealt: list[PlannedTrial] = []
    for place in range(block_count):
        block = [trial for side in by_side for trial in side[place * each : (place + 1) * each]]
        dealt += [replace(block[i], block=place + 1) for i in rng.permutation(len(block))]
    return dealt


def _golden_spread(
    tests: Sequence[PlannedTrial], goldens: Sequence[PlannedTrial], *, rng: np.random.Generator
) -> list[PlannedTrial]:
    total = len(tests) + len(goldens)
    first_place = min(2, len(tests))
    edges = np.linspace(first_place, total, len(goldens) + 1).round().astype(int)
    places = {int(rng.integers(low, high)) for low, high in pairwise(edges)}
    remaining_tests, remaining_goldens = iter(tests), iter(goldens)
    return [next(remaining_goldens if place in places else remaining_tests) for place in range(total)]
