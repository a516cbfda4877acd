"""What stands in a study's way, and its design as it is frozen."""

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from django.conf import settings
from django.db.models import Count, Q

from studies import methods, planning
from studies.errors import EvalsiteError, PlanImpossible
from studies.models import (
    Assignment,
    ComparisonFamily,
    Condition,
    Feedback,
    Kind,
    Origin,
    Pair,
    Photo,
    Role,
    SampleStatus,
    SessionState,
    Study,
    StudyState,
)
from studies.protocols import STAIRCASE
from studies.selectors.photos import photos_judged
from studies.selectors.sessions import still_running
from studies.selectors.uploads import missing_stems
from studies.selectors.wording import texts_in_languages

DESIGN_SCHEMA = 1
"""Version of the design's JSON; a change of meaning raises it."""

PROTOCOL = (
    "preset",
    "layout",
    "asks_for",
    "question",
    "consent_text",
    "instructions_text",
    "debriefing_text",
    "language",
    "assignment",
    "practice_count",
    "practice_pass",
    "test_count",
    "golden_count",
    "lead_in_ms",
    "exposure_ms",
    "gap_ms",
    "mask_count",
    "mask_ms",
    "display_scale",
    "kernel",
    "raters_wanted",
)
"""Fields of a study that stand in the design as its protocol."""

PROTOCOL_WHERE_USED = (("feedback",), STAIRCASE)
"""Further ones, together or not at all: only where the study uses them, so that older designs keep their hash."""

NAMED = 5
"""So many of the photos that lack something are named."""


class Problem(NamedTuple):
    """What keeps a study from being prepared or opened.

    Attributes:
        step: Where it is mended: "photos", "conditions", "protocol", or "check", where samples are made.
        sentence: What is missing.
        condition: Slug of the condition whose uploaded pictures are missing; "" for all else.
    """

    step: str
    sentence: str
    condition: str = ""


def study_problems(study: Study) -> list[str]:
    """Return a sentence for each thing that keeps the study from being prepared or opened; none if all is well."""
    return [problem.sentence for problem in problems_get(study)]


def problems_get(study: Study) -> list[Problem]:
    """Return each thing that keeps the study from being prepared or opened, and where it is mended."""
    problems: list[Problem] = []
    photos = photos_judged(study).count()
    needed = study.practice_count + study.main_count
    if photos < needed:
        sentence = (
            f"A session shows {needed} different photos ({study.practice_count} practice, {study.test_count} test, "
            f"{study.golden_count} golden), but the set “{study.photo_set.name}” has {photos}; add "
            f"{needed - photos} or ask for fewer pairs."
        )
        problems.append(Problem("photos", sentence))
    conditions = list(study.conditions.select_related("bank"))
    roles = Counter(condition.role for condition in conditions)
    if not roles[Role.TEST]:
        problems.append(Problem("conditions", "No condition is tested; add at least one with the role “tested”."))
    if study.golden_count and roles[Role.GOLDEN] != 1:
        sentence = (
            f"The protocol has {study.golden_count} golden pairs, so exactly one condition must have the role "
            f"“golden”, but {roles[Role.GOLDEN]} have."
        )
        problems.append(Problem("conditions", sentence))
    problems += _reference_problems(study, [condition.slug for condition in conditions if condition.role == Role.TEST])
    for condition in conditions:
        problems += _condition_problems(study, condition)
    if study.state == StudyState.READY and not problems:
        problems += _plan_problems(study)
    failed = study.conditions.filter(samples__status=SampleStatus.FAILED).distinct()
    problems += [
        Problem("check", f"Samples of “{condition.label}” failed; see the reason, mend it, and prepare again.")
        for condition in failed
    ]
    return problems


def _condition_problems(study: Study, condition: Condition) -> list[Problem]:
    try:
        method = methods.method_get(condition.method)
        method.parameters_check(condition.parameters, checkpoints=Path(settings.CHECKPOINTS_DIR))
    except EvalsiteError as error:
        return [Problem("conditions", f"“{condition.label}”: {error}")]
    if method.needs == "files":
        return _upload_problems(condition)
    if method.needs != "bank":
        return []
    bank = condition.bank
    if bank is None:
        sentence = f"“{condition.label}” needs a bank of training photos; choose a photo set for it."
        return [Problem("conditions", sentence)]
    sizes = {(s.high_res_size, s.low_res_size) for s in (bank, study.photo_set)}
    if len(sizes) > 1:
        sentence = f"The bank “{bank.name}” of “{condition.label}” has other sizes than the study's photos."
        return [Problem("conditions", sentence)]
    shared = (
        Photo.objects.filter(photo_set=bank)
        .filter(source_sha256__in=photos_judged(study).values("source_sha256"))
        .values("source_sha256")
        .distinct()
        .count()
    )
    if shared:
        sentence = (
            f"The bank “{bank.name}” holds {shared} of the photos that the study judges, so that "
            f"“{condition.label}” would find the very answer; take a bank of other photos."
        )
        return [Problem("conditions", sentence)]
    return []


def _upload_problems(condition: Condition) -> list[Problem]:
    missing = missing_stems(condition)
    if not missing:
        return []
    named = ", ".join(missing[:NAMED]) + (", and more" if len(missing) > NAMED else "")
    of = photos_judged(condition.study).count()
    sentence = f"“{condition.label}” lacks the pictures of {len(missing)} of {of} photos ({named}); upload them."
    return [Problem("conditions", sentence, condition.slug)]


