"""The methods paragraphs say what the design fixes, and nothing that it does not."""

from copy import deepcopy
from datetime import datetime
from typing import Any

import pytest

from studies.reports.methods_text import METHODS_FORMATS, methods_paragraphs
from studies.statistics.results import ResultTable, result_table
from studies.statistics.stopping import printable_interval
from tests.statistics.made_up import CONDITIONS, FIDELITY, SHA, as_votes, made_up_rows

SINGLE = {"layout": "single", "exposure_ms": 0, "golden_count": 0, "test_count": 100, "practice_count": 2}
DESIGN: dict[str, Any] = {
    "protocol": {
        "question": "Which image, would you guess, is from a camera?",
        "assignment": "one_condition",
        "practice_count": 10,
        "test_count": 40,
        "golden_count": 5,
        "lead_in_ms": 900,
        "exposure_ms": 1000,
        "gap_ms": 600,
        "display_scale": 8,
        "kernel": "nearest",
        "raters_wanted": 40,
    },
    "exclusions": {"golden_misses_allowed": 0, "incomplete": True, "missed_exposure": "keep"},
    "analysis": {
        "interval": "two_way_wilson",
        "estimand": "new",
        "alpha": 0.05,
        "comparisons": "reference",
        "reference": "regression",
        "equivalence_margin": 0.05,
        "stopping_rule": "planned",
    },
    "pictures": {"high_res_size": 32, "low_res_size": 8, "downsampling": "Pillow's box filter"},
    "photos": [{"use": "main"}] * 50 + [{"use": "practice"}] * 10,
    "conditions": [
        {"slug": "bicubic", "label": "Bicubic", "role": "golden"},
        {"slug": "regression", "label": "Regression", "role": "test"},
        {"slug": "prsr_11", "label": "Pixel recursive, tau 1.1", "role": "test"},
    ],
}


def written(**changes: dict[str, Any]) -> str:
    design = deepcopy(DESIGN)
    for part, values in changes.items():
        design[part] |= values
    return " ".join(methods_paragraphs(design))


def test_rules_of_quality_are_told_where_they_are_on() -> None:
    off = {
        "fast_ms": 0,
        "fast_share": 0.2,
        "median_ms_least": 0,
        "side_bias_p": 0.0,
        "run_limit": 0,
        "practice_least": 0,
    }
    assert written(exclusions=off) == written()
    told = written(exclusions=off | {"fast_ms": 300, "run_limit": 15, "practice_least": 6})
    assert (
        "Also left out were sessions with 20 % of answers or more below 300 ms or with 15 answers or more in a row on "
        "one side. Sessions with fewer than 6 of the last 10 practice pairs right were marked, and counted." in told
    )
    assert "Further rules" not in told


@pytest.fixture
def table() -> ResultTable:
    votes = as_votes(made_up_rows())
    return result_table(votes, conditions=CONDITIONS, fidelity=FIDELITY, study="rooms", design_sha256=SHA)


def test_every_number_of_the_protocol_is_told() -> None:
    text = written()
    for words in (
        "2 methods made from small versions of them: Regression; and Pixel recursive, tau 1.1.",
        "50 photographs of 32 x 32 pixels were judged; 10 others served for practice alone",
        "8 x 8 pixels, made by Pillow's box filter.",
        "for 1000 ms each, after a fixation mark of 900 ms and with a blank of 600 ms between them, enlarged 8 times",
        "the question “Which image, would you guess, is from a camera?”",
        "10 pairs for practice, with feedback and not counted, and then 40 test pairs and 5 golden pairs (Bicubic",
        "Each rater saw one method",
        "40 completed sessions for each method had been planned.",
        "The study was to end at that number, with results hidden until then.",
        "Sessions that missed any golden pair were left out",
        "Sessions that were not finished are not counted.",
        "two-way Wilson interval for new raters and new images",
        "each method with Regression (1 test)",
        "its 90 % interval lies inside 45 to 55 %".removeprefix("its "),
    ):
        assert words in text


