"""Ways out of a session: a rater withdraws, or learns at the end how they did."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from studies.models import ENDED, FINISHED, RatingSession, SessionState
from studies.recruitment import Exit, Outcome
from studies.selectors.debrief import pairs_told, score_get
from studies.selectors.recruitment import arrival_of, debrief_offered, exit_of, pairs_offered, recruitment_get
from studies.selectors.sessions import session_get
from studies.selectors.wording import texts_get
from studies.services.sessions import session_withdraw
from studies.views.errors import errors_as_pages
from studies.views.framing import frameable
from studies.views.language import language_of_session


@csrf_exempt  # The session's code is the proof, as for answers.
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@frameable
@errors_as_pages
def withdraw(request: HttpRequest, session_code: str) -> HttpResponse:
    """Ask whether a rater wants to withdraw, and say what becomes of their answers; do it when asked by POST."""
    session = session_get(code=session_code)
    language_of_session(session)
    recruitment = recruitment_get(session.study)
    if request.method == "POST":
        leads = recruitment.exit_get(Outcome.NO_CONSENT, arrival_of(session))  # before the panel's ids go
        session_withdraw(session=session)
        session.refresh_from_db(fields=["state"])
        return ended_page(request, session, leads=leads)
    if session.state in ENDED and session.state != SessionState.FAILED:
        return ended_page(request, session, leads=exit_of(session))
    context = {
        "study": session.study,
        "origin": session.rater.origin,
        "session": session,
        "policy": recruitment.withdrawal,
        "is_finished": session.state in FINISHED,
    }
    return render(request, "studies/withdraw.html", context)


def ended_page(request: HttpRequest, session: RatingSession, *, leads: Exit) -> HttpResponse:
    """Say that a session has ended, and why, with the way back to its panel."""
    recruitment = recruitment_get(session.study)
    context = {
        "study": session.study,
        "study_code": session.study.code,
        "origin": session.rater.origin,
        "session": session,
        "policy": recruitment.withdrawal,
        "panel": recruitment.way,
        "leads": leads,
    }
    return render(request, "studies/ended.html", context)


@require_safe
@never_cache
@frameable
@errors_as_pages
def debrief(request: HttpRequest, session_code: str) -> HttpResponse:
    """Tell a rater who has finished how they did, as far as the study allows."""
    session = session_get(code=session_code)
    language_of_session(session)
    if session.state not in FINISHED or not debrief_offered(session.study):
        raise Http404
    recruitment = recruitment_get(session.study)
    context = {
        "study": session.study,
        "origin": session.rater.origin,
        "session": session,
        "texts": texts_get(session.study, language=session.language),
        "score": score_get(session) if recruitment.shows_score else None,
        "groups": pairs_told(session) if pairs_offered(session.study) else [],
    }
    return render(request, "studies/debrief.html", context)
