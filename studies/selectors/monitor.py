"""What a researcher watches while a study runs: how it fills, whether raters see and attend. No fool rate is among it.

Sums over all votes are made by the database. What browsers and sides tell is read of the newest sessions alone, about
which somebody who watches can still do something; so no page waits for a study of a million votes.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from django.db.models import Count, F, Max, Min, Q, QuerySet
from django.utils import timezone
from numpy.typing import NDArray

from studies.models import (
    ENDED,
    FINISHED,
    Assignment,
    Condition,
    Kind,
    MissedExposure,
    Origin,
    Photo,
    RatingSession,
    Response,
    Role,
    SessionState,
    Side,
    Study,
    StudyState,
    Trial,
)
from studies.selectors.responses import as_read
from studies.selectors.sessions import still_running
from studies.statistics.quality import side_bias

RECENT = 200
"""So many of the newest finished sessions tell how raters do."""
ENOUGH = 5
"""So many completed sessions tell a speed."""
CELLS = 60
"""Most cells of a strip; of more pairs each cell stands for several."""
ONE_SIDED_P = 0.001
"""A session whose sides are less likely than this by chance is one-sided."""


@dataclass(frozen=True)
class Filling:
    """Sessions of one tested condition, or of all when sessions are mixed.

    Attributes:
        condition: The condition; None when sessions are mixed.
        place: Of the condition among all of the study, from 0.
        wanted: Sessions to complete; 0 where none are asked for.
        complete: Finished, and counted.
        running: Under way.
        dropped: Given up without a word.
        excluded: Finished, and left out by a rule.
        ended: Withdrawn, given back, or sent back after practice.
    """

    condition: Condition | None
    place: int
    wanted: int
    complete: int
    running: int
    dropped: int
    excluded: int
    ended: int

    @property
    def lost(self) -> int:
        """Return the sessions that were begun and not finished."""
        return self.dropped + self.ended

    @property
    def missing(self) -> int:
        """Return the sessions still to complete."""
        return max(0, self.wanted - self.complete)


@dataclass(frozen=True)
class Cell:
    """Neighbouring pairs of one condition, or one pair.

    Attributes:
        pairs: How many.
        least: Fewest counted votes of one of them.
        most: Most.
        name: Of the photo, if it is one pair.
        level: 0 for no vote, else 1 to 5 by the mean's share of the largest mean.
    """

    pairs: int
    least: int
    most: int
    name: str
    level: int


@dataclass(frozen=True)
class Strip:
    """Counted votes for each pair of a tested condition.

    Attributes:
        condition: The condition.
        place: Of the condition among all of the study, from 0.
        cells: In the order of the photos.
        votes: All together.
        pairs: How many pairs.
        least: Fewest votes of a pair.
        most: Most.
        empty: Pairs without a vote.
    """

    condition: Condition
    place: int
    cells: tuple[Cell, ...]
    votes: int
    pairs: int
    least: int
    most: int
    empty: int


@dataclass(frozen=True)
class Recent:
    """The newest finished sessions, as far as the rules of exclusion may know them.

    Attributes:
        sessions: How many; at most `RECENT`.
        excluded: Of them, left out by a rule.
        answers: After practice.
        golden: Of them, on golden pairs.
        golden_right: Of these, right.
        missed: Answers that missed their exposure.
        hidden: Answers with the page hidden or without focus while pictures were up.
        away: Sessions whose rater left the page during a pair.
        automated: Sessions with a sign that a program drove the browser.
        one_sided: Sessions with nearly all answers on one side; 0 where pictures are shown alone.
    """

    sessions: int = 0
    excluded: int = 0
    answers: int = 0
    golden: int = 0
    golden_right: int = 0
    missed: int = 0
    hidden: int = 0
    away: int = 0
    automated: int = 0
    one_sided: int = 0


@dataclass(frozen=True)
class Speed:
    """How fast sessions are completed.

    Attributes:
        an_hour: Completed sessions an hour; None before there are enough to tell.
        over: What it was measured over, for people.
        hours_left: Until the wanted number, if it goes on like that; None where that cannot be told.
        last_at: When the last session was completed.
    """

    an_hour: float | None
    over: str
    hours_left: float | None
    last_at: datetime | None


@dataclass(frozen=True)
class Monitor:
    """What the page of a running study shows, without any rate.

    Attributes:
        fillings: Sessions of each condition.
        strips: Votes of each pair, by condition.
        recent: The newest sessions.
        speed: How fast they come.
        warnings: What somebody should look at, a sentence each.
    """

    fillings: tuple[Filling, ...]
    strips: tuple[Strip, ...]
    recent: Recent
    speed: Speed
    warnings: tuple[str, ...]


def monitor_get(study: Study, *, origin: Origin) -> Monitor:
    """Return how a study runs, in a number of queries that does not grow with it."""
    conditions = list(study.conditions.order_by("position"))
    tested = [(place, condition) for place, condition in enumerate(conditions) if condition.role == Role.TEST]
    sessions = RatingSession.objects.filter(study=study, rater__origin=origin)
    is_mixed = study.assignment == Assignment.MIXED
    places: list[tuple[int, Condition | None]] = [(0, None)] if is_mixed else [*tested]
    states = {
        (condition, state): n
        for condition, state, n in sessions.values_list("condition", "state").annotate(n=Count("pk")).order_by()
    }
    under_way = sessions.filter(still_running()).values_list("condition").annotate(n=Count("pk")).order_by()
    running: dict[int | None, int] = dict(under_way.values_list("condition", "n"))
    fillings = []
    for place, condition in places:
        key = condition.pk if condition else None
        fillings.append(
            Filling(
                condition,
                place,
                wanted=study.raters_wanted if origin == Origin.PERSON else 0,
                complete=states.get((key, SessionState.COMPLETE), 0),
                running=running.get(key, 0),
                dropped=states.get((key, SessionState.ACTIVE), 0) - running.get(key, 0),
                excluded=states.get((key, SessionState.EXCLUDED), 0),
                ended=sum(states.get((key, state), 0) for state in ENDED),
            )
        )
    strips = _strips(study, tested, origin=origin)
    recent = _recent(study, origin=origin)
    speed = _speed(study, origin=origin, missing=sum(filling.missing for filling in fillings))
    warnings = _warnings(study, fillings, recent, speed)
    return Monitor(tuple(fillings), tuple(strips), recent, speed, tuple(warnings))


def _strips(study: Study, tested: list[tuple[int, Condition]], *, origin: Origin) -> list[Strip]:
    """Show the votes of each pair, in the order of the photos."""
    pairs = study.pairs.filter(kind=Kind.TEST).order_by()
    found = as_read(pairs.values_list("pk", "sample__condition_id", "sample__photo_id"))
    rows = np.array(found, dtype=np.int64).reshape(-1, 3)
    rows = rows[np.lexsort((rows[:, 0], rows[:, 2]))]  # by photo, then by key
    votes = _votes(study, rows[:, 0], origin=origin)
    chosen = [(place, condition, rows[:, 1] == condition.pk) for place, condition in tested]
    counts = [(place, condition, votes[of], rows[of, 2]) for place, condition, of in chosen if of.any()]
    top = max((float(_cells_of(numbers)[2].max()) for _, _, numbers, _ in counts), default=0.0)
    few = [photo for _, _, numbers, photos in counts if len(numbers) <= CELLS for photo in photos.tolist()]
    names = dict(Photo.objects.filter(pk__in=few).values_list("pk", "name"))
    return [
        _strip(place, condition, numbers, [names.get(p, "") for p in photos.tolist()] if names else [], top)
        for place, condition, numbers, photos in counts
    ]


def _votes(study: Study, pairs: NDArray[np.int64], *, origin: Origin) -> NDArray[np.int64]:
    """Count the votes of complete sessions for each of some pairs.

    In a complete session every trial is answered, so trials tell. All trials of a pair stand together in an index;
    those of other sessions, far fewer as a rule, and answers that were set aside, are taken off.
    """
    sessions = RatingSession.objects.filter(study=study)
    counting = sessions.filter(state=SessionState.COMPLETE, rater__origin=origin)
    shown = Trial.objects.filter(pair__study=study, pair__kind=Kind.TEST)
    others = sessions.exclude(pk__in=counting.values("pk"))
    taken_off = [Trial.objects.filter(session__in=others.values("pk"), kind=Kind.TEST)]
    if study.missed_exposure != MissedExposure.KEEP:
        aside = Trial.objects.filter(response__is_set_aside=True, kind=Kind.TEST)
        taken_off.append(aside.filter(session__in=counting.values("pk")))
    votes = _per_pair(shown, pairs)
    for trials in taken_off:
        votes -= _per_pair(trials, pairs)
    return votes


def _per_pair(trials: QuerySet[Trial], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count trials by pair, for each of some pairs in their order.

    Rows are counted, not keys, which are not in the index of pairs: PostgreSQL would read and sort the whole table.
    """
    found = as_read(trials.values_list("pair_id").annotate(n=Count("*")).order_by())
    counts = dict(found)
    return np.fromiter((counts.get(pair, 0) for pair in pairs.tolist()), np.int64, len(pairs))


