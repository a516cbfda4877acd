"""Who may read a study: other accounts."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from studies.admin.ownership import OwnedAdmin
from studies.forms import SharingForm
from studies.models import Study
from studies.services.sharing import study_share


def sharing_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Show and change who reads the study."""
    form = SharingForm(request.POST if request.method == "POST" else None, study=study)
    if request.method == "POST" and form.is_valid():
        study_share(study=study, researchers=form.cleaned_data["shared_with"])
        model_admin.message_user(request, "Who may read the study is saved.")
        return redirect("admin:studies_study_sharing", study.pk)
    context = {"study": study, "title": "Sharing", "form": form}
    return model_admin.page(request, "study/sharing", context)
