"""The headers that neither Django nor django-csp sets: what a page may use of the browser, and who may keep a copy."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

PERMISSIONS_POLICY = ", ".join(
    f"{power}=()"
    for power in ("camera", "display-capture", "geolocation", "microphone", "midi", "payment", "serial", "usb")
)
"""None of them is ever needed, by whatever a page would load."""


def headers_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Let no page use the camera, the microphone or the place, and no cache keep what does not say that it may."""

    def answered(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return answered
