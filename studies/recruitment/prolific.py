"""Prolific: three ids in the address, and a completion code for each outcome.

Source: docs.prolific.com, "Study object" and "Submission object"; researcher help, "Setting up your study link".
"""

from studies.recruitment.outcomes import Outcome
from studies.recruitment.panel import Names, Panel

PANEL = Panel(
    slug="prolific",
    label="Prolific",
    names=Names("PROLIFIC_PID", "SESSION_ID", "STUDY_ID"),
    placeholders={name: f"{{{{%{name}%}}}}" for name in ("PROLIFIC_PID", "SESSION_ID", "STUDY_ID")},
    completion_url="https://app.prolific.com/submissions/complete?cc={code}",
    steps=(
        (
            "On Prolific, paste the link above as the study's URL, and choose “I'll use URL parameters”; the names are "
            "Prolific's own."
        ),
        (
            "Under “Completion codes” make one code for each outcome that you tell apart, with the type named at its "
            "field below, and paste it there. Choose there, too, what Prolific does with it: approve, review, or ask "
            "for a return."
        ),
        (
            "Being left out of the analysis is no ground for not being paid: Prolific's rules for rejections are "
            "narrower than any rule of exclusion."
        ),
    ),
    words={
        Outcome.COMPLETED: "COMPLETED",
        Outcome.NO_CONSENT: "NO_CONSENT",
        Outcome.FAILED_PRACTICE: "OTHER, with the action “request a return”",
        Outcome.FAILED_ATTENTION: "FAILED_ATTENTION_CHECK",
        Outcome.SCREENED_OUT: "SCREENED_OUT",
        Outcome.FULL: "OTHER",
        Outcome.CLOSED: "OTHER",
        Outcome.WRONG_DEVICE: "INCOMPATIBLE_DEVICE",
    },
    has_tokens=True,
)
