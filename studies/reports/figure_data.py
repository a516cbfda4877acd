"""The figures behind each figure, as CSV: one row for each point, bar, cell or picture that is drawn."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence

from studies.reports.section import Section, section_csv
from studies.reports.table_csv import render_csv
from studies.statistics.ranking import RankedPicture
from studies.statistics.results import ResultTable
from studies.statistics.summaries import ConditionSummary

SECTION_OF = {"differences": "differences", "realism": "realism_and_fidelity", "reaction-times": "times_and_order"}
"""Figure -> the section whose rows it draws."""

TAU_COLUMNS = ("condition", "label", "tau", "fool_rate", "ci_low", "ci_high", "n_responses")
PICTURE_COLUMNS = ("condition", "label", "side", "place", "photo", "n_fooled", "n_votes", "rate", "low", "high")


def figure_csv(
    name: str,
    table: ResultTable,
    *,
    sections: Sequence[Section],
    taus: Mapping[str, float],
    summed_up: Sequence[ConditionSummary],
    photo_name: Callable[[object], str],
) -> str:
    """Return the data of a figure; rates in [0, 1] at full precision.

    Args:
        name: Of the figure: "fool-rates", "tau", "gallery" or one of `SECTION_OF`.
        table: The results.
        sections: What stands below the table.
        taus: Tau of each condition that has one.
        summed_up: The further summaries.
        photo_name: Gives a photo's name in exports from its identifier in the votes.
    """
    if name == "fool-rates":
        return render_csv(table)
    if name == "tau":
        rows = [row for row in table.rows if row.condition in taus]
        return _written(
            TAU_COLUMNS,
            (
                (row.condition, row.label, taus[row.condition], row.fool_rate, row.ci_low, row.ci_high, row.n_responses)
                for row in rows
            ),
        )
    if name == "gallery":
        return _written(PICTURE_COLUMNS, (row for one in summed_up for row in _pictures(one, photo_name)))
    return section_csv(next(section for section in sections if section.name == SECTION_OF[name]))


def _pictures(one: ConditionSummary, photo_name: Callable[[object], str]) -> Iterable[Sequence[object]]:
    sides: tuple[tuple[str, Sequence[RankedPicture]], ...] = (("best", one.ranking.best), ("worst", one.ranking.worst))
    for side, ranked in sides:
        for place, picture in enumerate(ranked, start=1):
            figures = (picture.n_fooled, picture.n_votes, picture.rate, picture.low, picture.high)
            yield (one.condition, one.label, side, place, photo_name(picture.picture), *figures)


def _written(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
