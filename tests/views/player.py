"""A rater without a browser: what one can do and see over HTTP alone."""

import json
import re
from typing import Any

STATE = re.compile(r'<script id="state" type="application/json">(.*?)</script>', re.DOTALL)


def page_state(response: Any) -> dict[str, Any]:
    """Return the state that a rating page carries."""
    found = STATE.search(response.content.decode())
    assert found is not None
    state: dict[str, Any] = json.loads(found[1])
    return state


def answer_body(trial: str, side: str = "first", **changes: Any) -> dict[str, Any]:
    """Return an answer as the trial page sends it."""
    return {
        "trial": trial,
        "chosen_side": str(side),
        "rt_ms": 640,
        "exposure_first_ms": 1000.2,
        "exposure_second_ms": 1000.1,
        "was_hidden": False,
        "device_scale": 16,
        "pixel_ratio": 2,
    } | changes
