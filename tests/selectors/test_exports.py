"""Cells of the export of responses."""

import pytest

from studies.models import Origin, Side
from studies.selectors.exports import responses_rows
from studies.services.responses import response_record
from tests.factories import make_open_study, make_session

pytestmark = pytest.mark.django_db


def test_scale_on_the_screen_is_exported_as_it_was_recorded() -> None:
    study = make_open_study()
    session = make_session(study, answers=[])
    for trial, (scale, ratio) in zip(
        session.trials.order_by("position"), [(21, 2.625), (8, 1.0), (None, None)], strict=False
    ):
        response_record(
            session=session,
            trial_code=trial.code,
            chosen_side=Side.FIRST,
            rt_ms=500,
            exposure_first_ms=None,
            exposure_second_ms=None,
            was_hidden=False,
            device_scale=scale,
            pixel_ratio=ratio,
        )
    header, *rows = responses_rows(study, origin=Origin.PERSON)
    cells = [dict(zip(header, row, strict=True)) for row in rows]
    answered = [cell for cell in cells if cell["kind"] != "none"]
    assert [(cell["device_scale"], cell["pixel_ratio"]) for cell in answered] == [("21", "2.625"), ("8", "1"), ("", "")]
    assert {cell["session"] for cell in answered} == {f"session-{session.pk}"}
    assert {cell["rater"] for cell in answered} == {f"rater-{session.rater_id}"}
