"""Raw responses as rows of text, by the schema in docs/export-schema.md."""

from collections.abc import Iterator

from studies.models import FINISHED, Origin, SessionState, Side, Study
from studies.selectors.responses import responses_of
from studies.selectors.results import FIDELITY, caution_get, fidelity_get
from studies.selectors.studies import reference_get
from studies.statistics.responses_csv import COLUMNS, DECLARATION


def responses_rows(study: Study, *, origin: Origin) -> Iterator[list[str]]:
    """Yield the header, then one row a response of one origin, in the order of sessions and positions.

    Last comes a row of the kind `DECLARATION` for each condition without any response, so that the file alone gives the
    whole table.
    """
    yield [column.name for column in COLUMNS]
    fidelity = {
        slug: {name: _exact(getattr(means, name)) for name in FIDELITY} for slug, means in fidelity_get(study).items()
    }
    reference, caution = reference_get(study) or "", caution_get(study, origin=origin)
    heads = {
        condition.pk: {
            "study": study.slug,
            "study_title": study.title,
            "design_sha256": study.design_sha256,
            "comparison_family": study.comparison_family,
            "comparison_reference": reference,
            "equivalence_margin": repr(study.equivalence_margin),
            "caution": caution,
            "origin": origin.value,
            "condition": condition.slug,
            "condition_label": condition.label,
            "condition_order": str(order),
            "role": condition.role,
            "question": study.question,
            **fidelity.get(condition.slug, {}),
        }
        for order, condition in enumerate(study.conditions.order_by("position"), start=1)
    }
    shown_first = {str(Side.FIRST): "photo", str(Side.SECOND): "sample"}
    unseen = dict(heads)
    responses = (
        responses_of(study, origin=origin)
        .select_related("trial__session__rater", "trial__pair__sample", "trial__photo")
        .order_by("trial__session", "trial__position")
    )
    for response in responses.iterator(chunk_size=2_000):
        trial = response.trial
        session = trial.session
        condition = trial.pair.sample.condition_id
        unseen.pop(condition, None)
        row = heads[condition] | {
            "session": str(session),
            "rater": str(session.rater),
            "completed": _flag(session.state in FINISHED),
            "excluded": _flag(session.state == SessionState.EXCLUDED),
            "exclusion_reason": session.exclusion_reason,
            "language": session.language,
            "photo": trial.photo.sha256[:16],
            "scene": trial.photo.source_sha256[:16],
            "position": str(trial.position),
            "kind": trial.kind,
            "photo_side": trial.photo_side,
            "shown": shown_first[trial.photo_side] if study.is_single else "pair",
            "chosen_side": response.chosen_side,
            "asked_for": response.asked_for,
            "pressed_side": response.pressed_side,
            "fooled": _flag(response.chosen_side != trial.photo_side),
            "rt_ms": str(response.rt_ms),
            "exposure_first_ms": _ms(response.exposure_first_ms),
            "exposure_second_ms": _ms(response.exposure_second_ms),
            "device_scale": _number(response.device_scale),
            "pixel_ratio": _number(response.pixel_ratio),
            "frames_first": _number(response.frames_first),
            "frames_second": _number(response.frames_second),
            "frame_interval_ms": _ms(response.frame_interval_ms),
            "exposure_missed": _flag(response.exposure_missed),
            "set_aside": _flag(response.is_set_aside),
            "was_hidden": _flag(response.was_hidden),
            "sample_psnr": _exact(trial.pair.sample.psnr),
            "sample_ssim": _exact(trial.pair.sample.ssim),
            "lost_focus": _flag(response.lost_focus),
            "focus_losses": str(response.focus_losses),
            "automation": response.automation,
            "answered_at": response.answered_at.isoformat(timespec="milliseconds"),
        }
        yield [row.get(column.name, "") for column in COLUMNS]
    for head in unseen.values():
        yield [(head | {"kind": DECLARATION}).get(column.name, "") for column in COLUMNS]


def _flag(value: bool) -> str:
    return "1" if value else "0"


def _exact(value: float | None) -> str:
    return "" if value is None else repr(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.15g}"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
