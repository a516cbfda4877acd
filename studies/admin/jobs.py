"""All work of the workers that a researcher may see: one list, one page for each, to stop and to run again."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST, require_safe
from kombu.exceptions import OperationalError

from studies.admin.ownership import OwnedAdmin, researcher_of
from studies.admin.study_plan import planner_address
from studies.admin.training_page import MISSING, duration_text
from studies.errors import EvalsiteError, UploadStateWrong
from studies.models import Bundle, Origin, PhotoSet, PhotoUpload, PlanCheck, SampleUpload, Study, TrainingRun
from studies.selectors.jobs import (
    FINISHED_SHOWN,
    Job,
    JobKind,
    bundle_jobs,
    check_jobs,
    jobs_ordered,
    photo_jobs,
    picture_jobs,
    sampling_jobs,
    sampling_studies,
    training_jobs,
)
from studies.services import studies, training
from studies.services.bundles import bundle_discard, bundle_order
from studies.services.incoming import upload_again, upload_stop
from studies.services.photo_uploads import photo_upload_discard
from studies.services.plan_checks import check_again, check_discard
from studies.services.uploads import upload_discard
from studies.statistics.study_plan import PlanQuestion
from studies.tasks import bundle_make, photo_uploads_enqueue, plan_check, samples_plan, training_enqueue, upload_check

POLL_MS = 2_000

KINDS = {
    JobKind.TRAINING: "training",
    JobKind.SAMPLES: "sampling",
    JobKind.PHOTOS: "photos",
    JobKind.PICTURES: "pictures",
    JobKind.BUNDLES: "bundle",
    JobKind.CHECKS: "plan",
}
PAGES = {
    JobKind.TRAINING: "admin:studies_trainingrun_change",
    JobKind.SAMPLES: "admin:studies_study_change",
    JobKind.PHOTOS: "admin:studies_photoset_change",
    JobKind.PICTURES: "admin:studies_study_pictures",
    JobKind.BUNDLES: "admin:studies_study_results",
}
"""Where what a job makes is shown; the check of a plan is on the planner's page, whose address has the question."""


class Row(NamedTuple):
    """A job as pages show it.

    Attributes:
        job: The job.
        kind: What it makes, for people.
        key: Of its words and bars on the page.
        progress: How far it is.
        speed: How fast it goes.
        left: How long it may take.
        log: What happened, a line each.
        address: Of its page.
        shown: Of the page that shows what it makes.
    """

    job: Job
    kind: str
    key: str
    progress: str
    speed: str
    left: str
    log: str
    address: str
    shown: str


