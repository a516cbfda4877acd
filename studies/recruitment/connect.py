"""CloudResearch Connect: ids in the address, and a redirect of its own for those who could not take part.

Source: CloudResearch help centre, "Connect: completion codes and redirects".
"""

from studies.recruitment.outcomes import Outcome
from studies.recruitment.panel import Names, Panel

_PARTIAL = "the redirect “Partial Completes”, never the completion redirect"

PANEL = Panel(
    slug="connect",
    label="CloudResearch Connect",
    names=Names("participantId", "assignmentId", "projectId"),
    steps=(
        (
            "On Connect, give the link above as the address of the project, and let Connect add its three parameters; "
            "if your project names them otherwise, set the names below."
        ),
        "Copy the completion redirect, or the completion code, into the field “Completed” below.",
        (
            "Copy the redirect “Partial Completes” into the outcomes that end a visit early. Connect forbids the "
            "completion redirect for them."
        ),
    ),
    words={
        Outcome.COMPLETED: "the completion redirect or code",
        **dict.fromkeys(
            (
                Outcome.NO_CONSENT,
                Outcome.FAILED_PRACTICE,
                Outcome.SCREENED_OUT,
                Outcome.FULL,
                Outcome.CLOSED,
                Outcome.WRONG_DEVICE,
            ),
            _PARTIAL,
        ),
    },
)
