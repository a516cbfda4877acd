"""The programs printed in docs/other-tools.md bring files of other tools into the columns that the table is made of."""

import csv
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from studies.statistics.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs/examples"


def program_of(name: str, folder: Path) -> Path:
    """Return the program of this name as the page prints it."""
    page = (ROOT / "docs/other-tools.md").read_text(encoding="utf-8")
    (code,) = re.findall(rf"```python\n(# {name} .*?)```", page, re.DOTALL)
    path = folder / name
    path.write_text(code, encoding="utf-8")
    return path


def convert(name: str, source: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(program_of(name, folder)), str(source), str(folder / "responses.csv"), *options]
    return subprocess.run(command, capture_output=True, text=True)


def table_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[int, int, int]]:
    """Return votes, votes fooled and sessions left out of each condition."""
    assert main([str(folder / "responses.csv"), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    return {row["condition"]: (row["n_responses"], row["n_fooled"], row["excluded_sessions"]) for row in rows}


def test_amt_batches_count_the_photo_taken_for_the_fake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = EXAMPLES / "amt-batch.csv"
    done = convert("amt_to_responses.py", source, tmp_path, "2")
    assert done.returncode == 0, done.stderr
    with source.open(newline="") as file:
        rows = list(csv.DictReader(file))
    votes: Counter[str] = Counter()
    fooled: Counter[str] = Counter()
    left_out = set()
    for row in rows:
        told = {n: row[f"Input.gt_side{n}"] != row[f"Answer.selection{n}"] for n in range(9)}
        made_by = {n: {row[f"Input.images_{s}{n}"].split("/")[0] for s in ("left", "right")} for n in range(9)}
        if any("vigilance" in made_by[n] and not told[n] for n in range(2, 9)):
            left_out.add(row["WorkerId"])
            continue
        for n in range(2, 9):
            (method,) = made_by[n] - {"gt"}
            votes[method] += 1
            fooled[method] += not told[n]
    assert left_out == {"W04"}
    table = table_of(tmp_path, capsys)
    assert table.pop("vigilance") == (0, 0, 0)
    assert table == {name: (votes[name], fooled[name], 1) for name in ("my_alg", "baseline_alg")}


def test_jspsych_rows_count_the_button_that_was_not_the_photo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = EXAMPLES / "jspsych.csv"
    done = convert("jspsych_to_responses.py", source, tmp_path)
    assert done.returncode == 0, done.stderr
    with source.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "test" and row["subject"] != "P03"]
    table = table_of(tmp_path, capsys)
    assert table.pop("bicubic") == (0, 0, 0)
    assert table == {
        name: (
            sum(row["condition"] == name for row in rows),
            sum(row["condition"] == name and row["response"] != row["photo_side"] for row in rows),
            1,
        )
        for name in ("gan", "diffusion")
    }


@pytest.mark.parametrize(
    ("name", "example", "answer", "message"),
    [
        ("amt_to_responses.py", "amt-batch.csv", "unset", "assignment A11, pair 8: no answer"),
        ("jspsych_to_responses.py", "jspsych.csv", "", "trial 9 has no answer"),
    ],
)
def test_pairs_without_an_answer_are_not_skipped_silently(
    name: str, example: str, answer: str, message: str, tmp_path: Path
) -> None:
    with (EXAMPLES / example).open(newline="") as file:
        header, *rows = csv.reader(file)
    rows[-1][header.index("response") if "response" in header else -1] = answer
    broken = tmp_path / example
    with broken.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    done = convert(name, broken, tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
