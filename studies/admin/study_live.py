"""The page to watch while a study runs: how it fills and how raters do; rates only for who asks to see them."""

from datetime import timedelta
from typing import Any, NamedTuple

from django.contrib import messages
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from studies.admin.ownership import OwnedAdmin
from studies.admin.study_exports import who
from studies.admin.study_results import tabs
from studies.admin.training_page import MISSING, duration_text
from studies.models import ENDED, FINISHED, Origin, ResultsLook, Saw, Study, StudyState
from studies.reports.palette import ConditionStyle, condition_style
from studies.reports.wording import percent
from studies.selectors.looks import LOOK_LASTS, is_under_way, look_open
from studies.selectors.monitor import Filling, Monitor, Strip, monitor_get
from studies.selectors.results import origin_default, rates_now
from studies.services.looks import look_record
from studies.statistics.sequential import LiveEstimate

POLL_MS = 5_000
VOTES_AT_ONCE = 100_000
"""With more votes the rates, which take every one, come after the page."""
RATES_S = 60
"""Rates of the same finished sessions are kept for so long."""


class FillingLine(NamedTuple):
    """Sessions of a condition, with its colour and marker."""

    label: str
    style: ConditionStyle | None
    filling: Filling


class StripLine(NamedTuple):
    """Votes of the pairs of a condition, with its colour and marker."""

    style: ConditionStyle
    strip: Strip

    @property
    def sentence(self) -> str:
        """Say what the cells show."""
        strip = self.strip
        spread = f"{strip.least}" if strip.least == strip.most else f"{strip.least} to {strip.most}"
        empty = f"; {strip.empty} without any" if strip.empty else ""
        return f"{spread} a pair, {strip.votes:,} votes on {strip.pairs:,} pairs{empty}"


class RateLine(NamedTuple):
    """A live rate with its interval, in percent, with the condition's colour and marker."""

    label: str
    style: ConditionStyle
    estimate: LiveEstimate

    @property
    def percent(self) -> float:
        """Return the rate."""
        return 100 * (self.estimate.estimate or 0.0)

    @property
    def ends(self) -> tuple[float, float] | None:
        """Return the ends of the interval; None without one."""
        low, high = self.estimate.ci_low, self.estimate.ci_high
        return None if low is None or high is None else (100 * low, 100 * high)

    @property
    def text(self) -> str:
        """Return both as people read them."""
        return percent(self.estimate.estimate, self.estimate.ci_low, self.estimate.ci_high)

    @property
    def width(self) -> float:
        """Return how wide the interval is."""
        return self.ends[1] - self.ends[0] if self.ends else 0.0


def live_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Show the page; by POST, record a look at the rates and show them for a while."""
    wanted = request.GET.get("origin", "")
    if wanted and wanted not in (Origin.PERSON, Origin.SIMULATED):
        model_admin.message_user(request, f"There are no sessions of “{wanted}”.", messages.ERROR)
        return redirect("admin:studies_study_live", study.pk)
    origin = Origin(wanted) if wanted else origin_default(study)
    address = f"{request.path}?origin={origin.value}"
    if request.method == "POST":
        if is_under_way(study) and look_open(study, who=who(request)) is None:
            look_record(study=study, who=who(request), saw=Saw.SEQUENCE, shown="live page", origin=origin)
        return redirect(address)
    context = parts_of(request, study, origin)
    votes = context["complete"] * study.test_count
    context["is_small"] = context["shows_rates"] and votes <= VOTES_AT_ONCE
    if context["is_small"]:
        context["rates"] = rates_of(study, origin)
    context |= {
        "title": "Live",
        "tabs": tabs(study, origin, page="live"),
        "fragment": reverse("admin:studies_study_live_parts", args=[study.pk]) + f"?origin={origin.value}",
        "fragment_rates": reverse("admin:studies_study_live_rates", args=[study.pk]) + f"?origin={origin.value}",
        "poll_ms": POLL_MS if is_under_way(study) else 0,
        "looked_for_min": LOOK_LASTS // timedelta(minutes=1),
    }
    return model_admin.page(request, "study/live", context)


def live_parts_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Answer the parts of the page that change."""
    return _fragment(request, "live_parts", parts_of(request, study, _origin_of(request)))


