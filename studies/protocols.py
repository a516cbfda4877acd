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
            masks_ms=int(self.settings["mask_count"]) * int(self.settings["mask_ms"]),
        )
        return {
            "consent_text": CONSENT.format(minutes=minutes),
            "instructions_text": INSTRUCTIONS.format(practice=practice, main=main),
        }


ANSWER_MS = 1_500
"""What an answer takes beyond the showing, for the estimate of a session's length."""


def session_minutes(*, pairs: int, lead_in_ms: int, exposure_ms: int, gap_ms: int, masks_ms: int) -> int:
    """Return how long so many pairs take, in whole minutes: the showings, and what answers usually take.

    Args:
        pairs: How many.
        lead_in_ms: Fixation mark before each pair.
        exposure_ms: One picture.
        gap_ms: Blank between the two pictures.
        masks_ms: All masks after one picture.
    """
    return max(1, round(pairs * (lead_in_ms + 2 * (exposure_ms + masks_ms) + gap_ms + ANSWER_MS) / 60_000))


FRAMES_MISSED = 2
"""An exposure may be off by so many frames."""

FRAME_MS = 1_000 / 60
LONGEST_FRAME_MS = 1_000 / 30
"""A browser that draws more seldom has missed frames: its own interval must not excuse them."""


def exposure_missed(requested_ms: float, *achieved_ms: float | None, frame_interval_ms: float | None) -> bool:
    """Return whether a picture stood for more than two frames too long or too short.

    Args:
        requested_ms: The study's setting.
        *achieved_ms: For each picture the time measured; None, where nothing was measured, is no miss.
        frame_interval_ms: Median time between two frames; 60 a second if None, and never taken for longer than a
            thirtieth.

    Example:
        >>> exposure_missed(1000, 1000.2, 1033.1, frame_interval_ms=16.7)
        False
        >>> exposure_missed(1000, 1000.2, 1050.1, frame_interval_ms=16.7)
        True
    """
    allowed = FRAMES_MISSED * min(frame_interval_ms or FRAME_MS, LONGEST_FRAME_MS)
    return any(time is not None and abs(time - requested_ms) > allowed for time in achieved_ms)


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
    "mask_count": 0,
    "mask_ms": 30,
    "missed_exposure": "keep",
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
