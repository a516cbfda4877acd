"""The project around the `studies` app: settings, addresses, the task queue, logging and health checks."""

from evalsite.celery import app as celery_app

__all__ = ["celery_app"]
