"""Rows are inserted by statements that are made once, since making them takes far longer than running them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.db.models import Model

from studies.selectors.compiled import planned_cursor


def rows_insert(model: type[Model], columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> list[int]:
    """Insert rows of a model by one statement, without its defaults, checks and signals.

    Args:
        model: Which table.
        columns: Of the table.
        rows: At least one; a value for each column, as the driver takes it.

    Returns:
        The primary keys of the new rows, in their order.

    Raises:
        IntegrityError: If a rule of the table refuses a row.
    """
    with planned_cursor() as cursor:
        cursor.execute(f"{insert_sql(model, columns, len(rows))} RETURNING id", [v for row in rows for v in row])
        return [key for (key,) in cursor.fetchall()]


@lru_cache(maxsize=1024)
def insert_sql(model: type[Model], columns: tuple[str, ...], count: int) -> str:
    """Return the statement that inserts so many rows; their values go into it one row after the other."""
    table = model._meta.db_table  # noqa: SLF001 -- Django documents it, underscore and all
    row = f"({', '.join(['%s'] * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * count)}"  # noqa: S608 -- names of ours
