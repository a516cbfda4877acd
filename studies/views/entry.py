"""The way into a study: what it is about, consent, and the start of a session; and the ways out before one starts."""

from typing import Literal

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST
from structlog.contextvars import bind_contextvars

from studies.errors import ArrivalInvalid, EvalsiteError, ParticipantElsewhere, StudyFull, StudyNotOpen
from studies.forms import ConsentForm, consent_read
from studies.models import Layout, Origin, RatingSession, Recruitment, SessionState, Study
from studies.models.choices import token_make
from studies.recruitment import Arrival, Outcome, mturk
from studies.selectors.entrances import entrance_get
from studies.selectors.recruitment import entry_find, recruitment_get, taken_elsewhere
from studies.selectors.wording import texts_get
from studies.services.places import place_check, session_check
from studies.services.prolific import token_check
from studies.services.recruitment import arrival_count, entry_refresh, ticket_read, ticket_sign
from studies.services.sessions import origin_verify, session_start
from studies.views.doors import door_for_forms
from studies.views.errors import ANSWERS, errors_as_json, errors_as_pages, words_of
from studies.views.framing import frameable
from studies.views.language import language_of_study

OUTCOMES: dict[type[EvalsiteError], Outcome] = {
    ParticipantElsewhere: Outcome.SCREENED_OUT,
    StudyFull: Outcome.FULL,
    StudyNotOpen: Outcome.CLOSED,
}
"""What a panel hears when a rater is turned away."""


@door_for_forms
@csrf_exempt  # Raters have no cookie, so nobody else's page can act for them: a forged form only starts a new session.
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@frameable
@errors_as_pages
def entry(request: HttpRequest, study_code: str) -> HttpResponse:
    """Show what the study asks of a rater; with consent, start a session, and without, lead back to the panel."""
    study = study_get(code=study_code)
    language_of_study(study)
    token = request.GET.get("origin", "")
    origin = origin_verify(study=study, token=token) if token else Origin.PERSON
    recruitment = recruitment_get(study)
    is_task_preview = recruitment.panel == mturk.PANEL.slug and mturk.is_preview(request.GET)
    arrival = None if is_task_preview else arrival_get(request, recruitment, origin=origin)
    try:
        session = session_known(recruitment, arrival)
        if session is None and request.method == "POST":
            if "declines" in request.POST:
                return declined(request, recruitment, arrival, origin=origin)
            if origin != Origin.SIMULATED and not device_fits(request, recruitment):
                return wrong_device(request, recruitment, arrival, origin=origin)
            session = session_begin(request, study, arrival, origin=origin)
        if session is not None:
            return HttpResponseRedirect(reverse("studies:rate", args=[session.code]), status=303)
        return landing(request, recruitment, arrival, origin=origin, is_task_preview=is_task_preview)
    except tuple(OUTCOMES) as error:
        if origin == Origin.PERSON and request.method == "POST":
            arrival_count(study=study, what="turned_away")
        status, title = ANSWERS[type(error)]
        context = {
            "title": title,
            "words": words_of(error),
            "study_code": study.code,
            "origin": origin,
            "panel": recruitment.way,
            "leads": recruitment.exit_get(OUTCOMES[type(error)], arrival),
            "count_address": count_address(request, study, origin=origin, what="turned_away"),
        }
        return render(request, "studies/message.html", context, status=status)


@csrf_exempt  # It only counts, without any id.
@require_POST
@errors_as_json
def counted(request: HttpRequest, study_code: str, what: Literal["arrived", "turned_away"]) -> HttpResponse:
    """Count a first page that was shown, told by its script: a program that only fetches pages counts for nothing."""
    arrival_count(study=study_get(code=study_code), what=what)
    return HttpResponse(status=204)


def count_address(request: HttpRequest, study: Study, *, origin: Origin, what: str) -> str:
    """Return where the script of a page that was got tells that it was shown; "" where nothing is counted."""
    is_counted = origin == Origin.PERSON and request.method == "GET"
    return reverse(f"studies:{what}", args=[study.code]) if is_counted else ""


def arrival_get(request: HttpRequest, recruitment: Recruitment, *, origin: Origin) -> Arrival | None:
    """Return who came, by the form's ticket or else by the address; None if the study's way in brings no ids.

    Raises:
        ArrivalInvalid: If an id is missing or cannot be one.
        TokenInvalid: If the ticket, or the panel's signature, is forged, too old or another study's.
        PanelUnreachable: If the panel's keys cannot be had.
    """
    if origin != Origin.PERSON or not recruitment.way.has_ids:
        return None
    if request.method == "POST":
        return ticket_read(study=recruitment.study, ticket=request.POST.get("ticket", ""))
    arrival = recruitment.way.arrival_read(request.GET, recruitment.names)
    if recruitment.way.has_tokens and recruitment.checks_tokens:
        token_check(
            token=request.GET.get("prolific_token", ""),
            recruitment=recruitment,
            address=request.build_absolute_uri(request.path),
            arrival=arrival,
        )
    if recruitment.panel != mturk.PANEL.slug:
        return arrival
    if not settings.MTURK:
        raise ArrivalInvalid("Mechanical Turk is switched off on this site; ask whoever runs the study.")
    return arrival._replace(submit_to=mturk.submit_host(request.GET))


