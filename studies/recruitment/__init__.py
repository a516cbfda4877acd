"""Ways into a study and out of it again: one adapter a panel, pure, without Django."""

from studies.recruitment import connect, generic, mturk, open_link, prolific
from studies.recruitment.outcomes import MEANINGS, Outcome
from studies.recruitment.panel import Arrival, Exit, Names, Panel, exit_check

__all__ = ["MEANINGS", "PANELS", "Arrival", "Exit", "Names", "Outcome", "Panel", "exit_check"]

PANELS: dict[str, Panel] = {
    panel.slug: panel for panel in (open_link.PANEL, prolific.PANEL, connect.PANEL, generic.PANEL, mturk.PANEL)
}
"""Every panel by its slug, in the order in which they are offered."""
