"""A short way to the doors that raters' pages knock at for every vote, past what only pages for people need."""

from collections.abc import Callable
from typing import TypeVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils import translation

V = TypeVar("V", bound=Callable[..., HttpResponseBase])

_PREFIXES = ("/r/", "/s/")


def door(view: V) -> V:
    """Mark a view that asks nothing of cookies, accounts and messages, and proves by itself who may do what."""
    view.is_door_for = None  # type: ignore[attr-defined] # a mark of ours
    return view


def door_for_forms(view: V) -> V:
    """Mark a view that is such a door when a form is sent, and a page like others when it is opened."""
    view.is_door_for = "POST"  # type: ignore[attr-defined] # a mark of ours
    return view


def doors_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Answer at doors at once; the middleware below this one takes as long again as a vote.

    What is above holds for doors as well: headers, HTTPS, metrics and the line in the log. The host's name is checked
    here, and the browser's language spoken until the door knows that of the session.
    """

    def answered(request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(_PREFIXES):
            return get_response(request)
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return get_response(request)
        if getattr(match.func, "is_door_for", "") not in (None, request.method):
            return get_response(request)
        request.get_host()
        request.resolver_match = match
        with translation.override(translation.get_language_from_request(request)):
            response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        if isinstance(response, HttpResponse):
            response.headers.setdefault("Content-Length", str(len(response.content)))
        return response

    return answered
