"""Protocols that a study can start from, each with its source. Every number can be changed before the study opens."""

from collections.abc import Mapping
from dataclasses import dataclass
from gettext import NullTranslations
from typing import Protocol

from studies.errors import gettext_noop


class Tongue(Protocol):
    """A language that texts can be said in, as gettext has them."""

    def gettext(self, message: str, /) -> str:
        """Return a sentence in this language."""

    def ngettext(self, singular: str, plural: str, number: int, /) -> str:
        """Return a sentence about a number in this language."""


ENGLISH: Tongue = NullTranslations()


def consent(settings: Mapping[str, str | int], tongue: Tongue = ENGLISH) -> str:
    """Return what raters agree to before they begin."""
    minutes = session_minutes(settings)
    if settings["layout"] == "single":
        task = tongue.gettext("You will look at small pictures and say of each whether it is real or fake.")
    else:
        task = tongue.gettext(
            "You will look at pairs of small pictures and say which of the two was taken by a camera."
        )
    length = tongue.ngettext("It takes about {minutes} minute.", "It takes about {minutes} minutes.", minutes)
    kept = tongue.gettext(
        "Your answers, and how long you take, are kept under a random number. Your name, your address and your device "
        "are not kept. You may stop at any time by closing the page."
    )
    withdrawal = tongue.gettext(
        "You may also withdraw, even after the last picture, by the link at the bottom of these pages: your answers "
        "are then used for nothing."
    )
    return f"{task} {length.format(minutes=minutes)}\n\n{kept} {withdrawal}"


SHOWING = {
    "sequential": (gettext_noop("Two pictures will flash up one after the other."),) * 2,
    "simultaneous": (
        gettext_noop("You will see two pictures side by side, for {seconds} s."),
        gettext_noop("You will see two pictures side by side, for as long as you like."),
    ),
    "input_between": (
        gettext_noop("You will see three pictures side by side, for {seconds} s. The one in the middle is coarse."),
        gettext_noop(
            "You will see three pictures side by side, for as long as you like. The one in the middle is coarse."
        ),
    ),
    "single": (
        gettext_noop("You will see one picture at a time, for {seconds} s."),
        gettext_noop("You will see one picture at a time, for as long as you like."),
    ),
}
"""By layout: for a time, and without limit."""

SHOWING_IN_STAIRCASE = gettext_noop("You will see one picture at a time, for a moment: {least} to {most} s.")
STAIRCASE_MOVES = gettext_noop(
    "Right answers make the moment shorter and mistakes make it longer, so that it is hard for everybody."
)

TRUTH = gettext_noop("One was taken by a camera; the other comes from a computer.")
TRUTH_BESIDE_INPUT = gettext_noop(
    "Of the other two, one was taken by a camera; the other was made from the coarse one by a computer."
)

TRUTH_ALONE = gettext_noop(
    "Half of all the pictures are real: taken by a camera. The other half are fake: they come from a computer."
)

ASKING = {
    "photo": gettext_noop("Look at both, then say which one you would guess is from a camera."),
    "sample": gettext_noop("Look at both, then say which one you would guess comes from a computer."),
}
"""By what the question asks for."""

ASKING_BESIDE_INPUT = {
    "photo": gettext_noop("Compare both with the one in the middle, then say which one is the better version of it."),
    "sample": gettext_noop(
        "Compare both with the one in the middle, then say which one you would guess comes from a computer."
    ),
}


ASKING_ALONE = gettext_noop("Look at each, then say whether you would guess that it is real or fake.")


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

    def texts(self, tongue: Tongue = ENGLISH) -> dict[str, str]:
        """Return the consent and instruction texts with the protocol's own numbers."""
        return texts_of(self.settings, tongue)


def texts_of(settings: Mapping[str, str | int], tongue: Tongue = ENGLISH) -> dict[str, str]:
    """Return the protocols' own consent and instruction texts with these numbers in them, by field of the study."""
    return {
        "consent_text": consent(settings, tongue),
        "instructions_text": instructions(settings, tongue),
    }