def session_known(recruitment: Recruitment, arrival: Arrival | None) -> RatingSession | None:
    """Return the session of a participant who was here before, on whatever device, and did not give it back.

    Raises:
        ParticipantElsewhere: If they were in another study of the group instead.
    """
    if arrival is None:
        return None
    known = entry_find(study=recruitment.study, panel=recruitment.panel, participant=arrival.participant)
    if known is not None:
        entry_refresh(entry=known, arrival=arrival)
        return None if known.session.state == SessionState.RETURNED else known.session
    if taken_elsewhere(recruitment=recruitment, participant=arrival.participant):
        raise ParticipantElsewhere("You have taken part in another study of this series, and one is enough.")
    return None


def session_begin(
    request: HttpRequest, study: Study, arrival: Arrival | None, *, origin: Origin
) -> RatingSession | None:
    """Start a session if the form says that the rater agrees."""
    entry_token = consent_read(request.POST)
    if entry_token is None:
        return None
    return session_start(
        study=study,
        origin=origin,
        entry_token=entry_token,
        arrival=arrival,
        language=translation.get_language(),
    )


def landing(
    request: HttpRequest, recruitment: Recruitment, arrival: Arrival | None, *, origin: Origin, is_task_preview: bool
) -> HttpResponse:
    """Show the first page, with what was wrong in the form that was sent.

    Raises:
        StudyNotOpen: If the study takes nobody now.
        StudyFull: If it has no place left.
    """
    study = recruitment.study
    form = ConsentForm(request.POST if request.method == "POST" else None)
    is_faulty = bool(form.errors)
    session_check(study=study, origin=origin)
    place_check(study=study, origin=origin)
    sent_token = form.cleaned_data.get("entry_token") if is_faulty else None
    context = {
        "study": study,
        "texts": texts_get(study, language=translation.get_language()),
        "is_sequential": study.layout == Layout.SEQUENTIAL,
        "form": form,
        "origin": origin,
        "entry_token": sent_token or token_make(),
        "form_address": request.path if arrival else request.get_full_path(),
        "ticket": ticket_sign(study=study, arrival=arrival) if arrival else "",
        "panel": recruitment.way,
        "window_minimum_px": recruitment.window_minimum_px,
        "is_task_preview": is_task_preview,
        "count_address": "" if is_task_preview else count_address(request, study, origin=origin, what="arrived"),
    }
    return render(request, "studies/landing.html", context, status=400 if is_faulty else 200)


def declined(
    request: HttpRequest, recruitment: Recruitment, arrival: Arrival | None, *, origin: Origin
) -> HttpResponse:
    """Let a rater go who does not agree: nothing is kept but that somebody declined."""
    if origin == Origin.PERSON:
        arrival_count(study=recruitment.study, what="declined")
    context = {
        "study": recruitment.study,
        "origin": origin,
        "panel": recruitment.way,
        "leads": recruitment.exit_get(Outcome.NO_CONSENT, arrival),
    }
    return render(request, "studies/declined.html", context)


def device_fits(request: HttpRequest, recruitment: Recruitment) -> bool:
    """Return whether the window is as wide as the study asks; without scripts nobody says how wide it is."""
    minimum, given = recruitment.window_minimum_px, request.POST.get("window_px", "")
    is_wide = minimum == 0 or (given.isascii() and given.isdigit() and len(given) < 6 and int(given) >= minimum)
    return is_wide and "wrong_device" not in request.POST


def wrong_device(
    request: HttpRequest, recruitment: Recruitment, arrival: Arrival | None, *, origin: Origin
) -> HttpResponse:
    """Say what the study needs of a device; nothing is kept but that somebody left for it."""
    if origin == Origin.PERSON:
        arrival_count(study=recruitment.study, what="wrong_device")
    context = {
        "study": recruitment.study,
        "origin": origin,
        "panel": recruitment.way,
        "leads": recruitment.exit_get(Outcome.WRONG_DEVICE, arrival),
        "window_minimum_px": recruitment.window_minimum_px,
    }
    return render(request, "studies/wrong_device.html", context, status=409)


def study_get(*, code: str) -> Study:
    """Return the study that a link leads to; log lines name it from here on.

    Raises:
        StudyUnknown: If there is none.
    """
    study = entrance_get(study_code=code)
    bind_contextvars(study=study.pk)
    return study
