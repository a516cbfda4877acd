"""The export of responses as a file: its columns, and how it is read back.

One row for each response. The seven required columns suffice for fool rates, so that votes collected by other tools
can be read too; with the others the file holds all that the site's own table is made of.
"""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, NoReturn, TextIO

import numpy as np

from studies.errors import ResponsesFileInvalid
from studies.statistics.comparison import FAMILIES
from studies.statistics.plan import AnalysisPlan
from studies.statistics.results import (
    ORIGINS,
    PREVIEW,
    REAL,
    ROLES,
    SET_ASIDE,
    TEST,
    ConditionFidelity,
    ResultCondition,
    Votes,
)

KINDS = ("practice", TEST, "golden")
CONSTANTS = (
    *("study", "study_title", "design_sha256"),
    *("comparison_family", "comparison_reference", "equivalence_margin", "caution"),
)
"""Columns that say the same in every row."""
DECLARATION = "none"
"""Kind of a row that is no response: it tells of a condition that has none."""
SIDES = ("first", "second")
SHOWN = ("pair", "sample", "photo")
NUMBERS = ("position", "rt_ms", "sample_psnr", "sample_ssim", "block", "exposure_asked_ms")
"""Columns of numbers that votes carry for further summaries."""
FIDELITY_FIGURES = ("psnr", "ssim", "ms_ssim", "ms_ssim_3", "consistency")


class Column(NamedTuple):
    """A column of the export: its name, what it holds, and whether a table can be made without it."""

    name: str
    meaning: str
    is_required: bool = False


