"""Plans of a study's size are simulated by the worker, a batch at a time, until enough studies or time are spent."""

import dataclasses
import secrets
import time

import numpy as np
from django.db.models import Q
from django.utils import timezone

from studies.models import PlanCheck, PlanCheckState, Researcher
from studies.statistics.plan_check import Simulated
from studies.statistics.study_plan import PlanQuestion, plan_answer

STUDIES = 400
BATCH = 20
LONGEST_S = 120
"""After so long a check ends with the studies that it has."""


def check_begin(*, owner: Researcher, question: PlanQuestion, studies: int = STUDIES) -> PlanCheck:
    """Keep a question to be simulated; the caller enqueues it.

    The same question, asked again while or after it was checked, gets the check that is there.

    Raises:
        PlanInvalid: If the question makes no plan.
    """
    plan_answer(question)
    usable = ~Q(state=PlanCheckState.FAILED)
    found = PlanCheck.objects.filter(usable, owner=owner, question=question.as_json(), studies_wanted=studies).first()
    return found or PlanCheck.objects.create(
        owner=owner, question=question.as_json(), seed=secrets.randbits(62), studies_wanted=studies
    )


def check_run(*, key: int, longest_s: float = LONGEST_S) -> None:
    """Simulate studies of a plan and keep what they find; a check that is done, or gone, is passed over.

    A check that a stopped worker left behind begins anew.
    """
    check = PlanCheck.objects.filter(pk=key).exclude(state__in=[PlanCheckState.DONE, PlanCheckState.FAILED]).first()
    if check is None:
        return
    row = PlanCheck.objects.filter(pk=key)
    row.update(state=PlanCheckState.RUNNING, studies_done=0, heard_at=timezone.now())
    deadline = time.monotonic() + longest_s
    rng = np.random.default_rng(check.seed)
    found: Simulated | None = None
    try:
        answer = plan_answer(PlanQuestion(**check.question))
        while found is None or (found.n_studies < check.studies_wanted and time.monotonic() < deadline):
            left = check.studies_wanted - (found.n_studies if found else 0)
            batch = answer.simulate(min(BATCH, left), rng=rng)
            found = batch if found is None else found.joined(batch)
            row.update(studies_done=found.n_studies, heard_at=timezone.now())
    except ValueError as error:
        row.update(state=PlanCheckState.FAILED, reason=f"It cannot be simulated: {error}.")
        return
    row.update(state=PlanCheckState.DONE, found=dataclasses.asdict(found))


def check_again(*, check: PlanCheck) -> None:
    """Let a check wait for a worker again, which begins it anew; the caller enqueues it."""
    PlanCheck.objects.filter(pk=check.pk).update(
        state=PlanCheckState.WAITING, studies_done=0, found=None, reason="", heard_at=None
    )


def check_discard(*, check: PlanCheck) -> None:
    """Let a check go; a worker that has it finds nothing to write to."""
    check.delete()
