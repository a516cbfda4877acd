import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from html import escape as html_escape
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from studies import __version__
from studies.reports import FORMATS, table_latex, table_markdown
from studies.reports.published import PUBLISHED, Reference, published_section
from studies.reports.section import Section, section_csv
from studies.reports.wording import grouped_notes, number, percent
from studies.statistics.results import Flow, ResultCondition, ResultRow, ResultTable, result_table
from tests.statistics.made_up import CONDITIONS, FIDELITY, SHA, as_votes, made_up_rows


@pytest.fixture
def table() -> ResultTable:
    return result_table(
        as_votes(made_up_rows()),
        conditions=CONDITIONS,
        fidelity=FIDELITY,
        study="rooms",
        title="Rooms_1 & 100 %",
        design_sha256=SHA,
        last_vote="2026-11-25",
    )


@pytest.fixture
def simulated(table: ResultTable) -> ResultTable:
    return replace(table, origin="simulated")


@pytest.fixture
def tiled() -> ResultTable:
    votes = as_votes(made_up_rows(n_raters=60, n_photos=64))
    scene = np.array([f"s{int(photo[1:]) // 4}" for photo in votes.photo])
    return result_table(replace(votes, scene=scene), conditions=CONDITIONS, fidelity=FIDELITY, study="rooms")


@pytest.mark.parametrize("form", FORMATS)
def test_simulated_votes_are_marked_in_every_form(form: str, table: ResultTable, simulated: ResultTable) -> None:
    assert "SIMULATED" in FORMATS[form](simulated)
    assert "SIMULATED" not in FORMATS[form](table)


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_names_study_design_version_and_all_conditions(form: str, table: ResultTable) -> None:
    printed = FORMATS[form](table)
    escapes: dict[str, Callable[[str], str]] = {
        "latex": table_latex.escape,
        "markdown": table_markdown.escape,
        "html": html_escape,
    }
    escape = escapes.get(form, str)
    for text in ("rooms", SHA, "2026-11-25", __version__, *(condition.label for condition in CONDITIONS)):
        assert escape(text) in printed


@pytest.mark.parametrize("form", ["text", "latex", "markdown", "html"])
def test_printed_forms_name_level_interval_estimand_and_both_ways_of_counting(form: str, table: ResultTable) -> None:
    printed = FORMATS[form](replace(table, alpha=0.1)).replace("\\%", "%").replace(" & [", " [")
    assert "90 % interval (two-way Wilson) for new raters and new images" in printed
    assert "4 excluded (4 golden missed), 17 counted; 340 votes counted" in printed
    assert "With everyone who completed, nobody excluded" in printed
    row = table.rows[2]
    assert percent(row.fool_rate, row.ci_low, row.ci_high) in printed
    assert percent(row.fool_rate_all, row.ci_low_all, row.ci_high_all) in printed
    assert "never count: no fool rate" in printed


def test_percent_stands_with_its_interval() -> None:
    assert percent(0.104, 0.079, 0.132) == "10.4 [7.9, 13.2]"
    assert percent(0.104, None, None) == "10.4"
    assert percent(None, None, None) == "\N{EN DASH}"
    assert number(float("inf"), digits=2) == "∞"


def test_same_note_stands_once_with_all_its_conditions(table: ResultTable) -> None:
    rows = tuple(replace(row, notes=("Beware.", f"Only {row.condition}.")) for row in table.rows)
    labels = [condition.label for condition in CONDITIONS]
    notes = grouped_notes(replace(table, rows=rows))
    assert notes[0] == f"{', '.join(labels)}: Beware."
    assert len(notes) == 1 + len(rows)


def test_text_columns_are_aligned(table: ResultTable) -> None:
    lines = FORMATS["text"](table).splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("Condition"))
    assert len({len(line) for line in lines[start : start + 5]}) == 1


def test_assumed_design_effect_is_marked(table: ResultTable) -> None:
    rows = tuple(replace(row, deff=2.43, is_deff_assumed=True) for row in table.rows)
    assert "2.4 (assumed)" in FORMATS["text"](replace(table, rows=rows))
    assert "(assumed)" not in FORMATS["text"](table)


def test_parts_of_the_design_effect_are_shown_where_photos_enter_it(table: ResultTable) -> None:
    row = table.rows[2]
    cell = f"{row.deff:.1f} ({row.deff_raters:.1f}, {row.deff_photos:.1f})"
    these = FORMATS["text"](replace(table, estimand="these"))
    assert cell in FORMATS["text"](table)
    assert "the parts of raters and of photos" in FORMATS["text"](table)
    assert cell not in these
    assert "the parts of raters" not in these


