"""`manage.py plan_study --half-width 3 --rate 28 --photos 200`: raters for a goal, and what they will tell."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.errors import EvalsiteError
from studies.management.commands._progress import progress_bar
from studies.statistics.arguments import alpha_argument, percent_argument
from studies.statistics.plan_check import Simulated, simulate_difference, simulate_rate, spreads
from studies.statistics.power import (
    TYPICAL_SPREAD,
    Correlations,
    Plan,
    VarianceModel,
    difference_model,
    difference_variance,
    equivalence_variance,
    half_width_variance,
    half_widths,
    pilot_correlations,
    plan,
    rate_model,
    smallest_difference,
    typical_correlations,
)
from studies.statistics.responses_csv import read_responses
from studies.statistics.results import completed_votes, single_origin

CURVE = (0.5, 1, 2, 5)
"""Numbers of photos for which raters are shown, as multiples of those at hand."""


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
            planned = _Planned(options)
        except (EvalsiteError, ValueError) as error:
            raise CommandError(f"{str(error)[0].upper()}{str(error)[1:].rstrip('.')}.") from error
        for line in planned.sentences():
            self.stdout.write(line)
        if options["simulate"] is None or planned.plan.n_raters is None:
            return
        try:
            with progress_bar(label="simulated studies", unit="study", total=options["simulate"]) as bar:
                found = planned.simulate(options["simulate"], seed=options["seed"], progress=bar.update)
        except ValueError as error:
            raise CommandError(f"--simulate: {error}.") from error
        self.stdout.write(planned.simulated_sentence(found))


class _Planned:
    """A plan with the words for it."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.alpha = options["alpha"]
        if options["comparisons"] < 1:
            raise ValueError(f"--comparisons must be at least 1, got {options['comparisons']}")
        self.test_alpha = self.alpha / options["comparisons"]
        self.assumed, self.by_rate, rate = _alikeness(options)
        rate = options["rate"] if options["rate"] is not None else rate
        if rate is None and options["equivalence"] is not None:
            rate = 0.5
        if rate is None or not 0 < rate < 1:
            raise ValueError("--rate, the fool rate that is expected, must lie between 0 and 100, such as 28")
        self.rate: float = rate
        self.model, self.variance, self.goal, self.goal_alpha = self._goal()
        n_seen = options["votes"] * (2 if options["against"] is not None and not options["between"] else 1)
        if n_seen > options["photos"]:
            raise ValueError(
                f"a rater sees each photo once, and {n_seen} pairs a rater need as many photos, "
                f"got {options['photos']}; lower --votes"
            )
        self.plan: Plan = plan(
            self.model,
            variance=self.variance,
            n_photos=options["photos"],
            votes_per_rater=options["votes"],
            alpha=self.goal_alpha,
            exclusion_rate=options["exclusions"],
        )

    def _goal(self) -> tuple[VarianceModel, float, str, float]:
        options, rate = self.options, self.rate
        single = rate_model(rate, correlations=self.by_rate(rate), votes_per_rater=options["votes"])
        chance = f"with a chance of {_percent(options['power'])} %"
        if options["half_width"] is not None:
            if options["half_width"] <= 0:
                raise ValueError("--half-width must be above 0 points")
            words = f"a {_level(self.alpha)} interval of {_percent(rate)} % ±{_percent(options['half_width'])} points"
            return single, half_width_variance(options["half_width"], alpha=self.alpha), words, self.alpha
        if options["equivalence"] is not None:
            variance = equivalence_variance(options["equivalence"], rate=rate, alpha=self.alpha, power=options["power"])
            words = (
                f"to show, {chance}, that a rate of {_percent(rate)} % is 50 % to within "
                f"{_percent(options['equivalence'])} points"
            )
            return single, variance, words, 2 * self.alpha
        other = options["against"]
        if other == rate or not 0 < other < 1:
            raise ValueError(f"--against must be another rate between 0 and 100, got {_percent(other)}")
        model = difference_model(
            rate,
            other,
            correlations_a=self.by_rate(rate),
            correlations_b=self.by_rate(other),
            votes_per_rater=options["votes"],
            is_within=not options["between"],
        )
        variance = difference_variance(abs(rate - other), alpha=self.test_alpha, power=options["power"])
        family = f", in a family of {options['comparisons']}" if options["comparisons"] > 1 else ""
        words = f"to show, {chance}, that {_percent(rate)} % and {_percent(other)} % differ{family}"
        return model, variance, words, self.test_alpha

    def sentences(self) -> list[str]:
        """Return the plan in lines."""
        options, found = self.options, self.plan
        who = "raters of each condition" if self._is_of_each() else "raters"
        floor = math.floor(found.photos_floor) + 1
        lines = [f"Goal: {self.goal}, for new raters and new images.", f"Assumed: {self.assumed}."]
        if found.n_raters is None:
            lines.append(
                f"No number of raters suffices: {options['photos']} photos alone leave too much to chance. "
                f"Take at least {max(floor, 10)} photos, better twice as many."
            )
        else:
            exclusions = (
                f"; {found.n_recruits:,} to recruit, if {_percent(options['exclusions'])} % are excluded"
                if options["exclusions"]
                else ""
            )
            lines.append(
                f"Needed: {found.n_raters:,} {who} with {options['votes']} counted votes each, on {options['photos']} "
                f"photos{exclusions}."
            )
            lines.append(f"With fewer than {max(floor, 10)} photos no number of raters would suffice.")
        lines += ["", "  photos   raters", *self._curve()]
        if found.n_raters is not None:
            lines += ["", *self._powers(found.n_raters)]
        return lines

    def _is_of_each(self) -> bool:
        return bool(self.options["against"] is not None and self.options["between"])

    def _curve(self) -> list[str]:
        options = self.options
        numbers = sorted({max(10, options["votes"], math.ceil(options["photos"] * times)) for times in CURVE})
        lines = []
        for n_photos in numbers:
            found = plan(
                self.model,
                variance=self.variance,
                n_photos=n_photos,
                votes_per_rater=options["votes"],
                alpha=self.goal_alpha,
            )
            raters = "no number suffices" if found.n_raters is None else f"{found.n_raters:,}"
            lines.append(f"  {n_photos:>6,}   {raters}")
        return lines

    def _powers(self, n_raters: int) -> list[str]:
        """Return what so many raters can tell, and what they cannot."""
        options = self.options
        n_photos, votes, power = options["photos"], options["votes"], options["power"]
        single = rate_model(self.rate, correlations=self.by_rate(self.rate), votes_per_rater=votes)
        width = float(half_widths(single, n_raters=n_raters, n_photos=n_photos, alpha=self.alpha))
        floor = float(half_widths(single, n_raters=10**12, n_photos=n_photos, alpha=self.alpha))
        smallest = smallest_difference(
            self.rate,
            n_raters=n_raters,
            n_photos=n_photos,
            votes_per_rater=votes,
            alpha=self.test_alpha,
            power=power,
            correlations=self.by_rate,
            is_within=not options["between"],
        )
        at_half = rate_model(0.5, correlations=self.by_rate(0.5), votes_per_rater=votes)
        margin = math.sqrt(float(at_half.variance(n_raters, n_photos)) / equivalence_variance(0.1, power=power)) * 0.1
        way = "one method a rater" if options["between"] else "both methods seen by each rater"
        lines = [
            f"With {n_raters:,} raters and {n_photos:,} photos the study will tell",
            f"  - a fool rate of {_percent(self.rate)} % to ±{_percent(width)} points;",
        ]
        if smallest is not None:
            lines.append(
                f"  - that another method fools more often, if by at least {_percent(smallest)} points ({way}, chance "
                f"{_percent(power)} %)."
            )
        lines.append("It will not tell")
        lines.append(
            f"  - the rate more closely than ±{_percent(floor)} points, however many raters come: it takes photos;"
        )
        lines.append(
            f"  - that a method cannot be told from photos to within less than {_percent(margin)} points of 50 % "
            f"(chance {_percent(power)} %, if 50 % is true);"
        )
        if smallest is not None:
            lines.append(
                f"  - differences below {_percent(smallest)} points: "
                "that one is not shown does not make two methods alike;"
            )
        lines.append("  - anything about other display times, sizes, kinds of photos or ways to recruit.")
        return lines

    def simulate(self, n_studies: int, *, seed: int, progress: Callable[[], object]) -> Simulated:
        """Simulate the plan; it must be one that raters suffice for."""
        options = self.options
        common: dict[str, Any] = {
            "n_raters": self.plan.n_raters,
            "n_photos": options["photos"],
            "votes_per_rater": options["votes"],
            "n_studies": n_studies,
            "rng": np.random.default_rng(seed),
            "progress": progress,
        }
        if options["against"] is not None:
            return simulate_difference(
                self.rate,
                options["against"],
                correlations_a=self.by_rate(self.rate),
                correlations_b=self.by_rate(options["against"]),
                is_within=not options["between"],
                alpha=self.test_alpha,
                **common,
            )
        return simulate_rate(
            self.rate,
            correlations=self.by_rate(self.rate),
            half_width=options["half_width"],
            margin=options["equivalence"],
            alpha=self.alpha,
            **common,
        )

    def simulated_sentence(self, found: Simulated) -> str:
        """Return what the simulated studies found."""
        level = _level(self.test_alpha if self.options["against"] is not None else self.alpha)
        reached = (
            f"in {_percent(found.success)} % it was no wider than asked, since widths vary around the planned one"
            if self.options["half_width"] is not None
            else f"the goal was reached in {_percent(found.success)} %"
        )
        return (
            f"\nIn {found.n_studies:,} simulated studies the {level} interval held the truth in "
            f"{_percent(found.coverage)} % (Monte-Carlo error {_percent(found.monte_carlo_error)}), its "
            f"half-width was {_percent(found.half_width)} points on average; {reached}."
        )


def _alikeness(options: dict[str, Any]) -> tuple[str, Callable[[float], Correlations], float | None]:
    """Return how alike votes are taken to be: in words, by rate, and the rate of the pilot if there is one."""
    if options["pilot"] is None:
        spread = options["spread"]
        if not 0 <= spread <= 4:
            raise ValueError(f"--spread must lie between 0 and 4 logits, got {spread}")
        source = f"raters and photos spread by {spread:g} logits, without a pilot"
        return source, lambda rate: typical_correlations(rate, rater_spread=spread, photo_spread=spread), None
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
        f"({int(chosen.sum())} votes, {_percent(rate)} % fooled), where {_percent(measured.raters)} and "
        f"{_percent(measured.photos)} % of a vote's variance is theirs"
    )
    return source, lambda rate: typical_correlations(rate, rater_spread=of_raters, photo_spread=of_photos), rate


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0")


def _level(alpha: float) -> str:
    return f"{100 * (1 - alpha):.4g} %"
