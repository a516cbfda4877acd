"""Studies made from others: a clone, and the design of a file."""

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.text import slugify

from studies.admin.ownership import OwnedAdmin, researcher_of
from studies.errors import DesignInvalid
from studies.forms import DesignImportForm, StudyCloneForm
from studies.models import PhotoSet, Study
from studies.services.designs import design_import, study_clone


def clone_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Ask for the name of the clone, and make it."""
    initial = {"title": study.title, "slug": _slug_free(study.slug)}
    form = StudyCloneForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        clone = study_clone(study=study, owner=researcher_of(request), **form.cleaned_data)
        model_admin.message_user(
            request, f"This is a draft with all the settings of “{study.slug}”, and none of its votes."
        )
        return redirect("admin:studies_study_change", clone.pk)
    return model_admin.page(request, "study/clone", {"study": study, "title": "Clone", "form": form})


def import_view(request: HttpRequest, *, model_admin: OwnedAdmin, photo_sets: QuerySet[PhotoSet]) -> HttpResponse:
    """Take a design in, and make the study of it."""
    is_sent = request.method == "POST"
    form = DesignImportForm(
        request.POST if is_sent else None, request.FILES if is_sent else None, photo_sets=photo_sets
    )
    refusal = ""
    if is_sent and form.is_valid():
        given = dict(form.cleaned_data)
        try:
            study = design_import(data=given.pop("design").read(), owner=researcher_of(request), **given)
        except DesignInvalid as error:
            refusal = str(error)
        else:
            model_admin.message_user(request, "The study is a draft with the settings and photos of the design.")
            return redirect("admin:studies_study_change", study.pk)
    context = {
        "title": "Import a design",
        "form": form,
        "refusal": refusal,
        "has_photo_sets": photo_sets.exists(),
    }
    return model_admin.page(request, "study/import", context, status=422 if is_sent else 200)


def _slug_free(slug: str) -> str:
    """Return a short name like another one that no study has."""
    stem, taken, number = slugify(slug)[:46], set(Study.objects.values_list("slug", flat=True)), 2
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"
