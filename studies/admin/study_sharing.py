"""Who may read a study: other accounts, and whoever has its public link."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from studies.admin.ownership import OwnedAdmin
from studies.admin.study_bundle import bundle_enqueue
from studies.forms import PublicLinkForm, SharingForm
from studies.models import PublicLink, Study, StudyState
from studies.selectors.results import origin_default
from studies.services.sharing import public_link_close, public_link_open, study_share


def sharing_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Show and change who reads the study."""
    form = SharingForm(request.POST if request.method == "POST" else None, study=study)
    if request.method == "POST" and form.is_valid():
        study_share(study=study, researchers=form.cleaned_data["shared_with"])
        model_admin.message_user(request, "Who may read the study is saved.")
        return redirect("admin:studies_study_sharing", study.pk)
    link = PublicLink.objects.filter(study=study).first()
    address = reverse("studies:public", args=[link.code]) if link else ""
    context = {
        "study": study,
        "title": "Sharing",
        "form": form,
        "link": link,
        "link_address": request.build_absolute_uri(address) if link else "",
        "link_form": PublicLinkForm(initial={"gives_bundle": bool(link and link.gives_bundle)}),
        "can_publish": study.state == StudyState.CLOSED,
    }
    return model_admin.page(request, "study/sharing", context)


def link_open_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Switch the public link on, or change what it gives."""
    form = PublicLinkForm(request.POST)
    if form.is_valid():
        public_link_open(study=study, gives_bundle=form.cleaned_data["gives_bundle"])
        if form.cleaned_data["gives_bundle"]:
            bundle_enqueue(study, origin=origin_default(study))
        model_admin.message_user(request, "Anybody who has the public link can read the results now.")
    else:
        model_admin.message_user(request, "Tick that the results may be public; nothing was changed.", messages.ERROR)
    return redirect("admin:studies_study_sharing", study.pk)


def link_close_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Switch the public link off."""
    public_link_close(study=study)
    model_admin.message_user(request, "The public link is off, and its address never works again.")
    return redirect("admin:studies_study_sharing", study.pk)
