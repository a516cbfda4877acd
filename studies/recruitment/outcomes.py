"""How a rater's visit can end."""

from enum import StrEnum


class Outcome(StrEnum):
    """An end that a panel may want to hear of by a code or an address of its own."""

    COMPLETED = "completed"
    NO_CONSENT = "no_consent"
    FAILED_PRACTICE = "failed_practice"
    FAILED_ATTENTION = "failed_attention"
    SCREENED_OUT = "screened_out"
    FULL = "full"
    CLOSED = "closed"
    WRONG_DEVICE = "wrong_device"


MEANINGS: dict[Outcome, str] = {
    Outcome.COMPLETED: "Everything was answered.",
    Outcome.NO_CONSENT: "Did not agree to take part, or withdrew.",
    Outcome.FAILED_PRACTICE: "Had too few practice pairs right in two tries, where the protocol asks for that.",
    Outcome.FAILED_ATTENTION: "Answered everything, but a rule leaves the session out; sent only if chosen below.",
    Outcome.SCREENED_OUT: "Has taken part in another study of the same group.",
    Outcome.FULL: "Came when every place was taken.",
    Outcome.CLOSED: "Came while the study took nobody: paused, closed or not open yet.",
    Outcome.WRONG_DEVICE: "The window is too small, or the browser runs no scripts.",
}
"""What each outcome means, as researchers read it."""
