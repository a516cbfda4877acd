"""The paragraphs of a paper that tell how a study was done, from its frozen design alone.

Numbers of sessions come from the results, if there are any; all else from the design, as it was hashed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from studies.reports.table_latex import escape as latex_escape
from studies.reports.table_markdown import escape as markdown_escape
from studies.reports.wording import flow_sentence, votes_until
from studies.statistics.fool_rate import ESTIMANDS, INTERVAL_METHODS
from studies.statistics.quality import PRACTICE_LAST, QualityRules
from studies.statistics.results import ResultTable
from studies.statistics.stopping import PrintableInterval

Design = Mapping[str, Any]
ASSIGNMENTS = {
    "one_condition": "Each rater saw one method, the one with the fewest sessions so far",
    "mixed": "Each rater saw all methods, each in equally many pairs to within one",
}
LAYOUTS = {
    "sequential": "one after the other in the same place, in random order",
    "simultaneous": "side by side, in random order",
    "input_between": "side by side, in random order, with the input between them",
    "single": "alone",
}
STOPPING = {
    "planned": "The study was to end at that number, with results hidden until then.",
    "sequence": "The study was to end at that number; on the way only the confidence sequence was to be seen.",
    "results": "The study was allowed to end on its results.",
}
MISSED_EXPOSURE = {
    "keep": "Answers whose pictures were not shown for their time are marked, and counted.",
    "repeat": "Pairs whose pictures were not shown for their time were left out and shown once more at the end.",
    "leave_out": "Answers whose pictures were not shown for their time were left out.",
}


def methods_paragraphs(
    design: Design, *, table: ResultTable | None = None, interval: PrintableInterval | None = None
) -> list[str]:
    """Return the paragraphs: pictures, task, sessions, raters and exclusions, analysis.

    Args:
        design: The design as JSON gives it, frozen or still a draft's.
        table: The results, for the numbers of sessions; None before there are any.
        interval: Which interval may be printed and why, from the stopping rule and the log of looks.
    """
    return [
        _pictures(design),
        _task(design["protocol"]),
        _session(design),
        _raters(design, table),
        _analysis(design, table, interval),
    ]


def methods_text(paragraphs: Sequence[str]) -> str:
    """Return the paragraphs as plain text."""
    return "\n\n".join(paragraphs) + "\n"


def methods_markdown(paragraphs: Sequence[str]) -> str:
    """Return the paragraphs as a Markdown section."""
    return "\n\n".join(["## Methods", *map(markdown_escape, paragraphs)]) + "\n"


def methods_latex(paragraphs: Sequence[str]) -> str:
    """Return the paragraphs as LaTeX, with quotation marks of its own."""
    quoted = (re.sub("“([^”]*)”", r"``\1''", _breakable(latex_escape(paragraph))) for paragraph in paragraphs)
    return "\n\n".join([r"\paragraph{Methods.}", *quoted]) + "\n"


def _breakable(text: str) -> str:
    """Return a text whose digests LaTeX may break, since a column is narrower than one of them."""
    return re.sub(r"\b[0-9a-f]{64}\b", lambda digest: r"\allowbreak{}".join(re.findall(".{8}", digest[0])), text)


METHODS_FORMATS: dict[str, Callable[[Sequence[str]], str]] = {
    "text": methods_text,
    "markdown": methods_markdown,
    "latex": methods_latex,
}
"""Every form in which the paragraphs are given out, by the name that tables have for it."""


def _pictures(design: Design) -> str:
    pictures, photos = design["pictures"], design["photos"]
    labels = {role: [c["label"] for c in design["conditions"] if c["role"] == role] for role in ("test", "fidelity")}
    n_judged = sum(photo["use"] != "practice" for photo in photos)
    n_practice = len(photos) - n_judged
    high, low = pictures["high_res_size"], pictures["low_res_size"]
    kept = f"; {_counted(n_practice, 'other', 'others')} served for practice alone" if n_practice else ""
    measured = (
        f" {_listed(labels['fidelity'])} {'was' if len(labels['fidelity']) == 1 else 'were'} measured but not shown."
        if labels["fidelity"]
        else ""
    )
    return (
        f"We compared photographs with pictures that {_counted(len(labels['test']), 'method', 'methods')} made from "
        f"small versions of them: {_listed(labels['test'])}. {_counted(n_judged, 'photograph', 'photographs')} of "
        f"{high} x {high} pixels {'was' if n_judged == 1 else 'were'} judged{kept}; the methods were given {low} x "
        f"{low} pixels, made by {pictures['downsampling']}.{measured}"
    )


def _task(protocol: Mapping[str, Any]) -> str:
    scale, kernel = protocol["display_scale"], protocol["kernel"]
    layout = LAYOUTS[protocol.get("layout", "sequential")]
    until = "" if protocol["exposure_ms"] else ", until the rater answered"
    shown = f", for {protocol['exposure_ms']} ms" if protocol["exposure_ms"] else ""
    mark = "a fixation mark"
    if protocol.get("staircase_blocks"):
        least, most = (protocol[f"staircase_{end}_ms"] for end in ("least", "most"))
        shown, mark = f", for {least} to {most} ms, as a staircase set it", "a countdown"
    parts = [f"after {mark} of {protocol['lead_in_ms']} ms"] if protocol["lead_in_ms"] else []
    is_sequential = protocol.get("layout", "sequential") == "sequential"
    if is_sequential:
        shown = f"{shown} each"
    if protocol.get("mask_count"):
        masks = _counted(protocol["mask_count"], "mask", "masks")
        shown += f", followed by {masks} of {protocol['mask_ms']} ms"
    if is_sequential:
        gap = f"a blank of {protocol['gap_ms']} ms" if protocol["gap_ms"] else "no pause"
        parts.append(f"with {gap} between them")
    question = protocol["question"]
    asked = (
        " A rater was fooled who took the photograph for the made one." if protocol.get("asks_for") == "sample" else ""
    )
    pictures = "a photograph and a picture made from it"
    if protocol.get("layout") == "single":
        pictures = "either a photograph or a picture made from one"
        asked = " A rater was fooled who took a made picture for real; errors on photographs are told apart."
    sentence = (
        f"In each trial {pictures} appeared {layout}{shown}{until}"
        f"{', ' + ' and '.join(parts) if parts else ''}, enlarged {scale} times where the screen had room ({kernel} "
        f"interpolation). The rater answered, without limit of time, the question “{question}”"
    )
    return sentence + ("" if question[-1:] in "?.!" else ".") + asked + _staircase(protocol)


def _staircase(protocol: Mapping[str, Any]) -> str:
    """Return how answers set the exposures, if they did."""
    if not protocol.get("staircase_blocks"):
        return ""
    up, down, rights = (protocol[f"staircase_{name}"] for name in ("up_ms", "down_ms", "rights"))
    settles_at = (up / (up + down)) ** (1 / rights)
    lowers = "a right answer" if rights == 1 else f"{rights} right answers in a row"
    began = (
        f"Each of {protocol['staircase_blocks']} blocks began at {protocol['exposure_ms']} ms"
        if protocol["staircase_blocks"] > 1
        else f"Exposures began at {protocol['exposure_ms']} ms"
    )
    return (
        f" {began}; an error made the next exposure {up} ms longer, and {lowers} made it {down} ms shorter, so that "
        f"{100 * settles_at:.3g} % right answers hold it."
    )


def _session(design: Design) -> str:
    protocol = design["protocol"]
    golden = [c["label"] for c in design["conditions"] if c["role"] == "golden"]
    is_single = protocol.get("layout") == "single"
    shown = ("picture", "pictures") if is_single else ("pair", "pairs")
    tested = ("test picture", "test pictures") if is_single else ("test pair", "test pairs")
    practice = (
        f"{_counted(protocol['practice_count'], *shown)} for practice, with feedback and not counted, and then "
        if protocol["practice_count"]
        else ""
    )
    needed = protocol.get("practice_pass")
    passing = (
        f" Whoever had fewer than {needed} of the practice pairs right in two tries was sent back." if needed else ""
    )
    if needed and is_single:
        passing = (
            f" Whoever had fewer than {needed // 2} of the real or of the fake practice pictures right in two tries "
            "was sent back."
        )
    checks = (
        f" and {_counted(protocol['golden_count'], 'golden pair', 'golden pairs')} ({_listed(golden)} against the "
        "photograph) among them"
        if protocol["golden_count"]
        else ""
    )
    told = "with feedback after every answer" if protocol.get("feedback") == "every" else "without feedback"
    balance = (
        "No photograph came twice in a session, nor together with a picture made from it. Half of the pictures were "
        "photographs, as raters were told."
        if is_single
        else "No photograph came twice in a session, and the photograph came first in half of the trials."
    )
    return (
        f"A session had {practice}{_counted(protocol['test_count'], *tested)}{checks}, {told}.{passing} "
        f"{balance} "
        f"{ASSIGNMENTS.get(protocol['assignment'], 'Conditions were assigned by ' + str(protocol['assignment']))}."
    )


def _raters(design: Design, table: ResultTable | None) -> str:
    protocol, rules = design["protocol"], dict(design["exclusions"])
    each = " for each method" if protocol["assignment"] == "one_condition" else ""
    sentences = [
        f"{_counted(protocol['raters_wanted'], 'completed session', 'completed sessions')}{each} had been planned.",
        STOPPING.get(design["analysis"].get("stopping_rule", ""), "No rule for the end of the study was recorded."),
    ]
    allowed = rules.pop("golden_misses_allowed", None)
    if protocol["golden_count"] and allowed is not None:
        missed = "any golden pair" if allowed == 0 else f"more than {_counted(allowed, 'golden pair', 'golden pairs')}"
        sentences.append(
            f"Sessions that missed {missed} were left out, by a rule fixed before the study opened."
            if allowed < protocol["golden_count"]
            else "No session was left out for missing golden pairs, as had been fixed before the study opened."
        )
    quality = QualityRules(**{rule.name: rules.pop(rule.name) for rule in fields(QualityRules) if rule.name in rules})
    if quality.causes():
        sentences.append(f"Also left out were sessions with {' or with '.join(quality.causes())}.")
    if quality.practice_least:
        sentences.append(
            f"Sessions with fewer than {quality.practice_least} of the last {PRACTICE_LAST} practice pairs right were "
            "marked, and counted."
        )
    if rules.pop("incomplete", False):
        sentences.append("Sessions that were not finished are not counted.")
    exposure = rules.pop("missed_exposure", None)
    if exposure in MISSED_EXPOSURE:
        sentences.append(MISSED_EXPOSURE[exposure])
    further = "; ".join(f"{name.replace('_', ' ')}: {_value(value)}" for name, value in sorted(rules.items()))
    if further:
        sentences.append(f"Further rules of the design: {further}.")
    if table is not None:
        if table.is_simulated:
            sentences.append("SIMULATED raters: these votes were made by a program, not by people.")
        sentences.append(flow_sentence(table))
    return " ".join(sentences)


def _analysis(design: Design, table: ResultTable | None, interval: PrintableInterval | None) -> str:
    analysis = design["analysis"]
    labels = {condition["slug"]: condition["label"] for condition in design["conditions"]}
    level = f"{100 * (1 - analysis['alpha']):g} %"
    tested = [condition["slug"] for condition in design["conditions"] if condition["role"] == "test"]
    is_alone = design["protocol"].get("layout") == "single"
    sentences = [
        (
            "The fool rate is the share of counted answers that took the made picture for the photograph"
            f"{'' if is_alone else '; 50 % means that raters cannot tell'}. "
            f"Its {level} interval is the {INTERVAL_METHODS[analysis['interval']]} interval "
            f"for {ESTIMANDS[analysis['estimand']]}: Wilson's with the effective number of answers that follows from "
            "the two-way (rater by image) cluster-robust variance, and a quantile of Student's t."
        )
    ]
    family, n_pairs = analysis.get("comparisons"), len(tested) * (len(tested) - 1) // 2
    if family and len(tested) > 1:
        against = f"each method with {labels.get(analysis['reference'], analysis['reference'])}"
        pairs = against if family == "reference" else "all pairs of methods"
        n_tests = len(tested) - 1 if family == "reference" else n_pairs
        sentences.append(
            f"Differences were tested in a family fixed beforehand, {pairs} ({_counted(n_tests, 'test', 'tests')}), "
            "with the two-way variance of the difference, Student's t, p-values adjusted by Holm and intervals by "
            "Bonferroni."
        )
    margin = analysis.get("equivalence_margin")
    if design["protocol"].get("staircase_blocks"):
        sentences.append(
            "The score of a method is the exposure asked for most often in a block, averaged over the blocks of a "
            "rater and then over raters, with a percentile bootstrap interval of 10,000 draws of raters; shares of "
            "errors are held by the staircase."
        )
    if margin and not is_alone:
        sentences.append(
            f"A method counts as indistinguishable from photographs only if its {100 * (1 - 2 * analysis['alpha']):g} "
            f"% interval lies inside {100 * (0.5 - margin):g} to {100 * (0.5 + margin):g} % (two one-sided tests)."
        )
    if interval is not None:
        sentences += [interval.reason, interval.looks]
    digest = f" under the SHA-256 {table.design_sha256}" if table and table.design_sha256 else ""
    version = f" (evalsite {table.version}, {votes_until(table)})" if table else ""
    sentences.append(f"Protocol, rules and analysis were frozen before the first counted answer{digest}{version}.")
    return " ".join(sentences)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {_value(cell)}" for name, cell in sorted(value.items()))
    return (
        {True: "yes", False: "no", None: "none"}.get(value, str(value))
        if isinstance(value, bool | None)
        else str(value)
    )


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _listed(labels: Sequence[str]) -> str:
    """Return labels as a list in a sentence; those with commas are set off by semicolons.

    Example:
        >>> _listed(["A", "B", "C"]), _listed(["A, 1", "B"]), _listed([])
        ('A, B and C', 'A, 1; and B', 'none')
    """
    if len(labels) < 2:
        return labels[0] if labels else "none"
    has_commas = any("," in label for label in labels)
    return f"{('; ' if has_commas else ', ').join(labels[:-1])}{';' if has_commas else ''} and {labels[-1]}"
