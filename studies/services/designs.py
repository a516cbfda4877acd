"""Designs travel: a study is made again from its design, elsewhere or here."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import transaction

from studies import methods
from studies.errors import DesignInvalid, EvalsiteError
from studies.models import (
    About,
    Change,
    Condition,
    PhotoSet,
    Recruitment,
    Researcher,
    Role,
    Study,
    StudyPhoto,
    StudySetup,
    UploadedPicture,
    Use,
)
from studies.selectors.pictures import bank_digest
from studies.selectors.studies import DESIGN_SCHEMA, PROTOCOL, PROTOCOL_WHERE_USED, canonical_json, design_get
from studies.services.events import event_record
from studies.services.studies import ConditionSpec, conditions_replace
from studies.statistics.quality import QualityRules

FILE_BYTES = 20_000_000
"""Most bytes of a design's file; one of 5000 photos and 6 conditions has some 8 MB."""

SHOWN = 60
"""So many letters of a value are shown where it is refused."""

ANALYSIS = {
    "comparisons": "comparison_family",
    "reference": "reference_condition",
    "equivalence_margin": "equivalence_margin",
    "stopping_rule": "stopping_rule",
}
"""Key of the design's analysis -> field of a study; the others are the same in every study of this version."""

RULES = (*(rule.name for rule in dataclasses.fields(QualityRules)), "missed_exposure")

NOT_CLONED = frozenset(
    {
        "id",
        "owner",
        "title",
        "slug",
        "code",
        "state",
        "imported_sha256",
        "design",
        "design_sha256",
        "created_at",
        "opened_at",
        "closed_at",
    }
)


def design_import(
    *, data: bytes, owner: Researcher, photo_set: PhotoSet, bank: PhotoSet | None = None, slug: str = ""
) -> Study:
    """Make a draft study from an exported design; prepared, it has the same samples, pairs, plans and hash.

    Args:
        data: The file, as exported.
        owner: Whose study it becomes.
        photo_set: Where the design's photos are found by their SHA-256; other photos in it are left out.
        bank: Training photos for conditions that search some; looked for among the owner's sets if None.
        slug: Another short name, where the design's own is taken; the hash is then another one too.

    Raises:
        DesignInvalid: If the file is no design, or this site cannot make the study of it; nothing is made then.
    """
    design = _parsed(data)
    with transaction.atomic():
        study = _study_make(design, owner=owner, photo_set=photo_set, slug=slug)
        study.imported_sha256 = hashlib.sha256(canonical_json(design).encode()).hexdigest() if design["pairs"] else ""
        study.save()
        changes = [Change("SHA-256 of the imported design", None, study.imported_sha256)] * bool(study.imported_sha256)
        said = "Made the study from an imported design."
        event_record(study=study, about=About.MADE, sentence=said, changes=changes)
        _conditions_make(study, design, bank=bank)
        _photos_enter(study, design)
        _compare(design, study, is_renamed=bool(slug))
    return study


def study_clone(*, study: Study, owner: Researcher, title: str, slug: str) -> Study:
    """Make a draft like a study: settings, conditions, uploaded pictures, recruitment, plan; no votes, ids or codes.

    Raises:
        django.core.exceptions.ValidationError: If the slug is taken, or the title or the slug cannot be used.
    """
    kept = {
        field.attname: getattr(study, field.attname)
        for field in Study._meta.concrete_fields  # noqa: SLF001 -- the documented way to a model's fields
        if field.name not in NOT_CLONED
    }
    clone = Study(owner=owner, title=title, slug=slug, **kept)
    clone.full_clean()
    with transaction.atomic():
        clone.save()
        event_record(study=clone, about=About.MADE, sentence=f"Cloned the study from “{study.slug}”.")
        if study.photos_fixed:
            rows = study.study_photos.values_list("photo_id", "use")
            StudyPhoto.objects.bulk_create(StudyPhoto(study=clone, photo_id=pk, use=use) for pk, use in rows)
        for condition in study.conditions.order_by("position"):
            old, condition.pk, condition.study = condition.pk, None, clone
            condition.save(force_insert=True)
            _uploaded_copy(UploadedPicture.objects.filter(condition=old, upload=None), condition)
        recruitment = Recruitment.objects.filter(study=study).first()
        if recruitment is not None:
            recruitment.pk, recruitment.study = None, clone
            # Codes belong to one study at the panel: an old one would end a new study's participants as the old one's.
            recruitment.exits, recruitment.sends_failed_attention = {}, False
            recruitment.save(force_insert=True)
        setup = StudySetup.objects.filter(study=study).first()
        if setup is not None:
            setup.pk, setup.study, setup.steps_done = None, clone, []  # nobody has looked at the clone's steps yet
            setup.save(force_insert=True)
    return clone


def _uploaded_copy(pictures: Iterable[UploadedPicture], condition: Condition) -> None:
    for old in pictures:
        new = UploadedPicture(condition=condition, photo_id=old.photo_id, name=old.name, sha256=old.sha256)
        with old.picture.open("rb") as file:
            new.picture.save(f"{old.sha256[:16]}.png", ContentFile(file.read()), save=False)
        new.save()


