"""The first and the last step of the set-up: the photos, and what is there and what is missing before a study opens."""

from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from studies.admin.ownership import OwnedAdmin
from studies.admin.photo_set import upload_limits, uploads_context
from studies.admin.study_page import conditions_rows, timeline, version
from studies.admin.study_setup import LABELS, next_redirect, step_address
from studies.forms import UploadForm
from studies.models import Layout, Role, Study, StudyState
from studies.protocols import PRESETS
from studies.recruitment import Outcome
from studies.selectors.photos import photos_judged
from studies.selectors.progress import progress_get
from studies.selectors.recruitment import recruitment_get
from studies.selectors.setup import (
    StepState,
    answer_saved,
    cost_get,
    groups_count,
    previews_finished,
    question_default,
    setup_get,
    steps_get,
)
from studies.selectors.stimuli import preview_count, preview_get

SHEET = 96
"""So many photos are shown."""

POLL_MS = 2_000


class Item(NamedTuple):
    """A line of the checklist.

    Attributes:
        label: The step.
        said: What is there.
        state: "done", "missing" or "advice".
        problems: What is missing, or advised; (sentence, address, link) each.
        address: Where it is changed.
    """

    label: str
    said: str
    state: str
    problems: list[tuple[str, str, str]]
    address: str


def photos_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Show the study's photos and take more in; go on by POST."""
    if request.method == "POST":
        return next_redirect(request, study, step="photos")
    photos = photos_judged(study).order_by("pk")
    context = {
        "study": study,
        "title": "Photos",
        "setup_step": "photos",
        "can_edit": study.state == StudyState.DRAFT and model_admin.owns_study(request, study),
        "pictures": [(photo, reverse("admin:studies_photo_high_res", args=[photo.pk])) for photo in photos[:SHEET]],
        "photo_count": photos.count(),
        "photos_needed": study.practice_count + study.main_count,
        "photo_set": study.photo_set,
        **uploads_context(study.photo_set),
        "upload": UploadForm(),
        "limits": upload_limits(),
    }
    return model_admin.page(request, "study/photos", context)


def check_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Show what is there and what is missing, what it will cost, and a trial at its true size."""
    progress = progress_get(study)
    setup = setup_get(study)
    steps = {step.name: step for step in steps_get(study)}
    missing = [step for step in steps.values() if step.problems and step.name != "check"]
    failed = sum(condition.failed for condition in progress.conditions)
    count = preview_count(study)
    shown = int(request.GET.get("pair", "0")) if request.GET.get("pair", "0").isdecimal() else 0
    context = {
        "study": study,
        "title": "Check",
        "setup_step": "check",
        "items": _items(study, steps),
        "mend": (LABELS[missing[0].name], step_address(study, missing[0].name)) if missing else None,
        "failed": failed,
        "rows": conditions_rows(progress),
        "is_preparing": study.state == StudyState.PREPARING,
        "version": version(study, progress),
        "poll_ms": POLL_MS if study.state == StudyState.PREPARING else 0,
        "cost": cost_get(
            study,
            setup=setup,
            raters_wanted=study.raters_wanted,
            exclusion_rate=question_default(study).exclusion_rate,
        ),
        "currency": setup.currency,
        "groups": groups_count(study),
        "preview_count": count,
        "preview_next": (shown + 1) % count if count else 0,
        "preview_address": f"{reverse('admin:studies_study_trial', args=[study.pk])}?pair={shown}",
        "has_pairs": study.pairs.exists(),
        "places": _places(study),
        "can_preview": study.state == StudyState.READY,
        "previews": previews_finished(study),
        "timeline": timeline(study),
    }
    return model_admin.page(request, "study/check", context)


def trial_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Send the pictures of one trial as a rater's browser gets them; nothing tells which is the photo."""
    pair = request.GET.get("pair", "0")
    pictures = preview_get(study, number=int(pair) if pair.isdecimal() else 0)
    return HttpResponse(pictures, content_type="application/octet-stream", headers={"Cache-Control": "no-store"})


def _places(study: Study) -> list[str]:
    """Return the captions of the pictures of a trial, in the order of their bytes."""
    if study.layout == Layout.SINGLE:
        return ["The picture"]
    if study.layout == Layout.INPUT_BETWEEN:
        return ["First", "Input", "Second"]
    return ["First", "Second"]


def _items(study: Study, steps: dict[str, StepState]) -> list[Item]:
    """Return the checklist."""
    said = {
        "photos": _photos_said(study),
        "conditions": _conditions_said(study),
        "protocol": _protocol_said(study),
        "recruitment": recruitment_get(study).way.label,
        "plan": f"{study.raters_wanted:,} completed sessions{' of each method' if groups_count(study) > 1 else ''}",
    }
    advice = {"recruitment": _recruitment_advice(study), "plan": _plan_advice(study)}
    items = []
    for name, words in said.items():
        address = step_address(study, name)
        found = [
            (
                problem.sentence,
                reverse("admin:studies_study_pictures", args=[study.pk, problem.condition])
                if problem.condition
                else address,
                "Upload its pictures" if problem.condition else f"To the {LABELS[name].lower()}",
            )
            for problem in steps[name].problems
        ]
        advised = [(sentence, address, f"To the {LABELS[name].lower()}") for sentence in advice.get(name, [])]
        state = "missing" if found else "advice" if advised else "done"
        items.append(Item(LABELS[name], words, state, found + advised, address))
    return items


def _photos_said(study: Study) -> str:
    needed = study.practice_count + study.main_count
    return f"{photos_judged(study).count()} photos; a session shows {needed} of them"


def _conditions_said(study: Study) -> str:
    labels: dict[str, list[str]] = {role: [] for role in Role.values}
    for role, label in study.conditions.order_by("position").values_list("role", "label"):
        labels[role].append(label)
    parts = [f"{len(labels[Role.TEST])} tested: {', '.join(labels[Role.TEST])}" if labels[Role.TEST] else ""]
    parts.append(f"golden: {', '.join(labels[Role.GOLDEN])}" if labels[Role.GOLDEN] else "")
    return "; ".join(part for part in parts if part) or "none"


def _protocol_said(study: Study) -> str:
    preset = PRESETS[study.preset].label if study.preset in PRESETS else study.preset
    return f"{preset}; about {study.minutes} minute{'' if study.minutes == 1 else 's'} a session"


def _recruitment_advice(study: Study) -> list[str]:
    recruitment = recruitment_get(study)
    if not recruitment.way.is_named or recruitment.exits.get(Outcome.COMPLETED.value):
        return []
    return [f"There is no code of {recruitment.way.label} for who completes; without one, raters get a code of ours."]


def _plan_advice(study: Study) -> list[str]:
    if setup_get(study).question is None:
        return ["Nobody has worked out yet what so many sessions will be able to tell."]
    answer = answer_saved(study)
    if answer is None:
        return ["With the photos and pairs of now, the plan that was saved makes no sense any more."]
    if answer.plan.n_raters is None:
        return ["By the plan that was saved, no number of raters suffices for its goal with these photos."]
    if answer.plan.n_raters > study.raters_wanted:
        return [f"The plan that was saved takes {answer.plan.n_raters:,}, which is more."]
    return []
