"""Two questions that a supervisor asks: does the process live, and can it serve?"""

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@require_safe
@never_cache
def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer "ok" while the process lives; asks nothing of the database."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
def readyz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database is reachable with every migration applied, else 503 and what is wrong."""
    checks = readiness_check()
    return JsonResponse(checks, status=200 if all(state == "ok" for state in checks.values()) else 503)


def readiness_check() -> dict[str, str]:
    """Ask the database whether it is there and up to date.

    Returns:
        "ok" or what is wrong, for `database` and for `migrations`. Nothing in it names a host, an account or a path:
        anybody may read the answer.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return {"database": "unreachable", "migrations": "unknown"}
    return {"database": "ok", "migrations": f"{len(pending)} not applied" if pending else "ok"}
