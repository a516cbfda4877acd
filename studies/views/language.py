"""The language that raters read: their browser's, the study's, or the one in which they began. There is no cookie."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.utils.cache import patch_vary_headers

from studies.models import RatingSession, Study
from studies.models.study import AUTOMATIC


def language_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Speak the browser's language on all pages but the researcher's, until a study or a session says otherwise."""

    def answered(request: HttpRequest) -> HttpResponse:
        if request.path.startswith(reverse("admin:index")):
            return get_response(request)
        with translation.override(translation.get_language_from_request(request)):
            response = get_response(request)
        patch_vary_headers(response, ["Accept-Language"])
        return response

    return answered


def language_of_study(study: Study) -> None:
    """Go on in the language of a study, if it has one of its own."""
    if study.language != AUTOMATIC:
        translation.activate(study.language)


def language_of_session(session: RatingSession) -> None:
    """Go on in the language in which a session began, on whatever device."""
    translation.activate(session.language)
