"""The pictures of a trial, as bytes that say nothing but their pixels."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from studies.selectors.stimuli import stimulus_get
from studies.views.doors import door
from studies.views.errors import errors_as_json


@door
@require_safe
@errors_as_json
def stimulus(request: HttpRequest, session_code: str, trial_code: str) -> HttpResponse:
    """Answer with both pictures of a trial in one piece, under the same headers for every trial of a study."""
    pictures = stimulus_get(session_code=session_code, trial_code=trial_code)
    headers = {"Cache-Control": "no-store, no-transform", "Content-Length": str(len(pictures))}
    return HttpResponse(pictures, content_type="application/octet-stream", headers=headers)