def _refuse(place: str, value: object, cure: str) -> NoReturn:
    shown = json.dumps(value, ensure_ascii=True, default=str)
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}\N{HORIZONTAL ELLIPSIS}"
    raise DesignInvalid(f"In the design, {place} is {shown}: {cure}")


def _parsed(data: bytes) -> dict[str, Any]:
    """Read a file as JSON of the design's form; what stands in it is looked at later."""
    if len(data) > FILE_BYTES:
        raise DesignInvalid(
            f"The file has {len(data) / 1e6:.0f} MB, of at most {FILE_BYTES / 1e6:g}: give a study's design."
        )

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(name for name, _ in pairs if [name for name, _ in pairs].count(name) > 1)
            raise DesignInvalid(f"The design has “{twice[:SHOWN]}” twice in one place: export it once more.")
        return found

    def no_number(word: str) -> NoReturn:
        raise DesignInvalid(f"The design has {word}, which is no number: export it once more.")

    try:
        design = json.loads(data.decode("utf-8"), object_pairs_hook=once, parse_constant=no_number)
        json.dumps(design, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise DesignInvalid(
            f"The file is no JSON in UTF-8 ({str(error)[:SHOWN]}): give design.json as a study's page exports it."
        ) from error
    if not isinstance(design, dict) or "schema" not in design:
        raise DesignInvalid("The file is JSON, but no design: give design.json as a study's page exports it.")
    if design["schema"] != DESIGN_SCHEMA:
        _refuse("schema", design["schema"], f"this version reads {DESIGN_SCHEMA}; take the version that exported it.")
    forms: dict[str, type] = {
        **dict.fromkeys(("study", "title"), str),
        "seed": int,
        **dict.fromkeys(("protocol", "texts", "exclusions", "analysis", "pictures"), dict),
        **dict.fromkeys(("photos", "conditions", "pairs"), list),
    }
    _keys_check(design, {"schema", *forms}, "the design")
    for name, form in forms.items():
        if type(design[name]) is not form:
            _refuse(name, design[name], f"it must be {_NAMES[form]}.")
    return design


_NAMES: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    dict: "an object with named values",
    list: "a list",
}


def _keys_check(found: Mapping[str, Any], wanted: Iterable[str], place: str) -> None:
    """Refuse an object that lacks a key or has another one."""
    wanted = set(wanted)
    if missing := sorted(wanted - found.keys()):
        raise DesignInvalid(f"{place.capitalize()} lacks “{missing[0]}”: export it once more, by this version.")
    if unknown := sorted(found.keys() - wanted):
        raise DesignInvalid(
            f"{place.capitalize()} has “{unknown[0][:SHOWN]}”, which this version does not know: take the version that "
            "exported it."
        )


def _study_make(design: Mapping[str, Any], *, owner: Researcher, photo_set: PhotoSet, slug: str) -> Study:
    """Return the study with the design's settings, checked, not saved."""
    used = [names for names in PROTOCOL_WHERE_USED if not design["protocol"].keys().isdisjoint(names)]
    _keys_check(design["protocol"], (*PROTOCOL, *chain.from_iterable(used)), "protocol")
    _keys_check(design["exclusions"], (*RULES, "incomplete"), "exclusions")
    _keys_check(design["analysis"], (*ANALYSIS, "interval", "estimand", "alpha"), "analysis")
    fields = {"title": design["title"], "seed": design["seed"], **design["protocol"]}
    fields |= {name: design["exclusions"][name] for name in RULES}
    fields |= {field: design["analysis"][key] for key, field in ANALYSIS.items()}
    for name, value in fields.items():
        if isinstance(value, dict | list) or (isinstance(value, str) and "\0" in value):
            _refuse(name, value, "it must be a text or a number.")
    fields["reference_condition"] = fields["reference_condition"] or ""
    short_name = slug or design["study"]
    if Study.objects.filter(slug=short_name).exists():
        raise DesignInvalid(
            f"There is a study with the short name “{short_name}” here: give another one, with which the hash changes."
        )
    study = Study(owner=owner, photo_set=photo_set, slug=short_name, **fields)
    try:
        study.full_clean()
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        if name in fields or name == "slug":
            _refuse(name, fields.get(name, short_name), f"{messages[0].rstrip('.')}.")
        raise DesignInvalid(f"The design's settings do not go together: {messages[0].rstrip('.')}.") from error
    sizes = {name: getattr(photo_set, name) for name in ("high_res_size", "low_res_size", "cropping")}
    for name, here in sizes.items():
        if design["pictures"].get(name) != here:
            _refuse(
                f"pictures.{name}",
                design["pictures"].get(name),
                f"the set “{photo_set.name}” has {here}; name another.",
            )
    return study


