"""`manage.py simulate_raters STUDY --raters N --url URL`: programs vote through the doors, at known rates."""

import http.client
import json
import re
from concurrent.futures import ThreadPoolExecutor, as_completed
from html import unescape
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import numpy as np
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from numpy.typing import NDArray

from studies.errors import StudyNotOpen
from studies.management.commands._lookups import study_find
from studies.management.commands._progress import progress_bar
from studies.models import AsksFor, Kind, Origin, Role, Side, Study, Trial
from studies.services.places import session_check
from studies.services.sessions import origin_sign
from studies.statistics.simulation import fooled_probabilities, right_probability

DEFAULT_RATES = {
    "bicubic": 0.01,
    "nearest_neighbour": 0.45,
    "regression": 0.04,
    "pixel_recursive": 0.12,
}
"""By method; a pixel recursive condition gets more for each tenth of tau above 1. Made up, and said to be."""

RATE_PER_TAU = 0.5
THRESHOLD_MS_PER_RATE = 2_000
"""Where answers set exposures: a method with twice the fool rate is told after twice the time. As made up."""
TIMEOUT_S = 30
EFFECTS = 100_000
"""Photo effects are drawn for so many numbers; a photo's is the one of its number."""


class Command(BaseCommand):
    """Let simulated raters take part in an open study; they are marked as simulated wherever they show."""

    help = (
        "Let simulated raters take part in an open study through its own web pages. They are fooled at known rates, "
        "are marked as simulated everywhere, and never mix with people."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("study", help="slug of the study")
        parser.add_argument("--raters", type=int, default=40)
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the site is served")
        parser.add_argument(
            "--rate", action="append", default=[], metavar="CONDITION=RATE", help="fool rate, in (0, 1)"
        )
        parser.add_argument("--spread", type=float, default=0.5, help="SD between raters and between photos, in logits")
        parser.add_argument("--attention", type=float, default=0.99, help="chance to get a golden pair right")
        parser.add_argument(
            "--photo-errors",
            type=float,
            default=0.2,
            help="share of photos called fake, in (0, 1), where each picture is shown alone",
        )
        parser.add_argument(
            "--threshold",
            action="append",
            default=[],
            metavar="CONDITION=MS",
            help="exposure at which three of four pictures are told, where a staircase sets exposures",
        )
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--at-once", type=int, default=4, help="raters voting at the same time")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the raters with a progress bar and say at which rates they were fooled."""
        study = study_find(options["study"])
        rates = _rates(study, options["rate"])
        thresholds = _thresholds(rates, options["threshold"])
        photo_errors = options["photo_errors"]
        if not 0 < photo_errors < 1:
            raise CommandError(f"--photo-errors must lie between 0 and 1, not {photo_errors:g}.")
        try:
            session_check(study=study, origin=Origin.SIMULATED)
        except StudyNotOpen as error:
            raise CommandError(f"The study “{study.title}” is {study.state}: only an open one takes raters.") from error
        there = study.sessions.filter(rater__origin=Origin.SIMULATED).count()  # each has a random stream of its own
        numbers = range(there, there + options["raters"])
        with ThreadPoolExecutor(options["at_once"]) as pool:
            runs = [
                pool.submit(
                    _take_part,
                    study,
                    rates=rates,
                    thresholds=thresholds,
                    photo_errors=photo_errors,
                    base=options["url"],
                    spread=options["spread"],
                    attention=options["attention"],
                    seed=(options["seed"], number),
                )
                for number in numbers
            ]
            try:
                for run in progress_bar(as_completed(runs), label="simulated raters", unit="rater", total=len(runs)):
                    run.result()
            except _RefusedError as error:
                raise CommandError(f"The site at {options['url']} refused a simulated rater: {error}.") from error
            except Trial.DoesNotExist as error:
                raise CommandError(
                    f"The site at {options['url']} is not this one; give the --url of this site."
                ) from error
            except (OSError, http.client.HTTPException) as error:
                raise CommandError(
                    f"The site at {options['url']} cannot be reached ({error}); start it, or give its --url."
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)
        if study.staircase:
            told = ", ".join(f"{slug} {ms:g} ms" for slug, ms in thresholds.items())
            self.stdout.write(f"{len(runs)} simulated raters voted, and told three of four pictures after {told}.")
            return
        told = ", ".join(f"{slug} {100 * rate:.1f} %" for slug, rate in rates.items())
        alone = f", photos taken for samples at {100 * photo_errors:.1f} %" if study.is_single else ""
        self.stdout.write(f"{len(runs)} simulated raters voted, fooled at {told}{alone}.")


def _rates(study: Study, given: list[str]) -> dict[str, float]:
    """Return the fool rate of each tested condition by slug: what was asked for, else the default of its method."""
    rates = {}
    for condition in study.conditions.filter(role=Role.TEST):
        rate = DEFAULT_RATES.get(condition.method, 0.1)
        rates[condition.slug] = rate + RATE_PER_TAU * (float(condition.parameters.get("tau", 1.0)) - 1.0)
    for item in given:
        slug, _, value = item.partition("=")
        if slug not in rates:
            raise CommandError(f"There is no tested condition {slug!r}; there is: {', '.join(rates)}.")
        try:
            rates[slug] = float(value)
        except ValueError as error:
            raise CommandError(f"The rate of {slug} must be a number, not {value!r}.") from error
    for slug, rate in rates.items():
        if not 0 < rate < 1:
            raise CommandError(f"The rate of {slug} must lie between 0 and 1, not {rate:g}.")
    return rates


def _thresholds(rates: dict[str, float], given: list[str]) -> dict[str, float]:
    """Return the exposure at which three of four are told, in ms, of each tested condition, as asked for or made up."""
    thresholds = {slug: THRESHOLD_MS_PER_RATE * rate for slug, rate in rates.items()}
    for item in given:
        slug, _, value = item.partition("=")
        if slug not in thresholds:
            raise CommandError(f"There is no tested condition {slug!r}; there is: {', '.join(thresholds)}.")
        try:
            thresholds[slug] = float(value)
        except ValueError as error:
            raise CommandError(f"The threshold of {slug} must be a number of ms, not {value!r}.") from error
    for slug, threshold_ms in thresholds.items():
        if not threshold_ms > 0:
            raise CommandError(f"The threshold of {slug} must be more than 0 ms, not {threshold_ms:g}.")
    return thresholds


def _take_part(
    study: Study,
    *,
    rates: dict[str, float],
    thresholds: dict[str, float],
    photo_errors: float,
    base: str,
    spread: float,
    attention: float,
    seed: tuple[int, int],
) -> None:
    """Go through one session as a browser would, deciding by the truth, which only this process knows."""
    rng = np.random.default_rng(seed)
    photo_effects = np.random.default_rng(seed[0]).standard_normal(EFFECTS)
    rater_effect = rng.standard_normal(1)
    try:
        with _Browser(base) as browser:
            token = urlencode({"origin": origin_sign(study=study, origin=Origin.SIMULATED)})
            landing = f"/s/{study.code}/?{token}"
            browser.get(landing)
            state = browser.start(landing)
            passage = state["passage"]
            while passage["phase"] not in {"finished", "failed"}:
                code = passage["trials"][0]
                browser.get(state["addresses"]["stimulus"] + code)
                trial = Trial.objects.select_related("pair__sample__condition").get(code=code)
                is_alone = study.is_single and trial.photo_side == Side.FIRST
                rate = photo_errors if is_alone else rates.get(trial.pair.sample.condition.slug, 0.0)
                chance = _fooled_chance(trial, rate, attention, rater_effect, photo_effects, spread)
                if study.staircase:
                    threshold_ms = thresholds[trial.pair.sample.condition.slug] * float(
                        np.exp(spread * rater_effect[0])
                    )
                    chance = 1 - right_probability(passage["exposure_ms"], threshold_ms=threshold_ms)
                is_fooled = rng.random() < chance
                side = Side(trial.photo_side) if study.asks_for == AsksFor.PHOTO else Side(trial.photo_side).other
                answer = {
                    "trial": code,
                    "chosen_side": side.other if is_fooled else side,
                    "rt_ms": int(rng.lognormal(6.4, 0.4)),
                    "exposure_first_ms": None,  # nothing was shown: programs have no screen
                    "exposure_second_ms": None,
                    "was_hidden": False,
                }
                passage = browser.post(state["addresses"]["answer"], answer)["passage"]
    finally:
        connection.close()


def _fooled_chance(
    trial: Trial,
    rate: float,
    attention: float,
    rater_effect: NDArray[np.float64],
    photo_effects: NDArray[np.float64],
    spread: float,
) -> float:
    if trial.kind == Kind.GOLDEN:
        return 1 - attention
    photo = photo_effects[[trial.photo_id % EFFECTS]]
    return float(fooled_probabilities(rate, rater_effects=rater_effect, photo_effects=photo, spread=spread)[0])


class _RefusedError(Exception):
    """The site answered, but not as it answers a rater."""


class _Browser:
    """One kept-alive connection, without cookies, that goes where the pages lead."""

    def __init__(self, base: str) -> None:
        address = urlsplit(base)
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self.connection = kind(address.netloc, timeout=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.connection.close()

    def get(self, path: str) -> bytes:
        return self._request("GET", path)[1]

    def start(self, landing: str) -> dict[str, Any]:
        """Consent on the landing page, follow to the session, and return the state that its page holds."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        location, _ = self._request("POST", landing, b"agrees=on", headers)
        page = self.get(location).decode()
        found = re.search(r'<script id="state" type="application/json">(.*?)</script>', page, re.DOTALL)
        if found is None:
            raise _RefusedError(f"the page at {location} is no trial page")
        state: dict[str, Any] = json.loads(unescape(found.group(1)))
        return state

    def post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        reply: dict[str, Any] = json.loads(self._request("POST", path, json.dumps(content).encode(), headers)[1])
        return reply

    def _request(
        self, verb: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[str, bytes]:
        self.connection.request(verb, path, body, headers or {})
        response = self.connection.getresponse()
        content = response.read()
        if response.status >= http.client.BAD_REQUEST:
            raise _RefusedError(f"{verb} {path.partition('?')[0]} gave {response.status}")
        return response.headers.get("Location", ""), content
