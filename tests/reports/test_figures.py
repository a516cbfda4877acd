import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from studies.reports.figures import PAGE_WIDTH_MM, fool_rates, sample_grid_png
from studies.reports.palette import STYLES, condition_style
from studies.reports.wording import percent
from studies.statistics.results import ResultTable, result_table
from tests.statistics.made_up import CONDITIONS, FIDELITY, SHA, as_votes, made_up_rows

SVG = "{http://www.w3.org/2000/svg}"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def table() -> ResultTable:
    return result_table(
        as_votes(made_up_rows()),
        conditions=CONDITIONS,
        fidelity=FIDELITY,
        study="rooms",
        title="Rooms",
        design_sha256=SHA,
        last_vote="2026-11-25",
    )


def texts(svg: bytes) -> list[str]:
    return ["".join(element.itertext()).strip() for element in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 -- our own bytes


def test_figure_shows_rates_intervals_and_the_line_of_cannot_tell_as_text(table: ResultTable) -> None:
    shown = texts(fool_rates(table))
    row = table.rows[1]
    assert percent(row.fool_rate, row.ci_low, row.ci_high) in shown
    assert f"n = {row.n_responses}, {row.n_raters} raters, {row.n_photos} photos" in shown
    for text in ("cannot tell", "% fooled", "0", row.label, "Rooms (rooms): fool rates"):
        assert text in shown
    assert "Bicubic" not in shown
    assert not any("SIMULATED" in text for text in shown)


def test_figure_of_tiles_counts_their_scenes(table: ResultTable) -> None:
    tiled = replace(table, rows=tuple(replace(row, n_scenes=row.n_photos // 4) for row in table.rows))
    shown = texts(fool_rates(tiled))
    row = table.rows[1]
    assert f"n = {row.n_responses}, {row.n_raters} raters, 40 photos of 10 scenes" in shown
    assert any("95 % intervals by scene: two-way Wilson" in text for text in shown)
    assert not any("scene" in text for text in texts(fool_rates(table)))


def test_simulated_votes_are_marked_in_the_figure(table: ResultTable) -> None:
    assert any("SIMULATED raters" in text for text in texts(fool_rates(replace(table, origin="simulated"))))


def test_figure_is_as_wide_as_a_page_and_knows_its_design(table: ResultTable) -> None:
    svg = fool_rates(table)
    width = ET.fromstring(svg).attrib["width"]  # noqa: S314 -- our own bytes
    assert float(width.removesuffix("pt")) == pytest.approx(PAGE_WIDTH_MM / 25.4 * 72, abs=1e-3)
    assert f"study rooms, design {SHA}, votes until 2026-11-25".encode() in svg
    assert b"evalsite" in svg


def test_same_table_gives_the_same_bytes_and_leaves_settings_alone(table: ResultTable) -> None:
    before = dict(mpl.rcParams)
    assert fool_rates(table) == fool_rates(table)
    assert dict(mpl.rcParams) == before


def test_figure_without_any_judged_condition_says_so(table: ResultTable) -> None:
    assert "No condition is judged by raters." in texts(fool_rates(replace(table, rows=table.rows[:1])))


def test_condition_without_votes_keeps_its_place_in_the_figure(table: ResultTable) -> None:
    rows = (*table.rows[:2], replace(table.rows[2], fool_rate=None, ci_low=None, fool_rate_all=None, n_responses=0))
    shown = texts(fool_rates(replace(table, rows=rows)))
    assert rows[2].label in shown
    assert "\N{EN DASH}" in shown


def test_figure_draws_rates_without_intervals(table: ResultTable) -> None:
    rows = tuple(replace(row, ci_low=None, ci_high=None, ci_low_all=None, ci_high_all=None) for row in table.rows)
    rate = rows[2].fool_rate
    assert rate is not None
    assert f"{100 * rate:.1f}" in texts(fool_rates(replace(table, rows=rows)))


def test_no_window_system_is_touched() -> None:
    code = "import sys, studies.reports.figures; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_condition_keeps_its_style_and_neighbours_differ() -> None:
    assert len(set(STYLES)) == len({style.marker for style in STYLES}) == 7
    assert condition_style(0) == condition_style(7) != condition_style(1)


def columns(n: int = 3) -> list[tuple[str, NDArray[np.uint8]]]:
    rng = np.random.default_rng(4)
    return [
        ("input", rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)),
        ("pixel recursive τ 1.1", rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)),
        ("truth", rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)),
    ]


@pytest.mark.parametrize("scale", [1, 3])
def test_grid_repeats_every_pixel_a_whole_number_of_times(scale: int) -> None:
    drawn = columns()
    png = np.array(Image.open(io.BytesIO(sample_grid_png(drawn, scale=scale, gap=2))).convert("RGB"))
    cell, gap, margin = 32 * scale, 2, 4
    top = png.shape[0] - margin - 3 * cell - 2 * gap
    assert top > 10  # room for the heads
    assert png.shape[1] == 3 * cell + 2 * gap + 2 * margin
    for place, (_, pictures) in enumerate(drawn):
        for row, picture in enumerate(pictures):
            y, x = top + row * (cell + gap), margin + place * (cell + gap)
            times = cell // picture.shape[0]
            expected = picture.repeat(times, axis=0).repeat(times, axis=1)
            assert (png[y : y + cell, x : x + cell] == expected).all()
    assert (png[top:, margin + cell : margin + cell + gap] == 255).all()
    assert (png[:top] < 128).any()


def test_grid_gives_the_same_bytes_and_carries_its_design() -> None:
    first, second = (
        sample_grid_png(columns(), scale=2, study="rooms", design_sha256=SHA, version="9.9") for _ in range(2)
    )
    assert first == second
    metadata = Image.open(io.BytesIO(first)).info
    assert (metadata["Source"], metadata["Comment"], metadata["Software"]) == ("rooms", f"design {SHA}", "evalsite 9.9")


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        ([], {}, "at least one column and one picture"),
        (columns(n=0), {}, "at least one column and one picture"),
        (columns(), {"scale": 0}, "scale must be 1 or more and gap 0 or more, got 0 and 2"),
        ([columns()[1], ("odd", np.zeros((3, 5, 5, 3), np.uint8))], {}, "odd: 5 x 5 pixels do not fit"),
        ([columns()[1], ("few", np.zeros((2, 8, 8, 3), np.uint8))], {}, "few has 2 pictures, but pixel recursive"),
        ([("float", np.zeros((2, 8, 8, 3)))], {}, "float must be \\(n, height, width, 3\\) uint8"),
    ],
)
def test_grid_refuses_what_does_not_fit(
    changed: list[tuple[str, NDArray[np.uint8]]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sample_grid_png(changed, **({"scale": 2} | options))
