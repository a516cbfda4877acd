"""The set-up of a study in one flow: photos, conditions, protocol, recruitment, plan, check; then it opens."""

from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from studies.models import Study
from studies.selectors.setup import STEPS, steps_get
from studies.services.setup import step_done

LABELS = {
    "photos": "Photos",
    "conditions": "Conditions",
    "protocol": "Protocol",
    "recruitment": "Recruitment",
    "plan": "Plan",
    "check": "Check",
}


class Stop(NamedTuple):
    """A step as the stepper shows it.

    Attributes:
        label: Its name.
        address: Of its page.
        state: "done", "missing" or "open".
        said: The state in words.
        is_here: Whether its page is the one that is shown.
    """

    label: str
    address: str
    state: str
    said: str
    is_here: bool


class Stepper(NamedTuple):
    """Where one is in the set-up.

    Attributes:
        stops: The steps in order.
        next_label: Of the step after this one; "" after the last.
        next_address: Of its page.
    """

    stops: list[Stop]
    next_label: str
    next_address: str


def step_address(study: Study, step: str) -> str:
    """Return the page of a step."""
    return reverse(f"admin:studies_study_{step}", args=[study.pk])


def stepper(study: Study, *, here: str) -> Stepper:
    """Return where one is.

    Args:
        study: A study that is not frozen.
        here: The step whose page is shown; "" for none.
    """
    stops = []
    for step in steps_get(study):
        state = "missing" if step.problems else "done" if step.is_done else "open"
        said = {"missing": "something is missing", "done": "done", "open": "not looked at yet"}[state]
        stops.append(Stop(LABELS[step.name], step_address(study, step.name), state, said, step.name == here))
    after = _after(here)
    return Stepper(stops, LABELS.get(after, ""), step_address(study, after) if after else "")


def next_redirect(request: HttpRequest, study: Study, *, step: str) -> HttpResponse:
    """Note that a step was saved; go to the next one if its button was pressed, else to the study's page."""
    step_done(study=study, step=step)
    if "next" in request.POST:
        return redirect(step_address(study, _after(step)))
    return redirect("admin:studies_study_change", study.pk)


def _after(step: str) -> str:
    place = STEPS.index(step) + 1 if step in STEPS else len(STEPS)
    return STEPS[place] if place < len(STEPS) else ""


def setup_context(study: Study, context: dict[str, Any]) -> dict[str, Any]:
    """Return what the frame of the study's pages shows of the set-up; nothing once the design is frozen."""
    if study.is_frozen:
        return {}
    return {"setup": stepper(study, here=context.get("setup_step", ""))}
