"""The server's clock is put back, or forward, while people are at work: order, links and places stay what they were."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from studies.models import Origin, RatingSession, Recruitment, Response, SessionState
from studies.recruitment import Arrival
from studies.selectors.sessions import passage_get
from studies.services.recruitment import ticket_sign
from studies.services.sessions import origin_sign, session_start
from tests.factories import PASSWORD, make_researcher, make_small_study
from tests.views.player import answer_body

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize("jump", [timedelta(hours=-3), timedelta(days=-40), timedelta(minutes=20)], ids=str)
def test_votes_links_and_sign_in_outlive_a_clock_that_jumps(
    jump: timedelta, client: Client, note: Callable[..., None]
) -> None:
    study = make_small_study(raters_wanted=1)
    Recruitment.objects.create(study=study, panel="prolific")
    owner = make_researcher()
    with time_machine.travel(NOON, tick=False) as clock:
        session = session_start(study=study, arrival=Arrival("p1", "s1", "st"))
        ticket = ticket_sign(study=study, arrival=Arrival("p2", "s2", "st"))
        preview = origin_sign(study=study, origin=Origin.PREVIEW)
        researcher = Client()
        assert researcher.login(username=owner.username, password=PASSWORD)
        order = list(session.trials.order_by("position").values_list("code", flat=True))
        answered = []
        for place, code in enumerate(order):
            assert passage_get(session).trials[0] == code
            reply = client.post(
                reverse("studies:answer", args=[session.code]), answer_body(code), content_type="application/json"
            )
            assert reply.status_code == 200
            answered.append(code)
            if place == 0:
                clock.shift(jump)  # a time server has set it right
                entry = reverse("studies:entry", args=[study.code])
                full = client.post(entry, {"agrees": "on", "ticket": ticket, "entry_token": "t" * 22})
                assert full.status_code == 409, "the place of a session under way was given away"
                assert client.get(entry, {"origin": preview}).status_code == 200
                assert researcher.get(reverse("admin:index")).status_code == 200
        session.refresh_from_db()
        assert session.state != SessionState.ACTIVE
        again = session_start(study=study, arrival=Arrival("p1", "s1", "st"))
    assert again == session
    kept = list(Response.objects.order_by("trial__position").values_list("trial__code", flat=True))
    assert RatingSession.objects.count() == 1
    note(
        f"clock jumps by {jump / timedelta(hours=1):+.1f} h in mid-session",
        "nothing: the order is that of the plan; links, places and accounts stay",
        at_stake=f"{len(answered)} votes",
        lost=len(set(answered) - set(kept)),
        doubled=len(kept) - len(set(kept)),
    )
