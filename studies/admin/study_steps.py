"""What moves a study from one state to the next: one entry a step."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from kombu.exceptions import OperationalError

from studies.admin.ownership import OwnedAdmin
from studies.errors import QueueUnreachable
from studies.models import Origin, Study, StudyState
from studies.selectors.sessions import still_running
from studies.selectors.studies import design_json, study_problems
from studies.services import studies
from studies.tasks import samples_plan


@dataclass(frozen=True)
class Step:
    """A step that a researcher can take.

    Attributes:
        name: In its address.
        label: On its button.
        states: From which it can be taken.
        take: What it does.
        done: What to say afterwards.
        confirmation: What it freezes or ends, a sentence each; empty if it can be undone.
        is_destructive: Whether its button warns.
    """

    name: str
    label: str
    states: tuple[StudyState, ...]
    take: Callable[[Study], None]
    done: str
    confirmation: tuple[str, ...] = ()
    is_destructive: bool = False


def _prepare(study: Study) -> None:
    studies.study_prepare(study=study)
    try:
        samples_plan.delay_on_commit(study.pk)
    except OperationalError as error:
        raise QueueUnreachable(
            f"“{study.title}” is marked for preparation, but the queue of the workers cannot be reached: "
            "have it started; the preparation begins by itself once a worker reaches it."
        ) from error


STEPS = {
    step.name: step
    for step in (
        Step(
            "prepare",
            "Prepare samples",
            (StudyState.DRAFT, StudyState.PREPARING),
            _prepare,
            "Started the preparation of the samples.",
        ),
        Step(
            "reopen",
            "Back to draft",
            (StudyState.PREPARING, StudyState.READY),
            lambda study: studies.study_reopen_draft(study=study),
            "Took the study back to draft.",
            (
                "Its pairs and the votes of previews are deleted.",
                "Samples stay: those of conditions that you leave as they are need not be made again.",
            ),
            is_destructive=True,
        ),
        Step(
            "open",
            "Open the study",
            (StudyState.READY,),
            lambda study: studies.study_open(study=study),
            "Opened the study and froze its design.",
            (
                "Raters can start from now on.",
                "The design below is frozen for good: protocol and texts, conditions, photos, pairs and exclusions.",
                "Its SHA-256 stands in every export. To change anything afterwards, make a new study.",
            ),
        ),
        Step(
            "pause",
            "Pause",
            (StudyState.OPEN,),
            lambda study: studies.study_pause(study=study),
            "Paused the study: nobody new can start, and those under way may finish.",
            (
                "Nobody new can start: the link tells newcomers to come back later.",
                "Sessions that are under way may be finished, and count.",
                "It can be opened to raters again at any time; nothing is lost.",
            ),
        ),
        Step(
            "resume",
            "Take raters again",
            (StudyState.PAUSED,),
            lambda study: studies.study_resume(study=study),
            "Opened the study to raters again.",
        ),
        Step(
            "close",
            "Close the study",
            (StudyState.OPEN, StudyState.PAUSED),
            lambda study: studies.study_close(study=study),
            "Closed the study.",
            (
                "It ends for good: nobody can start, and it cannot be opened again.",
                "Sessions that are under way cannot be finished, and do not count.",
                "Results, exports and the design stay.",
            ),
            is_destructive=True,
        ),
    )
}


def steps_of(study: Study) -> list[Step]:
    """Return the steps that can be taken from the study's state."""
    return [step for step in STEPS.values() if study.state in step.states]


def step_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study, step: Step) -> HttpResponse:
    """Ask where the step freezes or ends something; take it when asked by POST."""
    if request.method == "POST":
        step.take(study)
        model_admin.message_user(request, step.done)
        return redirect(f"admin:studies_study_{'check' if step.name == 'prepare' else 'change'}", study.pk)
    is_opening = step.name == "open"
    context = {
        "study": study,
        "title": f"{step.label}?",
        "step": step,
        "can_take": study.state in step.states,
        "problems": study_problems(study) if is_opening else [],
        "conditions": study.conditions.order_by("position") if is_opening else [],
        "pairs": study.pairs.values_list("kind").annotate(n=Count("pk")).order_by("kind") if is_opening else [],
        "photos": study.study_photos.values_list("use").annotate(n=Count("pk")).order_by("use") if is_opening else [],
        "design_sha256": hashlib.sha256(design_json(study).encode()).hexdigest() if is_opening else "",
        "under_way": study.sessions.filter(still_running()).exclude(rater__origin=Origin.PREVIEW).count(),
    }
    return model_admin.page(request, "study/confirm", context)
