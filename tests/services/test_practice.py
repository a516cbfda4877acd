"""Practice that has to be passed: two tries, then the way back, with the place freed."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from scipy import stats

from studies.errors import SessionEnded
from studies.models import Kind, Origin, RatingSession, Recruitment, Response, SessionState, Side, Study, Trial
from studies.recruitment import Arrival
from studies.reports.methods_text import methods_paragraphs
from studies.reports.wording import flow_sentence
from studies.selectors.recruitment import exit_of
from studies.selectors.results import result_table
from studies.selectors.sessions import passage_get
from studies.services.places import place_check
from studies.services.responses import response_record
from studies.services.sessions import session_start, session_withdraw
from studies.statistics.quality import practice_figures
from tests.factories import answer_current, make_session, make_small_study
from tests.views.player import answer_body, page_state

pytestmark = pytest.mark.django_db

PRACTICE = 4
NEEDED = 3


def study_of(**options: Any) -> Study:
    """Make a study with four pairs of practice, three of which must be right, and two pairs after it."""
    counts: dict[str, Any] = {"practice_count": PRACTICE, "practice_pass": NEEDED, "test_count": 2, "golden_count": 0}
    return make_small_study(**counts | {"preset": "founding_mixed", "raters_wanted": 1} | options)


def practise(session: RatingSession, *, right: int) -> None:
    for i in range(PRACTICE):
        answer_current(session, correct=i < right)


def practice_of(session: RatingSession) -> list[Trial]:
    return list(session.trials.filter(kind=Kind.PRACTICE).order_by("position"))


def test_who_has_enough_right_goes_on_after_one_try() -> None:
    session = session_start(study=study_of())
    practise(session, right=NEEDED)
    assert (passage_get(session).phase, passage_get(session).position, passage_get(session).count) == ("main", 1, 2)
    assert len(practice_of(session)) == PRACTICE


@pytest.mark.parametrize("spare", [0, PRACTICE], ids=["the same photos", "photos to spare"])
def test_who_misses_practises_once_more_with_other_photos_if_there_are_some(spare: int) -> None:
    session = session_start(study=study_of(spare_photos=spare))
    later = list(session.trials.exclude(kind=Kind.PRACTICE).order_by("position").values_list("code", flat=True))
    practise(session, right=NEEDED - 1)
    passage = passage_get(session)
    assert (passage.phase, passage.position, passage.count) == ("practice", 1, PRACTICE)
    assert passage.is_phase_start
    assert not passage.is_first
    first, again = practice_of(session)[:PRACTICE], practice_of(session)[PRACTICE:]
    assert len(again) == PRACTICE
    photos, other = ({trial.photo_id for trial in trials} for trials in (first, again))
    assert photos.isdisjoint(other) if spare else photos == other
    assert [trial.repeat_of is None for trial in again] == [bool(spare)] * PRACTICE
    assert sum(trial.photo_side == Side.FIRST for trial in again) == PRACTICE // 2
    assert {trial.code for trial in first}.isdisjoint({trial.code for trial in again})
    practise(session, right=NEEDED)
    passage = passage_get(session)
    assert (passage.phase, passage.position, passage.count, passage.is_phase_start) == ("main", 1, 2, True)
    assert list(passage.trials) == later, "the pairs that count are other ones after a second try"
    assert list(session.trials.order_by("position").values_list("position", flat=True)) == list(range(10))
    for _ in later:
        answer_current(session)
    session.refresh_from_db()
    assert session.state == SessionState.COMPLETE


def test_who_misses_twice_is_sent_back_and_the_place_is_free() -> None:
    study = study_of()
    Recruitment.objects.create(study=study, panel="prolific", exits={"failed_practice": "TRY", "completed": "DONE"})
    session = session_start(study=study, arrival=Arrival("pid1", "sub1"))
    practise(session, right=0)
    practise(session, right=NEEDED - 1)
    session.refresh_from_db()
    assert (session.state, session.completion_code) == (SessionState.FAILED, "")
    assert session.finished_at is not None
    assert exit_of(session).code == "TRY"
    place_check(study=study, origin=Origin.PERSON)
    later = session.trials.filter(response=None).earliest("position")
    with pytest.raises(SessionEnded):
        response_record(
            session=session,
            trial_code=later.code,
            chosen_side=Side.FIRST,
            rt_ms=500,
            exposure_first_ms=None,
            exposure_second_ms=None,
            was_hidden=False,
        )
    table = result_table(study)
    assert "1 started, 1 sent back after practice, 0 completed" in flow_sentence(table)
    told = " ".join(methods_paragraphs(json.loads(study.design)))
    assert "Whoever had fewer than 3 of the practice pairs right in two tries was sent back." in told


def test_the_whole_way_over_http_and_back_to_the_panel(client: Client) -> None:
    study = study_of()
    Recruitment.objects.create(study=study, panel="prolific", exits={"failed_practice": "TRY"})
    session = session_start(study=study, arrival=Arrival("pid1", "sub1"))
    rate, answer = (reverse(f"studies:{name}", args=[session.code]) for name in ("rate", "answer"))
    passage = page_state(client.get(rate))["passage"]
    sent: list[dict[str, Any]] = []
    reply: dict[str, Any] = {}
    while passage["phase"] == "practice":
        trial = session.trials.get(code=passage["trials"][0])
        sent.append(answer_body(trial.code, Side(trial.photo_side).other))
        reply = client.post(answer, json.dumps(sent[-1]), content_type="application/json").json()
        passage = reply["passage"]
        assert reply["feedback"] == {"correct": False, "photo_side": trial.photo_side}
    assert len(sent) == 2 * PRACTICE
    assert (passage["phase"], passage["trials"], passage["completion_url"]) == ("failed", [], "")
    assert client.post(answer, json.dumps(sent[-1]), content_type="application/json").json() == reply, "a repeat"
    assert Response.objects.count() == 2 * PRACTICE
    entrance = f"{reverse('studies:entry', args=[study.code])}?PROLIFIC_PID=pid1"
    for address in (rate, entrance):
        text = client.get(address, follow=True).content.decode()
        assert "Thank you for trying" in text
        assert 'href="https://app.prolific.com/submissions/complete?cc=TRY"' in text
    assert "Do you want to withdraw?" in client.get(reverse("studies:withdraw", args=[session.code])).content.decode()
    session_withdraw(session=session)
    assert not Response.objects.exists()


def test_study_that_asks_for_nothing_lets_everybody_through() -> None:
    session = session_start(study=study_of(practice_pass=0))
    practise(session, right=0)
    assert passage_get(session).phase == "main"


def test_repeated_pairs_after_two_tries_are_counted_from_the_main_part() -> None:
    session = session_start(study=study_of(missed_exposure="repeat"))
    practise(session, right=0)
    practise(session, right=PRACTICE)
    assert passage_get(session).count == 2


@pytest.mark.parametrize(("needed", "n"), [(1, 1), (3, 4), (8, 10), (10, 10)])
def test_chances_to_pass_are_those_of_two_binomial_tries(needed: int, n: int) -> None:
    figures = practice_figures(needed, n)
    assert figures is not None
    assert figures.passes[0].probability == pytest.approx(1 - stats.binom.cdf(needed - 1, n, 0.5) ** 2)
    assert figures.hit[0].probability == pytest.approx(stats.binom.cdf(needed - 1, n, 0.9) ** 2)


def test_without_the_setting_there_are_no_chances_and_no_step_in_the_flow() -> None:
    assert practice_figures(0, 10) is None
    guesses = practice_figures(66, 100, kinds=2)
    assert guesses is not None
    in_one_try = stats.binom.sf(32, 50, 0.5) ** 2  # 33 of 50 real and 33 of 50 fake ones
    assert guesses.passes[0].probability == pytest.approx(1 - (1 - in_one_try) ** 2)
    assert guesses.effect == "sent back below 33 of 50 right of each kind, twice"
    study = study_of(practice_pass=0)
    make_session(study)
    assert "sent back" not in flow_sentence(result_table(study))


def test_pictures_alone_are_practised_until_both_the_real_and_the_fake_ones_are_right() -> None:
    study = study_of(preset="hype_infinity", practice_count=4, practice_pass=2, raters_wanted=2)
    passed, failed = session_start(study=study), session_start(study=study)
    for session, is_every_picture_called_real in ((passed, False), (failed, True)):
        for _ in range(8 if is_every_picture_called_real else 4):
            trial = session.trials.get(code=passage_get(session).trials[0])
            is_right = not is_every_picture_called_real or trial.photo_side == Side.FIRST
            answer_current(session, correct=is_right)
    passed.refresh_from_db()
    failed.refresh_from_db()
    assert passage_get(passed).phase == "main"
    assert failed.state == SessionState.FAILED, "half of the answers were right, but none on the fake ones"
