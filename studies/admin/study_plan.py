"""How large a study must be: the question as a form, its curve, what it will tell, and a check by simulation.

The page stands by itself, and in the set-up of each study, whose photos and votes it takes.
"""

import dataclasses
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from kombu.exceptions import OperationalError

from studies.admin.ownership import OwnedAdmin, researcher_of
from studies.admin.study_setup import next_redirect
from studies.errors import QueueUnreachable
from studies.forms import CostForm, PlanForm
from studies.models import PlanCheck, PlanCheckState, Study, StudyState
from studies.reports.figures import ThemeName, planned
from studies.reports.plan_text import percent, plan_text, simulated_sentence
from studies.selectors.setup import cost_get, groups_count, question_default, setup_get
from studies.services import plan_checks
from studies.services.setup import plan_save, raters_wanted_set
from studies.statistics.plan_check import Simulated
from studies.statistics.study_plan import PlanAnswer, PlanInvalid, PlanQuestion, plan_answer
from studies.tasks import plan_check

POLL_MS = 1_500
USUAL = PlanQuestion(
    goal="half_width", target=0.05, rate=0.25, n_photos=100, votes_per_rater=40, is_within=False, exclusion_rate=0.1
)
"""What the page that belongs to no study starts from."""


def plan_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Show or save the plan of a study; write its number into the protocol if asked to."""
    data = request.POST if request.method == "POST" else None
    form, cost = _forms(study, data)
    if request.method == "POST" and form.is_valid() and cost.is_valid():
        answer: PlanAnswer = form.cleaned_data["answer"]
        plan_save(study=study, question=answer.question, **cost.cleaned_data)
        if "simulate" in request.POST:
            _simulate(request, answer)
            return redirect(f"{_address(study)}#check")
        if "use" in request.POST and answer.plan.n_raters is not None:
            raters_wanted_set(study=study, raters=answer.plan.n_raters)
            said = f"The protocol now wants {answer.plan.n_raters:,} completed sessions{_of_each(study)}."
            model_admin.message_user(request, said)
            return redirect(_address(study))
        model_admin.message_user(request, "The plan is saved.")
        return next_redirect(request, study, step="plan")
    context = {
        "study": study,
        "title": "Plan",
        "setup_step": "plan",
        "form": form,
        "cost_form": cost,
        "can_edit": not study.is_frozen and model_admin.owns_study(request, study),
        "answer_address": reverse("admin:studies_study_plan_answer", args=[study.pk]),
        "fields": [*form.fields, *cost.fields],
        **_answered(request, form, study=study, cost=cost),
    }
    return model_admin.page(request, "study/plan", context, status=422 if data is not None else 200)


def plan_answer_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Answer what is typed in the form of a study's plan; nothing is saved."""
    form, cost = _forms(study, request.GET)
    return render(request, "admin/studies/plan/answer.html", _answered(request, form, study=study, cost=cost))


def planner_view(request: HttpRequest, *, model_admin: OwnedAdmin) -> HttpResponse:
    """Plan without a study: the question stands in the address."""
    if request.method == "POST":
        form = PlanForm(request.POST, question=USUAL)
        if "simulate" in request.POST and form.is_valid():
            _simulate(request, form.cleaned_data["answer"])
        query = urlencode({name: request.POST.get(name, "") for name in form.fields})
        return redirect(f"{reverse('admin:studies_study_planner')}?{query}#check")
    form = _planner_form(request.GET)
    context = {
        "title": "Plan a study's size",
        "form": form,
        "answer_address": reverse("admin:studies_study_planner_answer"),
        "fields": list(form.fields),
        **_answered(request, form),
    }
    return model_admin.page(request, "plan/page", context)


def planner_address(question: PlanQuestion) -> str:
    """Return the address of the page without a study that shows a question, with its answer and its check."""
    form = PlanForm(question=question)
    query = urlencode({name: form[name].value() for name in form.fields})
    return f"{reverse('admin:studies_study_planner')}?{query}#check"


def planner_answer_view(request: HttpRequest) -> HttpResponse:
    """Answer what is typed in the form that belongs to no study."""
    form = PlanForm(request.GET, question=USUAL)
    return render(request, "admin/studies/plan/answer.html", _answered(request, form))


def curve_view(request: HttpRequest) -> HttpResponse:
    """Draw the curve of the question in the address."""
    try:
        answer = plan_answer(_question_read(request.GET))
    except (PlanInvalid, ValueError, KeyError, OverflowError) as error:
        raise Http404(f"There is no curve of this question: {error}.") from error
    theme: ThemeName = "dark" if request.GET.get("theme") == "dark" else "light"
    response = HttpResponse(planned(answer, theme=theme), content_type="image/svg+xml")
    response["Cache-Control"] = "private, max-age=3600"
    return response


