"""The database backend of that name: `DATABASES["default"]["ENGINE"]` is `evalsite.postgresql`."""

import select
from typing import Any

from django.db.backends.postgresql import base, operations
from django.db.backends.utils import CursorWrapper


class DatabaseOperations(operations.DatabaseOperations):
    """Django's, which can also tell a statement that the server knew already."""

    def last_executed_query(self, cursor: Any, sql: Any, params: Any) -> Any:
        """Return what was asked, for who logs questions; without its values where they went beside the statement."""
        told: Any = super().last_executed_query(cursor, sql, params)  # None for a statement that was prepared
        return sql if told is None else told


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, with statements that are planned once, and a cheap look at whether a kept connection still stands."""

    ops_class = DatabaseOperations

    def planned_cursor(self) -> CursorWrapper:
        """Return a cursor by which the server plans a statement once for each connection, and keeps the plan.

        Values go beside the statement, not in it as with Django's own cursor, so that its text is always the same. The
        plan does not know them: ask for rows by their keys, for which one plan is the best whatever the key.
        """
        connection: Any = self  # whose base has attributes that its types lack
        connection.close_if_health_check_failed()
        connection.ensure_connection()
        wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
        bound: Any = base.ServerBindingCursor
        cursor: CursorWrapper = wrap(bound(connection.connection))
        return cursor

    def init_connection_state(self) -> None:
        """Have the server follow the plans that it keeps.

        Left to itself it thinks of plans for the very values too, each time anew, if these seem to cost less; and it
        does not count what the thinking costs with a join of eight tables, several times as much as running it.
        """
        super().init_connection_state()
        connection: Any = self
        if connection.settings_dict["OPTIONS"].get("prepare_threshold") is not None:
            with connection.connection.cursor() as cursor:
                cursor.execute("SET plan_cache_mode = force_generic_plan")
            if not connection.get_autocommit():
                connection.connection.commit()

    def close_if_health_check_failed(self) -> None:
        """Close a connection that the server has given up, asking it only where there are signs of that.

        A server that stops, restarts or throws a connection out says so, or hangs up, and either can be read. Asking it
        before every request would take as long as two of the three statements of a vote.
        """
        connection: Any = self
        if connection.connection is not None and connection.health_check_enabled and not connection.health_check_done:
            connection.health_check_done = _is_quiet(connection.connection)
        super().close_if_health_check_failed()


def _is_quiet(connection: Any) -> bool:
    """Return whether nothing has come from the server since it was last asked something."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLPRI)
    return not poll.poll(0)
