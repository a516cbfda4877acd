"""What a study is made of: its conditions and its protocol, open to change while it is a draft."""

from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from studies.admin.ownership import OwnedAdmin
from studies.admin.study_page import conditions_rows
from studies.admin.study_setup import next_redirect
from studies.errors import EvalsiteError
from studies.forms import ConditionForm, ConditionsFormSet, PresetForm, ProtocolForm, RulesForm, specs_of
from studies.models import PhotoSet, Study, StudyState
from studies.protocols import PRESETS
from studies.selectors.progress import progress_get
from studies.selectors.training import NETWORKS, checkpoint_choices
from studies.services.setup import protocol_apply
from studies.services.studies import conditions_replace, draft_require, settings_change
from studies.statistics.quality import RULES, wrongly_excluded_at_most


def conditions_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Show or change the conditions and their order."""
    banks = PhotoSet.objects.filter(Q(owner=study.owner_id) | Q(bank_of__study=study)).distinct()
    checkpoints = {network: checkpoint_choices(network, researcher=study.owner) for network in NETWORKS}
    formset = ConditionsFormSet(
        request.POST if request.method == "POST" else None,
        initial=[ConditionForm.initial_of(condition) for condition in study.conditions.order_by("position")],
        prefix="conditions",
        form_kwargs={
            "photo_sets": banks.exclude(pk=study.photo_set_id).order_by("name"),
            "checkpoints": checkpoints,
        },
    )
    refusal = ""
    if request.method == "POST":
        draft_require(study, to="change its conditions")
        if formset.is_valid():
            try:
                conditions_replace(study=study, conditions=specs_of(formset))
            except EvalsiteError as error:
                refusal = str(error)
            else:
                model_admin.message_user(request, "The conditions are saved.")
                return next_redirect(request, study, step="conditions")
    context = {
        "study": study,
        "title": "Conditions",
        "setup_step": "conditions",
        "can_edit": study.state == StudyState.DRAFT and model_admin.owns(request, study),
        "formset": formset,
        "refusal": refusal,
        "rows": conditions_rows(progress_get(study)),
    }
    return model_admin.page(request, "study/conditions", context)


def protocol_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Show or change every number and text of the protocol."""
    form = ProtocolForm(request.POST if request.method == "POST" else None, instance=study)
    if request.method == "POST":
        draft_require(study, to="change its protocol")
        if form.is_valid():
            settings_change(study=form.instance, fields=list(form.fields))
            model_admin.message_user(request, "The protocol is saved.")
            return next_redirect(request, study, step="protocol")
    context = {
        "study": study,
        "title": "Protocol",
        "setup_step": "protocol",
        "preset_form": PresetForm(initial={"preset": study.preset}),
        "can_edit": study.state == StudyState.DRAFT and model_admin.owns(request, study),
        "form": form,
        "preset": PRESETS.get(study.preset),
        "rules": RulesForm.Meta.fields,
        **figures_of(form),
    }
    return model_admin.page(request, "study/protocol", context)


def preset_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Give a draft the settings, texts and rules of a published protocol."""
    form = PresetForm(request.POST)
    if form.is_valid():
        protocol_apply(study=study, preset=form.cleaned_data["preset"])
        model_admin.message_user(request, f"The settings are now those of “{PRESETS[study.preset].label}”.")
    return redirect("admin:studies_study_protocol", study.pk)


def figures_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Show how often the rules err with the numbers that stand in the form now; nothing is saved."""
    context = figures_of(RulesForm(request.GET, instance=study))
    return render(request, "admin/studies/study/quality_figures.html", context)


def written_view(request: HttpRequest) -> HttpResponse:
    """Show a text in Markdown as raters would see it; nothing is saved."""
    return render(request, "admin/studies/includes/written.html", {"text": request.POST.get("text", "")})


def figures_of(form: RulesForm | ProtocolForm) -> dict[str, Any]:
    """Return the figures of the rules in a form, as pages show them; what is wrong with the numbers if anything is."""
    wrong = [error for name in RulesForm.Meta.fields for error in form.errors.get(name, ())]
    if wrong:
        return {"wrong": wrong}
    figures = form.instance.quality_figures
    practice = form.instance.practice_figures
    return {
        "figures": [
            {
                "rule": RULES.get(one.rule, "did not pass practice"),
                "effect": one.effect,
                "sides": [
                    [(chance.who.replace(" %", "\N{NO-BREAK SPACE}%"), percent(chance.probability)) for chance in side]
                    for side in (one.passes, one.hit)
                ],
            }
            for one in (*([practice] if practice else []), *figures)
        ],
        "together": percent(wrongly_excluded_at_most(figures)),
    }


def percent(probability: float) -> str:
    """Return a probability as people read it: "9.6 %", "0.08 %", "under 0.01 %"."""
    share = 100 * probability
    if share in (0, 100):
        return f"{share:.0f} %"
    if share < 0.01:
        return "under 0.01 %"
    return f"{share:.2f} %" if share < 1 else f"{share:.1f} %"
