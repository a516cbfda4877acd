"""How raters come to a study: the panel, what to paste where, and where each outcome leads."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from studies.admin.ownership import OwnedAdmin
from studies.admin.study_setup import next_redirect
from studies.forms import RecruitmentForm
from studies.models import Study
from studies.selectors.recruitment import recruitment_get
from studies.services.recruitment import recruitment_change


def recruitment_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Show and change the way in and the ways out; possible until the study is closed."""
    form = RecruitmentForm(request.POST if request.method == "POST" else None, instance=recruitment_get(study))
    if request.method == "POST" and form.is_valid():
        recruitment_change(recruitment=form.instance)
        model_admin.message_user(request, "The recruitment is saved.")
        if "next" in request.POST:
            return next_redirect(request, study, step="recruitment")
        return redirect("admin:studies_study_recruitment", study.pk)
    saved = recruitment_get(Study.objects.get(pk=study.pk))
    context = {
        "study": study,
        "title": "Recruitment",
        "setup_step": "recruitment",
        "form": form,
        "panel": saved.way,
        "entrance": entrance_url(request, study),
    }
    return model_admin.page(request, "study/recruitment", context)


def entrance_url(request: HttpRequest, study: Study) -> str:
    """Return the address that the study's panel, or whoever takes part, is given."""
    recruitment = recruitment_get(study)
    address = request.build_absolute_uri(reverse("studies:entry", args=[study.code]))
    return recruitment.way.entrance_url(address, recruitment.names)
