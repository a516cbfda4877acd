"""The open link: whoever has it can take part, and nobody says who came."""

from studies.recruitment.panel import Panel

PANEL = Panel(
    slug="open",
    label="Open link",
    steps=("Send people the link below. Each gets a code of their own at the end, which stands in the session's row.",),
)
