"""The page on which pairs are judged, and the door for answers."""

from base64 import b64encode
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from studies.errors import AnswerInvalid, StudyNotOpen
from studies.forms import answer_read
from studies.models import ENDED, Layout, RatingSession, SessionState, Study, StudyState
from studies.protocols import TELLING_MS
from studies.recruitment import Exit, mturk
from studies.selectors.ballots import ballot_get, stimulus_ahead
from studies.selectors.recruitment import arrival_of, debrief_offered, exit_of, recruitment_get
from studies.selectors.sessions import Passage, passage_get, session_get
from studies.selectors.wording import texts_get
from studies.services.responses import ballot_cast, last_ballot_cast, response_record
from studies.views.doors import door
from studies.views.errors import errors_as_json, errors_as_pages
from studies.views.framing import frameable
from studies.views.language import language_of_session
from studies.views.leaving import ended_page


@door  # The session's code is the proof here as well.
@require_safe
@never_cache
@frameable
@errors_as_pages
def rate(request: HttpRequest, session_code: str) -> HttpResponse:
    """Show the session where it stands: one page for instructions, practice, pairs and thanks."""
    session = session_get(code=session_code)
    language_of_session(session)
    if session.state in ENDED:
        return ended_page(request, session, leads=exit_of(session))
    if session.study.state == StudyState.CLOSED and session.state == SessionState.ACTIVE:
        raise StudyNotOpen("It was closed before you had finished. What you answered is kept. Thank you.")
    recruitment = recruitment_get(session.study)
    is_sequential = session.study.layout == Layout.SEQUENTIAL
    context = {
        "made_of": (session.study.kept_as, session.language),  # of all that the page says but its state
        "study": session.study,
        "texts": texts_get(session.study, language=session.language),
        "is_sequential": is_sequential,
        **_sides(session.study),
        "origin": session.rater.origin,
        "panel": recruitment.way,
        "state": state_json(session),
        "has_debrief": debrief_offered(session.study),
        "tells_score": recruitment.shows_score or recruitment.shows_pairs,
    }
    return render(request, "studies/rate.html", context)


def _sides(study: Study) -> dict[str, str]:
    """Return what the two sides are called on their buttons, and their pictures."""
    if study.is_single:  # “real” takes the one picture, which is the first side, for the photo
        return {"first": gettext("Real"), "second": gettext("Fake"), "first_picture": gettext("Picture")}
    if study.layout == Layout.SEQUENTIAL:
        return {
            "first": gettext("First"),
            "second": gettext("Second"),
            "first_picture": gettext("First picture"),
            "second_picture": gettext("Second picture"),
        }
    return {
        "first": gettext("Left"),
        "second": gettext("Right"),
        "first_picture": gettext("Left picture"),
        "second_picture": gettext("Right picture"),
    }


@door  # The session's and the trial's codes are the proof: a page that knows neither cannot answer.
@require_POST
@errors_as_json
def answer(request: HttpRequest, session_code: str) -> HttpResponse:
    """Keep an answer and say where the session stands now; after practice, also whether it was right.

    The small pictures of the trial that may be loaded from now on come with it, so that a vote is one request.
    """
    ballot = ballot_get(session_code=session_code)
    session: RatingSession | None = None
    if ballot is None:
        session = session_get(code=session_code)
        language_of_session(session)
    else:
        translation.activate(ballot.language)
    try:
        given = answer_read(request.body)
    except AnswerInvalid as error:  # for whoever writes a page of their own: ours sends none that is
        return JsonResponse({"error": str(error)}, status=400)
    brought = recorded = None
    if ballot is not None:
        recorded = ballot_cast(ballot=ballot, **given)
        brought = stimulus_ahead(ballot) if recorded else None
    if recorded is None:
        session = session or session_get(code=session_code)
        recorded = ballot and last_ballot_cast(ballot=ballot, session=session, **given)
        recorded = recorded or response_record(session=session, **given)
    feedback = recorded.feedback
    reply = {
        "feedback": feedback and {"correct": feedback.correct, "photo_side": feedback.photo_side},
        "passage": passage_json(recorded.passage, session=session),
        "pictures": brought and {"trial": brought[0], "values": b64encode(brought[1]).decode()},
    }
    return JsonResponse(reply)


def state_json(session: RatingSession) -> dict[str, Any]:
    """Return all that the trial page knows. Written out by hand, so that nothing more can leak into it."""
    study = session.study
    address = reverse("studies:rate", args=[session.code])
    return {
        "display": {
            "layout": study.layout,
            "size": study.photo_set.high_res_size,
            "displayScale": study.display_scale,
            "kernel": study.kernel,
        },
        "timing": {
            "lead_in_ms": study.lead_in_ms,
            "gap_ms": study.gap_ms,
            "mask_count": study.mask_count,
            "mask_ms": study.mask_ms,
            "telling_ms": TELLING_MS,
        },
        "addresses": {"session": address, "answer": f"{address}answer", "stimulus": f"{address}t/"},
        "keys": {
            "session": f"evalsite.session.{study.code}.{session.rater.origin}",
            "answer": f"evalsite.answer.{session.code}",
        },
        "passage": passage_json(passage_get(session), session=session),
    }


def passage_json(passage: Passage, *, session: RatingSession | None) -> dict[str, Any]:
    """Return where a session stands: phase, counts and opaque codes, the same for every pair.

    Where to go at the end, and with what code, is told once everything is kept, and not before.

    Args:
        passage: Where it stands.
        session: The session; it may be left out where it is not finished.
    """
    leads = exit_of(session) if session and passage.phase == "finished" else Exit()
    return {
        "phase": passage.phase,
        "position": passage.position,
        "count": passage.count,
        "trials": passage.trials,
        "completion_code": leads.code,
        "completion_url": completion_url(session, leads) if session and passage.phase == "finished" else "",
        "is_first": passage.is_first,
        "is_phase_start": passage.is_phase_start,
        "exposure_ms": passage.exposure_ms,
        "block": passage.block,
        "is_block_start": passage.is_block_start,
    }


def completion_url(session: RatingSession, leads: Exit) -> str:
    """Return where a finished session's rater goes: to the panel, or to the form that hands an assignment in."""
    is_handed_in = recruitment_get(session.study).panel == mturk.PANEL.slug and arrival_of(session) is not None
    return reverse("studies:hand_in", args=[session.code]) if is_handed_in else leads.url
