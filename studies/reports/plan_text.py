"""A plan of a study's size in words: what it takes, what the study will be able to tell, and what it will not."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from studies.statistics.plan_check import Simulated
from studies.statistics.study_plan import PlanAnswer, PlanQuestion

TIMES = (0.5, 1, 2, 5)
"""Numbers of photos for which raters are shown, as multiples of those at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanText:
    """The words for a plan.

    Attributes:
        goal: What is to be found out.
        assumed: What the numbers rest on.
        needed: What it takes; or that no number of raters suffices, and what to do.
        floor: How many photos there must be; "" if that was said already.
        will: What the study will tell, an item each; none if no number of raters suffices.
        will_not: What it will not tell.
        raters_by_photos: (photos, raters it takes then; None if none suffices) in order.
    """

    goal: str
    assumed: str
    needed: str
    floor: str
    will: tuple[str, ...]
    will_not: tuple[str, ...]
    raters_by_photos: tuple[tuple[int, int | None], ...]


def plan_text(answer: PlanAnswer, *, source: str = "") -> PlanText:
    """Return the words for a plan.

    Args:
        answer: The plan.
        source: Where the spreads come from; "" if they are taken on trust.
    """
    asked, found = answer.question, answer.plan
    least = answer.photos_least
    if found.n_raters is None:
        needed = (
            f"No number of raters suffices: {asked.n_photos} photos alone leave too much to chance. "
            f"Take at least {least} photos, better twice as many."
        )
        floor = ""
    else:
        who = "raters of each condition" if asked.is_of_each else "raters"
        recruits = (
            f"; {found.n_recruits:,} to recruit, if {percent(asked.exclusion_rate)} % are excluded"
            if asked.exclusion_rate
            else ""
        )
        needed = (
            f"{found.n_raters:,} {who} with {asked.votes_per_rater} counted votes each, on {asked.n_photos} "
            f"photos{recruits}."
        )
        floor = f"With fewer than {least} photos no number of raters would suffice."
    will, will_not = _told(answer, found.n_raters) if found.n_raters is not None else ((), ())
    photos = {max(10, asked.votes_seen, math.ceil(asked.n_photos * times)) for times in TIMES}
    return PlanText(
        goal=f"{_goal(asked)}, for new raters and new images",
        assumed=source or f"{_spread_words(asked)}, without a pilot",
        needed=needed,
        floor=floor,
        will=will,
        will_not=will_not,
        raters_by_photos=tuple((n, answer.raters_with(n)) for n in sorted(photos)),
    )


def simulated_sentence(question: PlanQuestion, found: Simulated) -> str:
    """Return what simulated studies of a plan found."""
    level = _level(question.test_alpha if question.goal == "difference" else question.alpha)
    reached = (
        f"in {percent(found.success)} % it was no wider than asked, since widths vary around the planned one"
        if question.goal == "half_width"
        else f"the goal was reached in {percent(found.success)} %"
    )
    return (
        f"In {found.n_studies:,} simulated studies the {level} interval held the truth in {percent(found.coverage)} % "
        f"(Monte-Carlo error {percent(found.monte_carlo_error)}), its half-width was {percent(found.half_width)} "
        f"points on average; {reached}."
    )


def percent(share: float) -> str:
    """Return a share in percent with one digit where it has one: "28", "2.5"."""
    return f"{100 * share:.1f}".removesuffix(".0")


def _goal(asked: PlanQuestion) -> str:
    chance = f"with a chance of {percent(asked.power)} %"
    rate, target = percent(asked.rate), percent(asked.target)
    if asked.goal == "half_width":
        return f"a {_level(asked.alpha)} interval of {rate} % ±{target} points"
    if asked.goal == "equivalence":
        return f"to show, {chance}, that a rate of {rate} % is 50 % to within {target} points"
    family = f", in a family of {asked.comparisons}" if asked.comparisons > 1 else ""
    return f"to show, {chance}, that {rate} % and {target} % differ{family}"


def _spread_words(asked: PlanQuestion) -> str:
    if asked.rater_spread == asked.photo_spread:
        return f"raters and photos spread by {asked.rater_spread:g} logits"
    return f"raters and photos spread by {asked.rater_spread:g} and {asked.photo_spread:g} logits"


def _told(answer: PlanAnswer, n_raters: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what so many raters can tell, and what they cannot."""
    asked = answer.question
    chance = f"chance {percent(asked.power)} %"
    smallest = answer.smallest_difference(n_raters)
    width, floor = float(answer.half_widths(n_raters)), answer.width_floor
    margin = answer.smallest_margin(n_raters)
    will = [f"a fool rate of {percent(asked.rate)} % to ±{percent(width)} points"]
    near_half = f"to within less than {percent(margin)} points of 50 % ({chance}, if 50 % is true)"
    will_not = [
        f"the rate more closely than ±{percent(floor)} points, however many raters come: it takes photos",
        f"that a method cannot be told from photos {near_half}",
    ]
    if smallest is not None:
        way = "both methods seen by each rater" if asked.is_within else "one method a rater"
        will.append(
            f"that another method fools more often, if by at least {percent(smallest)} points ({way}, {chance})"
        )
        will_not.append(
            f"differences below {percent(smallest)} points: that one is not shown does not make two methods alike"
        )
    will_not.append("anything about other display times, sizes, kinds of photos or ways to recruit")
    return tuple(will), tuple(will_not)


def _level(alpha: float) -> str:
    return f"{100 * (1 - alpha):.4g} %"


def listed(items: Sequence[str]) -> list[str]:
    """Return items as the lines of a list in plain text."""
    return [f"  - {item}{'.' if place == len(items) - 1 else ';'}" for place, item in enumerate(items)]


def goal_phrase(question: PlanQuestion) -> str:
    """Return in a few words what a plan is to find out, such as "25 % to within 5 points"."""
    rate, target = percent(question.rate), percent(question.target)
    return {
        "half_width": f"{rate} % to within {target} points",
        "difference": f"{rate} % against {target} %",
        "equivalence": f"{rate} % as 50 % to within {target} points",
    }[question.goal]
