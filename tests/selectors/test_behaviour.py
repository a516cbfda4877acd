"""How many sessions break which rule, and where the sessions of a study went."""

from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from studies.models import Origin
from studies.selectors.behaviour import rule_counts
from studies.selectors.results import result_table
from tests.factories import answer_current, make_open_study, make_session

pytestmark = pytest.mark.django_db


def test_every_rule_is_counted_as_reason_as_broken_and_for_sessions_that_were_given_up() -> None:
    study = make_open_study(fast_ms=300, practice_count=0)
    make_session(study)
    both, fast, given_up, _running = (make_session(study, answers=[]) for _ in range(4))
    for _ in range(5):
        answer_current(both, correct=False, rt_ms=100)
        answer_current(fast, rt_ms=100)
    answer_current(given_up, rt_ms=100)
    later = timezone.now() + timedelta(minutes=settings.SESSION_ALIVE_MINUTES + 1)
    with time_machine.travel(later, tick=False):
        counts = rule_counts(study, origin=Origin.PERSON)
        assert [tuple(count) for count in counts] == [
            ("missed too many golden pairs", 1, 1, 0, False),
            ("answered too fast", 1, 2, 1, False),
        ]
        assert rule_counts(study, origin=Origin.SIMULATED) == []
    assert rule_counts(study, origin=Origin.PERSON)[1].unfinished == 0  # it may be finished yet
    page = Client()
    page.force_login(study.owner)
    text = page.get(reverse("admin:studies_study_change", args=[study.pk])).content.decode()
    assert "Rules that sessions broke" in text
    assert "Answered too fast" in text


def test_flow_leads_from_arrivals_to_counted_sessions(client: Client) -> None:
    study = make_open_study(fast_ms=300, practice_count=0)
    assert result_table(study).flow.arrived is None  # nobody came: nothing was counted
    for _ in range(6):
        client.post(reverse("studies:arrived", args=[study.code]))
    make_session(study)
    fast = make_session(study, answers=[])
    for _ in range(5):
        answer_current(fast, rt_ms=100)
    make_session(study, answers=[True])
    make_session(study, answers=[])
    make_session(study, origin=Origin.SIMULATED)
    flow = result_table(study, origin=Origin.PERSON).flow
    assert (flow.arrived, flow.consented, flow.started, flow.completed, flow.counted) == (6, 4, 3, 2, 1)
    assert flow.excluded == (("too_fast", 1),)
    simulated = result_table(study, origin=Origin.SIMULATED).flow
    assert (simulated.arrived, simulated.consented, simulated.counted) == (None, None, 1)
