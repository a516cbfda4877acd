"""A worker is killed while it makes samples: the next one makes what is missing, and nothing a second time."""

from pathlib import Path

import pytest

from tests.worker.embedded import Embedded

MAKE = """
from studies import tasks
from studies.models import StudyState
from studies.services.studies import ConditionSpec, study_prepare
from tests.factories import make_study
conditions = [ConditionSpec("bicubic"), *(ConditionSpec("bicubic", role="test", label=f"Smooth {i}") for i in range(5))]
study = make_study(state=StudyState.DRAFT, conditions=conditions, spare_photos=25, size=128)
study_prepare(study=study)
tasks.samples_plan.delay(study.pk)
"""
LOOK = """
from studies.images import sha256_of
from studies.models import Sample, Study
from studies.selectors.pictures import picture_read
ready = Sample.objects.filter(status="ready")
whole = sum(sha256_of(picture_read(sample.picture)) == sample.sha256 for sample in ready)
print(Study.objects.get().state, whole, ready.count(), Sample.objects.count(), *sorted(s.picture.name for s in ready))
"""
READY = "select count(*) from studies_sample where status = 'ready'"


@pytest.mark.slow
@pytest.mark.worker
def test_samples_outlive_a_worker_that_is_killed(tmp_path: Path) -> None:
    site = Embedded(tmp_path)
    site.make(MAKE)
    with site.worker() as first:
        site.wait(first, lambda: site.ask(READY) != [(0,)])
    state, whole, ready, total, *kept = site.python(LOOK)
    assert state == "preparing"
    assert 0 < int(ready) < int(total)
    assert whole == ready
    with site.worker() as second:
        site.wait(second, lambda: site.ask("select state from studies_study") == [("ready",)])
    state, whole, ready, again, *pictures = site.python(LOOK)
    assert (state, whole, ready, again) == ("ready", total, total, total)
    assert set(kept) < set(pictures)  # what was made before was not made anew
    assert len(set(pictures)) == int(total)
