"""Protocols that a study can start from, each with its source. Every number can be changed before the study opens."""

from collections.abc import Mapping
from dataclasses import dataclass

CONSENT = """\
You will look at pairs of small pictures and say which of the two was taken by a camera. It takes about \
{minutes} minutes.

Your answers, and how long you take, are kept under a random number. Your name, your address and your device are \
not kept. You may stop at any time by closing the page."""

INSTRUCTIONS = """\
Two pictures will flash up one after the other. One was taken by a camera; the other comes from a computer.

Look at both, then say which one you would guess is from a camera. There is no time limit for your answer. If you are \
not sure, guess.

First come {practice} pairs for practice, and you are told whether you were right. Then come {main} pairs that count."""


@dataclass(frozen=True)
class Preset:
    """A protocol to start from.

    Attributes:
        slug: Its name in exports.
        label: Its name for people.
        source: Where it was published, and what was added to it.
        settings: Field of the study -> value.
    """

    slug: str
    label: str
    source: str
    settings: Mapping[str, str | int]

    def texts(self) -> dict[str, str]:
        """Return the consent and instruction texts with the protocol's own numbers."""
        main = int(self.settings["test_count"]) + int(self.settings["golden_count"])
        practice = int(self.settings["practice_count"])
        minutes = session_minutes(
            pairs=practice + main,
            lead_in_ms=int(self.settings["lead_in_ms"]),
            exposure_ms=int(self.settings["exposure_ms"]),
            gap_ms=int(self.settings["gap_ms"]),
        )
        return {
            "consent_text": CONSENT.format(minutes=minutes),
            "instructions_text": INSTRUCTIONS.format(practice=practice, main=main),
        }


ANSWER_MS = 1_500
"""What an answer takes beyond the showing, for the estimate of a session's length."""


def session_minutes(*, pairs: int, lead_in_ms: int, exposure_ms: int, gap_ms: int) -> int:
    """Return how long so many pairs take, in whole minutes: the showings, and what answers usually take."""
    return max(1, round(pairs * (lead_in_ms + 2 * exposure_ms + gap_ms + ANSWER_MS) / 60_000))


_FOUNDING: dict[str, str | int] = {
    "question": "Which image, would you guess, is from a camera?",
    "assignment": "one_condition",
    "practice_count": 10,
    "test_count": 40,
    "golden_count": 5,
    "golden_misses_allowed": 0,
    "lead_in_ms": 900,
    "exposure_ms": 1000,
    "gap_ms": 600,
    "display_scale": 8,
    "kernel": "nearest",
    "raters_wanted": 40,
}

PRESETS: dict[str, Preset] = {
    "founding": Preset(
        slug="founding",
        label="Founding protocol: one method a session",
        source="Dahl, Norouzi and Shlens 2017, arXiv 1702.00783: the human study. Fixation and gap as in the tool "
        "AMT_Real_vs_Fake; display size not published, ours is eight times.",
        settings=_FOUNDING,
    ),
    "founding_mixed": Preset(
        slug="founding_mixed",
        label="Founding protocol, mixed: all methods in each session",
        source="As the founding protocol, but each rater sees every method, so that methods are compared within "
        "raters: about a third of the raters give the same precision of a difference.",
        settings=_FOUNDING | {"assignment": "mixed"},
    ),
}