def reference_get(study: Study) -> str | None:
    """Return the slug of the condition that the others are compared with; None where all pairs are compared.

    It is the one that the protocol names, or the first that is tested; "" if none is.
    """
    if study.comparison_family != ComparisonFamily.REFERENCE:
        return None
    first = study.conditions.filter(role=Role.TEST).order_by("position").values_list("slug", flat=True).first()
    return study.reference_condition or first or ""


def _reference_problems(study: Study, tested: list[str]) -> list[Problem]:
    reference = study.reference_condition
    if not reference or reference in tested:
        return []
    sentence = f"The reference “{reference}” is no tested condition; choose one of {', '.join(tested)} in the protocol."
    return [Problem("protocol", sentence)]


def _plan_problems(study: Study) -> list[Problem]:
    tested = list(study.conditions.filter(role=Role.TEST).values_list("pk", flat=True))
    groups = [[pk] for pk in tested] if study.assignment == Assignment.ONE_CONDITION else [tested]
    try:
        for group in groups:
            planning.plan_session(
                pair_options(study, conditions=group, origin=Origin.PERSON),
                practice_count=study.practice_count,
                test_count=study.test_count,
                golden_count=study.golden_count,
                block_count=study.staircase_blocks,
                rng=np.random.default_rng(0),
            )
    except PlanImpossible as error:
        return [Problem("photos", str(error))]
    return []


def pair_options(study: Study, *, conditions: Sequence[int], origin: Origin) -> list[planning.PairOption]:
    """Return what a session may show: practice and test pairs of the conditions, and every golden pair.

    Their order, and the numbers of the conditions, follow from the design alone: the same study elsewhere has the same
    plans from the same seeds.

    Args:
        study: The study.
        conditions: Primary keys of the tested conditions of this session.
        origin: Whose sessions count as having seen a pair: people's and simulated raters' are balanced apart.
    """
    counted = Q(trials__session__rater__origin=origin, trials__repeat_of=None) & (
        Q(trials__session__state__in=[SessionState.COMPLETE]) | still_running("trials__session__")
    )
    rows = (
        Pair.objects.filter(study=study)
        .filter(Q(kind=Kind.GOLDEN) | Q(sample__condition__in=conditions))
        .annotate(seen=Count("trials", filter=counted))
        .order_by("sample__condition__position", "sample__photo__sha256")
        .values_list("pk", "sample__photo_id", "sample__condition__position", "kind", "sample__sha256", "seen")
    )
    return [planning.PairOption(*row) for row in rows]


def protocol_get(study: Study) -> dict[str, Any]:
    """Return what raters see and do, as the design has it."""
    feedback, staircase = PROTOCOL_WHERE_USED
    used = (*PROTOCOL, *(feedback if study.feedback != Feedback.PRACTICE else ()))
    return {name: getattr(study, name) for name in (*used, *(staircase if study.staircase_blocks else ()))}


def design_get(study: Study) -> dict[str, Any]:
    """Return everything that opening freezes: protocol, conditions, photos, pairs and rules of exclusion."""
    conditions = [
        {
            "slug": condition.slug,
            "label": condition.label,
            "role": condition.role,
            "method": condition.method,
            "parameters": methods.method_get(condition.method).parameters_check(
                condition.parameters, checkpoints=Path(settings.CHECKPOINTS_DIR)
            ),
            "digest": condition.samples.values_list("source_digest", flat=True).order_by("source_digest").first() or "",
        }
        for condition in study.conditions.order_by("position")
    ]
    pairs = study.pairs.order_by("sample__condition__position", "sample__photo__sha256").values_list(
        "kind", "sample__condition__slug", "sample__photo__sha256", "sample__sha256", "sample__seed"
    )
    return {
        "schema": DESIGN_SCHEMA,
        "study": study.slug,
        "title": study.title,
        "seed": study.seed,
        "protocol": protocol_get(study),
        "texts": texts_in_languages(study),
        "exclusions": {
            **dataclasses.asdict(study.quality_rules),
            "incomplete": True,
            "missed_exposure": study.missed_exposure,
        },
        "analysis": {
            "interval": "two_way_wilson",
            "estimand": "new",
            "alpha": 0.05,
            "comparisons": study.comparison_family,
            "reference": reference_get(study),
            "equivalence_margin": study.equivalence_margin,
            "stopping_rule": study.stopping_rule,
        },
        "pictures": {
            "high_res_size": study.photo_set.high_res_size,
            "low_res_size": study.photo_set.low_res_size,
            "cropping": study.photo_set.cropping,
            "downsampling": methods.downsampling_operator(),
        },
        "photos": [
            {"sha256": sha256, "use": use}
            for sha256, use in study.study_photos.order_by("photo__sha256").values_list("photo__sha256", "use")
        ],
        "conditions": conditions,
        "pairs": [
            {"kind": kind, "condition": condition, "photo": photo, "sample": sample, "seed": seed}
            for kind, condition, photo, sample, seed in pairs
        ],
    }


def design_json(study: Study) -> str:
    """Return the design as canonical JSON: keys sorted, no spaces, UTF-8. The frozen one once the study was opened."""
    if study.is_frozen:
        return study.design
    return canonical_json(design_get(study))


def canonical_json(design: Mapping[str, Any]) -> str:
    """Return a design in the one form that is hashed: keys sorted, no spaces, letters as they are."""
    return json.dumps(design, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
