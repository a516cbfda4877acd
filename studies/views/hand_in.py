"""The last page of an assignment of Mechanical Turk: a form that the rater posts to it, as often as need be."""

from csp.decorators import csp_update
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from studies.models import FINISHED
from studies.recruitment import mturk
from studies.selectors.recruitment import arrival_of
from studies.selectors.sessions import session_get
from studies.services.recruitment import submit_note
from studies.views.errors import errors_as_pages
from studies.views.framing import frameable
from studies.views.language import language_of_session


@csrf_exempt  # The session's code is the proof, as for answers.
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@frameable
@errors_as_pages
def hand_in(request: HttpRequest, session_code: str) -> HttpResponse:
    """Offer to hand in a finished assignment. Whether it arrived is not told to us, so this page may be used again.

    The page's script posts here when the form goes to Mechanical Turk, so that the attempt is known.
    """
    session = session_get(code=session_code)
    language_of_session(session)
    arrival = arrival_of(session)
    if arrival is None or not arrival.submit_to or session.state not in FINISHED:
        raise Http404
    if request.method == "POST":
        submit_note(session=session)
        return HttpResponse(status=204)
    context = {
        "study": session.study,
        "origin": session.rater.origin,
        "submit_url": mturk.submit_url(arrival),
        "fields": mturk.submit_fields(arrival, session=str(session)),
    }
    response = render(request, "studies/hand_in.html", context)
    csp_update({"form-action": list(mturk.HOSTS)})(lambda _: response)(request)  # the decorator marks the response
    return response
