"""All work of the workers in one form: training, samples, uploads of photos and of pictures made elsewhere, and more.

There is no table of jobs: each kind keeps how far it is where it keeps what it makes, and that is read here.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Avg, Count, Max, Q, QuerySet
from django.utils import timezone

from studies.models import (
    About,
    Bundle,
    BundleState,
    PhotoUpload,
    PlanCheck,
    PlanCheckState,
    Sample,
    SampleStatus,
    SampleUpload,
    SamplingClaim,
    Study,
    StudyEvent,
    StudyState,
    TrainingRun,
    TrainingState,
    Upload,
    UploadState,
)
from studies.reports.plan_text import goal_phrase, simulated_sentence
from studies.selectors.training import STALE_S, is_interrupted, progress_read
from studies.selectors.uploads import SILENT_S, can_run_again, is_silent
from studies.statistics.plan_check import Simulated
from studies.statistics.study_plan import PlanQuestion

LOG_LINES = 40
FINISHED_SHOWN = 50
"""So many ended jobs of a kind are listed, the newest ones."""


class JobKind(StrEnum):
    """What a job makes."""

    TRAINING = "training"
    SAMPLES = "samples"
    PHOTOS = "photos"
    PICTURES = "pictures"
    BUNDLES = "bundles"
    CHECKS = "checks"


class JobState(StrEnum):
    """Where a job stands; interrupted means that its worker is gone."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    FAILED = "failed"
    FINISHED = "finished"


ALIVE = (JobState.WAITING, JobState.RUNNING, JobState.STOPPING, JobState.INTERRUPTED)
"""States of jobs that want, or have, a worker."""


@dataclass(frozen=True)
class Job:
    """A piece of work of the workers.

    Attributes:
        kind: What it makes.
        pk: Of the run, the study or the upload.
        belongs: Keys of the page that shows what it makes: run, study, photo set, or study and condition; of the check
            of a plan its question as JSON.
        title: What it makes, for people.
        state: Where it stands.
        done: How much of it.
        total: Of how much; None before that is known.
        unit: Of both, in the plural.
        a_second: Of these in a second of work; None where it is not known.
        left_s: Seconds of work that are left, for one worker; None where it is not known.
        reason: Why it failed, or what could not be made; "" if nothing.
        at: When it was asked for, or last went on.
        log: What happened, a line each.
        can_stop: Whether it can be stopped.
        can_run_again: Whether it can be run again.
        can_discard: Whether it can be let go, with its report.
    """

    kind: JobKind
    pk: int
    belongs: tuple[int | str, ...]
    title: str
    state: JobState
    done: int
    total: int | None
    unit: str
    a_second: float | None
    left_s: float | None
    reason: str
    at: datetime
    log: tuple[str, ...]
    can_stop: bool
    can_run_again: bool
    can_discard: bool

    @property
    def is_alive(self) -> bool:
        """Return whether it wants, or has, a worker."""
        return self.state in ALIVE


def training_jobs(runs: Iterable[TrainingRun], *, has_log: bool = False) -> list[Job]:
    """Return training runs as jobs."""
    return [_training_job(run, has_log=has_log) for run in runs]


def _training_job(run: TrainingRun, *, has_log: bool) -> Job:
    states = {TrainingState.QUEUED: JobState.WAITING}
    is_gone = is_interrupted(run)
    state = JobState.INTERRUPTED if is_gone else states.get(TrainingState(run.state)) or JobState(run.state)
    is_running = state in (JobState.RUNNING, JobState.STOPPING)
    return Job(
        kind=JobKind.TRAINING,
        pk=run.pk,
        belongs=(run.pk,),
        title=f"Training of “{run.name}”",
        state=state,
        done=run.step,
        total=run.steps,
        unit="steps",
        a_second=run.images_per_s / run.batch if is_running and run.images_per_s else None,
        left_s=run.seconds_left if is_running else None,
        reason=run.reason if state == JobState.FAILED else "",
        at=run.queued_at or run.created_at,
        log=tuple(str(entry) for entry in progress_read(run)[-LOG_LINES:]) if has_log else (),
        can_stop=run.is_active and (run.state != TrainingState.STOPPING or is_gone),
        can_run_again=is_gone or run.state in (TrainingState.STOPPED, TrainingState.FAILED),
        can_discard=False,
    )


def sampling_studies(studies: QuerySet[Study]) -> QuerySet[Study]:
    """Keep to studies whose samples are made, were made and not yet shown, or are left half-made in a draft."""
    half_made = Q(pk__in=Sample.objects.exclude(status=SampleStatus.READY).values("condition__study"))
    return studies.filter(
        Q(state__in=[StudyState.PREPARING, StudyState.READY]) | (Q(state=StudyState.DRAFT) & half_made)
    )


