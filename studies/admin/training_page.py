"""A training run's own page: where it stands, how the loss falls, and what it makes of photos by now."""

from typing import NamedTuple

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone

from studies.admin.ownership import OwnedAdmin
from studies.admin.training_curve import Curve, curve_draw
from studies.admin.training_steps import steps_of
from studies.methods import METHODS
from studies.models import TrainingRun, TrainingState
from studies.selectors.training import (
    CHECKPOINT_NAME,
    GRID_NAME,
    Entry,
    checkpoint_users,
    curve_points,
    figure_name,
    has_checkpoint,
    is_interrupted,
    progress_read,
)

MISSING = "\N{EN DASH}"
LOG_LINES = 12
HISTORY_LENGTH = 6
POLL_MS = 2_000
LONG_WAIT_S = 120
"""After so many seconds in the queue the page asks whether there is a worker at all."""

UNITS = {"mse": "mean squared error"}
"""Unit of the figures; those that are not here are likelihoods."""
LIKELIHOOD = "bits per sub-pixel"


class Badge(NamedTuple):
    """The state in a word, and the class of its colour."""

    state: str
    word: str


def badge_of(run: TrainingRun) -> Badge:
    """Return a run's state for people: one whose worker is gone is interrupted."""
    if is_interrupted(run):
        return Badge("interrupted", "interrupted")
    if run.state == TrainingState.QUEUED and run.step:
        return Badge("queued", "waiting for its turn")
    return Badge(run.state, run.get_state_display())


def run_view(request: HttpRequest, *, model_admin: OwnedAdmin, run: TrainingRun) -> HttpResponse:
    """Show the page."""
    entries = progress_read(run)
    primary, others = steps_of(run)
    history = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(TrainingRun), object_id=str(run.pk)
    )
    context = {
        "run": run,
        "title": run.name,
        "badge": badge_of(run),
        "sentence": sentence_of(run),
        "is_wrong": run.state == TrainingState.FAILED or is_interrupted(run),
        "primary": primary,
        "others": others,
        "can_download": has_checkpoint(run),
        "users": checkpoint_users(run) if run.state == TrainingState.FINISHED else [],
        "curve": curve_of(entries),
        "has_grid": (run.folder / GRID_NAME).is_file(),
        "grid_address": grid_address(run),
        "texts": texts_of(run, entries),
        "version": version(run, entries),
        "poll_ms": POLL_MS if run.is_active else 0,
        "network": network_label(run.network),
        "parameters": f"{run.parameters:,}",
        "start": start_text(run.start_from),
        "history": history.select_related("user")[:HISTORY_LENGTH],
    }
    return model_admin.page(request, "training/page", context)


def progress_view(request: HttpRequest, *, model_admin: OwnedAdmin, run: TrainingRun) -> HttpResponse:
    """Answer what has changed on the page; another version means that the page must reload."""
    entries = progress_read(run)
    curve = curve_of(entries)
    payload = {
        "version": version(run, entries),
        "next_ms": POLL_MS if run.is_active else 0,
        "texts": texts_of(run, entries),
        "values": {"step": min(run.step, run.steps)},
        "paths": {name: getattr(curve, name) for name in ("training", "validation", "dots")} if curve else {},
        "sources": {"grid": grid_address(run)},
    }
    response = JsonResponse(payload)
    response["Cache-Control"] = "no-store"
    return response


def samples_view(request: HttpRequest, *, model_admin: OwnedAdmin, run: TrainingRun) -> HttpResponse:
    """Serve the sample grid to its owner."""
    try:
        picture = (run.folder / GRID_NAME).read_bytes()
    except FileNotFoundError as error:
        raise Http404("There is no sample grid yet.") from error
    response = HttpResponse(picture, content_type="image/png")
    response["Cache-Control"] = "private, max-age=3600"  # its address changes with it
    return response


def checkpoint_view(request: HttpRequest, *, model_admin: OwnedAdmin, run: TrainingRun) -> FileResponse:
    """Send the best checkpoint so far."""
    try:
        file = (run.folder / CHECKPOINT_NAME).open("rb")
    except FileNotFoundError as error:
        raise Http404("There is no checkpoint yet.") from error
    return FileResponse(file, as_attachment=True, filename=f"{run.slug}.safetensors")


def version(run: TrainingRun, entries: list[Entry]) -> str:
    """Return a word that changes when more of the page changes than its numbers, lines and pictures."""
    parts = (badge_of(run).state, waits_long(run), bool(figure_name(entries)), (run.folder / GRID_NAME).is_file())
    return "-".join(str(part) for part in (*parts, has_checkpoint(run)))


