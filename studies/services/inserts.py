"""Rows are inserted by statements that are made once, since making them takes far longer than running them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import Model


def rows_insert(
    model: type[Model], columns: tuple[str, ...], rows: Sequence[Sequence[Any]], *, unless: tuple[str, ...] = ()
) -> list[int]:
    """Insert rows of a model by one statement, without its defaults, checks and signals.

    Args:
        model: Which table.
        columns: Of the table.
        rows: At least one; a value for each column, as the driver takes it.
        unless: Columns of a unique constraint: rows that it refuses are left out. None: they are an error.

    Returns:
        The primary keys of the new rows, in their order.

    Raises:
        IntegrityError: If a rule of the table refuses a row.
    """
    with connection.cursor() as cursor:
        cursor.execute(_insert_sql(model, columns, len(rows), unless), [value for row in rows for value in row])
        return [key for (key,) in cursor.fetchall()]


@lru_cache(maxsize=1024)
def _insert_sql(model: type[Model], columns: tuple[str, ...], count: int, unless: tuple[str, ...]) -> str:
    table = model._meta.db_table  # noqa: SLF001 -- Django documents it, underscore and all
    row = f"({', '.join(['%s'] * len(columns))})"
    conflict = f"ON CONFLICT ({', '.join(unless)}) DO NOTHING " if unless else ""
    values = ", ".join([row] * count)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values} {conflict}RETURNING id"  # noqa: S608 -- names of ours
