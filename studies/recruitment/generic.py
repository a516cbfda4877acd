"""Any panel that opens an address with its ids and waits at another one: the names are the researcher's to set."""

from studies.recruitment.panel import Names, Panel

PANEL = Panel(
    slug="generic",
    label="Another panel",
    names=Names("participant", "session", "study"),
    steps=(
        "Set below the names of the parameters in which the panel sends its ids; the link above follows them.",
        (
            "Give the panel that link as the address of the study, and put in place of each {…} what the panel fills "
            "in itself (its manual calls it a variable, a placeholder or piped text)."
        ),
        (
            "Set below the code or the address that the panel wants for each outcome. In an address, {participant}, "
            "{session} and {study} are replaced by the ids that came."
        ),
    ),
)