def _cells_of(numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Cut pairs into at most `CELLS` neighbouring parts, as even as can be: where each begins, its size, its mean."""
    parts = min(CELLS, len(numbers))
    ends = len(numbers) * np.arange(parts + 1) // parts
    sizes = np.diff(ends)
    return ends[:-1], sizes, np.add.reduceat(numbers, ends[:-1]) / sizes


def _strip(place: int, condition: Condition, numbers: NDArray[np.int64], names: list[str], top: float) -> Strip:
    starts, sizes, means = _cells_of(numbers)
    least, most = np.minimum.reduceat(numbers, starts), np.maximum.reduceat(numbers, starts)
    levels = np.where(means > 0, np.clip(np.rint(5 * means / (top or 1.0)), 1, 5), 0)
    return Strip(
        condition,
        place,
        tuple(
            Cell(size, low, high, names[start] if size == 1 and names else "", level)
            for start, size, low, high, level in zip(
                starts.tolist(), sizes.tolist(), least.tolist(), most.tolist(), levels.astype(int).tolist(), strict=True
            )
        ),
        votes=int(numbers.sum()),
        pairs=len(numbers),
        least=int(numbers.min()),
        most=int(numbers.max()),
        empty=int((numbers == 0).sum()),
    )


def _recent(study: Study, *, origin: Origin) -> Recent:
    finished = RatingSession.objects.filter(study=study, rater__origin=origin, state__in=FINISHED)
    newest = dict(finished.order_by("-finished_at", "-pk").values_list("pk", "state")[:RECENT])
    main = ~Q(trial__kind=Kind.PRACTICE)
    golden = Q(trial__kind=Kind.GOLDEN, is_set_aside=False)
    rows = (
        Response.objects.filter(main, trial__session__in=newest)
        .order_by()
        .values("trial__session")
        .annotate(
            answers=Count("pk"),
            judged=Count("pk", filter=Q(is_set_aside=False)),
            first=Count("pk", filter=Q(is_set_aside=False, chosen_side=Side.FIRST)),
            golden=Count("pk", filter=golden),
            golden_right=Count("pk", filter=golden & Q(chosen_side=F("trial__photo_side"))),
            missed=Count("pk", filter=Q(exposure_missed=True)),
            hidden=Count("pk", filter=Q(was_hidden=True) | Q(lost_focus=True)),
            away=Count("pk", filter=Q(focus_losses__gt=0)),
            automated=Count("pk", filter=~Q(automation="")),
        )
    )
    found = list(rows)
    one_sided = sum(side_bias(row["first"], row["judged"]) < ONE_SIDED_P for row in found)
    sums = {name: sum(row[name] for row in found) for name in ("answers", "golden", "golden_right", "missed", "hidden")}
    return Recent(
        sessions=len(newest),
        excluded=sum(state == SessionState.EXCLUDED for state in newest.values()),
        away=sum(row["away"] > 0 for row in found),
        automated=sum(row["automated"] > 0 for row in found),
        one_sided=0 if study.is_single else one_sided,
        **sums,
    )


def _speed(study: Study, *, origin: Origin, missing: int) -> Speed:
    """Measure over the last hour, or the last day, or all the time: the shortest in which five were completed."""
    now = timezone.now()
    hour, day = timedelta(hours=1), timedelta(days=1)
    complete = RatingSession.objects.filter(study=study, rater__origin=origin, state=SessionState.COMPLETE)
    found = complete.aggregate(
        in_all=Count("pk"),
        in_hour=Count("pk", filter=Q(finished_at__gt=now - hour)),
        in_day=Count("pk", filter=Q(finished_at__gt=now - day)),
        first=Min("started_at"),
        last=Max("finished_at"),
    )
    if found["first"] is None:
        return Speed(None, "", None, None)
    whole = max(now - found["first"], timedelta(minutes=1))
    for over, count, span in (
        ("the last hour", found["in_hour"], hour),
        ("the last day", found["in_day"], day),
        ("all the time", found["in_all"], whole),
    ):
        if count >= ENOUGH:
            an_hour = count / (min(span, whole) / hour)
            left = missing / an_hour if study.state == StudyState.OPEN and origin == Origin.PERSON else None
            return Speed(an_hour, over, left, found["last"])
    return Speed(None, "", None, found["last"])


def _warnings(study: Study, fillings: list[Filling], recent: Recent, speed: Speed) -> list[str]:
    """Say what somebody should look at. A share needs enough behind it to be one."""
    said = []
    begun = sum(f.complete + f.excluded + f.lost for f in fillings)
    lost = sum(f.lost for f in fillings)
    if begun >= 20 and lost > begun / 4:
        said.append(
            f"{lost} of {begun} sessions were begun and not finished: go through one yourself, and see where raters "
            "stop."
        )
    counts = {f.condition: f.complete + f.running for f in fillings}
    for filling in fillings:
        others = [n for condition, n in counts.items() if condition != filling.condition]
        mean = sum(others) / len(others) if others else 0.0
        if mean >= 6 and counts[filling.condition] < mean / 2:
            said.append(
                f"“{filling.condition}” fills slower: {counts[filling.condition]} sessions, where the others have "
                f"{mean:.0f} on average; {filling.lost} of it were begun and not finished."
            )
    if recent.golden >= 20 and recent.golden_right < 0.85 * recent.golden:
        said.append(
            f"{recent.golden - recent.golden_right} of {recent.golden} golden answers were wrong: raters do not "
            "attend, or the golden pairs are not obvious."
        )
    if recent.sessions >= 10 and recent.excluded > 0.3 * recent.sessions:
        said.append(f"{recent.excluded} of the last {recent.sessions} sessions were left out by a rule.")
    if recent.one_sided >= 2 and recent.one_sided > 0.02 * recent.sessions:
        said.append(
            f"{recent.one_sided} of the last {recent.sessions} sessions answered on one side nearly always (by chance "
            "one in a thousand would)."
        )
    if recent.answers >= 50 and recent.missed > 0.05 * recent.answers:
        said.append(
            f"{recent.missed / recent.answers:.0%} of the last {recent.answers} answers missed their exposure by over "
            "two frames: raters' devices are too slow for it, or busy."
        )
    if recent.automated:
        said.append(
            f"{recent.automated} of the last {recent.sessions} sessions show signs that a program drove the browser."
        )
    is_waiting = study.state == StudyState.OPEN and any(f.missing for f in fillings)
    silent_since = speed.last_at or study.opened_at
    if is_waiting and silent_since and timezone.now() - silent_since > timedelta(hours=6):
        hours = (timezone.now() - silent_since) / timedelta(hours=1)
        said.append(f"Nobody has completed a session for {hours:.0f} hours: see whether the link still reaches raters.")
    return said
