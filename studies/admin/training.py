"""Training runs: the list, the form of a new one, and the addresses of everything that is done to one."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods, require_safe
from kombu.exceptions import OperationalError

from studies import training
from studies.admin import training_page, training_steps
from studies.admin.ownership import OwnedAdmin, researcher_of
from studies.admin.training_page import POLL_MS, badge_of, duration_text, network_label
from studies.errors import EvalsiteError
from studies.forms import TrainingForm
from studies.models import PhotoSet, TrainingRun
from studies.selectors.training import seconds_estimate
from studies.services.training import run_create
from studies.tasks import speed_measure
from studies.training import ConfigFacts, ShippedConfig

RunView = Callable[..., HttpResponseBase]

DEFAULT_SIZE = 32
"""Side in pixels of the photos for which times are told before a photo set is chosen."""
NOT_MEASURED = "not measured here yet"
NOT_KNOWN = "The machine is too busy to tell its size"


class ConfigRow(NamedTuple):
    """A config that comes with the platform, as the form shows it."""

    name: str
    about: str
    text: str
    facts: str
    time: str


@admin.register(TrainingRun)
class TrainingRunAdmin(OwnedAdmin):
    """Training runs of the researcher."""

    list_display = ("name", "badge", "photo_set", "network_of", "progress", "owner", "created_at")
    list_filter = ("state",)
    list_select_related = ("owner", "photo_set")
    search_fields = ("name", "slug")
    change_list_template = "admin/studies/training/list.html"
    object_history_template = "admin/studies/training/history.html"

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Name the owner only to those who see several owners' runs."""
        return tuple(name for name in self.list_display if name != "owner" or researcher_of(request).sees_all)

    @admin.display(description="state", ordering="state")
    def badge(self, run: TrainingRun) -> SafeString:
        """Return the state as a badge with its word."""
        return format_html('<span class="rp-badge rp-badge-{}">{}</span>', *badge_of(run))

    @admin.display(description="network", ordering="network")
    def network_of(self, run: TrainingRun) -> str:
        """Return the name of the network and its config."""
        return f"{network_label(run.network)}, {run.config_name}"

    @admin.display(description="steps", ordering="step")
    def progress(self, run: TrainingRun) -> SafeString:
        """Return how far it is, as a bar and in words."""
        words = f"{run.step:,} of {run.steps:,}"
        label = f"{run.name}: {words} steps"
        bar = '<progress value="{}" max="{}" aria-label="{}"></progress> <span class="rp-nowrap">{}</span>'
        return format_html(bar, min(run.step, run.steps), run.steps, label, words)

    def get_urls(self) -> list[URLPattern]:
        """Add every step and file of a run."""
        views: dict[str, tuple[str, RunView]] = {
            "progress": ("progress.json", require_safe(training_page.progress_view)),
            "samples": ("samples.png", require_safe(training_page.samples_view)),
            "checkpoint": ("checkpoint.safetensors", require_safe(training_page.checkpoint_view)),
        }
        for name, step in training_steps.STEPS.items():
            if name != "delete":  # Django's own address, below
                allowed = ["GET", "HEAD", "POST"] if step.confirmation else ["POST"]
                view = require_http_methods(allowed)(partial(training_steps.step_view, step=step))
                views[name] = (f"{name}/", view)
        addresses = [
            path(f"<int:object_id>/{tail}", self._door(view), name=f"studies_trainingrun_{name}")
            for name, (tail, view) in views.items()
        ]
        speeds = self.admin_site.admin_view(require_safe(self.speeds_view))
        return [path("speeds.json", speeds, name="studies_trainingrun_speeds"), *addresses, *super().get_urls()]

    def _door(self, view: RunView) -> RunView:
        """Let only those in who own the run, and turn what they can put right into a message."""

        def opened(request: HttpRequest, object_id: int, **kwargs: Any) -> HttpResponseBase:
            return self._opened(request, str(object_id), view)

        door: RunView = self.admin_site.admin_view(opened)
        return door

    def _opened(self, request: HttpRequest, object_id: str, view: RunView) -> HttpResponseBase:
        run = self.get_object(request, object_id)
        try:
            return view(request, model_admin=self, run=run)
        except EvalsiteError as error:
            self.message_user(request, str(error), messages.ERROR)
            return redirect("admin:studies_trainingrun_change", run.pk)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """Check a config, have the speed of this machine measured, or start a run."""
        self.add_require(request)
        researcher = researcher_of(request)
        photo_sets = PhotoSet.objects.order_by("name")
        if not researcher.sees_all:
            photo_sets = photo_sets.filter(owner=researcher)
        wants_measure = "measure" in request.POST
        form = TrainingForm(
            request.POST if request.method == "POST" and not wants_measure else None,
            initial=request.POST.dict() if wants_measure else self._initial(request),
            photo_sets=photo_sets,
            researcher=researcher,
        )
        size = _size_of(form, photo_sets)
        checked = ""
        if wants_measure:
            self._measure(request, size)
        elif request.method == "POST" and form.is_valid():
            facts: ConfigFacts = form.cleaned_data["facts"]
            if "check" not in request.POST:
                return self._start(request, form)
            checked = f"The config can be used: {facts_text(facts)}; {time_text(facts, size=size)}."
        context = {
            "title": "New training run",
            "form": form,
            "configs": config_rows(size=size),
            "size": size,
            "checked": checked,
            "has_photo_sets": photo_sets.exists(),
            "is_measuring": wants_measure,
            "poll_ms": POLL_MS if wants_measure else 0,
        }
        return self.page(request, "training/add", context)

    def _initial(self, request: HttpRequest) -> dict[str, Any]:
        """Return what the form begins with: an earlier run's entries if the address names one."""
        configs = configs_ordered()
        before = self.get_queryset(request).filter(pk=request.GET.get("from") or None).first()
        if before:
            names = ("name", "config_name", "config", "start_from")
            return {name: getattr(before, name) for name in names} | {"photo_set": before.photo_set_id}
        first = next((config for config in configs if config.name == request.GET.get("config")), configs[0])
        return {"photo_set": request.GET.get("photo_set", ""), "config_name": first.name, "config": first.text}

    def _measure(self, request: HttpRequest, size: int) -> None:
        """Have the speed of every config measured that was not yet."""
        missing = [
            name for name, facts in training.shipped_facts().items() if seconds_estimate(facts, size=size) is None
        ]
        try:
            for name in missing:
                speed_measure.delay(name, size)
        except OperationalError:
            self.message_user(request, "The queue of the workers cannot be reached; have it started.", messages.ERROR)
        else:
            self.message_user(request, "A worker that trains measures it; the times appear below by themselves.")

    def _start(self, request: HttpRequest, form: TrainingForm) -> HttpResponse:
        with transaction.atomic():
            run = run_create(owner=researcher_of(request), **form.cleaned_data)
            self.log_addition(request, run, f"Made the run from the config “{run.config_name}” and queued it.")
        try:
            training_steps.enqueue(run)
        except EvalsiteError as error:
            self.message_user(request, str(error), messages.ERROR)
        return redirect("admin:studies_trainingrun_change", run.pk)

    def speeds_view(self, request: HttpRequest) -> HttpResponse:
        """Answer how long each config takes, as far as it was measured."""
        size = int(request.GET.get("size") or DEFAULT_SIZE)
        texts = {f"time-{row.name}": row.time for row in config_rows(size=size)}
        is_done = all(not text.endswith(NOT_MEASURED) for text in texts.values())
        response = JsonResponse({"version": "1", "next_ms": 0 if is_done else POLL_MS, "texts": texts, "values": {}})
        response["Cache-Control"] = "no-store"
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the run's page."""
        return training_page.run_view(request, model_admin=self, run=self.get_object(request, object_id))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Ask, then delete the run with its files."""
        return self._opened(request, object_id, training_steps.delete_view)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show who did what and when, in the frame of the run's pages."""
        run = self.get_object(request, object_id)
        context = {"run": run, "badge": badge_of(run), "title": "History", "media": self.media}
        return super().history_view(request, object_id, context)


