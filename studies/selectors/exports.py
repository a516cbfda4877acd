"""Raw responses as rows of text, by the schema in docs/export-schema.md."""

import csv
import io
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Any

from django.db import connection, transaction

from studies.models import FINISHED, AsksFor, Origin, Pair, Rater, RatingSession, Response, SessionState, Side, Study
from studies.selectors.responses import ANSWERED_AT, as_read, sessions_of
from studies.selectors.results import FIDELITY, caution_get, fidelity_get
from studies.selectors.studies import reference_get
from studies.statistics.responses_csv import COLUMNS, DECLARATION

SESSIONS_AT_ONCE = 100
"""Sessions whose responses are read at once: some five thousand rows."""
BY_INDEX = (
    "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
)
Sessions = dict[int, tuple[str, str, str]]
"""Some sessions, and cells of each."""
FLAGS = {True: "1", False: "0"}
"""Truth values, which SQLite gives as 1 and 0; for Python they are the same keys."""


def responses_rows(study: Study, *, origin: Origin) -> Iterator[list[str]]:
    """Yield the header, then one row a response: what `responses_csv` writes, cell by cell."""
    blocks = responses_csv(study, origin=origin)
    return csv.reader(chain.from_iterable(io.StringIO(block, newline="") for block in blocks))


def responses_csv(study: Study, *, origin: Origin) -> Iterator[str]:
    """Yield the header, then one line a response of one origin, in the order of sessions and positions; in blocks.

    Last comes a row of the kind `DECLARATION` for each condition without any response, so that the file alone gives the
    whole table. What is held in memory grows with the pairs of the study, but not with its responses.

    What all responses of a condition, a pair or a session have in common is written as CSV once. A line puts it
    together in the order of `COLUMNS`, with what is the answer's own: that holds nothing that needs quotes.
    """
    yield _cells(column.name for column in COLUMNS) + "\n"
    conditions, pairs = _of_conditions(study, origin=origin), _of_pairs(study)
    unseen = dict(conditions)
    photo_or_sample = {str(Side.FIRST): "photo", str(Side.SECOND): "sample"}
    shown = photo_or_sample if study.is_single else dict.fromkeys(photo_or_sample, "pair")
    other = {str(side): str(side.other) for side in Side}
    asks_for_photo = str(AsksFor.PHOTO)
    for sessions, responses in _read_ahead(_of_sessions(study, origin=origin)):
        lines = []
        # fmt: off
        for (
            session, pair, position, kind, side, chosen, asked, rt, block, exposure, first, second,
            frames_first, frames_second, interval, missed, set_aside, scale, ratio, hidden, unfocused, losses,
            automation, answered_at,
        ) in responses:
            condition, photo, measured = pairs[pair]
            of_study, of_origin, of_condition, question, fidelity = conditions[condition]
            names, ended, language = sessions[session]
            unseen.pop(condition, None)
            lines.append(
                f"{of_study},{names},{of_origin},{ended},{of_condition},{photo},"
                f"{position},{kind},{side},{shown[side]},{chosen},{asked},"
                f"{chosen if asked == asks_for_photo else other[chosen]},{0 if chosen == side else 1},{rt},"
                f"{block or ''},{study.exposure_ms if exposure is None else exposure},"
                f"{_ms(first)},{_ms(second)},{_number(frames_first)},{_number(frames_second)},{_ms(interval)},"
                f"{FLAGS[missed]},{FLAGS[set_aside]},{_number(scale)},{_number(ratio)},{FLAGS[hidden]},{FLAGS[unfocused]},"
                f"{losses},{automation},{_moment(answered_at)},"
                f"{question},{language},{measured},{fidelity}\n"
            )
        # fmt: on
        yield "".join(lines)
    places = [column.name for column in COLUMNS]
    no_answer = "," * (places.index("question") - places.index("kind"))
    for of_study, of_origin, of_condition, question, fidelity in unseen.values():
        yield f"{of_study},,,{of_origin},,,,{of_condition},,,,{DECLARATION}{no_answer}{question},,,,{fidelity}\n"


def _cells(texts: Iterable[str]) -> str:
    """Return texts as cells of CSV, quoted where they must be (RFC 4180, section 2)."""
    return ",".join(
        '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text for text in texts
    )


def _of_conditions(study: Study, *, origin: Origin) -> dict[int, tuple[str, str, str, str, str]]:
    """Return cells of each condition: of its study, the origin, its own, the question, the pixel metrics."""
    fidelity = {
        slug: [_exact(getattr(means, name)) for name in FIDELITY] for slug, means in fidelity_get(study).items()
    }
    fixed = (study.comparison_family, reference_get(study) or "", repr(study.equivalence_margin))
    of_study = _cells((study.slug, study.title, study.design_sha256, *fixed, caution_get(study, origin=origin)))
    return {
        condition.pk: (
            of_study,
            origin.value,
            _cells((condition.slug, condition.label, str(order), condition.role)),
            _cells([study.question]),
            _cells(fidelity.get(condition.slug, [""] * len(FIDELITY))),
        )
        for order, condition in enumerate(study.conditions.order_by("position"), start=1)
    }


