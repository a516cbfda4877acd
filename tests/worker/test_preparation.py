"""A real worker prepares a study, and one that starts later takes up what another left behind."""

from pathlib import Path

import pytest

from tests.worker.embedded import Embedded

MAKE = """
from studies import tasks
from studies.models import StudyState
from studies.services.studies import study_prepare
from tests.factories import make_study
study = make_study(state=StudyState.DRAFT)
study_prepare(study=study)
if "{send}":
    tasks.samples_plan.delay(study.pk)
"""
STATE = "select state from studies_study"


@pytest.mark.slow
@pytest.mark.worker
@pytest.mark.parametrize("send", ["sent", ""], ids=["sent to it", "left behind"])
def test_a_worker_makes_a_preparing_study_ready(tmp_path: Path, send: str) -> None:
    site = Embedded(tmp_path)
    site.make(MAKE.format(send=send))
    assert site.ask(STATE) == [("preparing",)]
    with site.worker() as worker:
        site.wait(worker, lambda: site.ask(STATE) == [("ready",)])
    assert site.ask("select sum(status = 'ready'), count(*) from studies_sample") == [(27, 27)], site.said