@pytest.mark.parametrize("form", ["text", "latex", "markdown"])
def test_scenes_stand_beside_photos_where_they_are_fewer(form: str, table: ResultTable, tiled: ResultTable) -> None:
    printed = FORMATS[form](tiled)
    head = next(line for line in printed.splitlines() if "Consistency" in line)
    cells = next(line for line in printed.splitlines() if "pixel recursive" in line)
    assert re.search(r"photos[ |&{}]+scenes", head)
    assert re.search(r"\b64[ |&]+16\b", cells)
    assert "a scene, the photograph that photos were cut from, counts as one image" in printed
    assert "the parts of raters and of scenes" in printed
    assert "Few clusters: 43 raters and 16 scenes" in printed
    assert "scene" not in FORMATS[form](table)


def test_data_forms_always_count_photos_and_scenes(table: ResultTable, tiled: ResultTable) -> None:
    for made, expected in ((table, (39, 39)), (tiled, (64, 16))):
        row = json.loads(FORMATS["json"](made))["rows"][2]
        assert (row["n_photos"], row["n_scenes"]) == expected
        cells = list(csv.DictReader(io.StringIO(FORMATS["csv"](made))))[2]
        assert (int(cells["n_photos"]), int(cells["n_scenes"])) == expected


def test_text_tells_how_visitors_became_sessions(table: ResultTable) -> None:
    flow = Flow(started=30, completed=21, excluded=(), counted=21, arrived=99, consented=50)
    printed = FORMATS["text"](replace(table, flow=flow))
    assert "Sessions: 99 arrived, 50 consented, 30 started, 21 completed, 0 excluded, 21 counted;" in printed


def test_json_has_the_promised_keys_at_full_precision(table: ResultTable) -> None:
    printed = json.loads(FORMATS["json"](table))
    assert {"study", "design_sha256", "rows", "origin", "alpha", "estimand", "flow", "version"} <= set(printed)
    assert (printed["study"], printed["design_sha256"]) == ("rooms", SHA)
    for row, expected in zip(printed["rows"], table.rows, strict=True):
        for field in fields(ResultRow):
            if field.name != "notes":
                assert row[field.name] == getattr(expected, field.name)
        assert row["note"] == (" ".join(expected.notes) or None)
    assert printed["rows"][0]["fool_rate"] is None
    assert printed["flow"]["excluded"] == {"golden_missed": 4}


def test_json_has_no_infinity(table: ResultTable) -> None:
    rows = tuple(replace(row, psnr=float("inf")) for row in table.rows)
    printed = json.loads(FORMATS["json"](replace(table, rows=rows)), parse_constant=pytest.fail)
    assert printed["rows"][0]["psnr"] is None


def test_csv_rows_are_complete_in_themselves(table: ResultTable) -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](table))))
    assert [row["condition"] for row in rows] == ["bicubic", "regression", "prsr_11"]
    for row, expected in zip(rows, table.rows, strict=True):
        assert (row["study"], row["design_sha256"], row["origin"], row["estimand"]) == ("rooms", SHA, "person", "new")
        assert row["sessions_excluded"] == "golden_missed: 4"
        for name in ("psnr", "fool_rate", "ci_low", "deff", "ci_high_all"):
            value = getattr(expected, name)
            assert row[name] == ("" if value is None else repr(value))


def test_latex_escapes_what_it_would_read_as_commands() -> None:
    assert table_latex.escape(r"a\b{c}$d&e#f%g_h~i^j") == (
        r"a\textbackslash{}b\{c\}\$d\&e\#f\%g\_h\textasciitilde{}i\textasciicircum{}j"
    )
    assert table_latex.escape('τ "1.1" \N{EN DASH} ∞') == r"$\tau$ ''1.1'' -- $\infty$"


def test_latex_is_a_booktabs_table_with_balanced_rows(simulated: ResultTable) -> None:
    printed = FORMATS["latex"](simulated)
    for command in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert printed.count(command) == 2
    assert r"% Needs \usepackage{booktabs}, \usepackage{siunitx} and \usepackage{graphicx}" in printed
    caption = next(line for line in printed.splitlines() if r"\caption" in line)
    for text in (r"95 \% interval (two-way Wilson) for new raters and new images", "340 votes", "SIMULATED"):
        assert text in caption
    cells = [line.replace(r"\&", "").count("&") for line in printed.splitlines() if line.endswith(r"\\")]
    # A rate and its interval are two columns under one head.
    assert cells == [10] + [11] * 3 + [5] + [6] * 2


def test_latex_aligns_figures_in_columns_that_are_wide_enough() -> None:
    rows = [("a", "9.5", "12.0 [1.0, 20.0]", "\N{MINUS SIGN}0.3"), ("b", "\N{EN DASH}", "9.1", "+10.25")]
    heads = ("x", "dB", "% [95 %]", "change")
    section = Section(name="some", heading="Some", heads=heads, lines=tuple(rows), records=())
    fit, spec, _, head, _, first, second, *_ = (
        line.strip() for line in table_latex.tabular(section.columns, section.lines)
    )
    assert fit == r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    change = "S[table-format=+2.2,retain-explicit-plus]"
    assert spec == rf"\begin{{tabular}}{{lS[table-format=1.1]S[table-format=2.1]@{{~}}l{change}}}"
    assert head == r"x & {dB} & \multicolumn{2}{c}{\% [95 \%]} & {change} \\"
    assert first == r"a & 9.5 & 12.0 & [1.0, 20.0] & -0.3 \\"
    assert second == r"b & {--} & 9.1 &  & +10.25 \\"


