"""Statements of every vote: their SQL is made once, and planned once, both of which take far longer than running it."""

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Model, QuerySet


def planned_cursor() -> CursorWrapper:
    """Return a cursor whose statements are planned once for each connection, where the database can be asked for that.

    PostgreSQL takes some milliseconds to plan a join of eight tables, and a tenth of one to follow the plan. The plan
    is the same whatever the values: they must be keys. SQLite keeps plans by the text of the statement anyway.
    """
    make: Callable[[], CursorWrapper] = getattr(connection, "planned_cursor", connection.cursor)
    return make()


def columns_of(model: type[Model], *, prefix: str = "", but: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of a model's columns, in the order in which `Model.from_db` takes their values.

    Args:
        model: Which model.
        prefix: The way to it from the model that is asked, with its last `__`.
        but: Columns that are left out.
    """
    fields = model._meta.concrete_fields  # noqa: SLF001 -- Django documents it, underscore and all
    return tuple(f"{prefix}{field.attname}" for field in fields if field.attname not in but)


class CompiledQuery:
    """A query that differs between its runs only in some texts, which it is given by name.

    Rows come as the driver gives them, without the conversions of fields: ask for numbers and short texts only.
    """

    def __init__(self, make: Callable[..., QuerySet[Any, Any]], *names: str) -> None:
        """Remember how the query is made.

        Args:
            make: Takes a text for each name, and returns the query as a `values_list`.
            names: What the texts are called.
        """
        self._make = make
        self._names = names

    @cached_property
    def _compiled(self) -> tuple[str, tuple[Any, ...]]:
        """The SQL, and its parameters with `<name>` in the place of each text."""
        query = self._make(**{name: f"<{name}>" for name in self._names}).query
        return query.sql_with_params()

    def rows(self, **texts: str) -> list[tuple[Any, ...]]:
        """Run the query with these texts; return its rows."""
        sql, parameters = self._compiled
        given = {f"<{name}>": text for name, text in texts.items()}
        with planned_cursor() as cursor:
            cursor.execute(sql, [given.get(value, value) for value in parameters])
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