def sampling_jobs(studies: Iterable[Study], *, has_log: bool = False) -> list[Job]:
    """Return the making of the samples of studies as jobs, in four queries for all of them."""
    found = list(studies)
    rows = (
        Sample.objects.filter(condition__study__in=found)
        .values_list("condition__study", "condition__label")
        .annotate(
            pending=Count("pk", filter=Q(status=SampleStatus.PENDING)),
            ready=Count("pk", filter=Q(status=SampleStatus.READY)),
            failed=Count("pk", filter=Q(status=SampleStatus.FAILED)),
            each_s=Avg("duration_s", filter=Q(status=SampleStatus.READY)),
        )
        .order_by("condition__position")
    )
    conditions: dict[int, list[_Made]] = {}
    for study, *made in rows:
        conditions.setdefault(study, []).append(_Made(*made))
    reasons: dict[int, list[str]] = {}
    failures = Sample.objects.filter(condition__study__in=found, status=SampleStatus.FAILED)
    for study, reason in failures.values_list("condition__study", "reason").distinct().order_by("reason"):
        reasons.setdefault(study, []).append(reason)
    claims = SamplingClaim.objects.filter(study__in=found).values_list("study").annotate(last=Max("heard_at"))
    gone_before = timezone.now() - timedelta(seconds=STALE_S)
    gone = {study for study, heard_at in claims if heard_at < gone_before}
    steps = StudyEvent.objects.filter(study__in=found, about__in=[About.STEP, About.JOB])
    moments = dict(steps.values_list("study").annotate(at=Max("at")).order_by())
    return [
        _sampling_job(
            study,
            conditions.get(study.pk, []),
            reasons.get(study.pk, []),
            is_gone=study.pk in gone,
            at=moments.get(study.pk, study.created_at),
            events=tuple(f"{event.at:%d %b %H:%M:%S}  {event.sentence}" for event in steps.filter(study=study))
            if has_log
            else (),
        )
        for study in found
    ]