@pytest.mark.parametrize("form", ["text", "latex", "markdown", "html", "json"])
@pytest.mark.parametrize("reference", PUBLISHED)
def test_published_figures_stand_below_as_published_and_never_as_an_interval(
    form: str, reference: Reference, table: ResultTable
) -> None:
    printed = FORMATS[form](table, [published_section(reference)])
    row = PUBLISHED[reference][-1]
    if form == "json":
        record = json.loads(printed)["published"][-1]
        assert record["percent_fooled"] == row.fooled
        assert record["plus_minus_not_defined"] == row.plus_minus
        assert not {"ci_low", "ci_high", "fool_rate"} & set(record)
        assert record["certainty"].startswith("recalled")
        return
    shown = f"{row.fooled} ± {row.plus_minus}"
    assert (table_latex.escape(shown) if form == "latex" else shown) in printed
    assert "what its ± means is not defined there, and it is no interval" in printed.replace(r"$\pm$", "±")
    assert "recalled from memory of the paper" in printed


def test_published_rows_are_those_of_the_paper() -> None:
    assert [row.fooled for row in PUBLISHED["faces"]] == [None, None, 4.0, 11.0, 10.4, 10.2]
    assert [row.fooled for row in PUBLISHED["bedrooms"]] == [None, None, 2.1, 17.7, 22.4, 27.9]
    with pytest.raises(ValueError, match="reference must be one of faces, bedrooms, got 'cats'"):
        published_section("cats")  # type: ignore[arg-type] # what is refused


def test_a_csv_file_holds_one_table_and_a_section_has_its_own(table: ResultTable) -> None:
    section = published_section("faces")
    with pytest.raises(ValueError, match="a CSV file holds one table, but published would be a second"):
        FORMATS["csv"](table, [section])
    rows = list(csv.DictReader(io.StringIO(section_csv(section))))
    assert [row["percent_fooled"] for row in rows] == ["", "", "4.0", "11.0", "10.4", "10.2"]
    assert rows[3]["certainty"] == "recalled, repeated elsewhere"


def test_section_refuses_rows_that_do_not_fit_their_heads() -> None:
    with pytest.raises(ValueError, match="some: a row has 1 cells, but there are 2 heads"):
        Section(name="some", heading="Some", heads=("a", "b"), lines=(("x",),), records=())


def test_html_is_one_well_formed_file_that_asks_for_nothing_else(table: ResultTable) -> None:
    rows = (*table.rows[:2], replace(table.rows[2], label="<script>alert(1)</script>"))
    printed = FORMATS["html"](replace(table, rows=rows), [published_section("faces")])
    root = ET.fromstring(re.sub(r"<meta[^>]*>", "", printed).removeprefix("<!DOCTYPE html>"))  # noqa: S314 -- our own
    assert len(root.findall(".//table")) == 3
    assert not root.findall(".//script")
    assert not re.search(r"https?:|url\(|@import|src=", printed)
    widths = [[len(row) for row in body] for body in root.findall(".//tbody")]
    heads = [len(row) for row in root.findall(".//thead/tr")]
    assert widths == [[head] * len(body) for head, body in zip(heads, widths, strict=True)]


def test_a_table_whose_votes_have_no_date_says_so(table: ResultTable) -> None:
    assert "votes until 2026-11-25" in FORMATS["text"](table)
    assert "date of the votes not recorded" in FORMATS["text"](replace(table, last_vote=""))


def test_latex_label_that_opens_with_a_bracket_is_no_argument(table: ResultTable) -> None:
    rows = (table.rows[0], replace(table.rows[1], label="[13] GAN"))
    assert "    {}[13] GAN & " in FORMATS["latex"](replace(table, rows=rows))


def test_markdown_labels_cannot_break_the_table(table: ResultTable) -> None:
    rows = (replace(table.rows[1], label="a|b <img> [x](y)"),)
    printed = FORMATS["markdown"](replace(table, rows=rows))
    assert r"| a\|b &lt;img> [x]\(y) |" in printed


def test_condition_that_raters_have_not_judged_yet_shows_zero_votes() -> None:
    waiting = ResultCondition(name="new", label="new")
    table = result_table(as_votes(made_up_rows()), conditions=[*CONDITIONS, waiting], fidelity={}, study="rooms")
    line = next(line for line in FORMATS["markdown"](table).splitlines() if line.startswith("| new"))
    assert line.split(" | ")[6:10] == ["\N{EN DASH}", "0", "0", "0"]