def waits_long(run: TrainingRun) -> bool:
    """Return whether a run has waited for so long that perhaps no worker is there."""
    if run.state != TrainingState.QUEUED or run.queued_at is None:
        return False
    return (timezone.now() - run.queued_at).total_seconds() > LONG_WAIT_S


def sentence_of(run: TrainingRun) -> str:
    """Say where the run stands and what comes next."""
    if is_interrupted(run):
        heard = f"{run.heartbeat_at:%d %b, %H:%M} UTC" if run.heartbeat_at else "long ago"
        return (
            f"The worker was last heard of {heard}. What it kept last is safe: a worker that starts goes on from "
            "there, and so does Resume."
        )
    if waits_long(run):
        return (
            "It waits for a worker that trains. Other runs may be before it; if there is none, have a worker started "
            "(see “Start” in the operations guide)."
        )
    match run.state:
        case TrainingState.QUEUED:
            return "It waits for a worker that trains. This page follows by itself, and may be closed."
        case TrainingState.RUNNING:
            return "It trains. This page follows by itself, and may be closed."
        case TrainingState.STOPPING:
            return "It stops after the update that is being made, and keeps what it has."
        case TrainingState.STOPPED:
            return f"It was stopped at step {run.step:,} of {run.steps:,}, and can go on from there."
        case TrainingState.FAILED:
            return run.reason
    return f"{run.reason} Conditions of studies can choose the checkpoint “{run.slug}”."


def texts_of(run: TrainingRun, entries: list[Entry]) -> dict[str, str]:
    """Return every word of the page that changes while a run goes on, by key."""
    unit = UNITS.get(figure_name(entries), LIKELIHOOD)
    training, validation = (curve_points(entries, kind=kind) for kind in ("train", "validation"))
    curve = curve_of(entries)
    is_training = run.state in (TrainingState.RUNNING, TrainingState.STOPPING) and not is_interrupted(run)
    texts = {
        "progress": f"{run.step:,} of {run.steps:,} steps",
        "speed": f"{run.images_per_s:,.1f} photos a second" if is_training and run.images_per_s else MISSING,
        "left": duration_text(run.seconds_left) if is_training and run.seconds_left is not None else MISSING,
        "trained": duration_text(run.trained_s) if run.trained_s else MISSING,
        "training": f"{figure_text(training[-1][1])} {unit}" if training else MISSING,
        "validation": f"{figure_text(validation[-1][1])} {unit}" if validation else MISSING,
        "best": MISSING,
        "log": "\n".join(str(entry) for entry in entries[-LOG_LINES:]) or "Nothing yet.",
    }
    if validation:
        step, loss = min(validation, key=lambda point: point[1])
        texts["best"] = f"{figure_text(loss)} at step {step:,}"
    if curve:
        texts |= {f"level-{place}": label for place, label in enumerate(curve.levels)}
        texts |= {f"step-{place}": label for place, label in enumerate(curve.steps)}
    return texts


def network_label(network: str) -> str:
    """Return the name of a network for people."""
    return METHODS["pixel_recursive"].label if network == "pixel_recursive" else f"Regression ({network})"


def start_text(start_from: str) -> str:
    """Return the checkpoint that a run began from, for people."""
    network, _, name = start_from.partition(":")
    return f"{METHODS[network].label}, {name}" if name else ""


def curve_of(entries: list[Entry]) -> Curve | None:
    """Draw the loss."""
    return curve_draw(curve_points(entries, kind="train"), curve_points(entries, kind="validation"))


def grid_address(run: TrainingRun) -> str:
    """Return the address of the sample grid, which changes with the grid; "" before there is one."""
    try:
        written = (run.folder / GRID_NAME).stat().st_mtime_ns
    except FileNotFoundError:
        return ""
    return reverse("admin:studies_trainingrun_samples", args=[run.pk]) + f"?written={written}"


def figure_text(value: float) -> str:
    """Return a loss with four figures that matter."""
    return f"{value:.3f}" if value >= 0.1 else f"{value:.3g}"


def duration_text(seconds: float) -> str:
    """Return a duration in the unit that suits it."""
    minutes = seconds / 60
    if minutes < 1:
        return "less than a minute"
    if minutes < 90:
        return f"{minutes:.0f} min"
    hours = minutes / 60
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"
