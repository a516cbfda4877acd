"""What there is to see beside fool rates, in words and cells: sensitivity, agreement, times, order, fidelity."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass

from studies.reports.section import Column, Section, section_make
from studies.reports.wording import MISSING, percent
from studies.statistics.correlation import RankCorrelation
from studies.statistics.fool_rate import FoolRate
from studies.statistics.phrases import level, points
from studies.statistics.results import ResultTable
from studies.statistics.staircase import ExposureScore
from studies.statistics.summaries import ConditionSummary

METRICS = {"psnr": "pSNR", "ssim": "SSIM"}
Cell = Callable[[ConditionSummary], str]


def summary_sections(found: Sequence[ConditionSummary], table: ResultTable) -> list[Section]:
    """Return the sections of a report that tell more than the fool rate.

    Args:
        found: The summaries, of the same votes as the table.
        table: The results.
    """
    if not found:
        return []
    alone = [one for one in found if one.single]
    held = [one for one in found if one.exposure]
    sections = [_exposures(held, level(table.alpha))] if held else []
    sections += [_single(alone, level(table.alpha))] if alone else []
    sections.append(_sensitivity(found, level(table.alpha)))
    if any(one.reaction_times or one.learning or one.side_effect for one in found):
        sections.append(_order(found, level(table.alpha)))
    if any(one.correlations for one in found):
        sections.append(_fidelity(found, level(table.alpha)))
    return sections


def _exposures(found: Sequence[ConditionSummary], shown: str) -> Section:
    def cell(text: Callable[[ExposureScore], str]) -> Cell:
        return lambda one: text(one.exposure) if one.exposure else MISSING

    return section_make(
        found,
        [
            *_head(),
            Column(f"exposure, ms [{shown}]", cell(_in_ms)),
            Column("SD", cell(lambda score: MISSING if score.sd_ms is None else f"{score.sd_ms:.0f}")),
            Column("blocks from, to", cell(lambda score: f"{score.lowest_ms:.0f}, {score.highest_ms:.0f}")),
            Column("% right", cell(lambda score: f"{100 * score.right_rate:.1f}")),
            Column("raters", cell(lambda score: str(score.n_raters))),
            Column("answers", cell(lambda score: str(score.n_responses))),
        ],
        name="exposures",
        heading="Exposures that answers set: HYPE-time's score",
        about="Errors made exposures longer and right answers made them shorter. The score is the exposure asked for "
        "most often in a block, as the mean over blocks and then over raters; more means harder to tell from photos. "
        "Its interval, and its SD, are of 10,000 draws of raters: for new raters on these pictures. A block at the "
        "least or the longest exposure of the staircase is a bound. Shares of errors are held by the rule, and tell no "
        "methods apart.",
        notes=noted(found, lambda one: one.exposure.notes if one.exposure else ()),
        record=lambda one: _record(one, "exposure"),
    )


def _in_ms(score: ExposureScore) -> str:
    ends = "" if score.ci_low_ms is None else f" [{score.ci_low_ms:.0f}, {score.ci_high_ms:.0f}]"
    return f"{score.score_ms:.0f}{ends}"


def _single(found: Sequence[ConditionSummary], shown: str) -> Section:
    def part(which: str) -> Cell:
        def cell(one: ConditionSummary) -> str:
            rate: FoolRate = getattr(one.single, which)
            return percent(rate.rate, rate.ci_low, rate.ci_high)

        return cell

    def answers(one: ConditionSummary) -> str:
        return f"{one.single.samples.n_responses} + {one.single.photos.n_responses}" if one.single else MISSING

    return section_make(
        found,
        [
            *_head(),
            Column(f"% of samples taken for photos [{shown}]", part("samples")),
            Column(f"% of photos taken for samples [{shown}]", part("photos")),
            Column(f"HYPE score, % [{shown}]", part("both")),
            Column("d'", lambda one: signed(one.single.d_prime if one.single else None)),
            Column("answers", answers),
        ],
        name="single_pictures",
        heading="Single pictures: errors on samples and on photos",
        about="Each picture was shown alone: real or fake? The first column is the fool rate. The HYPE score is the "
        "share of errors over both kinds: 50 % means “cannot tell”, more that samples look more real than photos. "
        "d': distance of samples from photos, whatever raters prefer to say; 0 means “cannot tell”. Answers: on "
        "samples + on photos.",
        notes=noted(found, _single_notes),
        record=lambda one: _record(one, "single"),
    )


def _single_notes(one: ConditionSummary) -> tuple[str, ...]:
    if one.single is None:
        return ()
    corrected = "One kind was always or never judged rightly: d' is taken with half an error added to each."
    notes = [corrected] if one.single.is_corrected else []
    return (*notes, *(f"On photos: {note}" for note in one.single.photos.notes))


def _sensitivity(found: Sequence[ConditionSummary], shown: str) -> Section:
    columns = [
        *_head(),
        Column(
            f"d' [{shown}]",
            lambda one: (
                interval(one.detection.d_prime, one.detection.ci_low, one.detection.ci_high)
                if one.detection
                else MISSING
            ),
        ),
        Column("d' without side", lambda one: signed(one.sided.d_prime if one.sided else None)),
        Column(
            f"agreement [{shown}]",
            lambda one: interval(one.agreement.krippendorff, one.agreement.ci_low, one.agreement.ci_high),
        ),
        Column("pictures with two votes", lambda one: str(one.agreement.n_images)),
    ]
    return section_make(
        found,
        columns,
        name="sensitivity",
        heading="Sensitivity and agreement",
        about="d': distance from “cannot tell” (0) on a scale of equal steps; without side: the preference for the "
        "first or second picture taken out. Agreement: Krippendorff's alpha, whether raters are fooled by the same "
        "pictures; near 0 "
        "it is no fault of the raters where a rate is near 50 % or pictures are alike.",
        notes=noted(found, lambda one: (*(one.detection.notes if one.detection else ()), *one.agreement.notes)),
        record=lambda one: _record(one, "detection", "sided", "agreement"),
    )


def _order(found: Sequence[ConditionSummary], shown: str) -> Section:
    def seconds(one: ConditionSummary, which: str) -> str:
        times = getattr(one.reaction_times, which, None)
        return MISSING if times is None else f"{times.median_ms / 1000:.2f}"

    columns = [
        *_head(),
        Column("answer in s", lambda one: seconds(one, "overall")),
        Column("fooled", lambda one: seconds(one, "fooled")),
        Column("not fooled", lambda one: seconds(one, "not_fooled")),
        Column(
            f"ratio [{shown}]",
            lambda one: (
                interval(one.reaction_times.ratio, one.reaction_times.ratio_low, one.reaction_times.ratio_high)
                if one.reaction_times
                else MISSING
            ),
        ),
        Column(
            f"points over ten pairs [{shown}]",
            lambda one: (
                in_points(one.learning.change, one.learning.ci_low, one.learning.ci_high) if one.learning else MISSING
            ),
        ),
        Column(
            f"photo first less second, points [{shown}]",
            lambda one: (
                in_points(one.side_effect.difference, one.side_effect.ci_low, one.side_effect.ci_high)
                if one.side_effect
                else MISSING
            ),
        ),
    ]
    return section_make(
        found,
        columns,
        name="times_and_order",
        heading="Reaction times, learning and sides",
        about="Times: median of the raters' medians, from when the buttons can be used; ratio of the geometric means "
        "of fooled answers and others. Learning: change of the fool rate over ten pairs, below 0 if raters get better. "
        "Sides: fool rate "
        "where the photo came first less that where it came second.",
        notes=noted(
            found,
            lambda one: tuple(
                note for part in (one.reaction_times, one.learning, one.side_effect) if part for note in part.notes
            ),
        ),
        record=lambda one: _record(one, "reaction_times", "learning", "side_effect"),
    )


def _fidelity(found: Sequence[ConditionSummary], shown: str) -> Section:
    def of(metric: str) -> Cell:
        def cell(one: ConditionSummary) -> str:
            rank = next((r for r in one.correlations if r.metric == metric), None)
            return interval(rank.rho, rank.ci_low, rank.ci_high) if rank else MISSING

        return cell

    return section_make(
        found,
        [
            *_head(),
            *(Column(f"with {name} [{shown}]", of(metric)) for metric, name in METRICS.items()),
            Column("pictures", lambda one: str(max((r.n_pictures for r in one.correlations), default=0))),
        ],
        name="realism_and_fidelity",
        heading="Realism against pixel metrics, picture by picture",
        about="Spearman's rank correlation, within each method, of the share of raters whom a picture fooled with its "
        "pSNR and "
        "SSIM. Where it is near 0, a pixel metric does not tell which pictures look real.",
        notes=noted(found, lambda one: tuple(note for rank in one.correlations for note in rank.notes)),
        record=lambda one: (
            {"condition": one.condition, "label": one.label}
            | {f"{rank.metric}_{name}": value for rank in one.correlations for name, value in _rank(rank).items()}
        ),
    )


def _head() -> list[Column[ConditionSummary]]:
    return [Column("Condition", lambda one: one.label)]


def _rank(rank: RankCorrelation) -> dict[str, object]:
    return {name: getattr(rank, name) for name in ("rho", "ci_low", "ci_high", "n_pictures", "n_scenes")}


def _record(one: ConditionSummary, *names: str) -> Mapping[str, object]:
    """Return the figures of some parts of a summary, flat: `detection_d_prime` and the like."""
    record: dict[str, object] = {"condition": one.condition, "label": one.label}
    for name in names:
        part = getattr(one, name)
        if part is not None:
            record |= _flat(name, part)
    return record


def _flat(name: str, part: object) -> dict[str, object]:
    flat: dict[str, object] = {}
    for field in fields(part):  # type: ignore[arg-type] # parts are dataclasses
        value = getattr(part, field.name)
        if is_dataclass(value) and not isinstance(value, type):
            cells = {key: cell for key, cell in asdict(value).items() if not isinstance(cell, tuple)}
            flat |= {f"{name}_{field.name}_{key}": cell for key, cell in cells.items()}
        elif not isinstance(value, tuple):
            flat[f"{name}_{field.name}"] = value
    return flat


def noted(found: Sequence[ConditionSummary], notes_of: Callable[[ConditionSummary], tuple[str, ...]]) -> list[str]:
    """Return notes, the same one once with all its conditions before it; alone where it is of every condition."""
    labels: dict[str, list[str]] = {}
    for one in found:
        for note in dict.fromkeys(notes_of(one)):
            labels.setdefault(note, []).append(one.label)
    return [note if len(of) == len(found) else f"{', '.join(of)}: {note}" for note, of in labels.items()]


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """Return a figure with its interval and two digits, an open end as a dash.

    Example:
        >>> interval(1.8115, 1.25, 2.5), interval(0.5, None, None)
        ('1.81 [1.25, 2.50]', '0.50')
    """
    if value is None:
        return MISSING
    if low is None and high is None:
        return signed(value)
    return f"{signed(value)} [{signed(low)}, {signed(high)}]"


def signed(value: float | None) -> str:
    """Return a figure with two digits and a true minus sign, or a dash."""
    return MISSING if value is None else f"{value:z.2f}".replace("-", "\N{MINUS SIGN}")


def in_points(value: float, low: float | None, high: float | None) -> str:
    """Return a difference of shares in points with its interval.

    Example:
        >>> in_points(0.031, 0.002, 0.06)
        '+3.1 [+0.2, +6.0]'
    """
    if low is None or high is None:
        return points(value)
    return f"{points(value)} [{points(low)}, {points(high)}]"
