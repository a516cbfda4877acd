"""Mechanical Turk's ExternalQuestion: the study in a frame, a preview, and a form that is posted back at the end.

Source: AWS API reference, "ExternalQuestion"; it announced the end of the service for 30 September 2026, so this
adapter is off unless an operator switches it on for something that speaks the same protocol.
"""

from collections.abc import Mapping

from studies.errors import ArrivalInvalid
from studies.recruitment.panel import Arrival, Names, Panel

PREVIEW = "ASSIGNMENT_ID_NOT_AVAILABLE"
HOSTS = ("https://www.mturk.com", "https://workersandbox.mturk.com")
"""Where a finished assignment may be posted: never anywhere else, whatever an address says."""

PANEL = Panel(
    slug="mturk",
    label="Mechanical Turk",
    names=Names("workerId", "assignmentId", "hitId"),
    steps=(
        (
            "Put the study's address, without parameters, into an ExternalQuestion as its ExternalURL; Mechanical Turk "
            "adds its own."
        ),
        "There are no codes: whoever finishes hands in by a form on the last page.",
    ),
    frames=("https://*.mturk.com",),
)


def is_preview(query: Mapping[str, str]) -> bool:
    """Return whether a worker only looks at the task: nothing may be started or kept then."""
    return query.get("assignmentId", "") == PREVIEW


def submit_host(query: Mapping[str, str]) -> str:
    """Return the host to hand in at, as the address says, if it is one of the two known.

    Raises:
        ArrivalInvalid: If it is any other.
    """
    given = query.get("turkSubmitTo", "").rstrip("/")
    if given not in HOSTS:
        raise ArrivalInvalid(
            "Its address says “{value}” for turkSubmitTo, which is no host of Mechanical Turk; open the task "
            "from its page there once more.",
            value=given[:40],
        )
    return given


def submit_url(arrival: Arrival) -> str:
    """Return where the form of a finished assignment is posted."""
    return f"{arrival.submit_to}/mturk/externalSubmit"


def submit_fields(arrival: Arrival, *, session: str) -> dict[str, str]:
    """Return what the form carries: the assignment, and a name of ours that comes back among its answers."""
    return {"assignmentId": arrival.session, "session": session}
