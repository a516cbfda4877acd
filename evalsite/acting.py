"""Tells the log of studies who acts in a request."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from studies.models import VISITOR
from studies.services.events import acting_as


def acting_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Name the account that is signed in, if an event comes to be recorded; no cookie is read before."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with acting_as(lambda: request.user.get_username() or VISITOR):
            return get_response(request)

    return middleware