def facts_text(facts: ConfigFacts) -> str:
    """Say what a config asks for."""
    return (
        f"{network_label(facts.network)}, {facts.factor} times, {facts.parameters:,} parameters, "
        f"{facts.steps:,} steps of {facts.batch} photos"
    )


def time_text(facts: ConfigFacts, *, size: int) -> str:
    """Say how long a run takes here, as far as that was measured."""
    seconds = seconds_estimate(facts, size=size)
    return f"about {duration_text(seconds)} here" if seconds is not None else NOT_MEASURED


def configs_ordered() -> list[ShippedConfig]:
    """Return the configs that come with the platform, the one that is done soonest first."""

    def work(config: ShippedConfig) -> float:
        facts = training.shipped_facts().get(config.name)
        return facts.steps * facts.batch * facts.parameters if facts else math.inf

    return sorted(training.configs_list(), key=work)


def config_rows(*, size: int) -> list[ConfigRow]:
    """Return the configs that come with the platform, as the form shows them."""
    known = training.shipped_facts()
    return [
        ConfigRow(
            name=config.name,
            about=config.about,
            text=config.text,
            facts=facts_text(known[config.name]) if config.name in known else NOT_KNOWN,
            time=time_text(known[config.name], size=size) if config.name in known else NOT_MEASURED,
        )
        for config in configs_ordered()
    ]


def _size_of(form: TrainingForm, photo_sets: QuerySet[PhotoSet]) -> int:
    """Return the side of the chosen set's photos, in pixels."""
    chosen = str(form["photo_set"].value() or "")
    photo_set = photo_sets.filter(pk=chosen).first() if chosen.isdecimal() else None
    return photo_set.high_res_size if photo_set else DEFAULT_SIZE
