"""Which other sites may show a rater page in a frame: those that its study allows, and nobody else."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from csp.utils import build_policy
from django.http import HttpRequest, HttpResponse
from django.views.decorators.clickjacking import xframe_options_exempt

from studies.selectors.recruitment import framed_by

REDIRECTS = (301, 302, 303, 307, 308)
"""Answers that no frame shows: browsers look at the headers of the page that they lead to."""

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def frameable(view: View[P]) -> View[P]:
    """Let the origins that the study allows show this page in a frame; without any, everything stays denied."""

    @wraps(view)
    def framed(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if response.status_code in REDIRECTS:
            return response
        codes = {name: str(kwargs.get(name, "")) for name in ("study_code", "session_code")}
        origins = framed_by(**codes)
        if origins:
            update = getattr(response, "_csp_update", None)  # what the view itself has had marked
            policy = build_policy(update=update, replace={"frame-ancestors": origins})
            response.headers["Content-Security-Policy"] = policy
            xframe_options_exempt(lambda _: response)(request)  # it marks the response
        return response

    return framed
