"""Workers are killed at the worst points of sampling and of training: the next one makes it whole, once."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studies import images
from tests.site.parts import ROOT, wait_until
from tests.worker.embedded import Embedded

PREPARE = """
from studies.models import StudyState
from studies.services.studies import study_prepare
from tests.factories import make_small_study
study_prepare(study=make_small_study(state=StudyState.DRAFT))
"""
TRAIN = """
from studies.tasks import training_enqueue
from tests.training import make_run
training_enqueue(make_run(steps={steps}, validate_every=100))
"""
STEPS = 600


class Site(Embedded):
    """An embedded site whose workers die."""

    @contextmanager
    def workers(self, queues: str, *points: str) -> Iterator[None]:
        """Start workers that are killed at their points, and at last one that lives, while the block runs."""
        command = [sys.executable, "-m", "tests.faults.dying", queues, *points]
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                command, env=self.environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield
            said = self.said
            assert [point for point in points if f"died {point}\n" not in said] == []
        except BaseException:
            print(self.said[-6000:])
            raise
        finally:
            subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"])
            process.wait()


@pytest.mark.slow
@pytest.mark.worker
def test_samples_are_whole_and_single_after_workers_were_killed(tmp_path: Path, note: Callable[..., None]) -> None:
    points = (
        "studies.services.samples.samples_plan",
        "studies.services.samples.samples_plan+",
        "studies.services.samples._batch_fill",
        "studies.services.samples._batch_fill+",  # the pictures are written, the rows are not
        "studies.services.samples._batch_keep+",
        "studies.services.samples.pairs_build+",  # in the middle of a transaction
    )
    site = Site(tmp_path)
    site.make(PREPARE)
    with site.workers("celery,training", *points):
        wait_until(lambda: site.ask("SELECT state FROM studies_study") == [("ready",)], what="The preparation")
    samples = site.ask("SELECT condition_id, photo_id, picture, sha256 FROM studies_sample WHERE status = 'ready'")
    wanted = len(
        {pair[:2] for pair in site.ask("SELECT c.id, p.photo_id FROM studies_condition c, studies_studyphoto p")}
    )
    pictures = {str(picture): np.asarray(Image.open(tmp_path / "media" / str(picture))) for _, _, picture, _ in samples}
    broken = sum(images.sha256_of(pictures[str(picture)]) != sha256 for _, _, picture, sha256 in samples)
    pairs = site.ask("SELECT count(*), count(DISTINCT sample_id) FROM studies_pair")[0]
    assert pairs[0] == pairs[1] != 0
    note(
        f"workers killed at {len(points)} points of sampling",
        "the preparation goes on with the next worker",
        at_stake=f"{wanted} samples",
        lost=wanted - len({sample[:2] for sample in samples}) + broken,
        doubled=len(samples) - len({sample[:2] for sample in samples}),
    )


@pytest.mark.slow
@pytest.mark.worker
def test_training_comes_to_its_end_after_workers_were_killed(tmp_path: Path, note: Callable[..., None]) -> None:
    points = (
        "studies.services.training._photos_keep+",
        "studies.services.training._progress_keep:2",
        "studies.services.training._checkpoint_publish",
        "studies.services.training._checkpoint_publish+",  # the checkpoint is there, the row does not know
    )
    site = Site(tmp_path)
    site.make(TRAIN.format(steps=STEPS))
    with site.workers("celery,training", *points):
        state = "SELECT state, step, claim, reason FROM studies_trainingrun"
        wait_until(lambda: site.ask(state)[0][0] not in {"queued", "running"}, what="The training")
    ((ended, step, claim, reason),) = site.ask(state)
    assert (ended, step, claim) == ("finished", STEPS, ""), reason
    checkpoints = [path.name for path in (tmp_path / "checkpoints").iterdir()]
    note(
        f"workers killed at {len(points)} points of training",
        "the run goes on from what was kept",
        at_stake="1 run",
        lost=1 - len(checkpoints),
        doubled=len(checkpoints) - 1,
    )
