"""A question about a study's size has an answer that keeps what it promises, or an error that names its field."""

import json
from typing import Any

import numpy as np
import pytest

from studies.statistics.study_plan import PlanInvalid, PlanQuestion, plan_answer

QUESTIONS = [
    PlanQuestion(goal="half_width", target=0.03, rate=0.28, n_photos=200),
    PlanQuestion(goal="half_width", target=0.08, rate=0.28, n_photos=45, votes_per_rater=20),
    PlanQuestion(goal="difference", target=0.22, rate=0.28, n_photos=100),
    PlanQuestion(goal="difference", target=0.35, rate=0.2, n_photos=80, is_within=False, comparisons=3),
    PlanQuestion(goal="equivalence", target=0.05, rate=0.5, n_photos=200),
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_so_many_raters_reach_the_goal_and_one_less_does_not(question: PlanQuestion) -> None:
    answer = plan_answer(question)
    needed = answer.plan.n_raters
    assert needed is not None
    if question.goal == "half_width":
        wide, reached = answer.half_widths([needed - 1, needed])
        assert reached <= question.target < wide
    else:
        weak, reached = answer.powers([needed - 1, needed])
        assert weak < question.power <= reached + 1e-9


@pytest.mark.parametrize("question", QUESTIONS)
def test_more_raters_and_more_photos_never_harm(question: PlanQuestion) -> None:
    answer = plan_answer(question)
    raters = np.arange(10, 400)
    for n_photos in (100, 400):
        steps = np.diff(answer.half_widths(raters, n_photos=n_photos))
        assert (steps < 0).all()
    assert (answer.half_widths(raters, n_photos=400) < answer.half_widths(raters, n_photos=100)).all()
    assert answer.width_floor < answer.half_widths(raters).min()
    if question.goal != "half_width":
        assert (answer.powers(raters, n_photos=400) >= answer.powers(raters, n_photos=100)).all()


def test_with_no_more_photos_than_the_floor_nothing_suffices() -> None:
    answer = plan_answer(PlanQuestion(goal="half_width", target=0.03, rate=0.28, n_photos=200))
    assert answer.raters_with(answer.photos_least - 1) is None
    assert answer.raters_with(answer.photos_least) is not None


@pytest.mark.parametrize("question", QUESTIONS)
def test_question_is_the_same_after_it_was_stored(question: PlanQuestion) -> None:
    assert PlanQuestion(**json.loads(json.dumps(question.as_json()))) == question


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("rate", {"rate": 1.0}),
        ("target", {"target": 0.0}),
        ("target", {"goal": "difference", "target": 0.28}),
        ("target", {"goal": "equivalence", "target": 0.05}),
        ("n_photos", {"n_photos": 9, "votes_per_rater": 5}),
        ("votes_per_rater", {"votes_per_rater": 0}),
        ("votes_per_rater", {"votes_per_rater": 101, "goal": "difference", "target": 0.2}),
        ("rater_spread", {"rater_spread": 4.5}),
        ("photo_spread", {"photo_spread": -0.1}),
        ("power", {"power": 1.0}),
        ("comparisons", {"comparisons": 0}),
        ("exclusion_rate", {"exclusion_rate": 1.0}),
    ],
)
def test_number_that_makes_no_plan_is_named_by_its_field(field: str, changes: dict[str, Any]) -> None:
    given: dict[str, Any] = {"goal": "half_width", "target": 0.03, "rate": 0.28, "n_photos": 200} | changes
    with pytest.raises(PlanInvalid) as caught:
        plan_answer(PlanQuestion(**given))
    assert caught.value.field == field


def test_plan_beyond_reach_cannot_be_simulated() -> None:
    answer = plan_answer(PlanQuestion(goal="half_width", target=0.02, rate=0.28, n_photos=100))
    with pytest.raises(ValueError, match="take more photos"):
        answer.simulate(5, rng=np.random.default_rng(0))