def live_rates_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Answer the rates, while a look lasts: looking at them again is part of it. Apart, since they take every vote."""
    origin = _origin_of(request)
    look = _look_of(request, study, origin)
    shows_rates = _shows_rates(study, origin, look)
    context = {
        "study": study,
        "shows_rates": shows_rates,
        "look": look,
        "look_until": look.at + LOOK_LASTS if look else None,
        "rates": rates_of(study, origin) if shows_rates else [],
        "version": _version(study, look),
    }
    return _fragment(request, "live_rates_parts", context)


def _fragment(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    response = TemplateResponse(request, f"admin/studies/study/{template}.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _origin_of(request: HttpRequest) -> Origin:
    return Origin.SIMULATED if request.GET.get("origin") == Origin.SIMULATED else Origin.PERSON


def _look_of(request: HttpRequest, study: Study, origin: Origin) -> ResultsLook | None:
    return look_open(study, who=who(request)) if origin == Origin.PERSON and is_under_way(study) else None


def _shows_rates(study: Study, origin: Origin, look: ResultsLook | None) -> bool:
    return origin == Origin.SIMULATED or study.state == StudyState.CLOSED or look is not None


def _version(study: Study, look: ResultsLook | None) -> str:
    """Return a word that changes when the page must be loaded anew."""
    return f"{study.state}-{look.pk if look else 0}"


def parts_of(request: HttpRequest, study: Study, origin: Origin) -> dict[str, Any]:
    """Return what the parts of the page need."""
    monitor = monitor_get(study, origin=origin)
    look = _look_of(request, study, origin)
    shows_rates = _shows_rates(study, origin, look)
    return {
        "study": study,
        "origin": origin,
        "is_simulated": origin == Origin.SIMULATED,
        "is_under_way": is_under_way(study),
        "monitor": monitor,
        "fillings": [
            FillingLine(
                filling.condition.label if filling.condition else "All conditions",
                condition_style(filling.place) if filling.condition else None,
                filling,
            )
            for filling in monitor.fillings
        ],
        "strips": [StripLine(condition_style(strip.place), strip) for strip in monitor.strips],
        "complete": sum(filling.complete for filling in monitor.fillings),
        "wanted": sum(filling.wanted for filling in monitor.fillings),
        "running": sum(filling.running for filling in monitor.fillings),
        "speed": speed_texts(study, monitor),
        "shows_rates": shows_rates,
        "may_look": is_under_way(study) and origin == Origin.PERSON and not shows_rates,
        "look": look,
        "look_until": look.at + LOOK_LASTS if look else None,
        "version": _version(study, look),
        "now": timezone.now(),
    }


def rates_of(study: Study, origin: Origin) -> list[RateLine]:
    """Return the rates of the tested conditions with the interval that holds at every look.

    They change only with a finished session, so that who watches does not have every vote read every few seconds.
    """
    finished = study.sessions.filter(rater__origin=origin, state__in=[*FINISHED, *ENDED]).order_by(
        "-finished_at", "-pk"
    )
    newest = finished.values_list("pk", "finished_at").first()
    key = f"live-rates-{study.code}-{origin.value}-{finished.count()}-{newest[0] if newest else 0}"
    rates: dict[str, LiveEstimate] = cache.get_or_set(key, lambda: rates_now(study, origin=origin), RATES_S) or {}
    return [
        RateLine(condition.label, condition_style(place), rates[condition.slug])
        for place, condition in enumerate(study.conditions.order_by("position"))
        if condition.slug in rates
    ]


def speed_texts(study: Study, monitor: Monitor) -> dict[str, str]:
    """Say how fast sessions are completed, and until when that may take."""
    speed = monitor.speed
    missing = sum(filling.missing for filling in monitor.fillings)
    texts = {"an_hour": MISSING, "over": "", "left": MISSING, "until": ""}
    if speed.an_hour is not None:
        texts |= {"an_hour": f"{speed.an_hour:.1f}", "over": f"sessions an hour, over {speed.over}"}
    if not missing and monitor.fillings and monitor.fillings[0].wanted:
        texts["left"], texts["until"] = "none", "the wanted number is reached"
    elif speed.hours_left is not None:
        end = timezone.now() + timedelta(hours=speed.hours_left)
        texts["left"], texts["until"] = duration_text(3_600 * speed.hours_left), f"until about {end:%d %b, %H:%M} UTC"
    elif study.state == StudyState.PAUSED:
        texts["until"] = "the study is paused"
    return texts
