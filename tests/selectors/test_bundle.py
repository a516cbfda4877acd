"""A bundle holds all of a study, the same each time, and gives its table again to the last digit without the site."""

import csv
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy
from PIL import Image

from studies.errors import PictureMissing
from studies.images import sha256_of
from studies.models import Origin, Recruitment, Sample, Saw, Study
from studies.selectors.bundle import bundle_write
from studies.selectors.results import result_table
from studies.services.events import acting_as
from studies.services.looks import look_record
from studies.services.recruitment import recruitment_change
from studies.services.studies import study_close
from tests.factories import make_crowd, make_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    """A closed study that people finished, that somebody looked into, and whose panel has a secret code."""
    with acting_as(lambda: "ada.lovelace"):
        study = make_study(preset="founding_mixed", test_count=6, practice_count=1, spare_photos=1)
        recruitment_change(recruitment=Recruitment(study=study, panel="prolific", exits={"completed": "SECRET1"}))
    make_crowd(study, raters=5)
    look_record(study=study, who="ada.lovelace", saw=Saw.RATES, shown="table", origin=Origin.PERSON)
    study_close(study=study)
    return study


def bundle_of(study: Study) -> bytes:
    file = io.BytesIO()
    bundle_write(study, file, origin=Origin.PERSON)
    return file.getvalue()


def test_bundle_gives_the_table_again_in_a_clean_environment(study: Study, tmp_path: Path) -> None:
    data = bundle_of(study)
    assert data == bundle_of(study)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(archive.namelist())
        archive.extractall(tmp_path)
    folder = tmp_path / study.slug

    packages = tmp_path / "packages"  # what the README has one install, and nothing else
    packages.mkdir()
    for module in (np, scipy):
        home = Path(str(module.__file__)).parent
        for found in home.parent.glob(f"{home.name}*"):
            if not found.name.endswith(".dist-info"):
                (packages / found.name).symlink_to(found)
    assert {line.split("==")[0] for line in (folder / "requirements.txt").read_text().split()} == {"numpy", "scipy"}
    command = "python -m studies.statistics responses.csv --more"
    assert command in (folder / "README.md").read_text()
    for name, options in (("results.txt", ["--more"]), ("results.json", ["--more", "--format", "json"])):
        again = subprocess.run(
            [sys.executable, "-S", *command.split()[1:4], *options],
            cwd=folder,
            env={"PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            timeout=300,
        )
        assert again.stderr == b""
        assert again.stdout == (folder / "tables" / name).read_bytes()
    on_the_site = result_table(study, origin=Origin.PERSON)
    rows = json.loads((folder / "tables" / "results.json").read_text())["rows"]
    assert [row["fool_rate"] for row in rows] == [row.fool_rate for row in on_the_site.rows]
    assert [row["ci_low"] for row in rows] == [row.ci_low for row in on_the_site.rows]


def test_bundle_holds_design_stimuli_figures_and_log_without_names_or_codes(study: Study) -> None:
    archive = zipfile.ZipFile(io.BytesIO(bundle_of(study)))
    files = {name.removeprefix(f"{study.slug}/"): archive.read(name) for name in archive.namelist()}
    assert hashlib.sha256(files["design.json"]).hexdigest() == study.design_sha256
    for name in ("fool-rates", "differences", "reaction-times"):
        assert {f"figures/{name}.{kind}" for kind in ("svg", "pdf", "png")} <= files.keys()
    assert {"methods.txt", "methods.md", "methods.tex", "events.csv", "figures/samples.png"} <= files.keys()

    listed = list(csv.DictReader(io.StringIO(files["stimuli/stimuli.csv"].decode())))
    pictures = {name for name in files if name.startswith("stimuli/") and name.endswith(".png")}
    assert {row["file"] for row in listed} == pictures
    for row in listed:
        assert sha256_of(np.asarray(Image.open(io.BytesIO(files[row["file"]])))) == row["sha256"]
    answered = {row["photo"] for row in csv.DictReader(io.StringIO(files["responses.csv"].decode()))}
    assert {f"stimuli/photos/{photo}.png" for photo in answered if photo} <= pictures

    text = b"\n".join(content for name, content in files.items() if not name.endswith((".png", ".pdf")))
    assert b"account-1,step,Opened the study and froze its design." in text
    for secret in (b"ada.lovelace", b"SECRET1", study.code.encode()):
        assert secret not in text


def test_lost_picture_is_named(study: Study) -> None:
    sample = Sample.objects.filter(pair__study=study).first()
    assert sample is not None
    sample.picture.storage.delete(str(sample.picture.name))
    with pytest.raises(PictureMissing, match="bring it back from a backup"):
        bundle_of(study)
