"""A study's own page: what state it is in, whether it goes well, and what comes next."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse

from studies.admin.ownership import OwnedAdmin
from studies.admin.study_recruitment import entrance_url
from studies.admin.study_setup import LABELS
from studies.admin.study_steps import STEPS, steps_of
from studies.methods import METHODS
from studies.models import ENDED, FINISHED, Assignment, Condition, Layout, Origin, SessionState, Study, StudyState
from studies.protocols import ANSWER_MS, PRESETS
from studies.reports.palette import ConditionStyle, condition_style
from studies.selectors.behaviour import rule_counts
from studies.selectors.conduct import conduct_get
from studies.selectors.events import events_get
from studies.selectors.photos import photos_judged
from studies.selectors.progress import ConditionProgress, StudyProgress, progress_get
from studies.selectors.recruitment import arrivals_get, hand_ins_get, recruitment_get
from studies.selectors.results import origins_present
from studies.selectors.setup import steps_get
from studies.selectors.studies import study_problems
from studies.selectors.uploads import missing_stems
from studies.services.sessions import origin_sign

STRIP_LENGTH = 16
HISTORY_LENGTH = 6
PREVIEW_STATES = (StudyState.READY, StudyState.OPEN, StudyState.PAUSED)

#: How often the page asks how far the study is, in ms; states that are not here change only by the researcher's hand.
POLL_MS = {StudyState.PREPARING: 2_000, StudyState.OPEN: 10_000, StudyState.PAUSED: 10_000}


class NextStep(NamedTuple):
    """What to do now.

    Attributes:
        sentence: Where the study stands.
        label: Of the button; "" if there is nothing to do but to wait.
        address: Where it leads.
        is_post: Whether it changes the study at once.
        copies: Whether it copies the raters' link instead.
    """

    sentence: str
    label: str = ""
    address: str = ""
    is_post: bool = False
    copies: bool = False


@dataclass(frozen=True)
class ConditionRow:
    """A condition as the page shows it."""

    condition: Condition
    style: ConditionStyle
    method: str
    parameters: str
    samples: ConditionProgress

    @property
    def needs_files(self) -> bool:
        """Tell whether its pictures are uploaded."""
        return self.condition.method in METHODS and METHODS[self.condition.method].needs == "files"

    @property
    def samples_text(self) -> str:
        """Say how many samples there are."""
        if not self.samples.total:
            return "none yet"
        failed = f", {self.samples.failed} failed" if self.samples.failed else ""
        return f"{self.samples.ready} of {self.samples.total}{failed}"


@dataclass(frozen=True)
class SessionsRow:
    """Sessions of one origin with one condition, or with all of them when sessions are mixed."""

    key: str
    label: str
    wanted: int
    complete: int
    active: int
    excluded: int

    @property
    def complete_text(self) -> str:
        """Say how many count, and of how many wanted."""
        return f"{self.complete} of {self.wanted}" if self.wanted else str(self.complete)


def study_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Show the page."""
    progress = progress_get(study)
    problems = study_problems(study) if study.state in (StudyState.DRAFT, StudyState.READY) else []
    step = next_step(study, progress=progress, problems=problems)
    sessions = sessions_rows(study, progress, origin=Origin.PERSON)
    simulated = sessions_rows(study, progress, origin=Origin.SIMULATED)
    previews = [row for row in progress.sessions if row.origin == Origin.PREVIEW]
    owns = model_admin.owns(request, study)
    if not owns:
        step = NextStep(step.sentence, "See results", _results(study)) if study.is_frozen else NextStep(step.sentence)
    others = [other for other in steps_of(study) if owns and step_address(study, other.name) != step.address]
    context = {
        "study": study,
        "title": study.title,
        "step": step,
        "others": [(other, step_label(study, other.name, progress)) for other in others],
        "can_preview": owns and study.state in PREVIEW_STATES,
        "can_edit": owns and study.state == StudyState.DRAFT,
        "can_delete": model_admin.has_delete_permission(request, study),
        "can_vote": owns and study.state in (StudyState.OPEN, StudyState.PAUSED),
        "vote_link": entrance_url(request, study),
        "has_ids": recruitment_get(study).way.has_ids,
        "arrivals": arrivals_get(study),
        "hand_ins": hand_ins_get(study),
        "ended": {
            state.value: sum(
                row.count for row in progress.sessions if (row.origin, row.state) == (Origin.PERSON, state)
            )
            for state in ENDED
        },
        "problems": problems,
        "rows": conditions_rows(progress),
        "progress": progress,
        "is_preparing": study.state == StudyState.PREPARING,
        "has_samples": bool(progress.samples_total) and progress.samples_ready == progress.samples_total,
        "strip": study.photo_set.photos.order_by("pk")[:STRIP_LENGTH],
        "photo_count": photos_judged(study).count(),
        "sessions": sessions,
        "simulated": simulated if Origin.SIMULATED in origins_present(study) else [],
        "preview_count": sum(row.count for row in previews),
        "conduct": conduct_get(study, origin=Origin.PERSON),
        "rule_counts": rule_counts(study, origin=Origin.PERSON),
        "timeline": timeline(study),
        "preset": PRESETS.get(study.preset),
        "version": version(study, progress),
        "poll_ms": POLL_MS.get(StudyState(study.state), 0),
        "events": events_get(study)[:HISTORY_LENGTH],
    }
    return model_admin.page(request, "study/page", context)


