"""The log of a study, as people read it and as it is exported."""

import json
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from studies.models import NO_ACCOUNTS, About, Study, StudyEvent

EVENT_COLUMNS = ("at", "who", "about", "sentence", "field", "before", "after")
"""Of the exported log; see docs/export-schema.md."""


def events_get(study: Study, *, about: About | None = None) -> QuerySet[StudyEvent]:
    """Return what was done to a study, the newest first."""
    events = StudyEvent.objects.filter(study=study).order_by("-at", "-pk")
    return events.filter(about=about) if about else events


def events_rows(study: Study, *, hides_codes: bool = False, hides_names: bool = False) -> Iterator[list[str]]:
    """Yield the header, then the log from its start: a row for each field that changed, or one where none did.

    Args:
        study: The study.
        hides_codes: Leave out how the recruitment was changed, since whoever knows its codes can be paid for nothing.
        hides_names: Number the accounts in the order of their appearance instead of naming them, and leave out who else
            may read the study.
    """
    yield list(EVENT_COLUMNS)
    names: dict[str, str] = {}
    events = events_get(study).reverse()
    if hides_names:
        events = events.exclude(about=About.SHARING)
    for event in events.iterator(chunk_size=1_000):
        who = event.who
        if hides_names and who not in NO_ACCOUNTS:
            who = names.setdefault(who, f"account-{len(names) + 1}")
        head = [event.at.isoformat(timespec="milliseconds"), who, event.about, event.sentence]
        changed = event.changed
        if hides_codes and event.about == About.RECRUITMENT:
            changed = []
        for change in changed:
            yield [*head, change.field, _written(change.before), _written(change.after)]
        if not changed:
            yield [*head, "", "", ""]


def _written(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
