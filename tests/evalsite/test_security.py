"""Headers that every page carries, and what the embedded default allows."""

import pytest
from django.test import Client

POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "font-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/admin/login/", "/healthz", "/no-such-page/"])
def test_every_answer_carries_the_strict_headers(client: Client, path: str) -> None:
    response = client.get(path)
    assert set(response["Content-Security-Policy"].split("; ")) == POLICY
    assert response["Referrer-Policy"] == "same-origin"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"


def test_answers_of_views_are_never_compressed(client: Client) -> None:
    """Compression would give a photo and a sample different lengths."""
    response = client.get("/healthz", HTTP_ACCEPT_ENCODING="gzip, br")
    assert "Content-Encoding" not in response


def test_unknown_host_is_refused(client: Client) -> None:
    assert client.get("/healthz", HTTP_HOST="evil.example").status_code == 400
