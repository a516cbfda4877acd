"""How long pictures really stand on the screen of a real Chromium, on an idle and on a throttled page.

It plays sessions on the trial page and reads what the page stored with its answers. The page's own clock is compared
with an independent watch of the screen's frames in tests/browser/test_exposure.py.
"""

import argparse
import shutil
import sys

import numpy as np

from tests.benchmarks.harness import machine
from tests.benchmarks.served import served

SCREEN_MS = 1000 / 60
"""Time between two frames of a screen."""

CHROMIUM = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")


def exposures_measure(address: str, *, exposure_ms: int, slowdown: int, trials: int) -> list[str]:
    """Play one session; return its row of the table."""
    from playwright.sync_api import sync_playwright

    from studies.models import Response
    from studies.services.sessions import session_start
    from tests.factories import make_open_study

    study = make_open_study(
        practice_count=0, test_count=trials, golden_count=0, lead_in_ms=300, gap_ms=200, exposure_ms=exposure_ms
    )
    session = session_start(study=study)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{address}/r/{session.code}/")
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
        page.get_by_role("button", name="Start").click()
        for _ in range(trials):
            page.locator("#choose-first[aria-disabled=false]").wait_for(timeout=60_000)
            page.keyboard.press("1")
        page.get_by_role("heading", name="Thank you").wait_for(timeout=60_000)
        browser.close()
    answers = list(Response.objects.filter(trial__session=session))
    pairs = [((a.exposure_first_ms, a.frames_first), (a.exposure_second_ms, a.frames_second)) for a in answers]
    shown = np.array(pairs, np.float64).reshape(-1, 2)
    interval = float(np.median([a.frame_interval_ms or np.nan for a in answers]))
    due = np.round(shown[:, 0] / SCREEN_MS)
    low, middle, high = np.percentile(shown[:, 0], [5, 50, 95])
    return [
        "no" if slowdown == 1 else f"{slowdown} times",
        f"{exposure_ms}",
        f"{len(shown)}",
        f"{middle:.1f}",
        f"{low:.1f} to {high:.1f}",
        f"{np.abs(shown[:, 0] - exposure_ms).max():.1f}",
        f"{interval:.1f}",
        f"{int((due - shown[:, 1]).sum())} of {int(due.sum())}",
        f"{sum(a.exposure_missed for a in answers)} of {len(answers)}",
    ]


def main() -> int:
    """Run the benchmark and print the table of docs/protocol.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exposures", type=int, nargs="+", default=[50, 100, 500, 1000], metavar="MS")
    parser.add_argument("--slowdowns", type=int, nargs="+", default=[1, 4, 8], metavar="TIMES")
    parser.add_argument("--trials", type=int, default=20, help="pairs for each row; each gives two exposures")
    options = parser.parse_args()
    print(machine(["Django", "playwright"]))
    head = ("CPU throttled", "asked, ms", "pictures", "median, ms", "5 to 95 %, ms", "largest error, ms", "frame, ms")
    print("| " + " | ".join((*head, "frames skipped", "answers marked")) + " |")
    print("|---" * 9 + "|")
    with served() as address:
        for slowdown in options.slowdowns:
            for exposure_ms in options.exposures:
                row = exposures_measure(address, exposure_ms=exposure_ms, slowdown=slowdown, trials=options.trials)
                print("| " + " | ".join(row) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
