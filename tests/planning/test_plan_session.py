"""Plans keep the protocol's promises whatever the counts: no photo twice, all balanced, goldens spread."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.errors import PlanImpossible
from studies.planning import PairOption, PairTable, PlannedTrial, plan_pairs, plan_session, plan_text


def options_make(*, photos: int, practice: int, conditions: int, seen: int = 0, pictures: int = 0) -> list[PairOption]:
    """Return test and golden options of the main photos and practice options of the others.

    Args:
        photos: Main photos.
        practice: Practice photos.
        conditions: Tested conditions; the golden one is number -1.
        seen: Largest number of times that a pair was seen.
        pictures: Number of different samples of each condition; as many as photos if 0.
    """
    rng = np.random.default_rng(0)
    options: list[PairOption] = []
    for photo in range(photos + practice):
        kinds = [(c, "test" if photo < photos else "practice") for c in range(conditions)]
        if photo < photos:
            kinds.append((-1, "golden"))
        for condition, kind in kinds:
            picture = f"{condition}/{photo % pictures if pictures else photo}"
            count = int(rng.integers(seen + 1))
            options.append(PairOption(len(options), photo, condition, kind, picture, count))
    return options


def plan_from_table(options: list[PairOption], *, rng: np.random.Generator, **counts: int) -> list[PlannedTrial]:
    """Plan as sessions of an open study are planned, whose pairs are kept as a table."""
    table = PairTable.of(options)
    seen = np.array([option.seen for option in sorted(options, key=lambda option: option.pair)], np.int64)
    conditions = {option.condition for option in options}
    return table.plan(seen, conditions=conditions, **counts, rng=rng)


def spread(values: list[int]) -> int:
    return max(values) - min(values)


@pytest.mark.parametrize("plan", [plan_session, plan_from_table])
@given(
    seed=st.integers(0, 2**32),
    conditions=st.integers(1, 6),
    test_count=st.integers(1, 45),
    golden_count=st.integers(0, 8),
    practice_count=st.integers(0, 12),
    spare=st.integers(0, 20),
    seen=st.integers(0, 4),
)
def test_every_plan_keeps_its_promises(
    plan: Callable[..., list[PlannedTrial]],
    seed: int,
    conditions: int,
    test_count: int,
    golden_count: int,
    practice_count: int,
    spare: int,
    seen: int,
) -> None:
    golden_count = min(golden_count, test_count)
    options = options_make(
        photos=test_count + golden_count + spare, practice=practice_count, conditions=conditions, seen=seen
    )
    trials = plan(
        options,
        practice_count=practice_count,
        test_count=test_count,
        golden_count=golden_count,
        rng=np.random.default_rng(seed),
    )
    kinds = [trial.option.kind for trial in trials]
    assert kinds[:practice_count] == ["practice"] * practice_count
    assert Counter(kinds[practice_count:]) == Counter({"test": test_count, "golden": golden_count})
    assert len({trial.option.photo for trial in trials}) == len(trials)
    assert len({trial.option.picture for trial in trials}) == len(trials)

    for kind in set(kinds):
        of_kind = [trial for trial in trials if trial.option.kind == kind]
        assert abs(sides(of_kind)["first"] - sides(of_kind)["second"]) <= 1
        if kind != "golden":
            counts = Counter(trial.option.condition for trial in of_kind)
            assert spread([counts[condition] for condition in range(conditions)]) <= 1
        for condition in {trial.option.condition for trial in of_kind}:
            within = sides([trial for trial in of_kind if trial.option.condition == condition])
            assert abs(within["first"] - within["second"]) <= 1

    main = kinds[practice_count:]
    if test_count >= 2:
        assert "golden" not in main[:2]
    places = [place for place, kind in enumerate(main) if kind == "golden"]
    stretch = len(main) / golden_count if golden_count else 0
    assert all(after - before <= 2 * stretch + 1 for before, after in pairwise(places))


def sides(trials: list[PlannedTrial]) -> Counter[str]:
    return Counter(trial.photo_side for trial in trials)


def test_least_seen_pairs_come_first() -> None:
    options = [
        PairOption(i, photo=i, condition=0, kind="test", picture=str(i), seen=0 if i % 3 == 0 else 5) for i in range(30)
    ]
    trials = plan_session(options, practice_count=0, test_count=10, golden_count=0, rng=np.random.default_rng(1))
    assert {trial.option.pair for trial in trials} == set(range(0, 30, 3))


def test_a_remainder_goes_to_the_least_seen_condition() -> None:
    options = [
        PairOption(i, photo=i, condition=i % 3, kind="test", picture=str(i), seen=0 if i % 3 == 2 else 2)
        for i in range(30)
    ]
    trials = plan_session(options, practice_count=0, test_count=4, golden_count=0, rng=np.random.default_rng(2))
    assert Counter(trial.option.condition for trial in trials)[2] == 2


def test_the_same_picture_is_not_shown_twice_while_there_are_others() -> None:
    options = options_make(photos=40, practice=0, conditions=1, pictures=12)
    for count, different in ((12, 12), (20, 12)):
        trials = plan_session(options, practice_count=0, test_count=count, golden_count=0, rng=np.random.default_rng(3))
        assert len({trial.option.picture for trial in trials}) == different
        assert len({trial.option.photo for trial in trials}) == count


def test_many_sessions_show_all_pairs_about_equally_often() -> None:
    rng = np.random.default_rng(4)
    counts: Counter[int] = Counter()
    base = options_make(photos=60, practice=12, conditions=5)
    for _ in range(40):
        options = [PairOption(o.pair, o.photo, o.condition, o.kind, o.picture, counts[o.pair]) for o in base]
        trials = plan_session(options, practice_count=10, test_count=40, golden_count=5, rng=rng)
        counts.update(trial.option.pair for trial in trials)
    shown = [counts[option.pair] for option in base if option.kind == "test"]
    assert (min(shown), max(shown)) == (5, 6)  # 40 x 40 showings of 300 pairs: 5.3 each


@pytest.mark.parametrize("plan", [plan_session, plan_from_table])
def test_pairs_of_a_session_that_shows_most_photos_under_all_conditions_stay_within_one(
    plan: Callable[..., list[PlannedTrial]],
) -> None:
    """Each photo is shared by four conditions and half of the photos come in each session: little can be chosen."""
    rng = np.random.default_rng(5)
    counts: Counter[int] = Counter()
    base = options_make(photos=16, practice=0, conditions=4)
    for _ in range(60):
        options = [PairOption(o.pair, o.photo, o.condition, o.kind, o.picture, counts[o.pair]) for o in base]
        trials = plan(options, practice_count=0, test_count=8, golden_count=0, rng=rng)
        counts.update(trial.option.pair for trial in trials)
        assert spread([counts[option.pair] for option in base if option.kind == "test"]) <= 1


def test_table_of_pairs_offers_those_seen_least_in_the_order_of_the_design() -> None:
    base = options_make(photos=30, practice=5, conditions=3, seen=4)[::-1]
    table = PairTable.of(base)
    seen = np.array([option.seen for option in sorted(base, key=lambda option: option.pair)])
    everything = table.least_seen(seen, conditions={0, 1, 2}, most=100, rng=np.random.default_rng(0))
    assert everything == base
    some = table.least_seen(seen, conditions={0, 2}, most=10, rng=np.random.default_rng(0))
    assert some == [option for option in base if option in some]
    for kind, condition in (("test", 0), ("test", 2), ("golden", -1)):
        of_group = [option.seen for option in base if (option.kind, option.condition) == (kind, condition)]
        offered = [option.seen for option in some if (option.kind, option.condition) == (kind, condition)]
        assert sorted(offered) == sorted(of_group)[:10]
    assert not [option for option in some if option.condition == 1]


def test_each_condition_gets_the_pairs_that_it_would_choose_alone_where_there_are_many() -> None:
    rng = np.random.default_rng(6)
    base = options_make(photos=400, practice=0, conditions=5)
    counts: Counter[int] = Counter()
    for _ in range(90):
        options = [PairOption(o.pair, o.photo, o.condition, o.kind, o.picture, counts[o.pair]) for o in base]
        trials = plan_from_table(options, practice_count=0, test_count=40, golden_count=4, rng=rng)
        for condition in (-1, *range(5)):
            of_condition = sorted(option.seen for option in options if option.condition == condition)
            got = sorted(trial.option.seen for trial in trials if trial.option.condition == condition)
            assert got == of_condition[: len(got)]
        counts.update(trial.option.pair for trial in trials)


def test_plans_follow_from_the_order_of_the_design_and_not_from_the_keys_of_the_pairs() -> None:
    here = options_make(photos=80, practice=12, conditions=3, seen=2)
    there = [replace(option, pair=5_000 - option.pair) for option in here]
    counts = {"practice_count": 10, "test_count": 30, "golden_count": 3}
    plans = [plan_from_table(options, **counts, rng=np.random.default_rng(9)) for options in (here, there)]
    assert [(t.option.photo, t.option.condition, t.photo_side) for t in plans[0]] == [
        (t.option.photo, t.option.condition, t.photo_side) for t in plans[1]
    ]


def test_plan_in_one_line_names_its_pairs_and_marks_those_whose_photo_is_second() -> None:
    options = options_make(photos=20, practice=0, conditions=2)
    trials = plan_session(options, practice_count=0, test_count=10, golden_count=2, rng=np.random.default_rng(10))
    text = plan_text(trials)
    assert plan_pairs(text).tolist() == [trial.option.pair for trial in trials]
    assert [word.startswith("-") for word in text.split()] == [trial.photo_side == "second" for trial in trials]
    assert plan_pairs("").tolist() == []


def test_the_same_seed_gives_the_same_plan_and_another_one_another() -> None:
    options = options_make(photos=60, practice=12, conditions=3)
    plans = [
        plan_session(options, practice_count=10, test_count=40, golden_count=5, rng=np.random.default_rng(seed))
        for seed in (7, 7, 8)
    ]
    assert plans[0] == plans[1] != plans[2]


def test_too_few_photos_are_said_with_both_numbers() -> None:
    options = options_make(photos=9, practice=0, conditions=2)
    with pytest.raises(PlanImpossible, match=r"needs 10 test pairs .* only 9 .* among 9 photos; add photos"):
        plan_session(options, practice_count=0, test_count=10, golden_count=0, rng=np.random.default_rng(0))