COLUMNS: tuple[Column, ...] = (
    Column("study", "slug of the study; the same in every row"),
    Column("study_title", "title of the study for people; the same in every row"),
    Column("design_sha256", "SHA-256 of the canonical JSON of the frozen design; the same in every row"),
    Column(
        "comparison_family",
        "which differences are tested: `reference` (each condition against one) or `all_pairs`; the same in every row; "
        "empty or absent: none",
    ),
    Column("comparison_reference", "name of the condition that the others are compared with, for the former"),
    Column(
        "equivalence_margin",
        "how far from 0.5 a fool rate may lie and still count as “cannot tell”, fixed beforehand; the same in all rows",
    ),
    Column(
        "caution",
        "why the fixed intervals of these votes may not be printed; the same in every row; empty if they may",
    ),
    Column("session", "name of the rating session: `session-<number>` in this site's exports", is_required=True),
    Column(
        "rater",
        "pseudonym of the rater: `rater-<number>` in this site's exports, numbered across all its studies",
        is_required=True,
    ),
    Column("origin", "`person`, `simulated` or `preview`; without the column, `person`"),
    Column("completed", "1 if the session reached its end, else 0; the same in all rows of a session; default 1"),
    Column(
        "excluded",
        "1 if a rule fixed before opening leaves the session out, else 0; the same in all rows of a session",
        is_required=True,
    ),
    Column("exclusion_reason", "the rule that excluded the session, such as `golden_missed`; empty if none did"),
    Column("condition", "name of the condition that made the sample", is_required=True),
    Column("condition_label", "what people read for it; default: the name"),
    Column("condition_order", "place of the condition in the table, 1 first; default: first appearance in the file"),
    Column(
        "role",
        "`test` (has a fool rate), `golden` (in golden pairs only) or `fidelity` (never shown); default: `golden` "
        "for a condition that occurs in golden pairs only, else `test`",
    ),
    Column("photo", "identifier of the photo; the same for all samples made of one input", is_required=True),
    Column(
        "scene",
        "identifier of the photograph that the photo was cut from; photos of one scene form one cluster of the "
        "interval; default: the photo itself",
    ),
    Column("position", "place of the trial in its session, from 0 or 1; no place occurs twice in a session"),
    Column("kind", "`practice` (feedback, not counted), `test` (counted) or `golden` (obvious)", is_required=True),
    Column("photo_side", "where the photo was: `first` or `second`"),
    Column(
        "shown",
        "what was on the screen: the `pair`, or one picture alone, judged real or fake: the `sample` or the `photo`; "
        "default `pair`",
    ),
    Column(
        "chosen_side",
        "what the rater chose as taken by a camera: `first` or `second`; of one picture alone, the first one: `first` "
        "for real, `second` for fake",
    ),
    Column("asked_for", "what the question asked the rater to point at: `photo` or `sample`"),
    Column("pressed_side", "the side that the rater pointed at: `chosen_side`, or the other if `sample` was asked for"),
    Column(
        "fooled",
        "1 if the sample was taken for the photo, else 0; where the photo was `shown` alone, 1 if it was taken for a "
        "sample: leave those rows out of a fool rate",
        is_required=True,
    ),
    Column("rt_ms", "reaction time in ms, from the buttons' coming alive to the answer"),
    Column(
        "block",
        "block of a staircase that the trial belongs to, from 1; empty or absent: answers did not set the exposure",
    ),
    Column(
        "exposure_asked_ms",
        "how long each picture was to be shown, in ms, as the study or its staircase set it; 0: until the answer",
    ),
    Column("exposure_first_ms", "how long the browser really showed the first picture, in ms"),
    Column("exposure_second_ms", "the same for the second picture"),
    Column("frames_first", "frames on which the first picture was seen; empty if the browser did not tell"),
    Column("frames_second", "the same for the second picture"),
    Column("frame_interval_ms", "median time between two frames while the trial was shown, in ms, likewise"),
    Column("exposure_missed", "1 if a picture stood for more than two frames too long or too short, else 0"),
    Column(
        "set_aside",
        "1 if the study's rule leaves this answer out of the table, since it missed its exposure, else 0; default 0",
    ),
    Column(
        "device_scale",
        "device pixels that showed one pixel of the picture, along each axis; empty if the browser did not tell",
    ),
    Column("pixel_ratio", "device pixels for one CSS pixel on the rater's screen, likewise"),
    Column("was_hidden", "1 if the page was hidden while pictures were up, else 0"),
    Column("lost_focus", "1 if the page had no focus while pictures were up, else 0"),
    Column("focus_losses", "how often the rater left the page, from the start of the trial to the answer"),
    Column(
        "automation",
        "signs that a program drove the browser, parted by spaces: `webdriver`, `headless`, `scripted` (the answer "
        "was given by a script); empty if there was none",
    ),
    Column("answered_at", "when the server received the answer, ISO 8601, UTC"),
    Column("question", "the wording that the rater answered, in the language of the study"),
    Column("language", "the language in which the rater was asked, such as `en`; a known question was translated"),
    Column("sample_psnr", "pSNR in dB of the very sample that was judged; empty if not measured"),
    Column("sample_ssim", "SSIM of it, likewise"),
    Column("psnr", "mean pSNR of the condition in dB; empty if not measured; the same in all rows of a condition"),
    Column("ssim", "mean SSIM of the condition, likewise"),
    Column("ms_ssim", "mean MS-SSIM (5 scales, shrinking window) of the condition, likewise"),
    Column("ms_ssim_3", "mean MS-SSIM (3 scales) of the condition, likewise"),
    Column("consistency", "mean Consistency of the condition, likewise"),
)
REQUIRED_COLUMNS = tuple(column.name for column in COLUMNS if column.is_required)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Responses:
    """What a file of responses holds.

    Attributes:
        votes: All responses, whatever their origin and kind.
        conditions: Conditions in the order of the table.
        fidelity: Their figures, by name.
        study: Slug of the study; the file's name without ending if the file does not say.
        title: Title of the study, or "".
        design_sha256: Digest of the frozen design, or "".
        caution: Why the fixed intervals may not be printed, or "".
        plan: What of the analysis was fixed beforehand; None if the file does not say.
        last_votes: Day of the last vote (UTC), as 2026-11-25, by origin; an origin whose rows have no times is absent.
    """

    votes: Votes
    conditions: tuple[ResultCondition, ...]
    fidelity: dict[str, ConditionFidelity]
    study: str
    title: str
    design_sha256: str
    caution: str
    plan: AnalysisPlan | None
    last_votes: dict[str, str]


