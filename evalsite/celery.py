"""The Celery application: `celery -A evalsite worker` runs the tasks of `studies/tasks.py`."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from celery import Celery, bootsteps
from celery.signals import setup_logging, task_postrun, task_prerun
from django.conf import settings
from kombu.exceptions import ChannelError

from evalsite import logging as evalsite_logging

BROKER_TIMEOUT_S = 2
"""How long whoever asks after the queue waits for it."""

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalsite.settings")

_acting: dict[str, ExitStack] = {}
"""Id of a running task -> what ends its acting as the worker."""

app = Celery("evalsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _set_up_worker_logging(**_kwargs: Any) -> None:
    """Give the worker the site's logging: connecting here keeps Celery from installing its own."""
    evalsite_logging.configure(settings.LOGGING)


@task_prerun.connect
def _bind_task(*, task_id: str, task: Any, args: Sequence[Any] = (), **_kwargs: Any) -> None:
    """Put the task's id, its name and its keys on every line that it logs, and the worker into the log of studies."""
    from studies.models import WORKER  # noqa: PLC0415 -- models need Django to be set up
    from studies.services.events import acting_as  # noqa: PLC0415 -- as above

    evalsite_logging.bind_task(task_id=task_id, task_name=task.name, run=task.run, arguments=args)
    _acting[task_id] = ExitStack()
    _acting[task_id].enter_context(acting_as(lambda: WORKER))


@task_postrun.connect
def _unbind_task(*, task_id: str, **_kwargs: Any) -> None:
    evalsite_logging.unbind_task()
    _acting.pop(task_id).close()


def queue_lengths() -> dict[str, int]:
    """Return how many tasks wait in each queue.

    Raises:
        kombu.exceptions.OperationalError: If the queue cannot be reached within some seconds.
    """
    lengths = {}
    with app.connection_for_read(connect_timeout=BROKER_TIMEOUT_S) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_TIMEOUT_S)
        for name in settings.CELERY_TASK_QUEUES:
            with connection.channel() as channel:  # a refusal closes it
                try:
                    declared: Any = channel
                    lengths[name] = declared.queue_declare(queue=name, passive=True).message_count
                except ChannelError:  # Redis forgets a queue that is empty
                    lengths[name] = 0
    return lengths


class ResumeWork(bootsteps.StartStopStep):
    """Take up what was left behind, whenever a worker has come to its queue: at its start, and when the queue is back.

    So nothing hangs on the messages: those that a worker took to its grave, that the queue forgot, or that could not be
    sent while it was away, are made anew from the rows.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, _consumer: Any) -> None:
        """Ask any worker to look what waits."""
        app.send_task("studies.tasks.work_resume")


app.steps["consumer"].add(ResumeWork)
