"""What is watched while a study runs: counts that add up, and a sentence for what somebody should look at."""

import datetime as dt
from typing import Any

import pytest
from django.db.models import Count
from django.utils import timezone

from studies.models import Kind, Origin, Response, Study, Trial
from studies.selectors import monitor
from studies.selectors.monitor import Monitor, monitor_get
from studies.services.sessions import session_return, session_withdraw
from studies.services.studies import study_pause
from tests.factories import answer_current, make_open_study, make_session, make_small_study

pytestmark = pytest.mark.django_db


def watched(study: Study, origin: Origin = Origin.PERSON) -> Monitor:
    return monitor_get(study, origin=origin)


def finish(study: Study, count: int, **options: Any) -> None:
    for _ in range(count):
        make_session(study, **options)


def test_every_session_is_counted_once() -> None:
    study = make_open_study(raters_wanted=4, golden_count=1)
    finish(study, 3)
    make_session(study, answers=[True, True, *[False] * 5])  # misses its golden pair
    given_up = make_session(study, answers=[True])
    study.sessions.filter(pk=given_up.pk).update(started_at=timezone.now() - dt.timedelta(hours=5))
    make_session(study, answers=[True])
    session_withdraw(session=make_session(study))
    session_return(session=make_session(study, answers=[True]))
    make_session(study, origin=Origin.SIMULATED)
    make_session(study, origin=Origin.PREVIEW)
    found = watched(study)
    sums = {
        name: sum(getattr(filling, name) for filling in found.fillings)
        for name in ("complete", "running", "dropped", "excluded", "ended")
    }
    assert sums == {"complete": 3, "running": 1, "dropped": 1, "excluded": 1, "ended": 2}
    assert sum(sums.values()) == study.sessions.filter(rater__origin=Origin.PERSON).count()
    assert [filling.wanted for filling in found.fillings] == [4, 4]
    simulated = watched(study, Origin.SIMULATED)
    assert sum(filling.complete for filling in simulated.fillings) == 1
    assert {filling.wanted for filling in simulated.fillings} == {0}


@pytest.mark.parametrize("preset", ["founding", "founding_mixed"])
def test_strips_hold_the_votes_that_count(preset: str) -> None:
    study = make_open_study(raters_wanted=9, preset=preset)
    finish(study, 5)
    make_session(study, answers=[True, True, *[False] * 5])  # left out
    make_session(study, answers=[True] * 5)  # not finished
    counted = Response.objects.filter(trial__session__state="complete", trial__kind=Kind.TEST)
    expected = dict(counted.values_list("trial__pair__sample__condition__slug").annotate(n=Count("pk")).order_by())
    strips = watched(study).strips
    assert {strip.condition.slug: strip.votes for strip in strips if strip.votes} == expected
    for strip in strips:
        assert strip.pairs == study.pairs.filter(kind=Kind.TEST, sample__condition=strip.condition).count()
        assert sum(cell.pairs for cell in strip.cells) == strip.pairs
        assert sum(cell.least for cell in strip.cells) == strip.votes  # one cell a pair
        assert all((cell.level == 0) == (cell.most == 0) for cell in strip.cells)
        assert sum(cell.most == 0 for cell in strip.cells) == strip.empty


def test_many_pairs_share_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_open_study()
    finish(study, 4)
    whole = watched(study).strips
    monkeypatch.setattr(monitor, "CELLS", 3)
    for strip, fine in zip(watched(study).strips, whole, strict=True):
        assert [cell.pairs for cell in strip.cells] == [2, 2, 3]
        parts = [fine.cells[:2], fine.cells[2:4], fine.cells[4:]]
        assert [(cell.least, cell.most) for cell in strip.cells] == [
            (min(each.least for each in part), max(each.most for each in part)) for part in parts
        ]


def test_answers_that_were_set_aside_are_no_votes() -> None:
    study = make_small_study(missed_exposure="leave_out", raters_wanted=5)
    finish(study, 2)
    aside = Trial.objects.filter(session__study=study, kind=Kind.TEST)[0].response
    aside.exposure_missed = aside.is_set_aside = True
    aside.save()
    assert sum(strip.votes for strip in watched(study).strips) == 3


