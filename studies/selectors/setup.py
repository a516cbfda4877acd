"""How far a study's set-up is: what is there, what is missing and where that is mended; its size and its cost."""

import dataclasses
from typing import Any, NamedTuple

from studies.models import FINISHED, Assignment, Origin, Recruitment, Role, Study, StudySetup, StudyState, Use
from studies.recruitment.cost import Cost, cost_expected
from studies.selectors.photos import photos_judged
from studies.selectors.studies import Problem, problems_get
from studies.statistics.fool_rate import MIN_CLUSTERS
from studies.statistics.power import recruits
from studies.statistics.study_plan import PlanAnswer, PlanInvalid, PlanQuestion, plan_answer

STEPS = ("photos", "conditions", "protocol", "recruitment", "plan", "check")
"""What a researcher goes through before a study opens, in order."""

EXCLUSIONS_USUAL = 0.1
"""Share of sessions that rules leave out, to plan with until a pilot tells."""

HALF_WIDTHS = (0.05, 0.075, 0.1, 0.15, 0.2)
"""A plan starts from the first of them that few enough raters reach."""

RATERS_REACHED = 300


class StepState(NamedTuple):
    """How far one step is.

    Attributes:
        name: One of `STEPS`.
        is_done: Whether the researcher has saved it, and nothing is missing.
        problems: What is missing there.
    """

    name: str
    is_done: bool
    problems: tuple[Problem, ...]


def setup_get(study: Study) -> StudySetup:
    """Return the set-up of a study: with the usual numbers if nothing was saved."""
    try:
        return study.setup
    except StudySetup.DoesNotExist:
        return StudySetup(study=study)


def steps_get(study: Study) -> list[StepState]:
    """Return how far each step is."""
    problems = problems_get(study)
    done = set(setup_get(study).steps_done)
    if Recruitment.objects.filter(study=study).exists():
        done.add("recruitment")
    if study.state == StudyState.READY:
        done.add("check")
    states = []
    for name in STEPS:
        own = tuple(problem for problem in problems if problem.step == name)
        states.append(StepState(name, name in done and not own, own))
    return states


def scenes_judged(study: Study) -> int:
    """Return how many photographs are judged after practice: photos cut from one of them are one image to statistics.

    Practice takes some away: as many as it shows, if it is not decided yet which.
    """
    photos = photos_judged(study)
    if study.state == StudyState.DRAFT and not study.photos_fixed:
        scenes, count = photos.values("source_sha256").distinct().count(), photos.count()
        return round(scenes * max(0, count - study.practice_count) / count) if count else 0
    main = photos.filter(study_photos__study=study, study_photos__use=Use.MAIN)
    return main.values("source_sha256").distinct().count()


def votes_per_rater(study: Study) -> int:
    """Return how many counted votes a rater gives on each condition that they see.

    Of pictures shown alone half are photos, which are no votes on a condition.
    """
    votes = study.test_count // 2 if study.is_single else study.test_count
    if study.assignment == Assignment.MIXED:
        votes //= max(1, study.conditions.filter(role=Role.TEST).count())
    return max(1, votes)


def groups_count(study: Study) -> int:
    """Return how many groups of so many raters as are wanted the study takes: one for each condition, or one in all."""
    if study.assignment == Assignment.MIXED:
        return 1
    return max(1, study.conditions.filter(role=Role.TEST).count())


def question_default(study: Study) -> PlanQuestion:
    """Return the question that a study's plan starts from, with the study's photos and votes of now.

    It is the one that was saved, or an interval that the study can reach.
    """
    own: dict[str, Any] = {
        "n_photos": max(MIN_CLUSTERS, scenes_judged(study)),
        "votes_per_rater": votes_per_rater(study),
        "is_within": study.assignment == Assignment.MIXED,
    }
    saved = setup_get(study).question
    if saved is not None:
        return PlanQuestion(**saved | own)
    usual = PlanQuestion(goal="half_width", target=0.05, rate=0.25, exclusion_rate=EXCLUSIONS_USUAL, **own)
    wider = (dataclasses.replace(usual, target=target) for target in HALF_WIDTHS)
    return next((asked for asked in wider if _is_within_reach(asked)), usual)


def _is_within_reach(question: PlanQuestion) -> bool:
    try:
        needed = plan_answer(question).plan.n_raters
    except PlanInvalid:
        return False
    return needed is not None and needed <= RATERS_REACHED


def answer_saved(study: Study) -> PlanAnswer | None:
    """Return the plan as it was saved, with the study's photos and votes of now; None if there is none, or no more."""
    if setup_get(study).question is None:
        return None
    try:
        return plan_answer(question_default(study))
    except PlanInvalid:
        return None


def cost_get(study: Study, *, setup: StudySetup, raters_wanted: int, exclusion_rate: float) -> Cost:
    """Return what a study will cost with so many raters wanted, by the numbers of a set-up, saved or not."""
    people = recruits(raters_wanted, exclusion_rate=exclusion_rate) * groups_count(study)
    return cost_expected(
        people=people, minutes=study.minutes, pay_per_hour=setup.pay_per_hour, fee_percent=setup.fee_percent
    )


def previews_finished(study: Study) -> int:
    """Return how many preview sessions were gone through to the end."""
    return study.sessions.filter(rater__origin=Origin.PREVIEW, state__in=FINISHED).count()