class JobsDoor:
    """The pages of jobs, among those of studies; what may be seen and changed is what each kind's own pages allow.

    Args:
        model_admin: Of the studies.
    """

    def __init__(self, model_admin: OwnedAdmin) -> None:
        self.model_admin = model_admin
        self.site = model_admin.admin_site

    def urls(self) -> list[URLPattern]:
        """Return the addresses."""
        views: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "jobs": ("jobs/", require_safe(self.list_view)),
            "jobs_progress": ("jobs/progress.json", require_safe(self.list_progress_view)),
            "job": ("jobs/<slug:kind>/<int:pk>/", require_safe(self.job_view)),
            "job_progress": ("jobs/<slug:kind>/<int:pk>/progress.json", require_safe(self.job_progress_view)),
            "job_act": ("jobs/<slug:kind>/<int:pk>/<slug:act>/", require_POST(self.act_view)),
        }
        return [path(tail, self.site.admin_view(view), name=f"studies_{name}") for name, (tail, view) in views.items()]

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """Show every job."""
        rows = [row_of(job) for job in self._jobs(request)]
        alive = [row for row in rows if row.job.is_alive]
        context = {
            "title": "Jobs",
            "alive": alive,
            "ended": [row for row in rows if not row.job.is_alive],
            "version": version([row.job for row in rows]),
            "poll_ms": POLL_MS if alive else 5 * POLL_MS,
        }
        return self.model_admin.page(request, "jobs/list", context)

    def list_progress_view(self, request: HttpRequest) -> HttpResponse:
        """Answer how far every job is."""
        return _progress([row_of(job) for job in self._jobs(request)], idle_ms=5 * POLL_MS)

    def job_view(self, request: HttpRequest, kind: str, pk: int) -> HttpResponse:
        """Show one job."""
        subject, job = self._find(request, kind, pk)
        context = {
            "title": job.title,
            "row": row_of(job),
            "may_act": self._owns(request, subject),
            "version": version([job]),
            "poll_ms": POLL_MS if job.is_alive else 0,
        }
        return self.model_admin.page(request, "jobs/page", context)

    def job_progress_view(self, request: HttpRequest, kind: str, pk: int) -> HttpResponse:
        """Answer how far one job is."""
        _, job = self._find(request, kind, pk)
        return _progress([row_of(job)], idle_ms=0)

    def act_view(self, request: HttpRequest, kind: str, pk: int, act: str) -> HttpResponse:
        """Stop a job, run it again, or let it go."""
        subject, job = self._find(request, kind, pk)
        if not self._owns(request, subject):
            raise PermissionDenied
        take = ACTS.get(act)
        if take is None:
            raise Http404(f"Nothing called {act} can be done to a job.")
        try:
            said = take(job, subject)
        except EvalsiteError as error:
            self.model_admin.message_user(request, str(error), messages.ERROR)
        except OperationalError:
            said = "It waits for a worker, but the workers' queue cannot be reached: one that starts takes it up."
            self.model_admin.message_user(request, said, messages.WARNING)
        else:
            if isinstance(subject, TrainingRun | Study):
                self.site.get_model_admin(type(subject)).log_change(request, subject, said)
            self.model_admin.message_user(request, said)
        is_there = type(subject)._default_manager.filter(pk=pk).exists()  # noqa: SLF001 -- the documented way to its rows
        return redirect(row_of(job).address) if is_there else redirect("admin:studies_jobs")

    def _rows(self, request: HttpRequest) -> dict[JobKind, QuerySet[Any]]:
        """Return what may be seen of each kind."""
        runs, shown, sets = (
            self.site.get_model_admin(model).get_queryset(request) for model in (TrainingRun, Study, PhotoSet)
        )
        own = shown.order_by().values("pk")
        return {
            JobKind.TRAINING: runs.order_by("-queued_at", "-pk"),
            JobKind.SAMPLES: sampling_studies(Study.objects.filter(pk__in=own)).order_by("-pk"),
            JobKind.PHOTOS: PhotoUpload.objects.filter(photo_set__in=sets.order_by().values("pk"))
            .select_related("photo_set")
            .order_by("-pk"),
            JobKind.PICTURES: SampleUpload.objects.filter(condition__study__in=own)
            .exclude(file="", state="waiting")
            .select_related("condition__study")
            .order_by("-pk"),
            JobKind.BUNDLES: Bundle.objects.filter(study__in=own).select_related("study").order_by("-ordered_at"),
            JobKind.CHECKS: PlanCheck.objects.filter(owner=researcher_of(request)).order_by("-pk"),
        }

    def _jobs(self, request: HttpRequest) -> list[Job]:
        rows = self._rows(request)
        return jobs_ordered([job for kind, make in MAKERS.items() for job in make(rows[kind][:FINISHED_SHOWN])])

    def _find(self, request: HttpRequest, kind: str, pk: int) -> tuple[Model, Job]:
        """Return the run, the study or the upload, and its job."""
        rows = self._rows(request)
        found = rows[JobKind(kind)].filter(pk=pk).first() if kind in rows else None
        if found is None:
            raise Http404(f"There is no job {kind} {pk} of yours.")
        with_log: dict[str, Any] = {"has_log": True} if kind in (JobKind.TRAINING, JobKind.SAMPLES) else {}
        (job,) = MAKERS[JobKind(kind)]([found], **with_log)
        return found, job

    def _owns(self, request: HttpRequest, subject: Model) -> bool:
        """Tell whether somebody may change what the job belongs to."""
        if isinstance(subject, PlanCheck):
            return subject.owner == request.user
        belongs: Model = subject
        if isinstance(subject, PhotoUpload):
            belongs = subject.photo_set
        elif isinstance(subject, SampleUpload):
            belongs = subject.condition.study
        elif isinstance(subject, Bundle):
            belongs = subject.study
        model_admin = self.site.get_model_admin(type(belongs))
        assert isinstance(model_admin, OwnedAdmin)  # noqa: S101 -- tells mypy what is registered
        return model_admin.owns(request, belongs)


MAKERS: dict[JobKind, Callable[..., list[Job]]] = {
    JobKind.TRAINING: training_jobs,
    JobKind.SAMPLES: sampling_jobs,
    JobKind.PHOTOS: photo_jobs,
    JobKind.PICTURES: picture_jobs,
    JobKind.BUNDLES: bundle_jobs,
    JobKind.CHECKS: check_jobs,
}


