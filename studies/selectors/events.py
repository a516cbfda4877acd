"""The log of a study, as people read it and as it is exported."""

import json
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from studies.models import About, Study, StudyEvent

EVENT_COLUMNS = ("at", "who", "about", "sentence", "field", "before", "after")
"""Of the exported log; see docs/export-schema.md."""


def events_get(study: Study, *, about: About | None = None) -> QuerySet[StudyEvent]:
    """Return what was done to a study, the newest first."""
    events = StudyEvent.objects.filter(study=study).order_by("-at", "-pk")
    return events.filter(about=about) if about else events


def events_rows(study: Study) -> Iterator[list[str]]:
    """Yield the header, then the log from its start: a row for each field that changed, or one where none did."""
    yield list(EVENT_COLUMNS)
    for event in events_get(study).reverse().iterator(chunk_size=1_000):
        head = [event.at.isoformat(timespec="milliseconds"), event.who, event.about, event.sentence]
        for change in event.changed:
            yield [*head, change.field, _written(change.before), _written(change.after)]
        if not event.changes:
            yield [*head, "", "", ""]


def _written(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
