"""One line per event on standard output, with the ids of study, session and task; never a person's address.

Code logs through `structlog.get_logger(__name__)` with an event name and ids: `log.info("sample_failed", sample=7)`.
Ids that hold for a whole request or task are bound once: `structlog.contextvars.bind_contextvars(session=code)`.
Lines of Django, Celery and gunicorn take the same shape.
"""

import inspect
import logging.config
import re
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Literal, TextIO

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase

#: What tells who a person is. A line that carries such a key loses it, whoever wrote the line.
PRIVATE_KEYS = frozenset({"address", "cookie", "email", "ip", "password", "query", "remote_addr", "user", "user_agent"})

#: What is kept of `extra=…` in lines of the standard library's loggers: our ids; others put whole requests there.
KEPT_EXTRAS = ("run", "sample", "session", "study", "upload")

LogFormat = Literal["console", "json"]
EventDict = MutableMapping[str, Any]

log = structlog.get_logger(__name__)


def drop_private_keys(_logger: Any, _method: str, event_dict: EventDict) -> EventDict:
    """Remove what tells who a person is from a log line."""
    for key in PRIVATE_KEYS & event_dict.keys():
        del event_dict[key]
    return event_dict


#: PostgreSQL says which value broke a rule, and that value may be a panel's id of a participant.
ERROR_DETAIL = re.compile(r"DETAIL: (?:\\[^nr]|[^\n\\])*")


def drop_error_details(_logger: Any, _method: str, line: str) -> str:
    """Remove the values that the database names in its errors from a line as it is written, or from its JSON."""
    return ERROR_DETAIL.sub("DETAIL left out", line) if "DETAIL:" in line else line


SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    drop_private_keys,
]


class StdoutHandler(logging.StreamHandler[TextIO]):
    """Write to what standard output is at the time of the line, not to what it was when logging was set up."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override] # an attribute there, looked up anew here
        return sys.stdout


def logging_config(*, level: str, log_format: LogFormat) -> dict[str, Any]:
    """Build the value of the LOGGING setting.

    Args:
        level: The least level that is written, such as "INFO".
        log_format: "console" for lines that people read, "json" for lines that programs read.
    """
    # Tracebacks without local variables, which hold passwords and addresses.
    renderers: list[Any]
    if log_format == "json":
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        renderers = [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer()]
    else:
        renderers = [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [structlog.stdlib.ExtraAdder(allow=KEPT_EXTRAS), *SHARED_PROCESSORS],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *renderers,
                    drop_error_details,
                ],
            }
        },
        "handlers": {"stdout": {"()": StdoutHandler, "formatter": "line"}},
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {
            # Django gives these two handlers of their own; here every line takes the one way out.
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
            # Our middleware already writes one line for each answered request; here only failures add their traceback.
            "django.request": {"level": "ERROR"},
            # Scanners ask for hosts of their own all day; the 400 that they get is a line already.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            # One line for every library call below this level says nothing about a study.
            "celery.redirected": {"level": "WARNING"},
            "fontTools": {"level": "WARNING"},
            "matplotlib": {"level": "WARNING"},
            "PIL": {"level": "WARNING"},
        },
    }


def configure(config: dict[str, Any]) -> None:
    """Set up structlog and the standard library's logging; Django calls it with the LOGGING setting."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED_PROCESSORS,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # tests look at lines through capture_logs, which needs this
    )
    logging.config.dictConfig(config)


def bind_task(
    *, task_id: str, task_name: str, run: Callable[..., Any] | None = None, arguments: Sequence[Any] = ()
) -> None:
    """Put a task's id, its name and the keys that it was given on every line until `unbind_task`.

    Args:
        task_id: Celery's id of the task.
        task_name: Dotted name of the task.
        run: What the task calls: its arguments `study_pk`, `upload_pk` … become `study`, `upload` …
        arguments: What it is called with, in order.
    """
    names = list(inspect.signature(run).parameters) if run else []
    keys = {name.removesuffix("_pk"): key for name, key in zip(names, arguments, strict=False) if name.endswith("_pk")}
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task_name, **keys)


def unbind_task() -> None:
    """End what `bind_task` began; a worker does one task at a time, and nothing else."""
    structlog.contextvars.clear_contextvars()


def path_of(request: HttpRequest) -> str:
    """Return a request's path; where it holds a code, which is a rater's only key, the pattern of the path instead."""
    match = request.resolver_match
    kept: Mapping[str, Any] = match.kwargs if match else {}
    return f"/{match.route}" if match and any(name.endswith("_code") for name in kept) else request.path


class RequestLogMiddleware:
    """Write one line for each answered request: method, path without its query, status, milliseconds.

    Whoever finds out which study and session a request is about binds their keys: they are on this line too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        structlog.contextvars.clear_contextvars()  # this thread answered another request before
        start = time.perf_counter()
        response = self.get_response(request)
        log.info(
            "request",
            method=request.method,
            path=path_of(request),
            status=response.status_code,
            duration_ms=round((time.perf_counter() - start) * 1000),
        )
        return response
