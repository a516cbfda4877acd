"""The headers of every answer: what a page may load and use of the browser, who may frame it or keep a copy."""

from collections.abc import Callable

from csp.utils import build_policy
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
    """Set what the views and the middleware below have not set otherwise, to its strictest.

    No page may use the camera, the microphone or the place, none may be framed, and no cache keeps what does not say
    that it may.
    """
    policy = build_policy()

    def answered(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        headers = response.headers
        headers["Permissions-Policy"] = PERMISSIONS_POLICY
        headers.setdefault("Content-Security-Policy", policy)
        headers.setdefault("Cache-Control", "no-store")
        if not getattr(response, "xframe_options_exempt", False):
            headers.setdefault("X-Frame-Options", "DENY")
        return response

    return answered
