"""The report of a file of responses: what the command prints, and what a bundle holds, come from here alike."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from studies.reports import FORMATS
from studies.reports.published import Reference
from studies.reports.report import report_sections
from studies.reports.section import Section
from studies.statistics.fool_rate import Estimand
from studies.statistics.live import live_rates
from studies.statistics.plan import AnalysisPlan
from studies.statistics.responses_csv import Responses
from studies.statistics.results import Origin, ResultTable, result_table
from studies.statistics.summaries import SEED, ConditionSummary, summaries


class Report(NamedTuple):
    """A table and what stands below it."""

    table: ResultTable
    sections: Sequence[Section]

    def render(self, format_name: str) -> str:
        """Return it in one of `FORMATS`; a CSV file holds the first table alone."""
        return FORMATS[format_name](self.table, [] if format_name == "csv" else self.sections)


def report_recompute(
    responses: Responses,
    *,
    origin: Origin,
    alpha: float = 0.05,
    estimand: Estimand = "new",
    plan: AnalysisPlan | None = None,
    is_fixed: bool = True,
    has_more: bool = False,
    reference: Reference | None = None,
) -> Report:
    """Compute the report of responses from a file.

    Args:
        responses: The file, as read.
        origin: Whose votes count.
        alpha: One minus the level of the intervals.
        estimand: "new" raters and new images, or "these" images only.
        plan: What to compare; None for nothing.
        is_fixed: Whether that was fixed before the study opened.
        has_more: Whether the further summaries are wanted.
        reference: Which published figures to show below, if any.
    """
    table = result_table(
        responses.votes,
        conditions=responses.conditions,
        fidelity=responses.fidelity,
        study=responses.study,
        title=responses.title,
        design_sha256=responses.design_sha256,
        origin=origin,
        alpha=alpha,
        estimand=estimand,
        last_vote=responses.last_votes.get(origin, ""),
        caution=responses.caution,
    )
    votes, conditions = responses.votes, responses.conditions
    live = None
    if responses.caution:
        live = live_rates(votes, conditions=conditions, origin=origin, alpha=alpha, estimand=estimand)
    compared = None
    if plan is not None:
        compared = plan.carry_out(votes, conditions=conditions, origin=origin, alpha=alpha, estimand=estimand)
    summed_up: tuple[ConditionSummary, ...] = ()
    if has_more:
        rng = np.random.default_rng(SEED)
        summed_up = summaries(votes, conditions=conditions, rng=rng, origin=origin, alpha=alpha, estimand=estimand)
    sections = report_sections(
        table, live=live, compared=compared, is_fixed=is_fixed, summed_up=summed_up, reference=reference
    )
    return Report(table, sections)
