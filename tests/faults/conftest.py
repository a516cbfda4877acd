"""The table of what was tried, printed at the end: `make faults`."""

from collections.abc import Callable

import pytest

HEAD = "| fault | who is there meets | at stake | lost | doubled |\n|---|---|---|---|---|"
ROWS: list[str] = []


@pytest.fixture
def note() -> Callable[..., None]:
    """Give a function that notes a fault, what was seen, and how much was lost or doubled, which must be nothing."""

    def note_one(fault: str, met: str, *, at_stake: str, lost: int, doubled: int) -> None:
        ROWS.append(f"| {fault} | {met} | {at_stake} | {lost} | {doubled} |")
        assert (lost, doubled) == (0, 0), ROWS[-1]

    return note_one


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if ROWS:
        terminalreporter.write_line(f"\n{HEAD}")
        for row in ROWS:
            terminalreporter.write_line(row)
