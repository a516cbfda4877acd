import csv
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from studies.errors import ResponsesFileInvalid
from studies.reports import FORMATS
from studies.statistics.__main__ import main
from studies.statistics.responses_csv import COLUMNS, REQUIRED_COLUMNS, read_responses
from studies.statistics.results import result_table
from tests.statistics.made_up import CONDITIONS, FIDELITY, SHA, as_cells, as_votes, made_up_rows, write_csv

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "responses.csv", as_cells(made_up_rows()))


@pytest.mark.parametrize("form", sorted(FORMATS))
@pytest.mark.parametrize("estimand", ["new", "these"])
def test_export_alone_gives_the_same_table_to_the_last_digit(
    form: str, estimand: str, export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = result_table(
        as_votes(made_up_rows()),
        conditions=CONDITIONS,
        fidelity=FIDELITY,
        study="rooms",
        title="Rooms",
        design_sha256=SHA,
        alpha=0.1,
        estimand="new" if estimand == "new" else "these",
    )
    assert main([str(export), "--format", form, "--alpha", "0.1", "--estimand", estimand]) == 0
    assert capsys.readouterr().out == FORMATS[form](table)


def test_command_runs_without_django_torch_and_matplotlib(export: Path) -> None:
    code = (
        "import runpy, sys; sys.argv = ['x', sys.argv[1], '--format', 'json']\n"
        "try: runpy.run_module('studies.statistics', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert not {'django', 'celery', 'torch', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(export)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["rows"]) == 3


def test_order_of_the_rows_changes_nothing(export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = as_cells(made_up_rows())
    random.Random(3).shuffle(cells)
    main([str(export)])
    main([str(write_csv(tmp_path / "shuffled.csv", cells))])
    first, second = capsys.readouterr().out.split("Rooms (rooms)\n")[1:]
    assert first == second


def test_seven_columns_suffice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row for row in made_up_rows() if row["completed"]]
    cells = [{name: cell[name] for name in REQUIRED_COLUMNS} for cell in as_cells(rows)]
    path = write_csv(tmp_path / "kitchens.csv", cells)
    assert main([str(path), "--format", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert REQUIRED_COLUMNS == ("session", "rater", "excluded", "condition", "photo", "kind", "fooled")
    assert printed["study"] == "kitchens"
    assert printed["origin"] == "person"
    assert printed["flow"]["excluded"] == {"no reason recorded": 4}
    by_name = {row["condition"]: row for row in printed["rows"]}
    assert list(by_name) == list(dict.fromkeys(cell["condition"] for cell in cells))
    assert by_name["bicubic"]["fool_rate"] is None
    assert by_name["bicubic"]["role"] == "golden"
    expected = result_table(as_votes(rows), conditions=CONDITIONS, fidelity={}, study="kitchens").rows[1]
    assert by_name["regression"]["ci_low"] == expected.ci_low
    assert by_name["regression"]["psnr"] is None


def test_scene_is_the_photo_itself_where_the_file_does_not_say(tmp_path: Path, export: Path) -> None:
    cells = as_cells(made_up_rows())
    some = [cell | {"scene": "house" if cell["photo"] in ("p1", "p2") else ""} for cell in cells]
    votes = read_responses(write_csv(tmp_path / "some.csv", some)).votes
    for photo, scene in (("p1", "house"), ("p2", "house"), ("p3", "p3")):
        assert set(votes.scene[votes.photo == photo]) == {scene}
    without = [{name: cell[name] for name in cell if name != "scene"} for cell in cells]
    votes = read_responses(write_csv(tmp_path / "without.csv", without)).votes
    assert (votes.scene == votes.photo).all()


def test_tiles_keep_their_scenes_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row | {"scene": f"s{int(row['photo'][1:]) // 3}"} for row in made_up_rows()]
    path = write_csv(tmp_path / "rooms.csv", as_cells(rows))
    assert main([str(path), "--format", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)["rows"][2]
    expected = result_table(as_votes(rows), conditions=CONDITIONS, fidelity=FIDELITY, study="rooms").rows[2]
    assert (printed["n_photos"], printed["n_scenes"]) == (39, 14)
    assert (printed["ci_low"], printed["ci_high"]) == (expected.ci_low, expected.ci_high)


def test_byte_order_mark_foreign_columns_and_empty_last_lines_do_no_harm(tmp_path: Path, export: Path) -> None:
    path = tmp_path / "spreadsheet.csv"
    with export.open(encoding="utf-8", newline="") as file:
        lines = [[*row, "seen by me"] for row in csv.reader(file)]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(lines)
        file.write("\r\n\r\n")
    assert (read_responses(path).votes.fooled == read_responses(export).votes.fooled).all()


def test_condition_without_responses_can_be_declared(tmp_path: Path) -> None:
    cells = as_cells(made_up_rows())
    declaration = dict.fromkeys(cells[0], "") | {
        "study": "rooms",
        "study_title": "Rooms",
        "design_sha256": SHA,
        "condition": "nearest",
        "condition_label": "nearest neighbour",
        "condition_order": "1.5",
        "role": "fidelity",
        "kind": "none",
        "psnr": "20.25",
    }
    responses = read_responses(write_csv(tmp_path / "r.csv", [*cells, declaration]))
    assert len(responses.votes) == len(cells)
    assert [condition.name for condition in responses.conditions] == ["bicubic", "nearest", "regression", "prsr_11"]
    assert responses.conditions[1].role == "fidelity"
    assert responses.fidelity["nearest"].psnr == 20.25
    assert responses.fidelity["nearest"].ssim is None


def test_file_without_responses_gives_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text(",".join(REQUIRED_COLUMNS) + "\n", encoding="utf-8")
    responses = read_responses(path)
    assert len(responses.votes) == 0
    assert responses.conditions == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fooled": "maybe"}, "fooled must be 0 or 1, got 'maybe'"),
        ({"fooled": ""}, "fooled must be 0 or 1, got ''"),
        ({"excluded": "yes"}, "excluded must be 0 or 1, got 'yes'"),
        ({"completed": "2"}, "completed must be 0 or 1, got '2'"),
        ({"kind": "trial"}, "kind must be practice, test, golden or none, got 'trial'"),
        ({"origin": "robot"}, "origin must be person, simulated or preview, got 'robot'"),
        ({"role": "judge"}, "role must be test, golden or fidelity, got 'judge'"),
        ({"session": ""}, "session is empty; fill it in"),
        ({"rater": ""}, "rater is empty; fill it in"),
        ({"photo": ""}, "photo is empty; fill it in"),
        ({"condition": ""}, "condition is empty; fill it in"),
        ({"psnr": "24,5"}, "psnr must be a number or empty, got '24,5'"),
        ({"psnr": "nan"}, "psnr must be a number or empty, got 'nan'"),
        ({"condition_order": "first"}, "condition_order must be a number or empty, got 'first'"),
        ({"study": "faces"}, "study is 'faces' but was 'rooms' before; keep one study to a file"),
        ({"design_sha256": "ff"}, f"design_sha256 is 'ff' but was '{SHA}' before; keep one study to a file"),
        ({"photo": "p38", "scene": "s1"}, "scene of photo 'p38' is not 'p38' as in line 2; make them alike"),
        ({"rater": "r9"}, "rater of session 's0' is not 'r0' as in line 2; make them alike"),
        ({"excluded": "1"}, "excluded of session 's0' is not 'False' as in line 2; make them alike"),
        ({"ssim": "0.5"}, "condition 'prsr_11' has another label, role, order or fidelity figure than in line 2"),
        ({"position": "1"}, "repeats position 1 of session 's0' from line 2; keep one"),
        ({"condition": "bicubic", "kind": "test", "role": "golden"}, "has the role 'golden' but stands in a test pair"),
    ],
)
def test_bad_row_is_named_by_its_line(
    changes: dict[str, str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = as_cells(made_up_rows())
    assert cells[0]["condition"] == cells[2]["condition"] == "prsr_11"
    cells[2] |= changes
    path = write_csv(tmp_path / "responses.csv", cells)
    assert main([str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("responses.csv, line 4: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the header lacks session, rater, excluded, condition, photo, kind, fooled; it needs"),
        ("session,rater,photo\n", "line 1: the header lacks excluded, condition, kind, fooled"),
        (",".join([*REQUIRED_COLUMNS, "kind"]) + "\n", "line 1: the header names kind twice; keep one"),
        (",".join(REQUIRED_COLUMNS) + "\ns,r,0,c,p,test\n", "line 2: has 6 cells, but the header has 7"),
        (",".join(REQUIRED_COLUMNS) + "\n\ns,r,0,c,p,test,1\n", "line 2: is empty, but rows follow; remove it"),
        (",".join(REQUIRED_COLUMNS) + '\ns,r,0,"c"d,p,test,1\n', "line 2: is not CSV"),
    ],
)
def test_file_of_another_form_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ResponsesFileInvalid, match=re.escape(message)):
        read_responses(path)


def test_missing_or_binary_file_gets_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    binary = tmp_path / "r.csv"
    binary.write_bytes(b"session,\xff\xfe\n")
    for path, message in ((tmp_path / "no.csv", "cannot be read"), (binary, "is not UTF-8 text")):
        assert main([str(path)]) == 2
        assert message in capsys.readouterr().err


def test_mixed_origins_are_refused_until_one_is_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulated = [row | {"session": "x" + row["session"]} for row in made_up_rows(origin="simulated", n_raters=12)]
    path = write_csv(tmp_path / "r.csv", as_cells(made_up_rows() + simulated))
    assert main([str(path)]) == 2
    assert "choose one with --origin person or --origin simulated" in capsys.readouterr().err
    assert main([str(path), "--origin", "simulated"]) == 0
    printed = capsys.readouterr().out
    assert "SIMULATED" in printed
    assert "12 started" in printed
    assert main([str(path), "--origin", "person"]) == 0
    assert "SIMULATED" not in capsys.readouterr().out


def test_previews_are_never_counted(tmp_path: Path, export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    previews = [row | {"session": "x" + row["session"]} for row in made_up_rows(origin="preview")]
    path = write_csv(tmp_path / "r.csv", as_cells(previews + made_up_rows()))
    main([str(path)])
    main([str(export)])
    first, second = capsys.readouterr().out.split("Rooms (rooms)\n")[1:]
    assert first == second


@pytest.mark.parametrize("alpha", ["5", "0", "1", "nan", "-0.1", "1e-17", "x"])
def test_impossible_level_is_refused(alpha: str, export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([str(export), f"--alpha={alpha}"])
    assert end.value.code == 2
    message = f"argument --alpha: must be a number between 0 and 1, such as 0.05; got '{alpha}'\n"
    assert capsys.readouterr().err.endswith(message)


def test_figures_survive_the_file_to_the_last_digit(export: Path) -> None:
    responses = read_responses(export)
    assert responses.fidelity["bicubic"] == FIDELITY["bicubic"]
    assert np.array_equal(responses.votes.fooled, as_votes(made_up_rows()).fooled)


def test_schema_document_tells_of_every_column() -> None:
    text = (
        (ROOT / "docs/export-schema.md")
        .read_text(encoding="utf-8")
        .partition("\n## Columns\n")[2]
        .partition("\n## ")[0]
    )
    described = re.findall(r"^\| `(\w+)`( \*)? \| (.+) \|$", text, flags=re.MULTILINE)
    assert described == [(c.name, " *" if c.is_required else "", c.meaning) for c in COLUMNS]


def test_day_of_the_last_vote_comes_from_the_times_of_the_answers(tmp_path: Path) -> None:
    cells = as_cells(made_up_rows())
    path = write_csv(tmp_path / "without.csv", cells)
    assert read_responses(path).last_votes == {}
    cells[3]["answered_at"] = "2026-11-24T10:00:00.000+00:00"
    cells[7]["answered_at"] = "2026-11-25T23:30:00.000-05:00"
    assert read_responses(write_csv(tmp_path / "with.csv", cells)).last_votes == {"person": "2026-11-26"}
    cells[7]["answered_at"] = "yesterday"
    with pytest.raises(ResponsesFileInvalid, match=r"broken\.csv, line 9: answered_at must be a time as in ISO 8601"):
        read_responses(write_csv(tmp_path / "broken.csv", cells))


def test_reference_figures_are_shown_below_but_not_in_a_csv_file(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(export), "--reference", "faces"]) == 0
    assert "11.0 ± 0.1" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([str(export), "--reference", "faces", "--format", "csv"])
    assert "a CSV file holds one" in capsys.readouterr().err


def test_comparisons_are_those_that_the_file_says_were_fixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = {"comparison_family": "reference", "comparison_reference": "regression", "equivalence_margin": "0.05"}
    cells = [row | fixed for row in as_cells(made_up_rows())]
    path = write_csv(tmp_path / "fixed.csv", cells)
    assert main([str(path), "--format", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [(d["condition_a"], d["condition_b"]) for d in printed["differences"]] == [("prsr_11", "regression")]
    assert {half["equivalence_margin"] for half in printed["against_half"]} == {0.05}
    assert main([str(path), "--format", "csv"]) == 0
    assert "less" not in capsys.readouterr().out


def test_comparisons_may_be_asked_for(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(export)]) == 0
    assert "Differences between methods" not in capsys.readouterr().out
    assert main([str(export), "--compare", "all"]) == 0
    printed = capsys.readouterr().out
    assert "pixel recursive, τ 1.1 less Regression & friends" in printed
    assert "Family chosen for this table, not fixed beforehand" in printed
    assert main([str(export), "--compare", "prsr_11"]) == 0
    assert "Regression & friends less pixel recursive, τ 1.1" in capsys.readouterr().out
    assert main([str(export), "--compare", "bicubic"]) == 2
    assert "--compare bicubic: the reference 'bicubic' is no tested condition" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"comparison_family": "some"}, "comparison_family must be reference or all_pairs, got 'some'"),
        ({"comparison_family": "all_pairs", "equivalence_margin": "wide"}, "equivalence_margin must be a number"),
        ({"comparison_family": "all_pairs", "equivalence_margin": "0.9"}, "must lie between 0 and 0.5, got 0.9"),
        ({"comparison_family": "reference", "comparison_reference": "x"}, "the reference 'x' is no tested condition"),
    ],
)
def test_analysis_that_cannot_be_is_refused_with_its_line(fixed: dict[str, str], message: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "bad.csv", [row | fixed for row in as_cells(made_up_rows())])
    with pytest.raises(ResponsesFileInvalid, match=rf"bad\.csv, line \d+: .*{re.escape(message)}"):
        read_responses(path)