def check_progress_view(request: HttpRequest, check: int) -> JsonResponse:
    """Answer how far the simulation of a plan is."""
    found = PlanCheck.objects.filter(pk=check, owner=researcher_of(request)).first()
    if found is None:
        raise Http404(f"There is no check {check} of yours.")
    payload = {
        "version": found.state,
        "next_ms": POLL_MS,
        "texts": {"simulated": str(found.studies_done)},
        "values": {"simulated": found.studies_done},
    }
    return JsonResponse(payload, headers={"Cache-Control": "no-store"})


def _forms(study: Study, data: QueryDict | None) -> tuple[PlanForm, CostForm]:
    form = PlanForm(data, question=question_default(study), is_of_study=True)
    return form, CostForm(data, instance=setup_get(study))


def _planner_form(query: QueryDict) -> PlanForm:
    is_asked = "goal" in query
    return PlanForm(query if is_asked else None, question=USUAL)


def _answered(
    request: HttpRequest, form: PlanForm, *, study: Study | None = None, cost: CostForm | None = None
) -> dict[str, Any]:
    """Return the answer as pages show it, or what is wrong with the numbers."""
    if form.is_bound:
        answer = form.cleaned_data["answer"] if form.is_valid() else None
        problems = [error for errors in form.errors.values() for error in errors]
    else:
        try:
            answer, problems = plan_answer(form.question), []
        except PlanInvalid as error:
            answer, problems = None, [f"{str(error)[0].upper()}{str(error)[1:]}."]
    if answer is None:
        return {"problems": problems}
    asked = answer.question
    check = _check_of(request, asked)
    context = {
        "answer": answer,
        "text": plan_text(answer),
        "needed": answer.plan.n_raters,
        "floor_points": percent(answer.width_floor),
        "of_each": asked.is_of_each or (study is not None and groups_count(study) > 1),
        "curve": f"{reverse('admin:studies_study_plan_curve')}?{urlencode(asked.as_json())}",
        "check": check,
        "check_sentence": simulated_sentence(asked, Simulated(**check.found)) if check and check.found else "",
        "is_checking": check is not None and check.state in (PlanCheckState.WAITING, PlanCheckState.RUNNING),
        "poll_ms": POLL_MS,
        "plan_study": study,
        "can_use": study is not None and study.state == StudyState.DRAFT,
        "can_check": study is None or not study.is_frozen,
    }
    if study is not None and cost is not None:
        context |= _cost_shown(study, answer, cost)
    return context


def _cost_shown(study: Study, answer: PlanAnswer, cost: CostForm) -> dict[str, Any]:
    if cost.is_bound and not cost.is_valid():
        return {"cost_problems": [error for errors in cost.errors.values() for error in errors]}
    raters = answer.plan.n_raters or study.raters_wanted
    expected = cost_get(study, setup=cost.instance, raters_wanted=raters, exclusion_rate=answer.question.exclusion_rate)
    return {"cost": expected, "currency": cost.instance.currency, "groups": groups_count(study)}


def _check_of(request: HttpRequest, question: PlanQuestion) -> PlanCheck | None:
    """Return the newest check of this very question that the researcher asked for."""
    return PlanCheck.objects.filter(Q(question=question.as_json()), owner=researcher_of(request)).first()


def _simulate(request: HttpRequest, answer: PlanAnswer) -> None:
    if answer.plan.n_raters is None:
        return
    check = plan_checks.check_begin(owner=researcher_of(request), question=answer.question)
    if check.state == PlanCheckState.WAITING:
        try:
            plan_check.delay_on_commit(check.pk)
        except OperationalError as error:
            raise QueueUnreachable(
                "The question is kept, but the worker's queue cannot be reached: have it started, which checks it then."
            ) from error


def _question_read(query: QueryDict) -> PlanQuestion:
    """Read a question from the words that `PlanQuestion.as_json` gives."""
    kinds = {field.name: field.type for field in dataclasses.fields(PlanQuestion)}
    given: dict[str, Any] = {}
    for name, kind in kinds.items():
        word = str(query[name])
        if name == "goal":
            if word not in PlanForm.TARGETS:
                raise ValueError(f"the goal cannot be {word!r}")
            given[name] = word
        elif kind is bool:
            given[name] = word == "True"
        else:
            given[name] = int(word) if kind is int else float(word)
    return PlanQuestion(**given)


def _of_each(study: Study) -> str:
    return " of each method" if groups_count(study) > 1 else ""


def _address(study: Study) -> str:
    return reverse("admin:studies_study_plan", args=[study.pk])
