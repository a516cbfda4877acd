"""What the site's table says, the export alone says too; people and simulated raters never meet."""

import csv
from pathlib import Path
from typing import Any, Literal

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from studies.models import Origin, Response, Study, Trial
from studies.reports import FORMATS
from studies.selectors import exports, figures
from studies.selectors.progress import progress_get
from studies.selectors.responses import votes_get
from studies.selectors.results import conditions_get, origins_present, rates_now, result_table, sections_get
from studies.statistics.__main__ import main
from studies.statistics.live import live_rates
from tests.factories import make_crowd, make_open_study, make_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    """Return a study in which 12 people were fooled by every third pair, one missed a golden pair, one left."""
    study = make_open_study(preset="founding_mixed", spare_photos=8)
    make_crowd(study, raters=12)
    make_session(study, answers=[True, True, *[False] * 5])
    make_session(study, answers=[True, True, False])
    return study


def test_votes_are_counted_as_they_were_given(study: Study) -> None:
    table = result_table(study)
    assert (table.flow.started, table.flow.completed, table.flow.counted) == (14, 13, 12)
    assert table.flow.excluded == (("golden_missed", 1),)
    for row in table.rows:
        if row.role != "test":
            assert row.fool_rate is None
            continue
        counted = Trial.objects.filter(
            session__in=study.sessions.filter(state="complete"),
            kind="test",
            pair__sample__condition__slug=row.condition,
        )
        assert row.n_responses == counted.count()
        assert row.n_fooled == counted.exclude(response__chosen_side=F("photo_side")).count()
        assert row.psnr is not None
        assert row.consistency is not None


def test_the_export_alone_gives_the_same_table(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "responses.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(exports.responses_rows(study, origin=Origin.PERSON))
    table = result_table(study)
    sections = sections_get(study, table)
    assert [section.name for section in sections] == ["sequence", "differences", "against_half"]
    for name, render in FORMATS.items():
        assert main([str(path), "--format", name]) == 0
        assert capsys.readouterr().out == render(table, [] if name == "csv" else sections)


def test_tiles_of_one_photograph_are_one_scene_on_the_site_and_in_the_export(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ordinary = result_table(study).rows
    photos = list(study.photo_set.photos.order_by("pk"))
    for place, photo in enumerate(photos):
        photo.source_sha256 = photos[place % 4].source_sha256
        photo.save()
    table = result_table(study)
    judged = [row for row in table.rows if row.n_responses]
    assert [row.n_photos for row in table.rows] == [row.n_photos for row in ordinary]
    assert all(row.n_scenes == row.n_photos for row in ordinary)
    assert all(row.n_scenes <= 4 < row.n_photos for row in judged)
    header, *rows = exports.responses_rows(study, origin=Origin.PERSON)
    scenes = {row[header.index("scene")] for row in rows if row[header.index("kind")] != "none"}
    assert scenes == {photo.source_sha256[:16] for photo in photos[:4]}
    path = tmp_path / "responses.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    assert main([str(path), "--format", "json"]) == 0
    assert capsys.readouterr().out == FORMATS["json"](table, sections_get(study, table))


def test_the_export_holds_every_response_and_no_code(study: Study) -> None:
    header, *rows = exports.responses_rows(study, origin=Origin.PERSON)
    responses = [row for row in rows if row[header.index("kind")] != "none"]
    assert len(responses) == 13 * 7 + 3
    secrets = {
        study.code,
        *study.sessions.values_list("code", flat=True),
        *study.sessions.values_list("rater__code", flat=True),
    }
    assert not secrets & {cell for row in rows for cell in row}


@pytest.mark.parametrize(
    "options",
    [
        {"preset": "founding_mixed"},
        {"preset": "founding", "missed_exposure": "leave_out"},
        {"preset": "hype_infinity", "golden_count": 0},
    ],
    ids=["mixed", "left out", "alone"],
)
def test_live_rates_are_those_of_all_that_is_exported(options: dict[str, Any]) -> None:
    study = make_open_study(spare_photos=4, **options)
    assert rates_now(study, origin=Origin.PERSON) == {}
    make_crowd(study, raters=7)
    make_session(study, answers=[True, True, *[False] * study.main_count])  # left out, where there are golden pairs
    make_session(study, answers=[True, True, False])
    make_session(study, origin=Origin.SIMULATED)
    Response.objects.filter(trial__kind="test", trial__position=4).update(exposure_missed=True, is_set_aside=True)
    for origin in (Origin.PERSON, Origin.SIMULATED):
        votes, conditions = votes_get(study, origin=origin), conditions_get(study)
        name: Literal["person", "simulated"] = "simulated" if origin == Origin.SIMULATED else "person"
        rates = live_rates(votes, conditions=conditions, origin=name)
        assert rates
        assert rates_now(study, origin=origin) == rates


def test_simulated_raters_have_a_table_of_their_own(study: Study) -> None:
    before = result_table(study)
    for _ in range(3):
        make_session(study, origin=Origin.SIMULATED)
        make_session(study, origin=Origin.PREVIEW)
    assert result_table(study).rows == before.rows
    simulated = result_table(study, origin=Origin.SIMULATED)
    assert simulated.flow.completed == 3
    assert all("SIMULATED" in render(simulated).upper() for render in FORMATS.values())
    assert origins_present(study) == [Origin.PERSON, Origin.SIMULATED]


def test_with_simulated_raters_alone_their_table_is_shown_as_theirs() -> None:
    study = make_open_study()
    assert result_table(study).origin == "person"
    make_session(study, origin=Origin.SIMULATED)
    make_session(study, answers=[True])  # a person who has not finished hides nothing
    assert result_table(study).origin == "simulated"


def test_progress_counts_by_origin_state_and_condition(study: Study) -> None:
    progress = progress_get(study)
    assert progress.samples_ready == progress.samples_total == 3 * study.study_photos.count()
    assert sum(count.count for count in progress.sessions) == 14


def test_the_export_asks_the_database_as_often_for_many_rows_as_for_few(study: Study) -> None:
    with CaptureQueriesContext(connection) as few:
        list(exports.responses_rows(study, origin=Origin.PERSON))
    for _ in range(4):
        make_session(study)
    with CaptureQueriesContext(connection) as many:
        list(exports.responses_rows(study, origin=Origin.PERSON))
    assert len(few) == len(many) <= 10


def test_figures_are_pictures(study: Study) -> None:
    grid = figures.sample_grid(study, count=3)
    assert grid is not None
    assert grid.startswith(b"\x89PNG")
    drawn = figures.StudyFigures(study)
    assert {"fool-rates", "differences", "reaction-times", "realism"} <= set(drawn.names)
    for name in drawn.names:
        assert b"<svg" in drawn.draw(name)
