"""Commands do the work of the services, and say in one sentence what is wrong."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from studies.management.commands import demo
from studies.models import PhotoSet, StudyState, UploadedPicture
from studies.services.studies import ConditionSpec, study_open
from tests.factories import (
    make_open_study,
    make_picture,
    make_researcher,
    make_session,
    make_small_study,
    make_study,
    png_bytes,
)

pytestmark = pytest.mark.django_db


def run(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=out, **options)
    return out.getvalue()


def test_results_prints_json_with_null_where_nothing_was_measured() -> None:
    study = make_open_study(preset="founding_mixed")
    make_session(study)
    printed = json.loads(run("results", study.slug, "--format", "json"))
    assert (printed["study"], printed["design_sha256"]) == (study.slug, study.design_sha256)
    rows = {row["condition"]: row for row in printed["rows"]}
    assert rows["bicubic"]["fool_rate"] is None
    assert rows["smooth"]["fool_rate"] == 0
    assert rows["smooth"]["ci_low"] is None  # one rater gives no interval
    assert {"psnr", "ssim", "ms_ssim", "consistency", "ci_high", "n_responses", "n_raters"} <= set(rows["smooth"])


@pytest.mark.parametrize("form", ["text", "csv", "latex", "markdown", "html"])
def test_results_prints_every_form(form: str) -> None:
    study = make_open_study()
    make_session(study)
    assert "Smooth" in run("results", study.slug, "--format", form)


def test_results_stand_beside_the_published_ones_but_not_in_a_csv_file() -> None:
    study = make_open_study()
    printed = run("results", study.slug, "--reference", "bedrooms")
    assert "27.9 ± 0.3" in printed
    assert "not defined" in printed
    with pytest.raises(CommandError, match="a CSV file holds one; take another --format"):
        run("results", study.slug, "--reference", "bedrooms", "--format", "csv")


@pytest.mark.parametrize("alpha", ["0", "1", "2", "nan", "much"])
def test_results_of_an_impossible_level_are_refused(alpha: str) -> None:
    with pytest.raises(CommandError, match=f"--alpha: must be a number between 0 and 1, such as 0.05; got '{alpha}'"):
        run("results", "any", "--alpha", alpha)


def test_an_unknown_study_is_said_with_those_there_are() -> None:
    study = make_study(state=StudyState.DRAFT)
    with pytest.raises(CommandError, match=f"no study 'nowhere'; there is: {study.slug}"):
        run("results", "nowhere")


def test_export_study_writes_everything(tmp_path: Path) -> None:
    study = make_open_study()
    make_session(study)
    run("export_study", study.slug, str(tmp_path / "out"))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        *("design.json", "responses.csv", "samples.png"),
        *(f"{name}.{kind}" for name in ("fool-rates", "realism", "reaction-times") for kind in ("svg", "pdf", "png")),
        *("methods.txt", "methods.tex", "methods.md"),
        *("sensitivity.csv", "times-and-order.csv", "realism-and-fidelity.csv"),
        *("results.txt", "results.csv", "results.json", "results.tex", "results.md", "results.html"),
        *("against-half.csv", "sequence.csv"),
    }
    assert (tmp_path / "out/design.json").read_text() == study.design


def test_import_photos_takes_folders_and_zips_and_can_be_run_again(tmp_path: Path) -> None:
    owner = make_researcher()
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(png_bytes(make_picture(seed=1)))
    (folder / "broken.jpg").write_bytes(b"nothing")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("b.png", png_bytes(make_picture(seed=2)))
    arguments = ("import_photos", str(folder), str(tmp_path / "more.zip"), "--set", "Mine", "--owner", owner.username)
    said = run(*arguments)
    assert "2 pictures added to “Mine”, 0 files were there already, 1 refused." in said
    assert '"broken.jpg"' in said
    assert "0 pictures added to “Mine”, 2 files were there already, 1 refused." in run(*arguments)
    assert PhotoSet.objects.get().photos.count() == 2
    with pytest.raises(CommandError, match="“Mine” has high res size 32, not 64; leave that out"):
        run(*arguments, "--high-res-size", "64")
    with pytest.raises(CommandError, match="no researcher 'nobody'"):
        run("import_photos", str(folder), "--set", "Mine", "--owner", "nobody")
    with pytest.raises(CommandError, match="gone does not exist"):
        run("import_photos", "gone", "--set", "Mine", "--owner", owner.username)


def test_sample_photos_makes_a_draft_ready() -> None:
    study = make_study(state=StudyState.DRAFT)
    assert "is ready." in run("sample_photos", study.slug)
    assert "is ready." in run("sample_photos", study.slug)
    study_open(study=study)
    with pytest.raises(CommandError, match=r"is open; it must be draft or preparing"):
        run("sample_photos", study.slug)


def test_simulated_rates_are_checked() -> None:
    study = make_open_study()
    with pytest.raises(CommandError, match="no tested condition 'x'; there is: nearest-neighbour, smooth"):
        run("simulate_raters", study.slug, rate=["x=0.1"])
    with pytest.raises(CommandError, match="must be a number, not 'often'"):
        run("simulate_raters", study.slug, rate=["smooth=often"])
    with pytest.raises(CommandError, match="must lie between 0 and 1, not 2"):
        run("simulate_raters", study.slug, rate=["smooth=2"])


def test_a_taken_port_is_said_with_another_one(live_server: Any) -> None:
    port = int(live_server.url.rpartition(":")[2])
    with pytest.raises(CommandError, match=f"Port {port} is taken .* make demo PORT={port + 1}"):
        run("demo", port=port)


def test_the_demo_splits_scenes_to_one_side_each() -> None:
    names = list(demo._interior_photos())
    assert len(names) == 36
    judged, bank = demo._split(names)
    assert sorted([*judged, *bank]) == sorted(names)
    for group in demo.SAME_SCENE:
        sides = {name in judged for name in names for part in group if name.endswith(f"{part}.jpg")}
        assert len(sides) == 1
        assert sum(name.endswith(f"{part}.jpg") for name in names for part in group) == len(group)


@pytest.mark.slow
def test_the_demo_is_ready_to_vote_and_runs_twice() -> None:
    said = run("demo", "--prepare-only")
    assert "Making the samples" in said
    printed = json.loads(run("results", "demo", "--format", "json"))
    rows = {row["condition"]: row for row in printed["rows"]}
    assert list(rows) == [
        *("bicubic", "nearest-neighbour", "regression"),
        *("pixel-recursive-tau-1-0", "pixel-recursive-tau-1-1", "pixel-recursive-tau-1-2"),
    ]
    assert rows["regression"]["psnr"] > rows["bicubic"]["psnr"] > rows["pixel-recursive-tau-1-0"]["psnr"]
    assert rows["nearest-neighbour"]["consistency"] == max(row["consistency"] for row in rows.values())
    assert run("demo", "--prepare-only") == ""


@pytest.mark.django_db(transaction=True)
def test_import_samples_takes_all_or_nothing_unless_told_otherwise(tmp_path: Path) -> None:
    study = make_small_study(
        state=StudyState.DRAFT, conditions=(ConditionSpec("bicubic"), ConditionSpec("uploaded", label="GAN"))
    )
    with pytest.raises(CommandError, match="has no condition 'gann'; there is: bicubic, gan"):
        run("import_samples", study.slug, "gann", str(tmp_path))
    with pytest.raises(CommandError, match="does not exist; give a folder or a zip"):
        run("import_samples", study.slug, "gan", str(tmp_path / "nowhere"))
    (tmp_path / "deep").mkdir()
    names = [photo.name for photo in study.photo_set.photos.order_by("pk")]
    for i, name in enumerate(names[:3]):
        (tmp_path / "deep" / name).write_bytes(png_bytes(make_picture(seed=i)))
    (tmp_path / "broken.png").write_bytes(b"?")
    with pytest.raises(CommandError, match="Nothing was taken over: bring the missing pictures too"):
        run("import_samples", study.slug, "gan", str(tmp_path))
    assert not UploadedPicture.objects.exists()
    said = run("import_samples", study.slug, "gan", str(tmp_path), "--partial")
    assert "“broken.png” has the name of no photo" in said
    assert f"No picture for: {names[3].removesuffix('.png')}." in said
    assert "3 pictures taken over, 0 of them replaced earlier ones." in said
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for i, name in enumerate(names):
            archive.writestr(name, png_bytes(make_picture(seed=10 + i)))
    with pytest.raises(CommandError, match="3 photos have their picture already; replace those with --replace"):
        run("import_samples", study.slug, "gan", str(tmp_path / "all.zip"))
    said = run("import_samples", study.slug, "gan", str(tmp_path / "all.zip"), "--replace")
    assert "4 pictures taken over, 3 of them replaced" in said
    assert "is ready" in run("sample_photos", study.slug)