def progress_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Answer what has changed on the page: texts and bars by key; another version means that the page must reload."""
    progress = progress_get(study)
    texts = {f"samples-{row.condition.pk}": row.samples_text for row in conditions_rows(progress)}
    values = {f"samples-{row.condition.pk}": row.samples.ready for row in conditions_rows(progress)}
    for origin in (Origin.PERSON, Origin.SIMULATED):
        for row in sessions_rows(study, progress, origin=origin):
            texts[f"complete-{row.key}"] = row.complete_text
            texts[f"active-{row.key}"] = str(row.active)
            texts[f"excluded-{row.key}"] = str(row.excluded)
            values[f"complete-{row.key}"] = row.complete
    payload = {
        "version": version(study, progress),
        "next_ms": POLL_MS.get(StudyState(study.state), 0),
        "texts": texts,
        "values": values,
    }
    response = JsonResponse(payload)
    response["Cache-Control"] = "no-store"
    return response


def preview_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Go through the study as a rater would; what is answered is kept apart and never counts."""
    token = origin_sign(study=study, origin=Origin.PREVIEW)
    return redirect(reverse("studies:entry", args=[study.code]) + f"?origin={token}")


def version(study: Study, progress: StudyProgress) -> str:
    """Return a word that changes when more of the page changes than its numbers."""
    failed = sum(condition.failed for condition in progress.conditions)
    origins = "-".join(sorted({row.origin for row in progress.sessions}))
    finished = any(row.state in FINISHED for row in progress.sessions)
    return f"{study.state}-{failed}-{bool(progress.samples_total)}-{origins}-{finished}"


def next_step(study: Study, *, progress: StudyProgress, problems: list[str]) -> NextStep:
    """Say where the study stands and what to do now."""
    return _NEXT[StudyState(study.state)](study, progress, problems)


def _next_of_draft(study: Study, progress: StudyProgress, problems: list[str]) -> NextStep:
    photos = photos_judged(study).count()
    if photos < study.practice_count + study.main_count:
        return NextStep("The study has too few photos yet.", "Add photos", step_address(study, "photos"))
    for row in conditions_rows(progress):
        if row.needs_files and missing_stems(row.condition):
            pictures = reverse("admin:studies_study_pictures", args=[study.pk, row.condition.slug])
            return NextStep(f"Pictures of “{row.condition.label}” are missing.", "Upload its pictures", pictures)
    n_failed = sum(bool(condition.failed) for condition in progress.conditions)
    if len(problems) > n_failed:  # what failed before is tried again by preparing
        conditions = step_address(study, "conditions")
        return NextStep("Something is missing before samples can be made.", "Edit conditions", conditions)
    to_do = next((step.name for step in steps_get(study) if not step.is_done and step.name != "check"), None)
    if to_do is not None:
        sentence = f"All set: {photos} photos, {len(progress.conditions)} conditions."
        return NextStep(sentence, f"Next: {LABELS[to_do].lower()}", step_address(study, to_do))
    return NextStep(
        "All steps are done. Check them, then make the samples.", "Next: check", step_address(study, "check")
    )


def _next_of_preparing(study: Study, progress: StudyProgress, _problems: list[str]) -> NextStep:
    failed = sum(condition.failed for condition in progress.conditions)
    if failed:
        return _step(study, "prepare", f"{failed} samples could not be made; the reasons are below.", progress)
    return NextStep("Samples are being made. This page follows by itself, and may be closed.")


def _next_of_ready(study: Study, progress: StudyProgress, problems: list[str]) -> NextStep:
    if problems:
        return _step(study, "reopen", "The samples are there, but the study cannot open yet.", progress)
    return _step(study, "open", "Every sample is there. Preview a session, then open the study.", progress)


def _next_of_open(study: Study, progress: StudyProgress, _problems: list[str]) -> NextStep:
    if any(row.origin == Origin.PERSON and row.state in FINISHED for row in progress.sessions):
        return NextStep("Raters are voting.", "See results", _results(study))
    return NextStep("The study takes raters. Send them its link.", "Copy the link for raters", copies=True)


def _next_of_paused(study: Study, progress: StudyProgress, _problems: list[str]) -> NextStep:
    return _step(study, "resume", "Nobody new can start; those under way may finish.", progress)


