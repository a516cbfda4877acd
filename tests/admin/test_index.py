"""The start page of the admin."""

import pytest
from django.test import Client

from studies.models import StudyState
from tests.factories import make_researcher, make_session, make_small_study

pytestmark = pytest.mark.django_db


def test_start_page_shows_ones_own_studies_each_with_its_state_and_what_comes_next(client: Client) -> None:
    owner = make_researcher()
    draft = make_small_study(owner=owner, state=StudyState.DRAFT, title="Kitchens")
    is_open = make_small_study(owner=owner, title="Gardens")
    make_session(is_open)
    make_small_study(title="Of somebody else")
    client.force_login(owner)
    page = client.get("/admin/").content.decode()
    assert "Of somebody else" not in page
    assert page.index("Gardens") < page.index("Kitchens")  # the newest first
    assert f'href="/admin/studies/study/{is_open.pk}/live/">Watch it fill' in page
    assert "1 person finished" in page
    assert f'href="/admin/studies/study/{draft.pk}/change/">Go on with the set-up' in page


def test_start_page_offers_no_change_to_those_who_only_read(client: Client) -> None:
    study = make_small_study(title="Gardens")
    reader = make_researcher()
    study.shared_with.add(reader)
    client.force_login(reader)
    page = client.get("/admin/").content.decode()
    assert f'href="/admin/studies/study/{study.pk}/change/">Look at it' in page
    assert "Watch it fill" not in page


def test_start_page_tells_newcomers_what_a_study_is(client: Client) -> None:
    client.force_login(make_researcher())
    page = client.get("/admin/").content.decode()
    assert "No study yet." in page
    assert 'href="/admin/studies/study/add/">New study' in page
