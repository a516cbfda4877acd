"""`manage.py plan_study --half-width 3 --rate 28 --photos 200`: raters for a goal, and what they will tell."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.errors import EvalsiteError
from studies.management.commands._progress import progress_bar
from studies.reports.plan_text import PlanText, listed, percent, plan_text, simulated_sentence
from studies.statistics.arguments import alpha_argument, percent_argument
from studies.statistics.plan_check import spreads
from studies.statistics.power import TYPICAL_SPREAD, pilot_correlations
from studies.statistics.responses_csv import read_responses
from studies.statistics.results import completed_votes, single_origin
from studies.statistics.study_plan import Goal, PlanInvalid, PlanQuestion, plan_answer

GOALS: tuple[Goal, ...] = ("half_width", "difference", "equivalence")

OPTIONS = {
    "n_photos": "photos",
    "votes_per_rater": "votes",
    "rater_spread": "spread",
    "photo_spread": "spread",
    "exclusion_rate": "exclusions",
}
"""Option for each field of the question that is called otherwise."""


class Command(BaseCommand):
    """Plan a study: one goal, what it takes, and what the study will and will not be able to tell."""

    help = (
        "Say how many raters a study needs for an interval of a given width, a difference or an equivalence with 50 %, "
        "what its photos allow at best, and what it will not be able to tell. All shares are in percent."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        goal = parser.add_mutually_exclusive_group(required=True)
        goal.add_argument(
            "--half-width", type=percent_argument, metavar="POINTS", help="goal: an interval of the rate -+ so much"
        )
        goal.add_argument(
            "--against", type=percent_argument, metavar="RATE", help="goal: to show a difference from such a rate"
        )
        goal.add_argument(
            "--equivalence", type=percent_argument, metavar="POINTS", help="goal: to show 50 %% to within so much"
        )
        parser.add_argument("--rate", type=percent_argument, help="fool rate that is expected; a pilot's by default")
        parser.add_argument(
            "--photos", type=int, required=True, help="photos at hand; scenes, where photos are cut from photographs"
        )
        parser.add_argument("--votes", type=int, default=40, help="counted votes of a rater on each condition (40)")
        parser.add_argument(
            "--spread", type=float, default=TYPICAL_SPREAD, help="of raters and photos, in logits (0.8)"
        )
        parser.add_argument("--pilot", type=Path, metavar="CSV", help="responses of a pilot, to measure the spread")
        parser.add_argument("--condition", help="name of the pilot's condition, if it has several")
        parser.add_argument(
            "--between", action="store_true", help="each rater sees one condition only; raters are of each condition"
        )
        parser.add_argument(
            "--exclusions", type=percent_argument, default=0.0, help="raters expected to be left out (0)"
        )
        parser.add_argument("--power", type=percent_argument, default=0.8, help="chance to show what is there (80)")
        parser.add_argument("--comparisons", type=int, default=1, help="differences in the family (1)")
        parser.add_argument("--alpha", type=alpha_argument, default=0.05, help="one minus the level (0.05)")
        parser.add_argument("--simulate", type=int, metavar="STUDIES", help="verify by so many simulated studies")
        parser.add_argument("--seed", type=int, default=0)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the plan, and what simulated studies make of it."""
        try:
            pilot = _pilot(options) if options["pilot"] is not None else None
            question = _question(options, pilot)
            answer = plan_answer(question)
        except PlanInvalid as error:
            raise CommandError(f"--{_option(error.field, options)}: {error}.") from error
        except (EvalsiteError, ValueError) as error:
            raise CommandError(f"{str(error)[0].upper()}{str(error)[1:].rstrip('.')}.") from error
        for line in _lines(plan_text(answer, source=pilot.source if pilot else ""), question, answer.plan.n_raters):
            self.stdout.write(line)
        if options["simulate"] is None or answer.plan.n_raters is None:
            return
        try:
            with progress_bar(label="simulated studies", unit="study", total=options["simulate"]) as bar:
                rng = np.random.default_rng(options["seed"])
                found = answer.simulate(options["simulate"], rng=rng, progress=bar.update)
        except ValueError as error:
            raise CommandError(f"--simulate: {error}.") from error
        self.stdout.write(f"\n{simulated_sentence(question, found)}")


@dataclass(frozen=True)
class _Pilot:
    """What a pilot says: its fool rate, the spreads of raters and of photos in logits, and where that comes from."""

    rate: float
    raters: float
    photos: float
    source: str


def _question(options: dict[str, Any], pilot: _Pilot | None) -> PlanQuestion:
    given = zip(GOALS, (options["half_width"], options["against"], options["equivalence"]), strict=True)
    goal, target = next((name, value) for name, value in given if value is not None)
    usual = 0.5 if goal == "equivalence" else 0.0  # no rate is an error that names the option
    rate = options["rate"] if options["rate"] is not None else pilot.rate if pilot else usual
    return PlanQuestion(
        goal=goal,
        target=target,
        rate=rate,
        n_photos=options["photos"],
        votes_per_rater=options["votes"],
        rater_spread=pilot.raters if pilot else options["spread"],
        photo_spread=pilot.photos if pilot else options["spread"],
        is_within=not options["between"],
        exclusion_rate=options["exclusions"],
        power=options["power"],
        comparisons=options["comparisons"],
        alpha=options["alpha"],
    )


def _option(field: str, options: dict[str, Any]) -> str:
    """Return the option that a field of the question came from."""
    if field == "target":
        return next(name for name in ("half_width", "against", "equivalence") if options[name] is not None).replace(
            "_", "-"
        )
    return OPTIONS.get(field, field)


def _lines(text: PlanText, question: PlanQuestion, n_raters: int | None) -> list[str]:
    """Return the plan in lines."""
    needed = text.needed if n_raters is None else f"Needed: {text.needed}"
    lines = [f"Goal: {text.goal}.", f"Assumed: {text.assumed}.", needed, *([text.floor] if text.floor else [])]
    lines += ["", "  photos   raters"]
    for photos, raters in text.raters_by_photos:
        lines.append(f"  {photos:>6,}   {'no number suffices' if raters is None else f'{raters:,}'}")
    if n_raters is not None:
        lines += ["", f"With {n_raters:,} raters and {question.n_photos:,} photos the study will tell"]
        lines += [*listed(text.will), "It will not tell", *listed(text.will_not)]
    return lines


def _pilot(options: dict[str, Any]) -> _Pilot:
    """Measure a pilot's rate and spreads."""
    responses = read_responses(options["pilot"])
    completed = completed_votes(responses.votes, conditions=responses.conditions, origin=single_origin(responses.votes))
    names = [name for name in completed.conditions if completed.of(name).any()]
    name = options["condition"] or (names[0] if len(names) == 1 else None)
    if name not in names:
        raise ValueError(f"--condition must be one of {', '.join(names) or 'none with a vote'}, got {name!r}")
    chosen = completed.of(name)
    rate = float(completed.fooled[chosen].mean())
    measured = pilot_correlations(
        completed.fooled[chosen],
        rater=completed.rater[chosen],
        photo=completed.photo[chosen],
        scene=completed.scene[chosen],
    )
    of_raters, of_photos = spreads(rate, measured)
    source = (
        f"raters and photos spread by {of_raters:.2f} and {of_photos:.2f} logits, as in the pilot on {name} "
        f"({int(chosen.sum())} votes, {percent(rate)} % fooled), where {percent(measured.raters)} and "
        f"{percent(measured.photos)} % of a vote's variance is theirs"
    )
    return _Pilot(rate, of_raters, of_photos, source)
