"""The words and cells that all forms of a results table share. Percent exists here and nowhere below."""

import math
from collections.abc import Sequence

from studies.reports.section import Column
from studies.statistics.fool_rate import ESTIMANDS, INTERVAL_METHODS
from studies.statistics.results import ResultRow, ResultTable

IN_PAIRS = "Fool rate: percent of votes that took the sample for the photo; 50 means that raters cannot tell."
ALONE = (
    "Fool rate: percent of votes on samples, each shown alone, that took the sample for a photo. 50 does not mean that "
    "raters cannot tell: who calls everything real is fooled by every sample. It means that of HYPE's score, which "
    "counts errors on photos too."
)
MISSING = "\N{EN DASH}"
SIMULATED = "SIMULATED raters: these votes were made by a program, not by people."


def level(table: ResultTable) -> str:
    """Return the level of the intervals, such as "95 %"."""
    return f"{100 * (1 - table.alpha):g} %"


def study_name(table: ResultTable) -> str:
    """Return the study's title with its slug, or the slug alone."""
    return f"{table.title} ({table.study})" if table.title and table.title != table.study else table.study


def heading(table: ResultTable) -> str:
    """Return the name of the study, with the mark of simulated votes."""
    return f"SIMULATED: {study_name(table)}" if table.is_simulated else study_name(table)


def preamble(table: ResultTable) -> list[str]:
    """Return the sentences that belong above or into the caption of a table."""
    sentences = [SIMULATED] if table.is_simulated else []
    scenes = "; a scene, the photograph that photos were cut from, counts as one image"
    sentences.append(
        f"{ALONE if table.is_alone else IN_PAIRS} "
        f"In brackets the {level(table)} interval ({INTERVAL_METHODS[table.ci_method]}) "
        f"for {ESTIMANDS[table.estimand]}{scenes if table.is_tiled else ''}."
    )
    sentences.append(flow_sentence(table))
    if table.caution:
        sentences.append(f"DO NOT QUOTE THESE INTERVALS. {table.caution}")
    return sentences


def flow_sentence(table: ResultTable) -> str:
    """Return where the sessions went, and how many votes the table counts."""
    flow = table.flow
    steps = []
    if flow.arrived is not None:
        steps.append(f"{flow.arrived} arrived")
    if flow.consented is not None:
        steps.append(f"{flow.consented} consented")
    reasons = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in flow.excluded)
    steps.append(f"{flow.started} started")
    if flow.failed_practice is not None:
        steps.append(f"{flow.failed_practice} sent back after practice")
    steps += [
        f"{flow.completed} completed",
        f"{flow.n_excluded} excluded" + (f" ({reasons})" if reasons else ""),
        f"{flow.counted} counted",
    ]
    n_votes = sum(row.n_responses for row in table.rows)
    return f"Sessions: {', '.join(steps)}; {n_votes} votes counted."


def provenance(table: ResultTable) -> str:
    """Return the line that tells which frozen design, which votes and which program a table or a figure comes from."""
    return (
        f"Study {table.study}, design {table.design_sha256 or 'not recorded'}, {votes_until(table)}, {program(table)}."
    )


def votes_until(table: ResultTable) -> str:
    """Return up to which day the votes go: another day has other votes, the same day the same table."""
    return f"votes until {table.last_vote}" if table.last_vote else "date of the votes not recorded"


def program(table: ResultTable) -> str:
    """Return the name and the version of the program that made a table."""
    return f"evalsite {table.version}"


def legend(table: ResultTable) -> str:
    """Return the sentence that explains the main table's last column and its dashes."""
    if table.estimand == "these":
        return RATERS_ONLY_LEGEND
    return MAIN_LEGEND.format(images="scenes" if table.is_tiled else "photos")


def grouped_notes(table: ResultTable) -> list[str]:
    """Return the notes of all rows, the same note once with all its conditions before it."""
    labels: dict[str, list[str]] = {}
    for row in table.rows:
        for note in row.notes:
            labels.setdefault(note, []).append(row.label)
    return [f"{', '.join(named)}: {note}" for note, named in labels.items()]