def instructions(settings: Mapping[str, str | int], tongue: Tongue = ENGLISH) -> str:
    """Return what raters read before they begin: what they will see, what is asked, and how many pairs come."""
    layout, asks_for = str(settings["layout"]), str(settings["asks_for"])
    practice, main = int(settings["practice_count"]), int(settings["test_count"]) + int(settings["golden_count"])
    is_beside_input, is_single = layout == "input_between", layout == "single"
    showing = _showing(settings, tongue)
    truth = tongue.gettext(TRUTH_ALONE if is_single else TRUTH_BESIDE_INPUT if is_beside_input else TRUTH)
    asking = tongue.gettext(
        ASKING_ALONE if is_single else (ASKING_BESIDE_INPUT if is_beside_input else ASKING)[asks_for]
    )
    patience = tongue.gettext("There is no time limit for your answer. If you are not sure, guess.")
    last = [(_pictures_counted if is_single else _pairs_counted)(practice, main, tongue)]
    if (blocks := int(settings["staircase_blocks"])) > 1:
        last.append(tongue.gettext("They come in {count} blocks, and you can rest between them.").format(count=blocks))
    if settings["feedback"] == "every":
        last.append(tongue.gettext("After each answer you are told whether you were right."))
    return f"{showing} {truth}\n\n{asking} {patience}\n\n{' '.join(last)}"


def _showing(settings: Mapping[str, str | int], tongue: Tongue) -> str:
    """Return what is on the screen, and for how long."""

    def seconds(name: str) -> str:
        return f"{int(settings[name]) / 1000:g}"

    if settings["staircase_blocks"]:
        limits = {"least": seconds("staircase_least_ms"), "most": seconds("staircase_most_ms")}
        return f"{tongue.gettext(SHOWING_IN_STAIRCASE).format(**limits)} {tongue.gettext(STAIRCASE_MOVES)}"
    sentence = SHOWING[str(settings["layout"])][settings["exposure_ms"] == 0]
    return tongue.gettext(sentence).format(seconds=seconds("exposure_ms"))


def _pairs_counted(practice: int, main: int, tongue: Tongue) -> str:
    if practice:
        first = tongue.ngettext(
            "First comes {count} pair for practice, and you are told whether you were right.",
            "First come {count} pairs for practice, and you are told whether you were right.",
            practice,
        ).format(count=practice)
        then = tongue.ngettext(
            "Then comes {count} pair that counts.", "Then come {count} pairs that count.", main
        ).format(count=main)
        return f"{first} {then}"
    return tongue.ngettext("There is {count} pair.", "There are {count} pairs.", main).format(count=main)


def _pictures_counted(practice: int, main: int, tongue: Tongue) -> str:
    if practice:
        first = tongue.ngettext(
            "First comes {count} picture for practice, and you are told whether you were right.",
            "First come {count} pictures for practice, and you are told whether you were right.",
            practice,
        ).format(count=practice)
        then = tongue.ngettext(
            "Then comes {count} picture that counts.", "Then come {count} pictures that count.", main
        ).format(count=main)
        return f"{first} {then}"
    return tongue.ngettext("There is {count} picture.", "There are {count} pictures.", main).format(count=main)


ANSWER_MS = 1_500
"""What an answer takes beyond the showing, for the estimate of a session's length."""

LOOK_MS = 3_000
"""How long pictures without a limit are looked at, likewise."""

TELLING_MS = 1_000
"""For how long a rater is told after an answer that counts, likewise; the trial page waits as long."""

STAIRCASE = (
    "staircase_blocks",
    "staircase_least_ms",
    "staircase_most_ms",
    "staircase_up_ms",
    "staircase_down_ms",
    "staircase_rights",
)
"""Settings of exposures that follow the answers."""

TIMING = (
    "practice_count",
    "test_count",
    "golden_count",
    "layout",
    "feedback",
    "lead_in_ms",
    "exposure_ms",
    "gap_ms",
    "mask_count",
    "mask_ms",
)
"""Settings that decide how long a session takes. A staircase is taken to stay where it begins."""

TEXT_SETTINGS = ("asks_for", *TIMING, *STAIRCASE)
"""Settings that the protocols' own texts speak of."""


