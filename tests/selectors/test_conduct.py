"""What browsers reported, summed up for the researcher."""

import pytest

from studies.models import Origin, Side
from studies.selectors.conduct import Conduct, conduct_get
from studies.selectors.sessions import passage_get
from studies.services.responses import response_record
from studies.services.sessions import session_start
from tests.factories import make_open_study, make_session

pytestmark = pytest.mark.django_db


def test_conduct_counts_answers_and_sessions_of_one_origin() -> None:
    study = make_open_study(practice_count=1, test_count=2, golden_count=0, missed_exposure="leave_out")
    make_session(study)
    make_session(study, origin=Origin.SIMULATED)
    session = session_start(study=study)
    for exposure_ms, losses in ((1100.0, 0), (1000.0, 3), (900.0, 0)):
        response_record(
            session=session,
            trial_code=passage_get(session).trials[0],
            chosen_side=Side.FIRST,
            rt_ms=500,
            exposure_first_ms=1000.0,
            exposure_second_ms=exposure_ms,
            was_hidden=False,
            lost_focus=losses > 0,
            focus_losses=losses,
            automation="webdriver" if losses else "",
        )
    assert conduct_get(study, origin=Origin.PERSON) == Conduct(
        responses=6, exposures_missed=2, set_aside=1, hidden=1, sessions=2, sessions_away=1, sessions_automated=1
    )
    assert conduct_get(study, origin=Origin.SIMULATED).responses == 3
    assert conduct_get(study, origin=Origin.PREVIEW).responses == 0