def columns(table: ResultTable) -> list[Column[ResultRow]]:
    """Return the main table: fidelity, and fool rates after the exclusions. Scenes stand beside photos where fewer."""
    return [
        Column("Condition", lambda row: row.label),
        Column("pSNR (dB)", lambda row: number(row.psnr, digits=2)),
        Column("SSIM", lambda row: number(row.ssim, digits=3)),
        Column("MS-SSIM", lambda row: number(row.ms_ssim, digits=3)),
        Column("MS-SSIM-3", lambda row: number(row.ms_ssim_3, digits=3)),
        Column("Consistency", lambda row: number(row.consistency, digits=4)),
        Column(f"% fooled [{level(table)}]", lambda row: percent(row.fool_rate, row.ci_low, row.ci_high)),
        Column("votes", lambda row: count(row, row.n_responses)),
        Column("raters", lambda row: count(row, row.n_raters)),
        Column("photos", lambda row: count(row, row.n_photos)),
        *([Column("scenes", lambda row: count(row, row.n_scenes))] if table.is_tiled else []),
        Column("DEFF", lambda row: design_effect(row, has_parts=table.estimand == "new")),
    ]


def columns_all(table: ResultTable) -> list[Column[ResultRow]]:
    """Return the second table: the same fool rates with everyone who completed."""
    return [
        Column("Condition", lambda row: row.label),
        Column(f"% fooled [{level(table)}]", lambda row: percent(row.fool_rate_all, row.ci_low_all, row.ci_high_all)),
        Column("votes", lambda row: str(row.n_responses_all)),
        Column("raters", lambda row: str(row.n_raters_all)),
        Column("sessions excluded", lambda row: str(row.excluded_sessions)),
        Column("change by excluding (points)", difference),
    ]


def rows_all(table: ResultTable) -> Sequence[ResultRow]:
    """Return the rows of the second table: those that raters judge."""
    return [row for row in table.rows if row.role == "test"]


HEADING_ALL = "With everyone who completed, nobody excluded"
MAIN_LEGEND = (
    "DEFF: how many times larger the variance is than with independent votes; in parentheses the parts of raters "
    "and of {images}, which add up to about one more. A dash: not measured."
)
RATERS_ONLY_LEGEND = "DEFF: how many times larger the variance is than with independent votes. A dash: not measured."


def percent(rate: float | None, low: float | None, high: float | None) -> str:
    """Return a rate with its interval in percent: `10.4 [7.9, 13.2]`, the bare rate without one, or a dash."""
    if rate is None:
        return MISSING
    if low is None or high is None:
        return f"{100 * rate:.1f}"
    return f"{100 * rate:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def number(value: float | None, *, digits: int) -> str:
    """Return a figure with a set number of digits, or a dash."""
    if value is None:
        return MISSING
    return "∞" if math.isinf(value) else f"{value:.{digits}f}"


def count(row: ResultRow, value: int) -> str:
    """Return a count, or a dash for a condition that raters do not judge."""
    return str(value) if row.role == "test" else MISSING


def design_effect(row: ResultRow, *, has_parts: bool = True) -> str:
    """Return the design effect, and its two parts where both raters and images enter it."""
    if row.deff is None:
        return MISSING
    if row.is_deff_assumed:
        return f"{row.deff:.1f} (assumed)"
    if not has_parts:
        return f"{row.deff:.1f}"
    return f"{row.deff:.1f} ({number(row.deff_raters, digits=1)}, {number(row.deff_photos, digits=1)})"


def difference(row: ResultRow) -> str:
    """Return how many points higher the fool rate is with the exclusions than without."""
    if row.fool_rate is None or row.fool_rate_all is None:
        return MISSING
    return f"{100 * (row.fool_rate - row.fool_rate_all):+z.1f}".replace("-", "\N{MINUS SIGN}")