def session_minutes(settings: Mapping[str, str | int]) -> int:
    """Return how long a session takes, in whole minutes: the showings, and what answers usually take.

    Args:
        settings: Those named in `TIMING`.
    """
    number = {name: int(settings[name]) for name in TIMING if name not in {"layout", "feedback"}}
    picture_ms = (number["exposure_ms"] or LOOK_MS) + number["mask_count"] * number["mask_ms"]
    shown_ms = 2 * picture_ms + number["gap_ms"] if settings["layout"] == "sequential" else picture_ms
    main = number["test_count"] + number["golden_count"]
    all_ms = (number["practice_count"] + main) * (number["lead_in_ms"] + shown_ms + ANSWER_MS)
    if settings["feedback"] == "every":
        all_ms += main * TELLING_MS
    return max(1, round(all_ms / 60_000))


FRAMES_MISSED = 2
"""An exposure may be off by so many frames."""

FRAME_MS = 1_000 / 60
LONGEST_FRAME_MS = 1_000 / 30
"""A browser that draws more seldom has missed frames: its own interval must not excuse them."""


def exposure_missed(requested_ms: float, *achieved_ms: float | None, frame_interval_ms: float | None) -> bool:
    """Return whether a picture stood for more than two frames too long or too short.

    Args:
        requested_ms: The study's setting; 0, for as long as the rater likes, cannot be missed.
        *achieved_ms: For each picture the time measured; None, where nothing was measured, is no miss.
        frame_interval_ms: Median time between two frames; 60 a second if None, and never taken for longer than a
            thirtieth.

    Example:
        >>> exposure_missed(1000, 1000.2, 1033.1, frame_interval_ms=16.7)
        False
        >>> exposure_missed(1000, 1000.2, 1050.1, frame_interval_ms=16.7)
        True
    """
    if requested_ms == 0:
        return False
    allowed = FRAMES_MISSED * min(frame_interval_ms or FRAME_MS, LONGEST_FRAME_MS)
    return any(time is not None and abs(time - requested_ms) > allowed for time in achieved_ms)


_FOUNDING: dict[str, str | int] = {
    "layout": "sequential",
    "asks_for": "photo",
    "question": gettext_noop("Which image, would you guess, is from a camera?"),
    "assignment": "one_condition",
    "practice_count": 10,
    "test_count": 40,
    "golden_count": 5,
    "golden_misses_allowed": 0,
    "feedback": "practice",
    "lead_in_ms": 900,
    "exposure_ms": 1000,
    "gap_ms": 600,
    "staircase_blocks": 0,
    "staircase_least_ms": 100,
    "staircase_most_ms": 1000,
    "staircase_up_ms": 30,
    "staircase_down_ms": 10,
    "staircase_rights": 1,
    "mask_count": 0,
    "mask_ms": 30,
    "missed_exposure": "keep",
    "display_scale": 8,
    "kernel": "nearest",
    "raters_wanted": 40,
}