@dataclass(frozen=True)
class _Made:
    """Samples of one condition."""

    label: str
    pending: int
    ready: int
    failed: int
    each_s: float | None

    def __str__(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        speed = f", {self.each_s:.2g} s each" if self.each_s is not None else ""
        return f"{self.label}: {self.ready} of {self.ready + self.pending + self.failed} made{failed}{speed}"


def _sampling_job(
    study: Study, conditions: list[_Made], reasons: list[str], *, is_gone: bool, at: datetime, events: tuple[str, ...]
) -> Job:
    pending, ready, failed = (
        sum(getattr(made, name) for made in conditions) for name in ("pending", "ready", "failed")
    )
    spent = sum(made.ready * made.each_s for made in conditions if made.each_s is not None)
    mean = spent / ready if ready and spent else None
    costs = [made.pending * (mean if made.each_s is None else made.each_s) for made in conditions if mean is not None]
    match study.state:
        case StudyState.PREPARING if failed and not pending:
            state = JobState.FAILED
        case StudyState.PREPARING if is_gone:
            state = JobState.INTERRUPTED
        case StudyState.PREPARING:
            state = JobState.RUNNING if ready else JobState.WAITING
        case StudyState.DRAFT:
            state = JobState.STOPPED
        case _:
            state = JobState.FINISHED
    return Job(
        kind=JobKind.SAMPLES,
        pk=study.pk,
        belongs=(study.pk,),
        title=f"Samples of “{study.title}”",
        state=state,
        done=ready,
        total=(ready + pending + failed) or None,
        unit="samples",
        a_second=1 / mean if mean and state == JobState.RUNNING else None,
        left_s=sum(costs) if costs and state == JobState.RUNNING else None,
        reason=" ".join(reasons),
        at=at,
        log=(*events, *map(str, conditions)) if events else (),
        can_stop=study.state == StudyState.PREPARING,
        can_run_again=study.state in (StudyState.PREPARING, StudyState.DRAFT),
        can_discard=False,
    )


def photo_jobs(uploads: Iterable[PhotoUpload]) -> list[Job]:
    """Return uploads of photos as jobs."""
    return [
        _upload_job(
            upload,
            kind=JobKind.PHOTOS,
            belongs=(upload.photo_set_id,),
            title=f"Photos from “{upload.name}” for {upload.photo_set.name}",
            log=(
                f"{upload.added} pictures added.",
                *(f"In the set already: {name}." for name in upload.findings.get("duplicates", [])),
                *upload.findings.get("rejected", []),
            ),
        )
        for upload in uploads
    ]


def picture_jobs(uploads: Iterable[SampleUpload]) -> list[Job]:
    """Return uploads of pictures made elsewhere as jobs."""
    return [
        _upload_job(
            upload,
            kind=JobKind.PICTURES,
            belongs=(upload.condition.study_id, upload.condition.slug),
            title=f"Pictures from “{upload.name}” for {upload.condition.label}",
            log=tuple(sentence for found in upload.findings.values() for sentence in found),
        )
        for upload in uploads
    ]


_UPLOAD_STATES = {
    UploadState.WAITING: JobState.WAITING,
    UploadState.CHECKING: JobState.RUNNING,
    UploadState.CHECKED: JobState.FINISHED,
    UploadState.FAILED: JobState.FAILED,
    UploadState.STOPPED: JobState.STOPPED,
}


def _upload_job(
    upload: Upload, *, kind: JobKind, belongs: tuple[int | str, ...], title: str, log: tuple[str, ...]
) -> Job:
    is_gone = upload.state == UploadState.CHECKING and is_silent(upload)
    state = JobState.INTERRUPTED if is_gone else _UPLOAD_STATES[UploadState(upload.state)]
    a_second = upload.files_checked / upload.worked_s if upload.worked_s and upload.files_checked else None
    left = upload.files_total - upload.files_checked if upload.files_total is not None else None
    return Job(
        kind=kind,
        pk=upload.pk,
        belongs=belongs,
        title=title,
        state=state,
        done=upload.files_checked,
        total=upload.files_total,
        unit="files",
        a_second=a_second if state == JobState.RUNNING else None,
        left_s=left / a_second if left is not None and a_second and state == JobState.RUNNING else None,
        reason=upload.reason,
        at=upload.created_at,
        log=log[:LOG_LINES] + (("and more",) if len(log) > LOG_LINES else ()),
        can_stop=upload.is_under_way,
        can_run_again=can_run_again(upload),
        can_discard=not upload.is_under_way,
    )


def bundle_jobs(bundles: Iterable[Bundle]) -> list[Job]:
    """Return bundles as jobs; each is one piece of work of some seconds to minutes."""
    states = {BundleState.WAITING: JobState.WAITING, BundleState.READY: JobState.FINISHED}
    return [
        Job(
            kind=JobKind.BUNDLES,
            pk=bundle.pk,
            belongs=(bundle.study_id,),
            title=f"Bundle of “{bundle.study.title}”, votes of {bundle.get_origin_display()}s",
            state=states.get(BundleState(bundle.state), JobState.FAILED),
            done=int(bundle.state == BundleState.READY),
            total=1,
            unit="bundle",
            a_second=None,
            left_s=None,
            reason=bundle.reason,
            at=bundle.ordered_at,
            log=(f"SHA-256 {bundle.sha256}",) if bundle.sha256 else (),
            can_stop=bundle.state == BundleState.WAITING,
            can_run_again=bundle.state == BundleState.FAILED,
            can_discard=bundle.state != BundleState.WAITING,
        )
        for bundle in bundles
    ]


_CHECK_STATES = {
    PlanCheckState.WAITING: JobState.WAITING,
    PlanCheckState.RUNNING: JobState.RUNNING,
    PlanCheckState.DONE: JobState.FINISHED,
    PlanCheckState.FAILED: JobState.FAILED,
}


def check_jobs(checks: Iterable[PlanCheck]) -> list[Job]:
    """Return checks of plans by simulation as jobs."""
    return [_check_job(check) for check in checks]


def _check_job(check: PlanCheck) -> Job:
    heard_at = check.heard_at or check.created_at
    is_gone = check.state == PlanCheckState.RUNNING and timezone.now() - heard_at > timedelta(seconds=SILENT_S)
    state = JobState.INTERRUPTED if is_gone else _CHECK_STATES[PlanCheckState(check.state)]
    question = PlanQuestion(**check.question)
    is_over = state in (JobState.FINISHED, JobState.FAILED)
    return Job(
        kind=JobKind.CHECKS,
        pk=check.pk,
        belongs=(json.dumps(check.question),),
        title=f"Check of a plan: {goal_phrase(question)}",
        state=state,
        done=check.studies_done,
        total=check.studies_wanted,
        unit="simulated studies",
        a_second=None,
        left_s=None,
        reason=check.reason,
        at=check.created_at,
        log=(simulated_sentence(question, Simulated(**check.found)),) if check.found else (),
        can_stop=not is_over,
        can_run_again=is_gone or state == JobState.FAILED,
        can_discard=is_over,
    )


def jobs_ordered(jobs: Iterable[Job]) -> list[Job]:
    """Return jobs that want or have a worker, then the others; the newest first."""
    return sorted(jobs, key=lambda job: (not job.is_alive, -job.at.timestamp()))
