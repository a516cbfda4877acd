"""Every address of the site answers under the strict headers: a table of all of them, pages of the admin included."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from evalsite.headers import PERMISSIONS_POLICY
from studies.models import Origin, RatingSession, Researcher, StudyState
from studies.services.sessions import session_start
from tests.evalsite.test_security import POLICY
from tests.factories import make_researcher, make_session, make_small_study
from tests.training import make_run

pytestmark = pytest.mark.django_db


def patterns_of(resolver: Any, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Return every pattern of the site, with its whole route."""
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from patterns_of(pattern, route)
        else:
            yield route, pattern


@pytest.fixture
def objects() -> dict[str, dict[str, Any]]:
    """What stands in addresses, by the part of the site: each leads to something that is there."""
    owner = make_researcher(is_superuser=True)
    study = make_small_study(owner=owner, state=StudyState.OPEN)
    session = make_session(study, answers=[True])
    photo = study.photo_set.photos.first()
    assert photo is not None
    run = make_run(owner=owner, photo_set=study.photo_set)
    code = session.trials.get(position=1).code
    keys = {"study": study, "photoset": study.photo_set, "photo": photo, "ratingsession": session, "trainingrun": run}
    keys |= {"rater": session.rater, "researcher": owner}
    return {
        "keys": {name: str(each.pk) for name, each in keys.items()},
        "words": {
            "study_code": study.code,
            "session_code": session.code,
            "trial_code": code,
            "condition_slug": "bicubic",
            "format_name": "csv",
            "name": "fool-rates",
            "file_format": "png",
            "picture": "1",
        },
    }


def address_of(route: str, objects: dict[str, dict[str, Any]]) -> str:
    """Fill the places of a route."""
    pieces = []
    for piece in route.replace("^", "").replace("$", "").split("<"):
        place, closed, rest = piece.partition(">")
        if not closed:
            pieces.append(piece)
            continue
        name = place.rpartition(":")[2]
        model = route.removeprefix("admin/studies/").partition("/")[0]
        value = objects["words"].get(name) or objects["keys"].get(model, "1")
        pieces.append(value + rest)
    return "/" + "".join(pieces)


def test_every_address_answers_under_the_strict_headers(objects: dict[str, dict[str, Any]]) -> None:
    boss = Client(raise_request_exception=False)
    boss.force_login(Researcher.objects.get(is_superuser=True))
    faults, statuses = [], []
    routes = [route for route, _ in patterns_of(get_resolver()) if "(?P<url>" not in route and "app_label" not in route]
    for route in routes:
        address = address_of(route, objects)
        for client, method in ((boss, "get"), (boss, "post"), (Client(raise_request_exception=False), "get")):
            if method == "post" and route.endswith(("logout/", "delete/")):
                continue
            response = getattr(client, method)(address)
            statuses.append(response.status_code)
            wrong = [
                *(["status"] if response.status_code >= 500 else []),
                *(["policy"] if set(response["Content-Security-Policy"].split("; ")) != POLICY else []),
                *(["nosniff"] if response["X-Content-Type-Options"] != "nosniff" else []),
                *(["referrer"] if response["Referrer-Policy"] != "same-origin" else []),
                *(["frames"] if response["X-Frame-Options"] != "DENY" else []),
                *(["opener"] if response["Cross-Origin-Opener-Policy"] != "same-origin" else []),
                *(["permissions"] if response["Permissions-Policy"] != PERMISSIONS_POLICY else []),
                *(["type"] if response.status_code == 200 and "Content-Type" not in response else []),
            ]
            is_kept_private = response.status_code != 200 or "no-store" in response.get("Cache-Control", "")
            if not is_kept_private and not address.startswith(("/favicon", "/static", "/admin/jsi18n")):
                wrong.append(f"cache ({response.get('Cache-Control', 'nothing said')})")
            if wrong:
                faults.append(f"{method} {address}: {response.status_code}, {', '.join(wrong)}")
    assert faults == []
    assert len(routes) > 70
    assert statuses.count(200) > 60


def test_preview_and_ended_pages_are_kept_by_no_cache(client: Client) -> None:
    study = make_small_study()
    preview = session_start(study=study, origin=Origin.PREVIEW)
    finished = make_session(study)
    assert RatingSession.objects.count() == 2
    for session in (preview, finished):
        assert "no-store" in client.get(f"/r/{session.code}/")["Cache-Control"]