_SR3 = _FOUNDING | {
    "layout": "simultaneous",
    "question": gettext_noop("Which image would you guess is from a camera?"),
    "practice_count": 0,
    "test_count": 50,
    "golden_count": 0,
    "lead_in_ms": 500,
    "exposure_ms": 3000,
    "raters_wanted": 50,
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
    "zhang2016": Preset(
        slug="zhang2016",
        label="Zhang et al. 2016: which one is fake? one method a session",
        source="Zhang, Isola and Efros 2016, arXiv 1603.08511: 1 s an image, 10 pairs for practice and 40 without "
        "feedback, one method a session, checks in a tenth of the trials that were reported but excluded nobody. There "
        "the fake colours were asked for; the wording for enlarged pictures is ours. The checks stand here as golden "
        "pairs, which leave nobody out either.",
        settings=_FOUNDING
        | {
            "asks_for": "sample",
            "question": gettext_noop("Which image, would you guess, is fake?"),
            "golden_count": 4,
            "golden_misses_allowed": 4,
        },
    ),
    "real_vs_fake": Preset(
        slug="real_vs_fake",
        label="Real vs fake: which one is fake? all methods in each session",
        source="The tool AMT_Real_vs_Fake (Python version): mark 900 ms, image 1000 ms, blank 600 ms, image 1000 ms; "
        "10 pairs with feedback, then 50 without, methods mixed, no checks. The tool draws images with replacement; "
        "here none comes twice.",
        settings=_FOUNDING
        | {
            "asks_for": "sample",
            "question": gettext_noop("Which image do you think was fake?"),
            "assignment": "mixed",
            "test_count": 50,
            "golden_count": 0,
            "raters_wanted": 50,
        },
    ),
    "sr3_task1": Preset(
        slug="sr3_task1",
        label="SR3, task 1: which is the better version of the input?",
        source="Saharia et al. 2021 (SR3), arXiv 2104.07636, task 1: the low-resolution input between the two images, "
        "50 pairs and 50 raters a model, 3 s before the answer. Practice, checks and display size are not known; the "
        "mark of 500 ms is ours.",
        settings=_SR3
        | {
            "layout": "input_between",
            "question": gettext_noop(
                "Which of the two images is a better high quality version of the low resolution image in the middle?"
            ),
        },
    ),
    "sr3_task2": Preset(
        slug="sr3_task2",
        label="SR3, task 2: which is from a camera? 3 s",
        source="Saharia et al. 2021 (SR3), arXiv 2104.07636, task 2: both images for 3 s, then the answer; 50 pairs "
        "and 50 raters a model. Arrangement, practice, checks and display size are not known; side by side and the "
        "mark of 500 ms are ours.",
        settings=_SR3,
    ),
    "side_by_side": Preset(
        slug="side_by_side",
        label="Side by side, without limit",
        source="The founding protocol's numbers, with both images at once until the answer: raters see all that can be "
        "seen, so fool rates are lower than after a second.",
        settings=_FOUNDING | {"layout": "simultaneous", "exposure_ms": 0},
    ),
    "hype_infinity": Preset(
        slug="hype_infinity",
        label="HYPE-infinity: one picture, real or fake? one method a session",
        source="Zhou et al. 2019 (HYPE), arXiv 1904.01121, HYPE-infinity: single pictures without limit, 50 real and "
        "50 generated, the ratio told to raters, 30 raters a model. The mark of 500 ms and the display size are ours. "
        "Its real pictures come from the set that the model learned, ours are the photos of the study; of each, "
        "a rater sees the photo or a sample, never both. Its qualification (65 of 100) is practice of 100 with 66 "
        "right to go on, off here.",
        settings=_FOUNDING
        | {
            "layout": "single",
            "question": gettext_noop("Is this picture real or fake?"),
            "practice_count": 0,
            "test_count": 100,
            "golden_count": 0,
            "lead_in_ms": 500,
            "exposure_ms": 0,
            "gap_ms": 0,
            "raters_wanted": 30,
        },
    ),
    "hype_time": Preset(
        slug="hype_time",
        label="HYPE-time: one picture for a moment that answers make shorter or longer; one method a session",
        source="Zhou et al. 2019 (HYPE), arXiv 1904.01121, HYPE-time: 3 blocks of 150 single pictures, half of them "
        "real, a countdown of 1500 ms, an exposure of 100 to 1000 ms that begins at 500, 4 masks of 30 ms, feedback "
        "after every answer, 30 raters a model. It prints steps of 10 ms up and 30 ms down, with which exposures do "
        "not settle at its 75 % right: here they are 30 up and 10 down (docs/decisions/0009). The masks are noise "
        "instead of synthesised texture; the real pictures are the photos of the study.",
        settings=_FOUNDING
        | {
            "layout": "single",
            "question": gettext_noop("Is this picture real or fake?"),
            "practice_count": 0,
            "test_count": 450,
            "golden_count": 0,
            "feedback": "every",
            "lead_in_ms": 1500,
            "exposure_ms": 500,
            "gap_ms": 0,
            "staircase_blocks": 3,
            "mask_count": 4,
            "raters_wanted": 30,
        },
    ),
}

QUESTIONS = frozenset(str(preset.settings["question"]) for preset in PRESETS.values())
"""Those that are known in every language of the site."""