def _conditions_make(study: Study, design: Mapping[str, Any], *, bank: PhotoSet | None) -> None:
    specs = []
    for place, entry in enumerate(design["conditions"], start=1):
        if not isinstance(entry, dict):
            _refuse(f"condition {place}", entry, "it must be an object with named values.")
        _keys_check(entry, ("slug", "label", "role", "method", "parameters", "digest"), f"condition {place}")
        for name in ("slug", "label", "role", "method", "digest"):
            if not isinstance(entry[name], str) or "\0" in entry[name] or len(entry[name]) > 64:
                _refuse(f"{name} of condition {place}", entry[name], "it must be a text of at most 64 letters.")
        if entry["role"] not in Role.values:
            _refuse(f"role of condition {place}", entry["role"], f"choose one of {', '.join(Role.values)}.")
        if not isinstance(entry["parameters"], dict):
            _refuse(f"parameters of condition {place}", entry["parameters"], "they must be named values.")
        specs.append(
            ConditionSpec(
                entry["method"],
                entry["parameters"],
                role=entry["role"],
                label=entry["label"],
                bank=_bank_find(study, entry, bank),
            )
        )
    try:
        conditions_replace(study=study, conditions=specs)
    except EvalsiteError as error:
        raise DesignInvalid(f"A condition of the design cannot be made here: {error}") from error
    for entry in design["conditions"]:
        _checkpoint_check(entry)


def _bank_find(study: Study, entry: Mapping[str, Any], named: PhotoSet | None) -> PhotoSet | None:
    """Return the bank of a condition: the named one, or one of the owner's that has the digest."""
    if entry["method"] not in methods.METHODS or methods.METHODS[entry["method"]].needs != "bank":
        return None
    wanted = entry["digest"]
    if not wanted:
        return named
    sets = [named] if named else PhotoSet.objects.filter(owner=study.owner).exclude(pk=study.photo_set_id)
    found = next((one for one in sets if bank_digest(one) == wanted), None)
    if found is None:
        where = f"the set “{named.name}” has another" if named else "no photo set of yours has it"
        raise DesignInvalid(
            f"“{entry['label']}” searches the bank of digest {wanted[:12]}, and {where}: bring in the bank's photos."
        )
    return found


def _checkpoint_check(entry: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that has the design's name but is another one."""
    method = methods.METHODS[entry["method"]]
    for parameter in method.parameters:
        if parameter.network and entry["digest"]:
            name = str(entry["parameters"].get(parameter.name, parameter.default))
            path = methods.checkpoint_path(name, network=parameter.network, folder=Path(settings.CHECKPOINTS_DIR))
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "none"
            if digest != entry["digest"]:
                raise DesignInvalid(
                    f"“{entry['label']}” was made with the checkpoint “{name}” of digest {entry['digest'][:12]}, but "
                    f"here that name has {digest[:12]}: bring that checkpoint in under its name."
                )


def _photos_enter(study: Study, design: Mapping[str, Any]) -> None:
    """Enter the design's photos with their uses; the design of a draft that was never prepared has none yet."""
    uses: dict[str, str] = {}
    for place, entry in enumerate(design["photos"], start=1):
        if not isinstance(entry, dict) or {type(value) for value in entry.values()} != {str}:
            _refuse(f"photo {place}", entry, "it must have a SHA-256 and a use.")
        _keys_check(entry, ("sha256", "use"), f"photo {place}")
        if entry["use"] not in Use.values:
            _refuse(f"use of photo {place}", entry["use"], f"choose one of {', '.join(Use.values)}.")
        uses[entry["sha256"]] = entry["use"]
    there = dict(study.photo_set.photos.values_list("sha256", "pk"))
    missing = sorted(uses.keys() - there.keys())
    if missing:
        raise DesignInvalid(
            f"The set “{study.photo_set.name}” lacks {len(missing)} of the {len(uses)} photos of the design, such as "
            f"the one with the SHA-256 {missing[0][:12]}: add them, or name another set."
        )
    if uses:
        StudyPhoto.objects.bulk_create(
            StudyPhoto(study=study, photo_id=there[sha256], use=use) for sha256, use in uses.items()
        )
        study.photos_fixed = True
        study.save(update_fields=["photos_fixed"])


def _compare(design: Mapping[str, Any], study: Study, *, is_renamed: bool) -> None:
    """Refuse a design that this site would not make again as it is, such as one of another analysis."""
    made = json.loads(canonical_json(design_get(study)))
    theirs = {name: value for name, value in design.items() if name != "pairs"}
    theirs["conditions"] = [entry | {"digest": ""} for entry in theirs["conditions"]]
    theirs["photos"] = sorted(theirs["photos"], key=lambda entry: str(entry["sha256"]))
    if is_renamed:
        theirs["study"] = study.slug
    for name, value in theirs.items():
        _compare_value(name, value, made[name])


def _compare_value(place: str, theirs: object, ours: object) -> None:
    if isinstance(theirs, dict) and isinstance(ours, dict) and theirs.keys() == ours.keys():
        for name in theirs:
            _compare_value(f"{place}.{name}", theirs[name], ours[name])
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for i, (one, other) in enumerate(zip(theirs, ours, strict=True), start=1):
            _compare_value(f"{place} {i}", one, other)
    elif canonical_json({"": theirs}) != canonical_json({"": ours}):
        shown = json.dumps(ours, default=str)[:SHOWN]
        _refuse(place, theirs, f"this version would make it {shown}; export the design by this version, or change it.")