def _of_pairs(study: Study) -> dict[int, tuple[int, str, str]]:
    """Return the condition of each pair, and cells of its photo and of the metrics of its sample."""
    rows = Pair.objects.filter(study=study).values_list(
        "pk",
        "sample__condition_id",
        "sample__photo__sha256",
        "sample__photo__source_sha256",
        "sample__psnr",
        "sample__ssim",
    )
    return {
        pk: (condition, f"{photo[:16]},{scene[:16]}", f"{_exact(psnr)},{_exact(ssim)}")
        for pk, condition, photo, scene, psnr, ssim in rows.iterator()
    }


def _of_sessions(study: Study, *, origin: Origin) -> Iterator[Sessions]:
    """Yield cells of some sessions at a time, in their order: of their names, how they ended, their language."""
    rows = sessions_of(study, origin=origin).order_by("pk")
    named = rows.values_list("pk", "rater_id", "state", "exclusion_reason", "language")
    last = 0
    while batch := list(named.filter(pk__gt=last)[:SESSIONS_AT_ONCE]):
        last = batch[-1][0]
        yield {
            pk: (
                f"{RatingSession(pk=pk)},{Rater(pk=rater)}",
                _cells((FLAGS[state in FINISHED], FLAGS[state == SessionState.EXCLUDED], reason)),
                _cells([language]),
            )
            for pk, rater, state, reason, language in batch
        }


def _read_ahead(batches: Iterator[Sessions]) -> Iterator[tuple[Sessions, list[tuple[Any, ...]]]]:
    """Yield batches of sessions with their responses, and let PostgreSQL look for the next while one is written.

    Another core may do its part of the work. A thread asks, by a connection of its own, which does not see what an open
    transaction has changed: within one, and on SQLite, which works in our own thread, batches are read when asked for.
    """
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        yield from ((sessions, _responses(sessions)) for sessions in batches)
        return
    with ThreadPoolExecutor(max_workers=1) as reader:
        try:
            waiting: tuple[Sessions, Future[list[tuple[Any, ...]]]] | None = None
            for sessions in batches:
                asked = sessions, reader.submit(_responses_by_index, sessions)
                if waiting is not None:
                    yield waiting[0], waiting[1].result()
                waiting = asked
            if waiting is not None:
                yield waiting[0], waiting[1].result()
        finally:
            reader.submit(_hang_up)


def _responses_by_index(sessions: Iterable[int]) -> list[tuple[Any, ...]]:
    """Return what `_responses` does, on PostgreSQL, in the way that is quickest for some thousand rows of millions.

    Left to itself the database takes both cores for it, which the writing needs as well, or reads both tables whole: it
    holds looking up each answer by its key for dearer than that is. The settings end with the transaction.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(BY_INDEX)
        return _responses(sessions)


def _hang_up() -> None:
    """Close the connection of the thread that this runs in."""
    connection.close()


def _responses(sessions: Iterable[int]) -> list[tuple[Any, ...]]:
    """Return the responses of some of the sessions that `sessions_of` chose, by session and position."""
    rows = Response.objects.filter(trial__session__in=list(sessions))
    return as_read(
        rows.order_by("trial__session_id", "trial__position").values_list(
            *("trial__session_id", "trial__pair_id", "trial__position", "trial__kind", "trial__photo_side"),
            *("chosen_side", "asked_for", "rt_ms", "trial__block", "exposure_asked_ms"),
            *("exposure_first_ms", "exposure_second_ms", "frames_first", "frames_second"),
            *("frame_interval_ms", "exposure_missed", "is_set_aside", "device_scale", "pixel_ratio"),
            *("was_hidden", "lost_focus", "focus_losses", "automation", ANSWERED_AT),
        )
    )


def _moment(text: str) -> str:
    """Return what `ANSWERED_AT` says as ISO 8601 with its zone."""
    if text[19:20] == "." and text[20:23].isdigit():  # nearly all: the others end sooner, without zeros
        return f"{text[:10]}T{text[11:23]}+00:00"
    return datetime.fromisoformat(text).replace(tzinfo=UTC).isoformat(timespec="milliseconds")


def _exact(value: float | None) -> str:
    return "" if value is None else repr(value)


@lru_cache(maxsize=4096)
def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.15g}"


@lru_cache(maxsize=4096)
def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
