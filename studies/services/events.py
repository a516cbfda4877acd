"""What is done to studies is recorded: by the services themselves, so that every door is covered."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db.models import Model
from django.utils.text import capfirst

from studies.models import COMMAND_LINE, About, Change, Study, StudyEvent

_actor: ContextVar[Callable[[], str]] = ContextVar("actor", default=lambda: COMMAND_LINE)


@contextmanager
def acting_as(name: Callable[[], str]) -> Iterator[None]:
    """Let events inside the block say who acts; doors open it, services need not be told.

    Args:
        name: Gives the name when an event is recorded, and not before: asking for it reads the visitor's cookie.
    """
    token = _actor.set(name)
    try:
        yield
    finally:
        _actor.reset(token)


def event_record(*, study: Study, about: About, sentence: str, changes: Sequence[Change] = ()) -> StudyEvent:
    """Add an event to a study's log, in the caller's transaction: what is undone is not recorded either.

    Args:
        study: The study, saved.
        about: What it is about.
        sentence: What was done, as "Opened the study and froze its design."
        changes: Fields with their values before and after; those of `changes_between` are made for it.
    """
    return StudyEvent.objects.create(
        study=study,
        study_slug=study.slug,
        who=_actor.get()(),
        about=about,
        sentence=sentence,
        changes=[change._asdict() for change in changes],
    )


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return what differs between two sets of named values, in the order of the second; what is not there is None."""
    names = [*after, *(name for name in before if name not in after)]
    changes = [Change(name, before.get(name), after.get(name)) for name in names]
    return [change for change in changes if change.before != change.after]


def fields_named(row: Model, fields: Sequence[str]) -> dict[str, Any]:
    """Return values of fields of a row, under the names that people read."""
    names = {name: row._meta.get_field(name) for name in fields}  # noqa: SLF001 -- the documented way to a model's fields
    return {capfirst(str(getattr(field, "verbose_name", name))): getattr(row, name) for name, field in names.items()}
