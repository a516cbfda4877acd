"""Counts beside the rows of a list."""

from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce


def counted(rows: QuerySet[Any], *, by: str) -> Coalesce:
    """Return how many of these rows point at each row of a list, by a field of theirs.

    Each count is a query within the query: joins of two kinds of rows would first make all their combinations.
    """
    mine = rows.filter(**{by: OuterRef("pk")}).order_by().values(by)
    return Coalesce(Subquery(mine.values(n=Count("pk"))), 0)