@pytest.mark.parametrize(
    ("part", "changes", "words"),
    [
        ("protocol", {"assignment": "mixed"}, "Each rater saw all methods"),
        ("protocol", {"practice_count": 0}, "A session had 40 test pairs"),
        ("protocol", {"golden_count": 0}, "40 test pairs, without feedback"),
        ("protocol", {"gap_ms": 0}, "with no pause between them"),
        ("protocol", {"mask_count": 2, "mask_ms": 80}, "1000 ms each, followed by 2 masks of 80 ms"),
        ("protocol", {"question": "Choose the photo"}, "“Choose the photo”."),
        ("exclusions", {"golden_misses_allowed": 1}, "Sessions that missed more than 1 golden pair were left out"),
        ("exclusions", {"golden_misses_allowed": 5}, "No session was left out for missing golden pairs"),
        ("exclusions", {"missed_exposure": "leave_out"}, "pictures were not shown for their time were left out."),
        (
            "exclusions",
            {"too_fast": {"share": 0.2, "ms": 300}},
            "Further rules of the design: too fast: ms 300, share",
        ),
        ("analysis", {"comparisons": "all_pairs", "reference": None}, "all pairs of methods (1 test)"),
        ("analysis", {"stopping_rule": "results"}, "The study was allowed to end on its results."),
        ("analysis", {"stopping_rule": "sequence"}, "only the confidence sequence was to be seen"),
    ],
)
def test_another_design_is_told_otherwise(part: str, changes: dict[str, Any], words: str) -> None:
    assert words in written(**{part: changes})
    assert words not in written()


def test_design_without_an_analysis_of_differences_claims_none() -> None:
    design = deepcopy(DESIGN)
    for name in ("comparisons", "reference", "equivalence_margin", "stopping_rule"):
        del design["analysis"][name]
    text = " ".join(methods_paragraphs(design))
    assert "Holm" not in text
    assert "indistinguishable" not in text
    assert "No rule for the end of the study was recorded." in text


def test_results_bring_the_flow_the_digest_and_the_interval_that_may_be_printed(table: ResultTable) -> None:
    closed = datetime(2026, 11, 25)  # noqa: DTZ001 -- only compared with nothing
    interval = printable_interval(rule="planned", n_planned=40, n_completed=21, closed_at=closed)
    text = " ".join(methods_paragraphs(DESIGN, table=table, interval=interval))
    assert "Sessions: 24 started, 21 completed, 4 excluded" in text
    assert f"under the SHA-256 {SHA}" in text
    assert interval.reason in text
    assert interval.looks in text


def test_every_form_holds_every_paragraph() -> None:
    paragraphs = methods_paragraphs(DESIGN)
    for name, render in METHODS_FORMATS.items():
        printed = render(paragraphs)
        assert printed.count("\n\n") == len(paragraphs) - (name == "text")
    assert r"95 \% interval" in METHODS_FORMATS["latex"](paragraphs)
    assert "``Which image, would you guess, is from a camera?''" in METHODS_FORMATS["latex"](paragraphs)


def test_latex_may_break_a_digest(table: ResultTable) -> None:
    printed = METHODS_FORMATS["latex"](methods_paragraphs(DESIGN, table=table))
    assert r"\allowbreak{}".join([SHA[:8], SHA[8:16]] * 4) in printed


def test_pictures_shown_alone_are_told_as_such() -> None:
    text = " ".join(methods_paragraphs(deepcopy(DESIGN) | {"protocol": DESIGN["protocol"] | SINGLE}))
    assert "either a photograph or a picture made from one appeared alone, until the rater answered" in text
    assert "2 pictures for practice" in text
    assert "100 test pictures" in text
    assert "Half of the pictures were photographs, as raters were told." in text
    assert "came first" not in text
