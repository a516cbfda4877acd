"""The way into a study: what it is about, consent, and the start of a session."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from studies.errors import StudyUnknown
from studies.forms import ConsentForm
from studies.models import Origin, Study
from studies.models.choices import token_make
from studies.services.sessions import origin_verify, session_check, session_start
from studies.views.errors import errors_as_pages


@csrf_exempt  # Raters have no cookie, so nobody else's page can act for them: a forged form only starts a new session.
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@errors_as_pages
def entry(request: HttpRequest, study_code: str) -> HttpResponse:
    """Show what the study asks of a rater; with consent, start a session."""
    study = study_get(code=study_code)
    token = request.GET.get("origin", "")
    origin = origin_verify(study=study, token=token) if token else Origin.PERSON
    form = ConsentForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        session = session_start(study=study, origin=origin, entry_token=form.cleaned_data["entry_token"])
        return HttpResponseRedirect(reverse("studies:rate", args=[session.code]), status=303)
    session_check(study=study, origin=origin)
    sent_token = form.cleaned_data.get("entry_token") if form.is_bound else None
    context = {"study": study, "form": form, "origin": origin, "entry_token": sent_token or token_make()}
    return render(request, "studies/landing.html", context, status=400 if form.is_bound else 200)


def study_get(*, code: str) -> Study:
    """Return the study that a link leads to.

    Raises:
        StudyUnknown: If there is none.
    """
    try:
        return Study.objects.select_related("photo_set").get(code=code)
    except Study.DoesNotExist as error:
        raise StudyUnknown(
            "The link may have been cut short. Open it once more, whole, or ask for it again where you found it."
        ) from error
