"""What a researcher does with a training run: stop, resume, finish, delete; each recorded in the run's history."""

from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from kombu.exceptions import OperationalError

from studies.admin.ownership import OwnedAdmin
from studies.errors import QueueUnreachable
from studies.models import ACTIVE, TrainingRun, TrainingState
from studies.selectors.training import checkpoint_users, has_checkpoint, is_interrupted
from studies.services import training
from studies.tasks import training_enqueue

REST = (TrainingState.STOPPED, TrainingState.FAILED)


@dataclass(frozen=True)
class Step:
    """A step that a researcher can take.

    Attributes:
        name: In its address.
        label: On its button.
        can_take: Whether it can be taken now.
        take: What it does.
        done: What to say afterwards, and in the history.
        confirmation: What it ends, a sentence each; empty if it is taken at once.
        is_destructive: Whether its button warns.
    """

    name: str
    label: str
    can_take: Callable[[TrainingRun], bool]
    take: Callable[[TrainingRun], None]
    done: str
    confirmation: tuple[str, ...] = ()
    is_destructive: bool = False


def enqueue(run: TrainingRun) -> None:
    """Send a run to the workers.

    Raises:
        QueueUnreachable: If the queue is away; the message says what to do.
    """
    try:
        training_enqueue(run)
    except OperationalError as error:
        raise QueueUnreachable(
            f"“{run}” is marked for training, but the queue of the workers cannot be reached: have it and a worker "
            "started; the worker takes the run up by itself."
        ) from error


def _resume(run: TrainingRun) -> None:
    training.run_resume(run=run)
    enqueue(run)


STEPS = {
    step.name: step
    for step in (
        Step(
            "resume",
            "Resume",
            lambda run: run.state in REST or is_interrupted(run),
            _resume,
            "Queued the run again.",
        ),
        Step(
            "stop",
            "Stop",
            lambda run: run.state in ACTIVE and (run.state != TrainingState.STOPPING or is_interrupted(run)),
            lambda run: training.run_stop(run=run),
            "Stopped the run.",
            (
                "The worker ends the update that it is making, keeps what it has, and lets the run go.",
                "Nothing is lost: Resume goes on from there.",
            ),
        ),
        Step(
            "finish",
            "Use the best so far",
            lambda run: run.state in REST and has_checkpoint(run),
            lambda run: training.run_finish(run=run),
            "Ended the run with the best checkpoint so far.",
            (
                "The run ends for good: it cannot be resumed afterwards.",
                "Conditions of studies can choose its best checkpoint so far.",
            ),
        ),
        Step(
            "delete",
            "Delete",
            lambda run: not run.is_active or is_interrupted(run),
            lambda run: training.run_delete(run=run),
            "Deleted the run.",
            is_destructive=True,
        ),
    )
}


def steps_of(run: TrainingRun) -> tuple[Step | None, list[Step]]:
    """Return the step that comes next, if one of them does, and the others that can be taken."""
    steps = [step for step in STEPS.values() if step.can_take(run)]
    primary = steps[0] if steps and steps[0].name == "resume" else None
    return primary, [step for step in steps if step is not primary]


def step_view(request: HttpRequest, *, model_admin: OwnedAdmin, run: TrainingRun, step: Step) -> HttpResponse:
    """Ask where the step ends something; take it when asked by POST."""
    if request.method == "POST":
        step.take(run)
        model_admin.log_change(request, run, step.done)
        model_admin.message_user(request, step.done)
        return redirect("admin:studies_trainingrun_change", run.pk)
    context = {"run": run, "title": f"{step.label}?", "step": step, "can_take": step.can_take(run)}
    return model_admin.page(request, "training/confirm", context)


def delete_view(request: HttpRequest, *, model_admin: OwnedAdmin, run: TrainingRun) -> HttpResponse:
    """Ask, naming what goes; delete when asked by POST."""
    step = STEPS["delete"]
    if request.method == "POST":
        with transaction.atomic():
            model_admin.log_deletions(request, TrainingRun.objects.filter(pk=run.pk))
            training.run_delete(run=run)
        model_admin.message_user(request, f"Deleted the training run “{run}”.")
        return redirect("admin:studies_trainingrun_changelist")
    is_finished = run.state == TrainingState.FINISHED
    context = {
        "run": run,
        "title": "Delete?",
        "step": step,
        "can_take": step.can_take(run),
        "steps": f"{run.step:,}",
        "is_finished": is_finished,
        "users": checkpoint_users(run) if is_finished else [],
    }
    return model_admin.page(request, "training/confirm", context)