def _stop(_job: Job, subject: Any) -> str:
    if isinstance(subject, TrainingRun):
        training.run_stop(run=subject)
    elif isinstance(subject, Study):
        studies.study_reopen_draft(study=subject)
        return "Stopped the making of samples and took the study back to draft; the samples that are made stay."
    elif isinstance(subject, Bundle):
        bundle_discard(bundle=subject)
        return "Called the bundle off; it can be prepared on the results page."
    elif isinstance(subject, PlanCheck):
        check_discard(check=subject)
        return "Called the check off; the plan can be checked again on its page."
    else:
        upload_stop(upload=subject)
    return "Stopped it; what was made stays."


def _again(_job: Job, subject: Any) -> str:
    if isinstance(subject, TrainingRun):
        training.run_resume(run=subject)
        training_enqueue(subject)
    elif isinstance(subject, Study):
        studies.study_prepare(study=subject)
        samples_plan.delay_on_commit(subject.pk)
    elif isinstance(subject, PlanCheck):
        check_again(check=subject)
        plan_check.delay_on_commit(subject.pk)
        return "Handed it to the workers again; it begins anew."
    elif isinstance(subject, Bundle):
        bundle_make.delay_on_commit(bundle_order(study=subject.study, origin=Origin(subject.origin)).pk)
    else:
        upload_again(upload=subject)
        if isinstance(subject, PhotoUpload):
            photo_uploads_enqueue([subject])
        else:
            upload_check.delay_on_commit(subject.pk)
    return "Handed it to the workers again; what was made stays."


def _discard(job: Job, subject: Any) -> str:
    if not job.can_discard:
        raise UploadStateWrong(f"“{job.title}” is {job.state}, and only an upload that has ended can be let go.")
    if isinstance(subject, Bundle):
        bundle_discard(bundle=subject)
        return "Let the bundle go; it can be prepared anew on the results page."
    if isinstance(subject, PlanCheck):
        check_discard(check=subject)
        return "Let the check go; the plan can be checked again on its page."
    if isinstance(subject, PhotoUpload):
        photo_upload_discard(upload=subject)
    else:
        upload_discard(condition=subject.condition)
    return "Let the upload go with its report; what it brought into a set stays."


ACTS: dict[str, Callable[[Job, Any], str]] = {"stop": _stop, "again": _again, "discard": _discard}


def row_of(job: Job) -> Row:
    """Return a job in words."""
    total = f" of {job.total:,}" if job.total is not None else ""
    speed = MISSING
    if job.a_second:
        per = ("a second", job.a_second) if job.a_second >= 1 else ("a minute", 60 * job.a_second)
        speed = f"{per[1]:,.1f} {job.unit} {per[0]}"
    return Row(
        job,
        KINDS[job.kind],
        f"{job.kind.value}-{job.pk}",
        f"{job.done:,}{total} {job.unit}",
        speed,
        duration_text(job.left_s) if job.left_s is not None else MISSING,
        "\n".join(job.log),
        reverse("admin:studies_job", args=[job.kind.value, job.pk]),
        _shown(job),
    )


def _shown(job: Job) -> str:
    """Return the address of the page that shows what a job makes."""
    if job.kind == JobKind.CHECKS:
        return planner_address(PlanQuestion(**json.loads(str(job.belongs[0]))))
    return reverse(PAGES[job.kind], args=job.belongs)


def version(jobs: list[Job]) -> str:
    """Return a word that changes when more of the page changes than its numbers."""
    return "_".join(f"{job.kind.value}{job.pk}{job.state.value}{bool(job.reason)}" for job in jobs) or "none"


def _progress(rows: list[Row], *, idle_ms: int) -> JsonResponse:
    """Answer what has changed."""
    texts: dict[str, str] = {}
    values: dict[str, int] = {}
    for row in rows:
        texts |= {f"progress-{row.key}": row.progress, f"speed-{row.key}": row.speed, f"left-{row.key}": row.left}
        values[f"done-{row.key}"] = row.job.done
        if row.log:
            texts[f"log-{row.key}"] = row.log
    payload = {
        "version": version([row.job for row in rows]),
        "next_ms": POLL_MS if any(row.job.is_alive for row in rows) else idle_ms,
        "texts": texts,
        "values": values,
    }
    response = JsonResponse(payload)
    response["Cache-Control"] = "no-store"
    return response
