"""A config and runs to test training with: real, and done within a second."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from studies.models import PhotoSet, Researcher, TrainingRun
from studies.selectors.training import Entry
from studies.services.training import run_create
from studies.training import ConfigFacts
from tests.factories import make_photo_set, make_researcher

CONFIG = """\
[network]
name = "srresnet"
factor = 4
channels = 4
blocks = 1

[training]
steps = {steps}
decay_steps = 4
warmup_steps = 2
batch = 2
average_decay = 0.5
validate_every = {validate_every}
"""

FACTS = ConfigFacts("srresnet", factor=4, parameters=1_000, steps=20, batch=2, speed_key="0" * 64)
"""Of the config above, for tests that need not have it checked by a process of its own."""


def make_run(
    *,
    owner: Researcher | None = None,
    photo_set: PhotoSet | None = None,
    steps: int = 20,
    validate_every: int = 10,
    **fields: Any,
) -> TrainingRun:
    """Make a run that waits for a worker, on eight photos if no set is given."""
    owner = owner or make_researcher()
    return run_create(
        owner=owner,
        name=fields.pop("name", "Rooms, tiny"),
        photo_set=photo_set or make_photo_set(owner=owner, photos=8),
        config_name="tiny",
        config=CONFIG.format(steps=steps, validate_every=validate_every),
        facts=FACTS._replace(steps=steps),
        **fields,
    )


def in_state(run: TrainingRun, state: str, *, heard_s_ago: float = 0, **fields: Any) -> TrainingRun:
    """Put a run into a state, claimed by another machine where a worker has it."""
    is_claimed = state in ("running", "stopping")
    claim = {"claim": "elsewhere/1/x", "heartbeat_at": timezone.now() - timedelta(seconds=heard_s_ago)}
    TrainingRun.objects.filter(pk=run.pk).update(state=state, **(claim if is_claimed else {"claim": ""}), **fields)
    run.refresh_from_db()
    return run


def progress_write(run: TrainingRun, *, steps: int = 40) -> None:
    """Write what a worker would have written."""
    run.folder.mkdir(parents=True, exist_ok=True)
    entries = [Entry(timezone.now(), "note", 0, {}, 0.0, "Trains on a machine.")]
    for step in range(10, steps + 1, 10):
        entries.append(Entry(timezone.now(), "train", step, {"joint": 8 / step, "prior": 9 / step}, 52.5, ""))
        if step % 20 == 0:
            entries.append(Entry(timezone.now(), "validation", step, {"joint": 8.8 / step}, 0.0, ""))
    (run.folder / "progress.jsonl").write_text("".join(entry.to_json() + "\n" for entry in entries))
