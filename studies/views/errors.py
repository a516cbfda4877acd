"""Domain errors become answers here, and nowhere else: a calm page for people, a sentence in JSON for the script."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, NamedTuple, ParamSpec

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

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
    title: str


ANSWERS: dict[type[EvalsiteError], Answer] = {
    ArrivalInvalid: Answer(400, "This link is not whole"),
    ParticipantElsewhere: Answer(409, "You have been here before"),
    PanelUnreachable: Answer(503, "We cannot check your link just now"),
    PictureMissing: Answer(410, "This pair cannot be shown"),
    PlanImpossible: Answer(409, "This study cannot start"),
    SessionEnded: Answer(409, "This session has ended"),
    SessionUnknown: Answer(404, "Nothing is kept at this address"),
    StudyFull: Answer(409, "Every place is taken"),
    StudyNotOpen: Answer(409, "This study is not open"),
    StudyUnknown: Answer(404, "There is no study at this address"),
    TokenInvalid: Answer(403, "This link cannot be used"),
    TrialNotCurrent: Answer(409, "Another pair comes first"),
    TrialUnknown: Answer(404, "This pair cannot be shown"),
}


def errors_as_pages(view: View[P]) -> View[P]:
    """Answer a domain error with a page that says what happened and what to do now."""

    @wraps(view)
    def answered(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except tuple(ANSWERS) as error:
            status, title = ANSWERS[type(error)]
            context = {"title": title, "words": str(error), "study_code": kwargs.get("study_code")}
            return render(request, "studies/message.html", context, status=status)

    return answered


def errors_as_json(view: View[P]) -> View[P]:
    """Answer a domain error with its sentence under the key `error`."""

    @wraps(view)
    def answered(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except tuple(ANSWERS) as error:
            return JsonResponse({"error": str(error)}, status=ANSWERS[type(error)].status)

    return answered
