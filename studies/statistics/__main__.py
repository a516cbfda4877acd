"""The results table from an export alone: `python -m studies.statistics responses.csv`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from studies.errors import ComparisonImpossible, EvalsiteError
from studies.reports import FORMATS
from studies.reports.published import PUBLISHED
from studies.reports.recomputed import report_recompute
from studies.statistics.arguments import alpha_argument
from studies.statistics.equivalence import SUGGESTED_MARGIN
from studies.statistics.fool_rate import ESTIMANDS
from studies.statistics.plan import AnalysisPlan
from studies.statistics.responses_csv import REQUIRED_COLUMNS, Responses, read_responses
from studies.statistics.results import ORIGINS, single_origin


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 0, or 2 with one sentence on standard error if the file cannot be used."""
    parser = _parser()
    options = parser.parse_args(arguments)
    for name in ("reference", "compare", "more"):
        if getattr(options, name) and options.format == "csv":
            parser.error(f"--{name} adds a second table, and a CSV file holds one; take another --format")
    try:
        responses = read_responses(options.responses)
        origin = options.origin or single_origin(responses.votes)
        plan = _plan(options, responses)
    except EvalsiteError as error:
        print(error, file=sys.stderr)
        return 2
    report = report_recompute(
        responses,
        origin=origin,
        alpha=options.alpha,
        estimand=options.estimand,
        plan=plan,
        is_fixed=not options.compare,
        has_more=options.more,
        reference=options.reference,
    )
    sys.stdout.write(report.render(options.format))
    return 0


def _plan(options: argparse.Namespace, responses: Responses) -> AnalysisPlan | None:
    """Return what to compare: as the command says, else as the file says."""
    if not options.compare:
        return responses.plan
    is_all = options.compare == "all"
    plan = AnalysisPlan(
        family="all_pairs" if is_all else "reference",
        reference=None if is_all else options.compare,
        margin=SUGGESTED_MARGIN,
    )
    problem = plan.problem(responses.conditions)
    if problem:
        raise ComparisonImpossible(f"--compare {options.compare}: {problem}.")
    return plan


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m studies.statistics",
        description="Print the results table of a study from its export of responses.",
        epilog=f"The file needs the columns {', '.join(REQUIRED_COLUMNS)}; docs/export-schema.md tells of all others.",
    )
    parser.add_argument("responses", type=Path, help="CSV file with one row for each response")
    parser.add_argument("--format", choices=sorted(FORMATS), default="text", help="default: text")
    parser.add_argument(
        "--alpha", type=alpha_argument, default=0.05, help="one minus the level of the intervals; default: 0.05"
    )
    parser.add_argument(
        "--estimand",
        choices=sorted(ESTIMANDS),
        default="new",
        help="new raters and new images (default), or these images only",
    )
    parser.add_argument("--origin", choices=ORIGINS, help="whose votes to count, if the file holds both")
    parser.add_argument(
        "--compare",
        metavar="CONDITION|all",
        help="compare every condition with this one, or all pairs; default: as the file says was fixed beforehand",
    )
    parser.add_argument(
        "--more",
        action="store_true",
        help="sensitivity, agreement, reaction times, order and realism against pixel metrics below",
    )
    parser.add_argument(
        "--reference", choices=sorted(PUBLISHED), help="show the founding paper's figures below, as they were published"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
