"""Studies are made, prepared, opened, paused and closed."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from studies import methods
from studies.errors import ParameterInvalid, StudyIncomplete, StudyStateWrong
from studies.models import (
    About,
    Condition,
    PhotoSet,
    Researcher,
    Sample,
    SampleStatus,
    Study,
    StudyPhoto,
    StudyState,
    Use,
)
from studies.protocols import PRESETS
from studies.selectors.studies import design_json, study_problems
from studies.services.events import changes_between, event_record, fields_named
from studies.services.pairs import pairs_clear
from studies.statistics.quality import PRACTICE_TRIES


@dataclass(frozen=True)
class ConditionSpec:
    """A condition to be entered.

    Attributes:
        method: Key of `METHODS`.
        parameters: Name -> value; those left out take their default.
        role: "test", "golden" or "fidelity"; the method's usual one if empty.
        label: Name for people; made from the method and its parameters if empty.
        bank: Training photos, for methods that need them.
        was: Slug of the condition that this one was before; uploaded pictures go along under a new label.
    """

    method: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    role: str = ""
    label: str = ""
    bank: PhotoSet | None = None
    was: str = ""


def default_conditions(*, bank: PhotoSet | None, checkpoint: str = "") -> list[ConditionSpec]:
    """Return the founding comparison; nearest neighbour is in it only if there is a bank.

    Args:
        bank: Training photos.
        checkpoint: Name of the one that pixel recursive super resolution takes; the usual one if empty.
    """
    own: dict[str, object] = {"checkpoint": checkpoint} if checkpoint else {}
    nearest = [ConditionSpec("nearest_neighbour", bank=bank)] if bank else []
    taus = [ConditionSpec("pixel_recursive", {"tau": tau, **own}) for tau in (1.0, 1.1, 1.2)]
    return [ConditionSpec("bicubic"), *nearest, ConditionSpec("regression"), *taus]


def study_create(
    *,
    owner: Researcher,
    title: str,
    slug: str,
    photo_set: PhotoSet,
    preset: str = "founding",
    seed: int = 0,
    bank: PhotoSet | None = None,
    checkpoint: str = "",
) -> Study:
    """Make a draft study from a preset protocol, with the conditions of the founding comparison.

    Args:
        owner: Whose it is.
        title: For raters.
        slug: For commands and file names.
        photo_set: The photos to be judged.
        preset: Key of `PRESETS`.
        seed: Of the samples and of the choice of practice photos.
        bank: As in `default_conditions`.
        checkpoint: As in `default_conditions`.

    Raises:
        django.core.exceptions.ValidationError: If the slug is taken or a field cannot be used.
        ParameterInvalid: If there is no such preset.
    """
    if preset not in PRESETS:
        raise ParameterInvalid(f"There is no protocol {preset!r}; choose one of {', '.join(PRESETS)}.")
    settings = {**PRESETS[preset].settings, **PRESETS[preset].texts()}
    study = Study(owner=owner, title=title, slug=slug, photo_set=photo_set, preset=preset, seed=seed, **settings)
    study.full_clean()
    with transaction.atomic():
        study.save()
        event_record(study=study, about=About.MADE, sentence=f"Made the study from the protocol “{preset}”.")
        conditions_replace(study=study, conditions=default_conditions(bank=bank, checkpoint=checkpoint))
    return study


def study_delete(*, study: Study) -> None:
    """Delete a draft. Its log stays.

    Raises:
        StudyStateWrong: If the study is no draft: what raters may have seen is kept.
    """
    with _in_state(study, StudyState.DRAFT, to="delete it"):
        event_record(study=study, about=About.MADE, sentence=f"Deleted the draft “{study.title}”.")
        study.delete()


def draft_require(study: Study, *, to: str) -> None:
    """Refuse to change a study that is no draft.

    Raises:
        StudyStateWrong: With the way out.
    """
    if study.is_frozen:
        raise StudyStateWrong(f"The design of “{study.title}” is frozen since it was opened; make a new study to {to}.")
    if study.state != StudyState.DRAFT:
        raise StudyStateWrong(f"“{study.title}” is {study.state}; take it back to draft to {to}.")


def settings_change(*, study: Study, fields: Sequence[str]) -> None:
    """Keep new values of fields, as they stand in the object, of a study that is a draft.

    Raises:
        StudyStateWrong: If the study is no draft.
    """
    with transaction.atomic():
        before = Study.objects.select_for_update().get(pk=study.pk)
        draft_require(before, to="change its protocol")
        study.save(update_fields=list(fields))
        changes = changes_between(fields_named(before, fields), fields_named(study, fields))
        if changes:
            event_record(study=study, about=About.SETTINGS, sentence="Changed the protocol.", changes=changes)


def conditions_replace(*, study: Study, conditions: Sequence[ConditionSpec]) -> None:
    """Give a draft study these conditions, in this order. A condition that stays the same keeps its samples.

    Raises:
        StudyStateWrong: If the study is no draft.
        MethodUnavailable: If there is no such method.
        ParameterInvalid: If a parameter is unknown or out of range, or two conditions are the same.
    """
    rows, names_before = _conditions_make(study, conditions)
    with _in_state(study, StudyState.DRAFT, to="change its conditions"):
        for slug, before in names_before.items():
            _uploaded_rename(study, before, slug, taken=rows)
        kept = {c.slug: c for c in study.conditions.all()}
        named_before = _conditions_named(kept.values())
        for slug, old in kept.items():
            new = rows.get(slug)
            same = new and (new.method, new.parameters, new.bank_id) == (old.method, old.parameters, old.bank_id)
            if not same:
                old.delete()
        for place, condition in enumerate(study.conditions.all()):  # out of the way of the unique positions
            Condition.objects.filter(pk=condition.pk).update(position=1000 + place)
        kept = {c.slug: c for c in study.conditions.all()}
        for slug, new in rows.items():
            if slug in kept:
                Condition.objects.filter(pk=kept[slug].pk).update(position=new.position, role=new.role, label=new.label)
            else:
                new.save()
        changes = changes_between(named_before, _conditions_named(rows.values()))
        if changes:
            event_record(study=study, about=About.CONDITIONS, sentence="Changed the conditions.", changes=changes)


def _conditions_make(study: Study, specs: Sequence[ConditionSpec]) -> tuple[dict[str, Condition], dict[str, str]]:
    """Return conditions not yet kept, by slug, and which slugs those of uploaded pictures had before."""
    rows: dict[str, Condition] = {}
    names_before: dict[str, str] = {}
    for position, spec in enumerate(specs):
        method = methods.method_get(spec.method)
        parameters = method.parameters_check(spec.parameters, checkpoints=Path(settings.CHECKPOINTS_DIR))
        label = spec.label or _label_make(method, parameters)
        slug = slugify(label.replace(".", "-"))[:50] or f"{spec.method.replace('_', '-')}-{position + 1}"
        if slug in rows:
            other = rows[slug].label
            twice = f"Two conditions are called “{label}”"
            alike = f"“{label}” and “{other}” would have one name, {slug}, in exports"
            raise ParameterInvalid(f"{twice if label == other else alike}; give one of them another label.")
        if method.needs == "files":
            names_before[slug] = spec.was
        rows[slug] = Condition(
            study=study,
            position=position,
            slug=slug,
            label=label,
            method=spec.method,
            parameters=parameters,
            role=spec.role or method.default_role,
            bank=spec.bank if method.needs == "bank" else None,
        )
    return rows, names_before


def _conditions_named(conditions: Iterable[Condition]) -> dict[str, str]:
    """Return what the log says of conditions: place, role, method, parameters and bank, by label."""
    named = {}
    for condition in conditions:
        words = [f"{condition.position + 1}.", condition.role, condition.method]
        words += [f"{name}={value}" for name, value in condition.parameters.items()]
        named[condition.label] = " ".join([*words, f"bank “{condition.bank.name}”"] if condition.bank else words)
    return named


def _uploaded_rename(study: Study, before: str, after: str, *, taken: Mapping[str, Condition]) -> None:
    """Give a condition of uploaded pictures its new slug; its samples go, since their seeds follow from the slug."""
    if not before or before == after or before in taken or study.conditions.filter(slug=after).exists():
        return
    for condition in study.conditions.filter(slug=before, method="uploaded"):
        condition.samples.all().delete()
        condition.slug = after
        condition.save(update_fields=["slug"])


def _label_make(method: methods.Method, parameters: Mapping[str, object]) -> str:
    tau = parameters.get("tau")
    return (
        method.label
        if tau is None
        else f"{method.label}, tau {tau:.1f}"
        if float(f"{tau:.1f}") == tau
        else f"{method.label}, tau {tau:g}"
    )


def study_prepare(*, study: Study) -> None:
    """Take the study's photos, keep some for practice, and mark it as preparing; the caller enqueues the sampling.

    Raises:
        StudyStateWrong: If the study is neither a draft nor preparing.
        StudyIncomplete: If something is missing; the message says what.
    """
    with _in_state(study, StudyState.DRAFT, StudyState.PREPARING, to="prepare its samples"):
        Sample.objects.filter(condition__study=study, status=SampleStatus.FAILED).update(
            status=SampleStatus.PENDING, reason=""
        )
        _complete_or_raise(study)
        if study.state == StudyState.DRAFT and not study.photos_fixed:
            photos_take(study=study)
        _state_save(study, StudyState.PREPARING, "Started the preparation of the samples.")


def photos_take(*, study: Study) -> None:
    """Enter every photo of the study's set; which ones serve for practice follows from the study's seed.

    Photos cut from one photograph stay together, so that practice shows nothing of what is judged later: photographs
    are drawn until there are enough photos for practice; for two tries, if practice has to be passed and the set has
    photos to spare.
    """
    photos = list(study.photo_set.photos.order_by("sha256").values_list("pk", "source_sha256"))
    wanted = study.practice_count
    if study.practice_pass and len(photos) >= PRACTICE_TRIES * wanted + study.main_count:
        wanted *= PRACTICE_TRIES
    scenes: dict[str, list[int]] = {}
    for pk, source in photos:
        scenes.setdefault(source, []).append(pk)
    sources = sorted(scenes)
    for_practice: set[int] = set()
    for i in np.random.default_rng(study.seed).permutation(len(sources)):
        if len(for_practice) >= wanted:
            break
        for_practice.update(scenes[sources[i]])
    study.study_photos.all().delete()
    StudyPhoto.objects.bulk_create(
        StudyPhoto(study=study, photo_id=pk, use=Use.PRACTICE if pk in for_practice else Use.MAIN) for pk, _ in photos
    )


def study_reopen_draft(*, study: Study) -> None:
    """Take a study that was never opened back to draft; its samples stay, its pairs and previews go.

    Raises:
        StudyStateWrong: If the study was opened.
    """
    with _in_state(study, StudyState.PREPARING, StudyState.READY, to="change it"):
        pairs_clear(study=study)
        _state_save(study, StudyState.DRAFT, "Took the study back to draft.")


def study_open(*, study: Study) -> None:
    """Freeze the design and take raters. Previews made before are kept, apart.

    Raises:
        StudyStateWrong: If the study is not ready.
        StudyIncomplete: If something is missing; the message says what.
    """
    with _in_state(study, StudyState.READY, to="open it"):
        _complete_or_raise(study)
        study.design = design_json(study)
        study.design_sha256 = hashlib.sha256(study.design.encode()).hexdigest()
        study.opened_at = timezone.now()
        done = "Opened the study and froze its design."
        _state_save(study, StudyState.OPEN, done, "design", "design_sha256", "opened_at")


def study_pause(*, study: Study) -> None:
    """Take no new raters for a while; those under way may finish.

    Raises:
        StudyStateWrong: If the study is not open.
    """
    with _in_state(study, StudyState.OPEN, to="pause it"):
        done = "Paused the study: nobody new can start, and those under way may finish."
        _state_save(study, StudyState.PAUSED, done)


def study_resume(*, study: Study) -> None:
    """Take raters again.

    Raises:
        StudyStateWrong: If the study is not paused.
    """
    with _in_state(study, StudyState.PAUSED, to="take raters again"):
        _state_save(study, StudyState.OPEN, "Opened the study to raters again.")


def study_close(*, study: Study) -> None:
    """End a study for good.

    Raises:
        StudyStateWrong: If the study is neither open nor paused.
    """
    with _in_state(study, StudyState.OPEN, StudyState.PAUSED, to="close it"):
        study.closed_at = timezone.now()
        _state_save(study, StudyState.CLOSED, "Closed the study.", "closed_at")


@contextmanager
def _in_state(study: Study, *states: StudyState, to: str) -> Iterator[None]:
    """Run the block in one transaction that nobody else can change the study in; raise if it is in another state."""
    with transaction.atomic():
        study.refresh_from_db(from_queryset=Study.objects.select_for_update())
        if study.state not in states:
            wanted = " or ".join(states)
            raise StudyStateWrong(f"The study “{study.title}” is {study.state}; it must be {wanted} to {to}.")
        yield


def _complete_or_raise(study: Study) -> None:
    problems = study_problems(study)
    if problems:
        raise StudyIncomplete(" ".join(problems))


def _state_save(study: Study, state: StudyState, done: str, *fields: str) -> None:
    """Keep the state and further fields, and what was done in the log."""
    before, study.state = study.state, state
    study.save(update_fields=["state", *fields])
    changes = changes_between({"State": str(before)}, {"State": str(state)})
    if "design_sha256" in fields:
        changes += changes_between({}, {"Design SHA-256": study.design_sha256})
    event_record(study=study, about=About.STEP, sentence=done, changes=changes)
