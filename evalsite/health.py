"""Two questions that a supervisor asks: does the process live, and can it serve?"""

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu.exceptions import OperationalError

from evalsite.celery import queue_lengths


@require_safe
@never_cache
def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer "ok" while the process lives; asks nothing of the database."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
def readyz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 when raters can be served, else 503 and what is wrong; votes need no queue, so that is told only."""
    checks = readiness_check()
    is_ready = all(state == "ok" for name, state in checks.items() if name != "queue")
    return JsonResponse(checks, status=200 if is_ready else 503)


def readiness_check() -> dict[str, str]:
    """Ask the database whether it is there and up to date, and the other services that the site is told to use.

    Returns:
        "ok" or what is wrong, for `database` and `migrations`, for `queue` unless that is a folder, and for `storage`
        if pictures are in a bucket. Nothing in it names a host, an account or a path: anybody may read the answer.
    """
    checks = database_check()
    if settings.CELERY_BROKER_URL != "filesystem://":
        checks["queue"] = queue_check()
    if settings.S3_BUCKET:
        checks["storage"] = storage_check()
    return checks


def queue_check() -> str:
    """Return "ok" if the queue answers within some seconds."""
    try:
        queue_lengths()
    except (OperationalError, OSError):
        return "unreachable"
    return "ok"


def storage_check() -> str:
    """Return "ok" if the bucket answers whether it holds a file; it need not."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 -- of requirements-extras.txt

    try:
        default_storage.exists("readyz")
    except (BotoCoreError, ClientError, OSError):
        return "unreachable"
    return "ok"


def database_check() -> dict[str, str]:
    """Return "ok" or what is wrong, for `database` and for `migrations`."""
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return {"database": "unreachable", "migrations": "unknown"}
    return {"database": "ok", "migrations": f"{len(pending)} not applied" if pending else "ok"}
