"""The bundle of a study: ordered, waited for, downloaded."""

from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from kombu.exceptions import OperationalError

from studies.admin.ownership import OwnedAdmin
from studies.admin.study_exports import origin_of
from studies.errors import QueueUnreachable, StudyStateWrong
from studies.models import Bundle, BundleState, Origin, Study
from studies.selectors.bundle import bundle_get
from studies.services.bundles import bundle_order
from studies.tasks import bundle_make

POLL_MS = 1_500


def bundle_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse | FileResponse:
    """Send the bundle if it is ready; order it by POST."""
    origin = origin_of(request, study)
    if request.method != "POST":
        bundle = bundle_get(study, origin=origin)
        if bundle is None or bundle.state != BundleState.READY:
            raise StudyStateWrong("This bundle is not there any more, or not yet: prepare it on the results page.")
        return bundle_sent(bundle)
    bundle_enqueue(study, origin=origin)
    return redirect(f"{reverse('admin:studies_study_results', args=[study.pk])}?origin={origin.value}#bundle")


def bundle_enqueue(study: Study, *, origin: Origin) -> None:
    """Have the bundle made, unless it is there.

    Raises:
        QueueUnreachable: If the worker cannot be told; once it runs again it finds the bundle by itself.
    """
    bundle = bundle_order(study=study, origin=origin)
    if bundle.state == BundleState.WAITING:
        try:
            bundle_make.delay_on_commit(bundle.pk)
        except OperationalError as error:
            raise QueueUnreachable(
                "The bundle waits, but the worker's queue is out of reach: have it started."
            ) from error


def bundle_sent(bundle: Bundle) -> FileResponse:
    """Send the file of a bundle."""
    name = f"{bundle.study.slug}-{bundle.origin}.zip"
    response = FileResponse(bundle.file.open("rb"), as_attachment=True, filename=name, content_type="application/zip")
    response["Cache-Control"] = "private, no-store"
    return response


def progress_view(request: HttpRequest, *, model_admin: OwnedAdmin, study: Study) -> HttpResponse:
    """Answer whether the bundle is there; another version means that the page must reload."""
    bundle = bundle_get(study, origin=origin_of(request, study))
    response = JsonResponse({"version": version(bundle), "next_ms": POLL_MS, "texts": {}, "values": {}})
    response["Cache-Control"] = "no-store"
    return response


def bundle_context(study: Study, *, origin: Origin) -> dict[str, Any]:
    """Return what the results page says of the bundle."""
    bundle = bundle_get(study, origin=origin)
    waits = bundle is not None and bundle.state == BundleState.WAITING
    return {"bundle": bundle, "bundle_version": version(bundle), "bundle_poll_ms": POLL_MS if waits else 0}


def version(bundle: Bundle | None) -> str:
    """Return a word that changes with the state."""
    return bundle.state if bundle else "none"
