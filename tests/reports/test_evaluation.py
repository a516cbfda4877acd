"""The table of an evaluation in every form, and its grids of pictures."""

import csv
import io
import json
import math
from dataclasses import replace
from typing import Literal
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from studies import __version__
from studies.evaluation.table import EvaluationRow, EvaluationTable
from studies.reports.evaluation import EVALUATION_FORMATS, milliseconds
from studies.reports.figures import PAGE_WIDTH_MM, picture_grid
from tests.tiny_checkpoints import make_photos

ROW = EvaluationRow(
    condition="bicubic",
    label="Bicubic",
    method="bicubic",
    parameters={},
    digest="",
    psnr=21.123456789,
    ssim=0.5,
    ms_ssim=0.75,
    ms_ssim_3=None,
    consistency=1 / 3000,
    detail=0.37,
    seconds_per_image=0.0000312,
)
SAMPLES = replace(
    ROW,
    condition="pixel_recursive:tau=1.1",
    label="Pixel recursive, tau 1.1 (T 0.909), rooms_1",
    method="pixel_recursive",
    parameters={"tau": 1.1, "checkpoint": "rooms_1"},
    digest="ab" * 32,
    psnr=math.inf,
    seconds_per_image=0.0287,
)
TABLE = EvaluationTable(
    rows=[ROW, SAMPLES],
    photos="624 photos, the validation part of rooms_1.npz",
    photos_digest="cd" * 32,
    n_photos=624,
    size=32,
    factor=4,
    downsampling="an-operator",
    seed=7,
    device="cpu",
    threads=1,
    clock="processor",
    notes=["Something was decided."],
)


@pytest.mark.parametrize("form", EVALUATION_FORMATS)
def test_every_form_names_photos_conditions_seed_version_and_notes(form: str) -> None:
    printed = EVALUATION_FORMATS[form](TABLE).replace("\\", "")
    for text in ("the validation part of rooms_1.npz", "tau 1.1 (T 0.909), rooms_1", "Something was decided."):
        assert text in printed
    for text in ("an-operator", __version__, "cd" * 8):
        assert text in printed


def test_json_has_the_promised_keys_at_full_precision_and_no_infinity() -> None:
    printed = json.loads(EVALUATION_FORMATS["json"](TABLE), parse_constant=pytest.fail)
    first, second = printed["rows"]
    promised = {"condition", "psnr", "ssim", "ms_ssim", "ms_ssim_3", "consistency", "seconds_per_image", "detail"}
    assert promised <= set(first)
    assert (first["psnr"], first["ms_ssim_3"], first["consistency"]) == (ROW.psnr, None, 1 / 3000)
    assert second["psnr"] is None
    assert second["parameters"] == {"tau": 1.1, "checkpoint": "rooms_1"}
    assert (printed["n_photos"], printed["size"], printed["low_res_size"], printed["seed"]) == (624, 32, 8, 7)


def test_csv_rows_are_complete_in_themselves() -> None:
    first, second = csv.DictReader(io.StringIO(EVALUATION_FORMATS["csv"](TABLE)))
    assert (first["psnr"], first["ms_ssim_3"], first["tau"]) == (repr(ROW.psnr), "", "")
    assert (second["condition"], second["tau"], second["checkpoint"]) == ("pixel_recursive:tau=1.1", "1.1", "rooms_1")
    assert {row["seed"] for row in (first, second)} == {"7"}


def test_printed_figures_are_rounded_and_missing_ones_are_dashes() -> None:
    lines = EVALUATION_FORMATS["text"](TABLE).splitlines()
    cells = lines[5].split()
    assert cells == ["Bicubic", "21.12", "0.500", "0.750", "\N{EN DASH}", "0.0003", "0.37", "0.0312"]
    assert " ∞ " in lines[6]
    assert len({len(line) for line in lines[3:7]}) == 1


def test_the_clock_is_named() -> None:
    assert "Time: processor time in ms, summed over threads, on cpu, 1 thread." in EVALUATION_FORMATS["text"](TABLE)
    elsewhere = replace(TABLE, clock="wall", device="cuda", threads=2)
    assert "Time: wall time in ms, on cuda, 2 threads." in EVALUATION_FORMATS["text"](elsewhere)


def test_latex_is_one_booktabs_table_with_balanced_rows() -> None:
    printed = EVALUATION_FORMATS["latex"](TABLE)
    assert printed.count(r"\toprule") == printed.count(r"\bottomrule") == 1
    assert r"rooms\_1" in printed
    rows = [line for line in printed.splitlines() if line.endswith(r"\\")]
    assert [line.count("&") for line in rows] == [7] * 3


def test_milliseconds_keep_three_digits() -> None:
    assert [milliseconds(s) for s in (0, 0.00123456, 0.123456, 1.5)] == ["0", "1.23", "123", "1500"]


def columns() -> list[tuple[str, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]]:
    photos = make_photos(2, size=16)
    return [("input", photos[:, ::4, ::4]), ("tau 1.1 (T 0.909)", photos), ("truth", photos)]


def test_png_repeats_pixels_a_whole_number_of_times_below_heads_and_title() -> None:
    pictures = columns()
    plain, titled = (
        Image.open(io.BytesIO(picture_grid(pictures, file_format="png", title=title, source="rooms", version="9")))
        for title in ("", "Draws")
    )
    pixels = np.asarray(plain.convert("RGB"))
    cell, gap, margin = 128, 2, 4
    assert plain.width == 3 * cell + 2 * gap + 2 * margin
    top = plain.height - margin - 2 * cell - gap
    shown = pixels[top : top + cell, margin + cell + gap : margin + 2 * cell + gap]
    assert (shown == pictures[1][1][0].repeat(8, axis=0).repeat(8, axis=1)).all()
    shown = pixels[top + cell + gap : top + 2 * cell + gap, margin : margin + cell]
    assert (shown == pictures[0][1][1].repeat(32, axis=0).repeat(32, axis=1)).all()
    assert titled.height > plain.height
    assert (titled.info["Source"], titled.info["Title"], titled.info["Software"]) == ("rooms", "Draws", "evalsite 9")


def test_svg_keeps_heads_and_title_as_text_on_at_most_a_page() -> None:
    svg = picture_grid(columns() * 4, file_format="svg", title="Draws", source="rooms", version="9")
    root = ET.fromstring(svg)  # noqa: S314 -- our own bytes
    space = "{http://www.w3.org/2000/svg}"
    words = ["".join(element.itertext()).strip() for element in root.iter(f"{space}text")]
    assert {"Draws", "input", "truth"} <= set(words)
    assert {"tau 1.1", "(T\N{NO-BREAK SPACE}0.909)"} <= set(
        words
    )  # two lines, of which neither parts a name from its value
    assert float(root.attrib["width"].removesuffix("pt")) == pytest.approx(PAGE_WIDTH_MM / 25.4 * 72, abs=0.5)
    assert len(list(root.iter(f"{space}image"))) == 1


@pytest.mark.parametrize("file_format", ["png", "pdf", "svg"])
def test_grids_give_the_same_bytes_again(file_format: Literal["png", "pdf", "svg"]) -> None:
    first, second = (picture_grid(columns(), file_format=file_format, title="Draws") for _ in range(2))
    assert first == second


def test_pdf_is_one_page_with_its_title() -> None:
    pdf = picture_grid(columns(), file_format="pdf", title="Draws", source="rooms", version="9")
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page ") == 1
    assert b"/Title (Draws)" in pdf
