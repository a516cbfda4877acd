"""The trials of a session are made of its plan."""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from secrets import token_bytes, token_urlsafe
from typing import Any, Final

from django.db import connection
from django.db.models import Exists, OuterRef

from studies.models import Pair, RatingSession, Trial
from studies.models.choices import TOKEN_LENGTH
from studies.planning import PairOption, PlannedTrial
from studies.selectors.compiled import planned_cursor
from studies.services.inserts import insert_sql

_COMMON: Final = 8
"""Letters that the words of a session's trials have in common."""

_COLUMNS: Final = ("session_id", "position", "pair_id", "photo_id", "kind", "photo_side", "code", "block")
_PLACE: Final = ("session_id", "position")


def trials_keep(*, session: int, planned: Sequence[PlannedTrial], may_exist: bool = False) -> None:
    """Make the trials of a session.

    Args:
        session: Primary key of the session.
        planned: Its plan, whose places count from 0.
        may_exist: Whether trials that it has already stay as they are; otherwise they are an error.

    Raises:
        IntegrityError: If it has one already.
    """
    options = [trial.option for trial in planned]
    columns = (
        range(len(planned)),
        [option.pair for option in options],
        [option.photo for option in options],
        [option.kind for option in options],
        [trial.photo_side for trial in planned],
        _codes_make(len(planned)),
        [trial.block for trial in planned],
    )
    if connection.vendor == "postgresql":  # a column each, so that there is one statement for any number of trials
        sql = _UNNEST_SQL
        values: list[Any] = [
            session,
            *(f"{{{','.join(map(str, column))}}}" for column in columns),
        ]  # no word has commas
    else:
        sql = insert_sql(Trial, _COLUMNS, len(planned))
        values = [value for row in zip(*columns, strict=True) for value in (session, *row)]
    with planned_cursor() as cursor:
        cursor.execute(f"{sql} {_UNLESS_SQL}" if may_exist else sql, values)


def trials_complete(*, session: RatingSession) -> None:
    """Make the trials of a session that has none, from its plan: a process may end between the two."""
    if not session.plan or session.trials.exists():
        return
    words = session.plan.split()
    pairs = Pair.objects.filter(pk__in=[abs(int(word)) for word in words])
    found = {
        pair: PairOption(pair, photo, condition, kind, "", 0)
        for pair, photo, condition, kind in pairs.values_list(
            "pk", "sample__photo_id", "sample__condition__position", "kind"
        )
    }
    study = session.study
    planned = [
        PlannedTrial(
            found[abs(int(word))],
            "second" if word.startswith("-") else "first",
            1 + (place - study.practice_count) // study.block_count
            if study.block_count and place >= study.practice_count
            else 0,
        )
        for place, word in enumerate(words)
    ]
    trials_keep(session=session.pk, planned=planned, may_exist=True)


def trials_complete_all() -> int:
    """Make the trials of every session that has a plan and none; return how many sessions those were.

    A backup may hold such ones: it is of one moment, and trials come right after their plan.
    """
    planned = RatingSession.objects.exclude(plan="").filter(~Exists(Trial.objects.filter(session=OuterRef("pk"))))
    sessions = list(planned.select_related("study").defer("study__design"))
    for session in sessions:
        trials_complete(session=session)
    return len(sessions)


def _codes_make(count: int) -> list[str]:
    """Return unguessable words for addresses, which begin alike so that an index keeps them in one place.

    What they have in common differs between sessions (48 bits); the rest of each is its own (84 bits).
    """
    common = token_urlsafe(_COMMON)[:_COMMON]
    own = TOKEN_LENGTH - _COMMON
    drawn = urlsafe_b64encode(token_bytes(count * own)).decode()
    return [common + drawn[start : start + own] for start in range(0, count * own, own)]


_UNNEST_SQL: Final = (
    f"INSERT INTO {Trial._meta.db_table} ({', '.join(_COLUMNS)}) SELECT %s::bigint, * FROM unnest("  # noqa: S608, SLF001 -- names of ours; Django documents it
    "%s::smallint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::smallint[])"
)
_UNLESS_SQL: Final = f"ON CONFLICT ({', '.join(_PLACE)}) DO NOTHING"