def test_newest_sessions_are_judged_as_rules_judge_them(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_open_study(golden_count=2, test_count=14, spare_photos=0, raters_wanted=20)
    finish(study, 2)
    session = make_session(study, answers=[])
    while (trial := session.trials.filter(response=None).order_by("position").first()) is not None:
        answer_current(session, correct=trial.photo_side == "first")  # always the first
    later = Response.objects.filter(trial__session=session).exclude(trial__kind=Kind.PRACTICE)
    later.filter(trial__kind=Kind.TEST).update(exposure_missed=True, focus_losses=1, automation="webdriver")
    practice = Response.objects.filter(trial__session=session, trial__kind=Kind.PRACTICE)
    practice.update(exposure_missed=True, lost_focus=True)
    recent = watched(study).recent
    right = sum(trial.photo_side == "first" for trial in session.trials.filter(kind=Kind.GOLDEN))
    assert (recent.sessions, recent.answers, recent.golden) == (3, 48, 6)
    assert (recent.golden_right, recent.missed, recent.hidden) == (4 + right, 14, 0)
    assert (recent.away, recent.automated, recent.one_sided) == (1, 1, 1)
    monkeypatch.setattr(monitor, "RECENT", 1)
    assert watched(study).recent.answers == 16


def test_speed_is_measured_over_the_shortest_time_that_tells() -> None:
    study = make_small_study(raters_wanted=30)
    assert watched(study).speed.an_hour is None
    finish(study, 8)
    now = timezone.now()
    study.sessions.update(started_at=now - dt.timedelta(hours=10))
    for hours, session in zip((0.1, 0.2, 0.3, 0.4, 0.5, 3, 4, 5), study.sessions.all(), strict=True):
        study.sessions.filter(pk=session.pk).update(finished_at=now - dt.timedelta(hours=hours))
    speed = watched(study).speed
    assert (speed.over, speed.an_hour) == ("the last hour", 5)
    assert speed.hours_left == pytest.approx((30 - 8) / 5)
    study.sessions.filter(finished_at__gt=now - dt.timedelta(minutes=20)).update(
        finished_at=now - dt.timedelta(hours=2)
    )
    speed = watched(study).speed
    assert speed.over == "the last day"
    assert speed.an_hour == pytest.approx(0.8, rel=0.01)
    study_pause(study=study)
    assert watched(study).speed.hours_left is None


def test_a_quiet_study_gives_no_warning() -> None:
    study = make_open_study(raters_wanted=9)
    finish(study, 6)
    assert watched(study).warnings == ()


def test_what_goes_wrong_is_said_in_a_sentence() -> None:
    study = make_open_study(golden_count=2, golden_misses_allowed=0, raters_wanted=40)
    finish(study, 12, answers=[True, True, *[False] * 6])  # all left out, golden pairs missed
    finish(study, 8, answers=[True])
    sessions = study.sessions.filter(state="active")
    sessions.update(started_at=timezone.now() - dt.timedelta(hours=5))
    Response.objects.filter(trial__kind=Kind.TEST).update(exposure_missed=True, automation="webdriver")
    study.opened_at = timezone.now() - dt.timedelta(hours=30)
    study.save()
    said = " ".join(watched(study).warnings)
    for part in (
        "8 of 20 sessions were begun and not finished",
        "24 of 24 golden answers were wrong",
        "12 of the last 12 sessions were left out by a rule",
        "67% of the last 72 answers missed their exposure",
        "12 of the last 12 sessions show signs that a program",
        "Nobody has completed a session for 30 hours",
    ):
        assert part in said


def test_a_condition_that_fills_slower_is_named() -> None:
    study = make_open_study(raters_wanted=30)
    finish(study, 16)
    slow = study.conditions.get(label="Smooth")
    lost = list(study.sessions.filter(condition=slow)[:5].values_list("pk", flat=True))
    study.sessions.filter(pk__in=lost).update(state="returned", completion_code="")
    assert any(
        sentence.startswith("“Smooth” fills slower: 3 sessions, where the others have 8 on average; 5 of it")
        for sentence in watched(study).warnings
    )


def test_queries_do_not_grow(django_assert_max_num_queries: Any) -> None:
    study = make_open_study(raters_wanted=40)
    for _ in range(2):
        finish(study, 4)
        with django_assert_max_num_queries(10):
            watched(study)
