"""Domain errors become answers here, and nowhere else: a calm page for people, a sentence in JSON for the script."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, NamedTuple, ParamSpec

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from studies.errors import (
    ArrivalInvalid,
    EvalsiteError,
    PanelUnreachable,
    ParticipantElsewhere,
    PictureMissing,
    PlanImpossible,
    SessionEnded,
    SessionUnknown,
    StudyFull,
    StudyNotOpen,
    StudyUnknown,
    TokenInvalid,
    TrialNotCurrent,
    TrialUnknown,
)

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


class Answer(NamedTuple):
    """How an error is answered: the status, and the title of its page. The text is the error's own sentence."""

    status: int
    title: Promise


ANSWERS: dict[type[EvalsiteError], Answer] = {
    ArrivalInvalid: Answer(400, gettext_lazy("This link is not whole")),
    ParticipantElsewhere: Answer(409, gettext_lazy("You have been here before")),
    PanelUnreachable: Answer(503, gettext_lazy("We cannot check your link just now")),
    PictureMissing: Answer(410, gettext_lazy("This pair cannot be shown")),
    PlanImpossible: Answer(409, gettext_lazy("This study cannot start")),
    SessionEnded: Answer(409, gettext_lazy("This session has ended")),
    SessionUnknown: Answer(404, gettext_lazy("Nothing is kept at this address")),
    StudyFull: Answer(409, gettext_lazy("Every place is taken")),
    StudyNotOpen: Answer(409, gettext_lazy("This study is not open")),
    StudyUnknown: Answer(404, gettext_lazy("There is no study at this address")),
    TokenInvalid: Answer(403, gettext_lazy("This link cannot be used")),
    TrialNotCurrent: Answer(409, gettext_lazy("Another pair comes first")),
    TrialUnknown: Answer(404, gettext_lazy("This pair cannot be shown")),
}


def words_of(error: EvalsiteError) -> str:
    """Return what a rater reads of an error, in their language; of pairs that cannot be planned, no numbers."""
    if isinstance(error, PlanImpossible):
        return gettext("It has too few photos for a session. Please tell whoever gave you the link to the study.")
    return error.said(gettext)


def errors_as_pages(view: View[P]) -> View[P]:
    """Answer a domain error with a page that says what happened and what to do now."""

    @wraps(view)
    def answered(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except tuple(ANSWERS) as error:
            status, title = ANSWERS[type(error)]
            context = {"title": title, "words": words_of(error), "study_code": kwargs.get("study_code")}
            return render(request, "studies/message.html", context, status=status)

    return answered


def errors_as_json(view: View[P]) -> View[P]:
    """Answer a domain error with its sentence under the key `error`."""

    @wraps(view)
    def answered(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except tuple(ANSWERS) as error:
            return JsonResponse({"error": words_of(error)}, status=ANSWERS[type(error)].status)

    return answered