def read_responses(path: Path) -> Responses:
    """Read a CSV file of responses (UTF-8, header row, columns in any order, further columns ignored).

    Nothing is skipped silently: a row that cannot be understood, or contradicts another, stops the reading. Empty
    lines at the end are no rows.

    Args:
        path: The file.

    Returns:
        Its contents.

    Raises:
        ResponsesFileInvalid: With one sentence that names the file, the line and the cure.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _Reader(path.name).read(file, study=path.stem)
    except OSError as error:
        raise ResponsesFileInvalid(f"{path}: cannot be read ({error.strerror}); check the path.") from error
    except UnicodeDecodeError as error:
        raise ResponsesFileInvalid(f"{path.name}: is not UTF-8 text; save it as CSV in UTF-8.") from error


@dataclass(slots=True)
class _Condition:
    """A condition as far as it has been read: where first, in which kinds of pairs, and what its rows repeat."""

    order: float
    kinds: set[str]
    label: str
    role: str
    figures: tuple[str, ...]


class _Reader:
    """Reads the rows of one file and remembers what later rows must agree with."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.line = 1
        self.cells: dict[str, str] = {}
        self.constants: dict[str, str] = {}
        self.sessions: dict[str, tuple[int, tuple[str, ...]]] = {}
        self.places: dict[tuple[str, str], int] = {}
        self.conditions: dict[str, tuple[int, _Condition]] = {}
        self.scenes: dict[str, tuple[int, str]] = {}
        self.last_votes: dict[str, str] = {}
        self.votes: list[tuple[str, str, str, str, str, str, bool, bool, bool, str, str, str]] = []
        self.numbers: list[list[float]] = []

    def read(self, file: TextIO, *, study: str) -> Responses:
        for cells in self._rows(file):
            self.cells = cells
            for name in CONSTANTS:
                known = self.constants.setdefault(name, cells.get(name, ""))
                if cells.get(name, "") != known:
                    self._fail(f"{name} is {cells[name]!r} but was {known!r} before; keep one study to a file")
            if cells.get("comparison_family", ""):
                self._one_of("comparison_family", tuple(FAMILIES))
            self._number("equivalence_margin")
            self._take_condition()
            if cells["kind"] != DECLARATION:
                self._take_vote()
        ordered = sorted(self.conditions.items(), key=lambda item: item[1][1].order)
        conditions = tuple(_result_condition(name, condition) for name, (_, condition) in ordered)
        columns = list(zip(*self.votes, strict=True)) or [()] * 12
        text = [np.array(column, dtype=np.str_) for column in columns]
        truth = [np.array(column, dtype=np.bool_) for column in columns]
        numbers = np.array(self.numbers, dtype=np.float64).reshape(-1, len(NUMBERS) + 1).T
        return Responses(
            votes=Votes(
                session=text[0],
                rater=text[1],
                photo=text[2],
                scene=text[3],
                condition=text[4],
                kind=text[5],
                fooled=truth[6],
                excluded=truth[7],
                completed=truth[8],
                origin=text[9],
                exclusion_reason=text[10],
                photo_side=text[11],
                **dict(zip((*NUMBERS, "answered_s"), numbers, strict=True)),
            ),
            conditions=conditions,
            fidelity={
                name: ConditionFidelity(
                    **{
                        figure: float(cell) if cell else None
                        for figure, cell in zip(FIDELITY_FIGURES, condition.figures, strict=True)
                    }
                )
                for name, (_, condition) in ordered
            },
            study=self.constants.get("study", "") or study,
            title=self.constants.get("study_title", ""),
            design_sha256=self.constants.get("design_sha256", ""),
            caution=self.constants.get("caution", ""),
            plan=self._plan(conditions),
            last_votes=self.last_votes,
        )

    def _rows(self, file: TextIO) -> Iterator[dict[str, str]]:
        rows = csv.reader(file, strict=True)
        try:
            header = [name.strip() for name in next(rows, [])]
            missing = [name for name in REQUIRED_COLUMNS if name not in header]
            if missing:
                self._fail(f"the header lacks {', '.join(missing)}; it needs {', '.join(REQUIRED_COLUMNS)}")
            repeated = sorted({name for name in header if name and header.count(name) > 1})
            if repeated:
                self._fail(f"the header names {', '.join(repeated)} twice; keep one")
            empty_line = 0
            for row in rows:
                self.line = rows.line_num
                if not row:
                    empty_line = empty_line or self.line
                    continue
                if empty_line:
                    self.line = empty_line
                    self._fail("is empty, but rows follow; remove it")
                if len(row) != len(header):
                    self._fail(f"has {len(row)} cells, but the header has {len(header)}")
                yield dict(zip(header, row, strict=True))
        except csv.Error as error:
            self.line = rows.line_num
            self._fail(f"is not CSV ({error}); check the quotes")

    def _plan(self, conditions: Sequence[ResultCondition]) -> AnalysisPlan | None:
        family = self.constants.get("comparison_family", "")
        if not family:
            return None
        cell = self.constants.get("equivalence_margin", "")
        plan = AnalysisPlan(
            family=next(known for known in FAMILIES if known == family),
            reference=self.constants.get("comparison_reference", "") or None,
            margin=float(cell) if cell else None,
        )
        problem = plan.problem(conditions)
        if problem:
            self._fail(problem)
        return plan

    def _take_condition(self) -> None:
        cells = self.cells
        name = self._filled("condition")
        kind = self._one_of("kind", (*KINDS, DECLARATION))
        for figure in FIDELITY_FIGURES:
            self._number(figure)
        self._number("condition_order")
        order = cells.get("condition_order", "")
        read = _Condition(
            order=float(order) if order else len(self.conditions) + 1,
            kinds={kind},
            label=cells.get("condition_label", "") or name,
            role=self._one_of("role", ROLES) if cells.get("role", "") else "",
            figures=tuple(cells.get(figure, "") for figure in FIDELITY_FIGURES),
        )
        line, known = self.conditions.setdefault(name, (self.line, read))
        if not order:
            read.order = known.order
        if (read.order, read.label, read.role, read.figures) != (known.order, known.label, known.role, known.figures):
            self._fail(
                f"condition {name!r} has another label, role, order or fidelity figure than in line {line}; "
                "make them alike"
            )
        if kind == TEST and read.role not in ("", TEST):
            self._fail(f"condition {name!r} has the role {read.role!r} but stands in a test pair; make its role test")
        known.kinds.add(kind)

    def _take_vote(self) -> None:
        cells = self.cells
        session, rater = self._filled("session"), self._filled("rater")
        origin = self._one_of("origin", (*ORIGINS, PREVIEW), default="person")
        reason = cells.get("exclusion_reason", "")
        excluded, completed = self._truth("excluded"), self._truth("completed", default="1")
        about = (rater, origin, str(excluded), str(completed), reason)
        line, known = self.sessions.setdefault(session, (self.line, about))
        if about != known:
            names = ("rater", "origin", "excluded", "completed", "exclusion_reason")
            name, was = next((n, k) for n, k, now in zip(names, known, about, strict=True) if k != now)
            self._fail(f"{name} of session {session!r} is not {was!r} as in line {line}; make them alike")
        if cells.get("position", ""):
            line = self.places.setdefault((session, cells["position"]), self.line)
            if line != self.line:
                self._fail(f"repeats position {cells['position']} of session {session!r} from line {line}; keep one")
        photo, fooled = self._filled("photo"), self._truth("fooled")
        scene = cells.get("scene", "") or photo
        line, known_scene = self.scenes.setdefault(photo, (self.line, scene))
        if scene != known_scene:
            self._fail(f"scene of photo {photo!r} is not {known_scene!r} as in line {line}; make them alike")
        answered_s = math.nan
        if cells.get("answered_at", ""):
            answered = self._time("answered_at")
            day = answered.date().isoformat()
            self.last_votes[origin] = max(day, self.last_votes.get(origin, day))
            answered_s = answered.timestamp()
        side = self._one_of("photo_side", SIDES) if cells.get("photo_side", "") else ""
        kind = cells["kind"]
        if self._one_of("shown", SHOWN, default="pair") == "photo" and kind == TEST:
            kind = REAL
        if self._truth("set_aside", default="0"):
            kind = SET_ASIDE
        about_pair = (photo, scene, cells["condition"], kind, fooled)
        self.votes.append((session, rater, *about_pair, excluded, completed, origin, reason, side))
        self.numbers.append([*(self._number(name) for name in NUMBERS), answered_s])

    def _filled(self, name: str) -> str:
        if not self.cells[name]:
            self._fail(f"{name} is empty; fill it in")
        return self.cells[name]

    def _one_of(self, name: str, choices: tuple[str, ...], *, default: str | None = None) -> str:
        cell = self.cells.get(name, "") or default
        if cell not in choices:
            self._fail(f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}, got {cell or ''!r}")
        return cell

    def _truth(self, name: str, *, default: str = "") -> bool:
        cell = self.cells.get(name, "") or default
        if cell not in ("0", "1"):
            self._fail(f"{name} must be 0 or 1, got {cell!r}")
        return cell == "1"

    def _number(self, name: str) -> float:
        """Return the number in a cell, NaN if it is empty or not there."""
        cell = self.cells.get(name, "")
        try:
            number = float(cell) if cell else math.nan
        except ValueError:
            number = math.nan
        if cell and math.isnan(number):
            self._fail(f"{name} must be a number or empty, got {cell!r}")
        return number

    def _time(self, name: str) -> datetime:
        cell = self.cells[name]
        try:
            time = datetime.fromisoformat(cell)
        except ValueError:
            self._fail(f"{name} must be a time as in ISO 8601, such as 2026-11-25T12:00:00+00:00, got {cell!r}")
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)

    def _fail(self, what: str) -> NoReturn:
        raise ResponsesFileInvalid(f"{self.name}, line {self.line}: {what}.")


def _result_condition(name: str, condition: _Condition) -> ResultCondition:
    default = "golden" if "golden" in condition.kinds and TEST not in condition.kinds else TEST
    role = next(role for role in ROLES if role == (condition.role or default))
    return ResultCondition(name=name, label=condition.label, role=role)
