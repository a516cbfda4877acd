"""Bundles are ordered by people and made by the worker."""

import hashlib
import logging
import tempfile
from typing import BinaryIO, cast

from django.core.files.base import File
from django.db import transaction

from studies.errors import EvalsiteError, StudyStateWrong
from studies.models import Bundle, BundleState, Origin, Study
from studies.models.files import file_delete_on_commit
from studies.selectors.bundle import bundle_version, bundle_write
from studies.selectors.looks import is_under_way

logger = logging.getLogger(__name__)

KEPT_IN_MEMORY = 32_000_000
"""Bytes of a bundle that are not written to a file of their own before it is kept."""


def bundle_order(*, study: Study, origin: Origin) -> Bundle:
    """Return the bundle of what the study is now; one that is not made yet waits, and the caller enqueues it.

    Raises:
        StudyStateWrong: If the study was not opened yet, or people still vote: nobody is to see their rates then.
    """
    if not study.is_frozen or (origin == Origin.PERSON and is_under_way(study)):
        raise StudyStateWrong(f"“{study.title}” is {study.state}: its bundle can be made once it is closed.")
    version = bundle_version(study, origin=origin)
    with transaction.atomic():
        bundle, _ = Bundle.objects.select_for_update().get_or_create(
            study=study, origin=origin, defaults={"version": version}
        )
        if bundle.version != version or bundle.state == BundleState.FAILED:
            file_delete_on_commit(bundle.file)
            bundle.version, bundle.state = version, BundleState.WAITING
            bundle.file, bundle.sha256, bundle.reason = "", "", ""
        bundle.save()
    return bundle


def bundle_make(*, key: int) -> None:
    """Make a bundle that waits; calling it again is harmless."""
    bundle = Bundle.objects.filter(pk=key, state=BundleState.WAITING).select_related("study").first()
    if bundle is None:
        return
    try:
        with tempfile.SpooledTemporaryFile(KEPT_IN_MEMORY) as written:
            bundle_write(bundle.study, cast(BinaryIO, written), origin=Origin(bundle.origin))
            written.seek(0)
            bundle.sha256 = hashlib.file_digest(written, "sha256").hexdigest()
            written.seek(0)
            bundle.file.save(f"{bundle.sha256[:16]}.zip", File(written), save=False)
    except EvalsiteError as error:
        _end(bundle, BundleState.FAILED, str(error))
    except Exception as error:  # whatever it is, the researcher must see it, not only the worker's log
        logger.exception("A bundle could not be made", extra={"bundle": bundle.pk})
        _end(bundle, BundleState.FAILED, f"{type(error).__name__}: {error}; mend that and prepare it again.")
    else:
        _end(bundle, BundleState.READY)


def bundle_discard(*, bundle: Bundle) -> None:
    """Let a bundle go with its file, whether it is made or waits; what a worker makes of it meanwhile is not kept."""
    bundle.delete()


def _end(bundle: Bundle, state: BundleState, reason: str = "") -> None:
    """Keep what came of it, unless another bundle was ordered meanwhile."""
    waiting = Bundle.objects.filter(pk=bundle.pk, state=BundleState.WAITING, version=bundle.version)
    values = {"state": state, "reason": reason, "file": str(bundle.file or ""), "sha256": bundle.sha256}
    if not waiting.update(**values) and bundle.file:
        bundle.file.delete(save=False)
