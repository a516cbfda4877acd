"""Other sites may frame the rater pages of a study that allows them, and nothing else on the site."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from studies.models import Recruitment
from tests.factories import make_session, make_small_study

pytestmark = pytest.mark.django_db

RATER_PAGES = {"entry", "rate", "withdraw", "debrief", "hand_in"}
SAMPLES = {"int": "1", "slug": "x", "str": "x", "path": "x"}


def addresses(patterns: list[Any], before: str = "/") -> Iterator[str]:
    """Yield an address for every pattern of the site."""
    for pattern in patterns:
        route = str(pattern.pattern).lstrip("^").rstrip("$\\Z")
        for name, converter in pattern.pattern.converters.items():
            kind = type(converter).__name__.removesuffix("Converter").lower()
            sample = SAMPLES.get({"string": "str"}.get(kind, kind), "x")
            route = route.replace(f"<{kind}:{name}>", sample).replace(f"<{name}>", sample)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, before + route)
        elif isinstance(pattern, URLPattern):
            yield before + route


def framing(response: Any) -> tuple[str, str]:
    policy = dict(part.split(" ", 1) for part in response["Content-Security-Policy"].split("; "))
    return response.get("X-Frame-Options", ""), policy["frame-ancestors"]


def test_no_address_of_the_site_may_be_framed_by_itself(client: Client) -> None:
    found = sorted(set(addresses(get_resolver().url_patterns)))
    assert len(found) > 60
    for address in found:
        assert framing(client.get(address)) == ("DENY", "'none'"), address


@pytest.mark.parametrize(
    ("fields", "origins"),
    [
        (
            {"frame_origins": "https://a.example\nhttps://*.b.example:8443"},
            "https://a.example https://*.b.example:8443",
        ),
        ({"panel": "mturk"}, "https://*.mturk.com"),
    ],
)
def test_pages_of_a_study_that_allows_it_may_be_framed_by_those_and_nobody_else(
    client: Client, fields: dict[str, str], origins: str
) -> None:
    study, other = make_small_study(), make_small_study()
    Recruitment.objects.create(study=study, shows_score=True, **fields)
    session, others = make_session(study), make_session(other)
    entry = reverse("studies:entry", args=[study.code])
    pages = [entry, *(reverse(f"studies:{name}", args=[session.code]) for name in sorted(RATER_PAGES - {"entry"}))]
    for page in pages:
        response = client.get(page)
        assert framing(response) == (("", origins) if response.status_code != 404 else framing(response)), page
        assert "'self'" in response["Content-Security-Policy"]
    denied = [reverse("studies:entry", args=[other.code]), reverse("studies:rate", args=[others.code]), "/admin/login/"]
    denied += [reverse("studies:answer", args=[session.code]), reverse("studies:stimulus", args=[session.code, "x"])]
    for page in denied:
        assert framing(client.get(page)) == ("DENY", "'none'"), page