def _next_of_closed(study: Study, _progress: StudyProgress, _problems: list[str]) -> NextStep:
    return NextStep("The study has ended. Its design and its votes stay as they are.", "See results", _results(study))


_NEXT: dict[StudyState, Callable[[Study, StudyProgress, list[str]], NextStep]] = {
    StudyState.DRAFT: _next_of_draft,
    StudyState.PREPARING: _next_of_preparing,
    StudyState.READY: _next_of_ready,
    StudyState.OPEN: _next_of_open,
    StudyState.PAUSED: _next_of_paused,
    StudyState.CLOSED: _next_of_closed,
}


def _results(study: Study) -> str:
    return reverse("admin:studies_study_results", args=[study.pk])


def _step(study: Study, name: str, sentence: str, progress: StudyProgress) -> NextStep:
    label, address = step_label(study, name, progress), step_address(study, name)
    return NextStep(sentence, label, address, is_post=not STEPS[name].confirmation)


def step_address(study: Study, name: str) -> str:
    """Return where a step is taken."""
    return reverse(f"admin:studies_study_{name}", args=[study.pk])


def step_label(study: Study, name: str, progress: StudyProgress) -> str:
    """Return what a step's button says in the study's state."""
    if name == "prepare" and study.state == StudyState.PREPARING:
        has_failed = any(condition.failed for condition in progress.conditions)
        return "Run the failed ones again" if has_failed else "Start the preparation again"
    return STEPS[name].label


def conditions_rows(progress: StudyProgress) -> list[ConditionRow]:
    """Return the conditions with their samples."""
    return [
        ConditionRow(
            condition=samples.condition,
            style=condition_style(place),
            method=METHODS[samples.condition.method].label
            if samples.condition.method in METHODS
            else samples.condition.method,
            parameters=", ".join(f"{name} {value}" for name, value in samples.condition.parameters.items()),
            samples=samples,
        )
        for place, samples in enumerate(progress.conditions)
    ]


def sessions_rows(study: Study, progress: StudyProgress, *, origin: Origin) -> list[SessionsRow]:
    """Return the sessions of one origin: a row for each tested condition, or one for all when sessions are mixed."""
    is_mixed = study.assignment == Assignment.MIXED
    tested = [row.condition for row in progress.conditions if row.condition.role == "test"]
    groups = [("all", "All conditions", "")] if is_mixed else [(str(c.pk), c.label, c.label) for c in tested]
    counts = {(row.condition, row.state): row.count for row in progress.sessions if row.origin == origin}
    return [
        SessionsRow(
            key=f"{origin}-{key}",
            label=label,
            wanted=study.raters_wanted if origin == Origin.PERSON else 0,
            complete=counts.get((name, SessionState.COMPLETE), 0),
            active=counts.get((name, SessionState.ACTIVE), 0),
            excluded=counts.get((name, SessionState.EXCLUDED), 0),
        )
        for key, label, name in groups
    ]


class Moment(NamedTuple):
    """A part of a trial on the timeline, in units of the drawing."""

    label: str
    duration: str
    kind: str
    x: float
    width: float
    middle: float


TIMELINE_WIDTH = 360


def timeline(study: Study) -> list[Moment]:
    """Return what happens in a trial, as parts of a drawing `TIMELINE_WIDTH` wide.

    Widths follow the square root of the durations, so that short parts can still be read.
    """
    varying = (study.staircase_least_ms, study.staircase_most_ms) if study.staircase_blocks else ()
    masks = [("masks", study.mask_count * study.mask_ms, "blank")] if study.mask_count else []
    parts = [("countdown" if varying else "mark", study.lead_in_ms, "blank")]
    if study.layout == Layout.SEQUENTIAL:
        parts += [("1st image", study.exposure_ms, "image"), *masks, ("blank", study.gap_ms, "blank")]
        parts += [("2nd image", study.exposure_ms, "image"), *masks]
    elif study.exposure_ms:
        parts += [("image" if study.is_single else "both images", study.exposure_ms, "image"), *masks]
    together = "image and answer" if study.is_single else "images and answer"
    parts += [("answer" if study.exposure_ms else together, ANSWER_MS, "answer")]
    roots = [max(duration_ms, 120) ** 0.5 for _, duration_ms, _ in parts]
    moments, x = [], 0.0
    for (label, duration_ms, kind), root in zip(parts, roots, strict=True):
        width = TIMELINE_WIDTH * root / sum(roots)
        duration = "no limit" if kind == "answer" else f"{duration_ms} ms"
        if varying and kind == "image":
            duration = "{} to {} ms".format(*varying)
        moments.append(Moment(label, duration, kind, round(x, 1), round(width - 4, 1), round(x + (width - 4) / 2, 1)))
        x += width
    return moments
