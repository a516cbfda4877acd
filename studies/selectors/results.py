"""The results table of a study."""

from dataclasses import replace

import numpy as np
from django.db.models import Avg

from studies.models import FINISHED, Origin, RatingSession, SampleStatus, SessionState, Study
from studies.reports.published import Reference
from studies.reports.report import report_sections
from studies.reports.section import Section
from studies.selectors.looks import interval_get
from studies.selectors.recruitment import arrivals_get
from studies.selectors.responses import counted_get, last_vote_get, votes_get
from studies.selectors.studies import reference_get
from studies.statistics.comparison import Comparisons
from studies.statistics.fool_rate import Estimand
from studies.statistics.live import live_rates
from studies.statistics.plan import AnalysisPlan
from studies.statistics.results import (
    ConditionFidelity,
    Flow,
    ResultCondition,
    ResultTable,
    Votes,
    session_flow,
)
from studies.statistics.results import (
    Origin as OriginName,
)
from studies.statistics.results import (
    result_table as table_make,
)
from studies.statistics.sequential import LiveEstimate
from studies.statistics.summaries import SEED, ConditionSummary, summaries

FIDELITY = ("psnr", "ssim", "ms_ssim", "ms_ssim_3", "consistency")


def origins_present(study: Study) -> list[Origin]:
    """Return whose sessions the study has, people before simulated raters; previews are not results."""
    sessions = RatingSession.objects.filter(study=study).order_by()  # in an order, each would be another one
    found = set(sessions.values_list("rater__origin", flat=True).distinct())
    return [origin for origin in (Origin.PERSON, Origin.SIMULATED) if origin in found]


def origin_default(study: Study) -> Origin:
    """Return people if any of them finished, else simulated raters if there are some, else people."""
    sessions = RatingSession.objects.filter(study=study, state__in=FINISHED).order_by()
    finished = set(sessions.values_list("rater__origin", flat=True).distinct())
    return Origin.SIMULATED if Origin.SIMULATED in finished and Origin.PERSON not in finished else Origin.PERSON


def fidelity_get(study: Study) -> dict[str, ConditionFidelity]:
    """Return each condition's mean pixel metrics over all of its samples, by slug."""
    means = [Avg(f"samples__{name}") for name in FIDELITY]
    rows = study.conditions.filter(samples__status=SampleStatus.READY).order_by("position")
    return {
        slug: ConditionFidelity(**dict(zip(FIDELITY, figures, strict=True)))
        for slug, *figures in rows.values_list("slug").annotate(*means)
    }


def conditions_get(study: Study) -> list[ResultCondition]:
    """Return the rows of the table, in their order."""
    return [
        ResultCondition(name=condition.slug, label=condition.label, role=condition.role)  # type: ignore[arg-type] # a constraint holds the roles
        for condition in study.conditions.order_by("position")
    ]


def plan_get(study: Study) -> AnalysisPlan | None:
    """Return what of the analysis the design fixes; None where there is nothing to compare yet."""
    plan = AnalysisPlan(
        family=study.comparison_family,  # type: ignore[arg-type] # a constraint holds the families
        reference=reference_get(study),
        margin=study.equivalence_margin,
    )
    return None if plan.problem(conditions_get(study)) else plan


def comparisons_get(study: Study, table: ResultTable) -> Comparisons | None:
    """Return the comparisons that the design fixes, of the votes that a study's table counts; None if it fixes none."""
    plan = plan_get(study)
    if plan is None:
        return None
    return plan.carry_out(
        votes_get(study, origin=Origin(table.origin)),
        conditions=conditions_get(study),
        origin=table.origin,
        alpha=table.alpha,
        estimand=table.estimand,
    )


def live_get(study: Study, table: ResultTable) -> dict[str, LiveEstimate]:
    """Return the confidence sequences of the votes that a study's table counts, by slug."""
    return live_rates(
        votes_get(study, origin=Origin(table.origin)),
        conditions=conditions_get(study),
        origin=table.origin,
        alpha=table.alpha,
        estimand=table.estimand,
    )


def rates_now(study: Study, *, origin: Origin) -> dict[str, LiveEstimate]:
    """Return the confidence sequences of all votes that count by now, by slug."""
    name: OriginName = "simulated" if origin == Origin.SIMULATED else "person"
    return live_rates(counted_get(study, origin=origin), conditions=conditions_get(study), origin=name)


def caution_get(study: Study, *, origin: Origin) -> str:
    """Return why the fixed intervals of a study may not be printed; "" if they may, or if a program voted."""
    interval = interval_get(study) if origin == Origin.PERSON else None
    return interval.reason if interval and interval.kind == "sequence" else ""


def summaries_get(study: Study, table: ResultTable) -> tuple[ConditionSummary, ...]:
    """Return the further summaries of the votes that a study's table counts."""
    return summaries(
        votes_get(study, origin=Origin(table.origin)),
        conditions=conditions_get(study),
        rng=np.random.default_rng(SEED),
        origin=table.origin,
        alpha=table.alpha,
        estimand=table.estimand,
    )


def sections_get(
    study: Study, table: ResultTable, *, has_more: bool = False, reference: Reference | None = None
) -> list[Section]:
    """Return what stands below the table of a study: the comparisons that its design fixes, and what else is asked for.

    Args:
        study: The study.
        table: Its table, whose origin, level and estimand hold for the comparisons too.
        has_more: Whether the further summaries are among them.
        reference: Which published figures to show below, if any.
    """
    compared = comparisons_get(study, table)
    live = live_get(study, table) if table.caution else None
    summed_up = summaries_get(study, table) if has_more else ()
    return report_sections(table, live=live, compared=compared, summed_up=summed_up, reference=reference)


def flow_get(study: Study, votes: Votes, *, origin: Origin) -> Flow:
    """Return where the sessions of one origin went; of people also how many came and how many agreed, where counted."""
    flow = session_flow(votes, origin=origin.value)  # type: ignore[arg-type] # previews have no table
    if study.practice_pass:
        failed = RatingSession.objects.filter(study=study, rater__origin=origin, state=SessionState.FAILED).count()
        flow = replace(flow, failed_practice=failed)
    arrived = arrivals_get(study).arrived
    if origin != Origin.PERSON or not arrived:
        return flow
    consented = RatingSession.objects.filter(study=study, rater__origin=origin).count()
    return replace(flow, arrived=arrived, consented=consented)


def result_table(
    study: Study, *, origin: Origin | None = None, alpha: float = 0.05, estimand: Estimand = "new"
) -> ResultTable:
    """Return the table of a study: one row a condition, pixel metrics and fool rate with its interval.

    Args:
        study: The study.
        origin: Whose answers: people's or simulated raters', never both. `origin_default` if not given.
        alpha: One minus the level of the intervals.
        estimand: "new" raters and new images, or "these" images only.
    """
    origin = origin or origin_default(study)
    votes = votes_get(study, origin=origin)
    return table_make(
        votes,
        conditions=conditions_get(study),
        fidelity=fidelity_get(study),
        study=study.slug,
        title=study.title,
        design_sha256=study.design_sha256,
        origin=origin.value,  # type: ignore[arg-type] # as above
        alpha=alpha,
        estimand=estimand,
        flow=flow_get(study, votes, origin=origin),
        last_vote=last_vote_get(study, origin=origin),
        caution=caution_get(study, origin=origin),
    )
