"""What browsers reported, summed up for the researcher."""

from collections.abc import Sequence

import pytest

from studies.models import Origin, RatingSession, Recruitment, Response, SessionState, Side, Withdrawal
from studies.selectors.conduct import Conduct, conduct_get
from studies.selectors.sessions import passage_get
from studies.services.responses import response_record
from studies.services.sessions import session_start, session_withdraw
from tests.factories import make_open_study, make_session

pytestmark = pytest.mark.django_db


def test_conduct_counts_answers_and_sessions_of_one_origin() -> None:
    study = make_open_study(practice_count=1, test_count=2, golden_count=0, missed_exposure="leave_out")
    make_session(study)
    make_session(study, origin=Origin.SIMULATED)
    session = session_start(study=study)
    for exposure_ms, losses in ((1100.0, 0), (1000.0, 3), (900.0, 0)):
        answer_one(session, exposure_ms=exposure_ms, losses=losses)
    assert conduct_get(study, origin=Origin.PERSON) == Conduct(
        responses=6, exposures_missed=2, set_aside=1, hidden=1, sessions=2, sessions_away=1, sessions_automated=1
    )
    assert conduct_get(study, origin=Origin.SIMULATED).responses == 3
    assert conduct_get(study, origin=Origin.PREVIEW).responses == 0


@pytest.mark.parametrize("origin", [Origin.PERSON, Origin.SIMULATED])
def test_conduct_is_what_counting_the_responses_one_by_one_gives(origin: Origin) -> None:
    """Of sessions finished, left out, given up after practice or before the first answer, and withdrawn."""
    study = make_open_study(
        practice_count=1, test_count=3, golden_count=0, missed_exposure="leave_out", left_page_limit=1, raters_wanted=30
    )
    Recruitment.objects.create(study=study, withdrawal=Withdrawal.KEEP)
    other = make_open_study(practice_count=1, test_count=3, golden_count=0)
    answer(session_start(study=other, origin=origin), answers=2)
    session_start(study=study, origin=origin)
    for answers in (1, 2, 3):
        answer(session_start(study=study, origin=origin), answers=answers)
    for losses in ([0, 0, 0, 0, 0], [3, 0, 0, 2, 0]):
        answer(session_start(study=study, origin=origin), answers=9, losses=losses)
    answer(session_start(study=study, origin=origin), answers=9, exposure_ms=1000.0)
    withdrawn = session_start(study=study, origin=origin)
    answer(withdrawn, answers=2, losses=[1, 1])
    session_withdraw(session=withdrawn)
    assert Response.objects.filter(trial__session=withdrawn).count() == 2  # kept, and counted nowhere
    answer(session_start(study=study, origin=Origin.PREVIEW), answers=9)
    rows = [
        one
        for one in Response.objects.select_related("trial__session__rater").filter(trial__session__study=study)
        if one.trial.session.rater.origin == origin and one.trial.session.state != SessionState.WITHDRAWN
    ]
    states = {session.state for session in study.sessions.filter(rater__origin=origin)}
    assert states == {"active", "complete", "excluded", "withdrawn"}
    assert conduct_get(study, origin=origin) == Conduct(
        responses=len(rows),
        exposures_missed=sum(one.exposure_missed for one in rows),
        set_aside=sum(one.is_set_aside for one in rows),
        hidden=sum(one.was_hidden or one.lost_focus for one in rows),
        sessions=len({one.trial.session_id for one in rows}),
        sessions_away=len({one.trial.session_id for one in rows if one.focus_losses}),
        sessions_automated=len({one.trial.session_id for one in rows if one.automation}),
    )


def answer(
    session: RatingSession, *, answers: int, losses: Sequence[int] = (), exposure_ms: float | None = None
) -> None:
    """Answer the next trials of a session; every other misses its exposure unless one is given."""
    for place in range(answers):
        session.refresh_from_db()
        if session.state != SessionState.ACTIVE:
            return
        asked_ms = exposure_ms or 1000.0 + 100.0 * (place % 2)
        lost = losses[place] if place < len(losses) else 0
        answer_one(session, exposure_ms=asked_ms, losses=lost, is_hidden=place == 1)


def answer_one(session: RatingSession, *, exposure_ms: float, losses: int, is_hidden: bool = False) -> None:
    response_record(
        session=session,
        trial_code=passage_get(session).trials[0],
        chosen_side=Side.FIRST,
        rt_ms=500,
        exposure_first_ms=1000.0,
        exposure_second_ms=exposure_ms,
        was_hidden=is_hidden,
        lost_focus=losses > 0,
        focus_losses=losses,
        automation="webdriver" if losses > 1 else "",
    )
