"""Studies: the list, the page of each, and the addresses of everything that is done to one."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from studies.admin import (
    study_bundle,
    study_check,
    study_designs,
    study_exports,
    study_history,
    study_live,
    study_page,
    study_pictures,
    study_plan,
    study_recruitment,
    study_results,
    study_settings,
    study_setup,
    study_sharing,
    study_steps,
)
from studies.admin.counts import counted
from studies.admin.jobs import JobsDoor
from studies.admin.ownership import OwnedAdmin, researcher_of
from studies.admin.photo_set import photos_take_in, upload_limits
from studies.errors import EvalsiteError
from studies.forms import StudyCreateForm
from studies.models import FINISHED, Condition, Origin, PhotoSet, RatingSession, Study, StudyState
from studies.selectors.photos import set_name_free
from studies.services.photos import photo_set_create
from studies.services.studies import study_create, study_delete

StudyView = Callable[..., HttpResponseBase]

ONLY_OWNERS = frozenset({"recruitment", "preview", "clone", "sharing", "photos", "preset", "check", "trial"})
"""Pages that those with whom a study is shared do not even see: they hold codes, or lead to changes alone."""

PICTURES = "conditions/<slug:condition_slug>/pictures/"


@admin.register(Study)
class StudyAdmin(OwnedAdmin):
    """Studies of the researcher."""

    list_display = ("title", "badge", "photo_set", "n_conditions", "n_people", "owner", "created_at", "results")
    list_filter = ("state",)
    list_select_related = ("owner", "photo_set")
    search_fields = ("title", "slug")
    shared_path = "shared_with"
    change_list_template = "admin/studies/study/list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Study]:
        """Count the conditions and the sessions of each study."""
        studies: QuerySet[Study] = super().get_queryset(request)
        sessions = RatingSession.objects.filter(rater__origin=Origin.PERSON, state__in=FINISHED)
        return studies.annotate(
            condition_count=counted(Condition.objects.all(), by="study"), people_count=counted(sessions, by="study")
        )

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Name the owner only to those who see several owners' studies."""
        return tuple(name for name in self.list_display if name != "owner" or researcher_of(request).sees_all)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let drafts be deleted; what raters have seen stays."""
        if isinstance(obj, Study) and obj.state != StudyState.DRAFT:
            return False
        return super().has_delete_permission(request, obj)

    @admin.display(description="state", ordering="state")
    def badge(self, study: Study) -> SafeString:
        """Return the state as a badge with its word."""
        return format_html('<span class="rp-badge rp-badge-{}">{}</span>', study.state, study.get_state_display())

    @admin.display(description="conditions", ordering="condition_count")
    def n_conditions(self, study: Any) -> int:
        """Return the number of conditions."""
        return int(study.condition_count)

    @admin.display(description="people finished", ordering="people_count")
    def n_people(self, study: Any) -> int:
        """Return how many people finished."""
        return int(study.people_count)

    @admin.display(description="votes")
    def results(self, study: Study) -> SafeString:
        """Return a link to the results."""
        return format_html('<a href="{}">Results</a>', reverse("admin:studies_study_results", args=[study.pk]))

    def get_urls(self) -> list[URLPattern]:
        """Add every page, step and file of a study."""
        views: dict[str, tuple[str, StudyView]] = {
            "photos": ("photos/", study_check.photos_view),
            "conditions": ("conditions/", study_settings.conditions_view),
            "protocol": ("protocol/", study_settings.protocol_view),
            "preset": ("protocol/preset/", require_POST(study_settings.preset_view)),
            "recruitment": ("recruitment/", study_recruitment.recruitment_view),
            "figures": ("protocol/figures/", require_safe(study_settings.figures_view)),
            "plan": ("plan/", study_plan.plan_view),
            "plan_answer": ("plan/answer/", require_safe(study_plan.plan_answer_view)),
            "check": ("check/", require_safe(study_check.check_view)),
            "trial": ("check/trial.bin", require_safe(study_check.trial_view)),
            "live": ("live/", study_live.live_view),
            "live_parts": ("live/parts/", require_safe(study_live.live_parts_view)),
            "live_rates": ("live/rates/", require_safe(study_live.live_rates_view)),
            "results": ("results/", study_results.results_view),
            "preview": ("preview/", require_safe(study_page.preview_view)),
            "progress": ("progress.json", require_safe(study_page.progress_view)),
            "design": ("design.json", require_safe(study_exports.design_view)),
            "responses": ("responses.csv", require_safe(study_exports.responses_view)),
            "table": ("table/<slug:format_name>", require_safe(study_exports.table_view)),
            "figure": ("figures/<slug:name>.<slug:file_format>", require_safe(study_exports.figure_view)),
            "section": ("table/<slug:section>.<slug:format_name>", require_safe(study_exports.section_view)),
            "bundle": ("bundle/", study_bundle.bundle_view),
            "bundle_progress": ("bundle/progress.json", require_safe(study_bundle.progress_view)),
            "events": ("history/events.csv", require_safe(study_exports.events_view)),
            "samples": ("samples.png", require_safe(study_exports.samples_view)),
            "sharing": ("sharing/", study_sharing.sharing_view),
            "link_open": ("sharing/link/on/", require_POST(study_sharing.link_open_view)),
            "link_close": ("sharing/link/off/", require_POST(study_sharing.link_close_view)),
            "clone": ("clone/", study_designs.clone_view),
            "pictures": (PICTURES, study_pictures.pictures_view),
            "pictures_take": (f"{PICTURES}take/", require_POST(study_pictures.take_view)),
            "pictures_discard": (f"{PICTURES}discard/", require_POST(study_pictures.discard_view)),
            "pictures_progress": (f"{PICTURES}progress.json", require_safe(study_pictures.progress_view)),
            "pictures_inputs": (f"{PICTURES}inputs.zip", require_safe(study_pictures.inputs_view)),
            "picture": (f"{PICTURES}<int:picture>.png", require_safe(study_pictures.picture_view)),
        }
        addresses = [
            path(
                f"<int:object_id>/{tail}",
                self._door(view, only_owners=name in ONLY_OWNERS),
                name=f"studies_study_{name}",
            )
            for name, (tail, view) in views.items()
        ]
        for name, step in study_steps.STEPS.items():
            methods = ["GET", "HEAD", "POST"] if step.confirmation else ["POST"]
            view = require_http_methods(methods)(partial(study_steps.step_view, step=step))
            door = self._door(view, only_owners=True)
            addresses.append(path(f"<int:object_id>/{name}/", door, name=f"studies_study_{name}"))
        importing = path("import/", self.admin_site.admin_view(self.import_view), name="studies_study_import")
        written_view = require_POST(study_settings.written_view)
        written = path("written/", self.admin_site.admin_view(written_view), name="studies_study_written")
        planner: dict[str, tuple[str, Callable[..., HttpResponseBase]]] = {
            "planner": ("plan/", partial(study_plan.planner_view, model_admin=self)),
            "planner_answer": ("plan/answer/", require_safe(study_plan.planner_answer_view)),
            "plan_curve": ("plan/curve.svg", require_safe(study_plan.curve_view)),
            "plan_check": ("plan/checks/<int:check>/progress.json", require_safe(study_plan.check_progress_view)),
        }
        planning = [
            path(tail, self.admin_site.admin_view(view), name=f"studies_study_{name}")
            for name, (tail, view) in planner.items()
        ]
        return [importing, written, *planning, *JobsDoor(self).urls(), *addresses, *super().get_urls()]

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Make a study from the design in a file."""
        self.add_require(request)
        return study_designs.import_view(request, model_admin=self, photo_sets=self._photo_sets(request))

    def _photo_sets(self, request: HttpRequest) -> QuerySet[PhotoSet]:
        """Return the photo sets that the researcher may use."""
        photo_sets = PhotoSet.objects.order_by("name")
        researcher = researcher_of(request)
        return photo_sets if researcher.sees_all else photo_sets.filter(owner=researcher)

    def _door(self, view: StudyView, *, only_owners: bool = False) -> StudyView:
        """Let only those in who may read the study, or change it, and turn what they can put right into a message."""

        def opened(request: HttpRequest, object_id: int, **kwargs: Any) -> HttpResponseBase:
            study = self.get_object(request, str(object_id))
            if only_owners and not self.owns(request, study):
                raise PermissionDenied
            try:
                return view(request, model_admin=self, study=study, **kwargs)
            except EvalsiteError as error:
                self.message_user(request, str(error), messages.ERROR)
                return redirect("admin:studies_study_change", study.pk)

        door: StudyView = self.admin_site.admin_view(opened)
        return door

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """Make a draft from a title and photos; the other steps of the set-up follow."""
        self.add_require(request)
        is_sent = request.method == "POST"
        form = StudyCreateForm(
            request.POST if is_sent else None,
            request.FILES if is_sent else None,
            initial={"photo_set": request.GET.get("photo_set", ""), "seed": 0},
            photo_sets=self._photo_sets(request),
        )
        if is_sent and form.is_valid():
            return self._made(request, form)
        context = {
            "title": "New study",
            "form": form,
            "has_photo_sets": self._photo_sets(request).exists(),
            "limits": upload_limits(),
        }
        return self.page(request, "study/add", context, status=422 if is_sent else 200)

    def _made(self, request: HttpRequest, form: StudyCreateForm) -> HttpResponse:
        """Make the study of a valid form, with a photo set of its own if photos came along."""
        given, researcher = dict(form.cleaned_data), researcher_of(request)
        files = given.pop("photos")
        sizes = {name: given.pop(name) for name in ("high_res_size", "low_res_size", "cropping")}
        with transaction.atomic():
            if files:
                given["photo_set"] = photo_set_create(
                    owner=researcher, name=set_name_free(owner=researcher, title=given["title"]), **sizes
                )
            study = study_create(owner=researcher, **given)
        if files:
            photos_take_in(request, model_admin=self, photo_set=study.photo_set, files=files)
        return redirect("admin:studies_study_photos", study.pk)

    def page(self, request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
        """Render a page; those of a study that is not open yet show where one is in its set-up."""
        study = context.get("study")
        if isinstance(study, Study) and self.owns_study(request, study):
            context = study_setup.setup_context(study, context) | context
        return super().page(request, template, context, status=status)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the study's page."""
        return study_page.study_view(request, model_admin=self, study=self.get_object(request, object_id))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show who did what and when."""
        return study_history.history_view(request, model_admin=self, study=self.get_object(request, object_id))

    def delete_model(self, request: HttpRequest, obj: Study) -> None:
        """Delete a draft; its log stays."""
        study_delete(study=obj)
