from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from studies.errors import OriginsMixed
from studies.statistics.fool_rate import fool_rate
from studies.statistics.results import (
    ConditionFidelity,
    Flow,
    ResultCondition,
    ResultTable,
    Votes,
    result_table,
    session_flow,
    single_origin,
)
from tests.statistics.made_up import CONDITIONS, FIDELITY, SHA, as_votes, made_up_rows


def table_of(rows: list[dict[str, Any]], **options: Any) -> ResultTable:
    return result_table(
        as_votes(rows), conditions=CONDITIONS, fidelity=FIDELITY, study="rooms", design_sha256=SHA, **options
    )


def counted(rows: list[dict[str, Any]], condition: str, *, everyone: bool = False) -> list[dict[str, Any]]:
    return [
        row
        for row in rows
        if row["condition"] == condition
        and row["kind"] == "test"
        and row["completed"]
        and (everyone or not row["excluded"])
    ]


@pytest.mark.parametrize("estimand", ["new", "these"])
def test_row_counts_test_pairs_of_completed_sessions_with_and_without_exclusions(estimand: Any) -> None:
    rows = made_up_rows()
    row = table_of(rows, estimand=estimand, alpha=0.1).rows[1]

    def expected(*, everyone: bool) -> Any:
        votes = counted(rows, "regression", everyone=everyone)
        return fool_rate(
            [v["fooled"] for v in votes],
            rater=[v["rater"] for v in votes],
            photo=[v["photo"] for v in votes],
            alpha=0.1,
            estimand=estimand,
        )

    primary, everybody = expected(everyone=False), expected(everyone=True)
    assert 0 < primary.n_responses < everybody.n_responses < sum(row["condition"] == "regression" for row in rows)
    assert (row.fool_rate, row.ci_low, row.ci_high) == (primary.rate, primary.ci_low, primary.ci_high)
    assert (row.n_responses, row.n_raters, row.n_photos) == (primary.n_responses, primary.n_raters, primary.n_photos)
    assert row.n_fooled == sum(v["fooled"] for v in counted(rows, "regression"))
    assert (row.deff, row.deff_raters, row.deff_photos) == (primary.deff, primary.deff_raters, primary.deff_photos)
    assert (row.fool_rate_all, row.ci_low_all, row.ci_high_all) == (
        everybody.rate,
        everybody.ci_low,
        everybody.ci_high,
    )
    assert (row.n_responses_all, row.n_raters_all) == (everybody.n_responses, everybody.n_raters)
    assert row.excluded_sessions == 4


def test_rows_keep_the_order_of_the_conditions_and_their_fidelity() -> None:
    table = table_of(made_up_rows())
    assert [row.condition for row in table.rows] == ["bicubic", "regression", "prsr_11"]
    assert table.rows[0].psnr == FIDELITY["bicubic"].psnr
    assert table.rows[1].ms_ssim is None
    assert table.rows[2].psnr is None


def test_golden_condition_has_no_fool_rate_and_says_why() -> None:
    row = table_of(made_up_rows()).rows[0]
    assert row.fool_rate is row.fool_rate_all is None
    assert row.n_responses == row.excluded_sessions == 0
    assert row.notes == ("Shown in golden pairs only, which never count: no fool rate.",)


def test_flow_accounts_for_every_session() -> None:
    flow = table_of(made_up_rows()).flow
    assert flow == Flow(started=24, completed=21, excluded=(("golden_missed", 4),), counted=17)
    assert flow.n_excluded == 4


def test_unfinished_excluded_session_counts_as_unfinished() -> None:
    rows = made_up_rows(n_raters=2)
    for row in rows:
        row |= {"completed": row["rater"] == "r0", "excluded": True}
    assert session_flow(as_votes(rows)).excluded == (("no reason recorded", 1),)


def test_flow_of_the_site_is_taken_as_it_is() -> None:
    flow = Flow(started=24, completed=21, excluded=(), counted=21, arrived=99, consented=50)
    assert table_of(made_up_rows(), flow=flow).flow == flow


def test_method_that_fooled_nobody_borrows_the_largest_design_effect_of_the_others() -> None:
    rows = made_up_rows()
    for row in rows:
        if row["condition"] == "regression":
            row["fooled"] = False
    _, regression, recursive = table_of(rows).rows
    assert recursive.deff is not None
    assert regression.deff == max(1.0, recursive.deff)
    assert regression.is_deff_assumed
    assert not recursive.is_deff_assumed
    assert regression.rater_bound == pytest.approx(1 - 0.05 ** (1 / 17))


def test_people_and_simulated_raters_are_never_counted_together() -> None:
    people, programs, preview = made_up_rows(), made_up_rows(n_raters=12), made_up_rows(n_raters=3)
    for row in programs:
        row |= {"origin": "simulated", "session": "sim" + row["session"], "fooled": True}
    for row in preview:
        row |= {"origin": "preview", "session": "pre" + row["session"], "fooled": True}
    together = people + programs + preview
    assert table_of(together) == table_of(people)
    simulated = table_of(together, origin="simulated")
    assert simulated.is_simulated
    assert simulated.rows[1].fool_rate == 1
    assert simulated.flow.started == 12
    with pytest.raises(OriginsMixed, match="--origin"):
        single_origin(as_votes(together))
    assert single_origin(as_votes(people + preview)) == "person"
    assert single_origin(as_votes(programs + preview)) == "simulated"
    assert single_origin(as_votes(preview)) == "person"


def test_preview_is_no_origin_of_a_table() -> None:
    with pytest.raises(ValueError, match="origin must be one of person, simulated, got 'preview'"):
        table_of(made_up_rows(), origin="preview")


def test_condition_without_counted_votes_says_so() -> None:
    rows = made_up_rows()
    for row in rows:
        row["excluded"] = True
    assert table_of(rows).rows[1].notes == ("All completed sessions were excluded.",)
    assert table_of(rows).rows[1].fool_rate_all is not None
    for row in rows:
        row["completed"] = False
    assert table_of(rows).rows[1].notes == ("No counted vote yet: no fool rate.",)


def test_table_says_when_the_exclusions_decide_about_half() -> None:
    rows = made_up_rows(n_raters=40)
    for row in rows:
        row["fooled"] = row["excluded"] or (int(row["photo"][1:]) * 7 + int(row["rater"][1:])) % 100 < 33
    found = table_of(rows).rows[1]
    assert found.ci_high is not None
    assert found.ci_high_all is not None
    assert found.ci_high < 0.5 < found.ci_high_all
    assert "The exclusions decide whether the interval holds 50 %" in " ".join(found.notes)


def test_photos_of_one_scene_are_one_cluster_of_the_table() -> None:
    rows = made_up_rows(n_raters=60, n_photos=64)
    tiled = [row | {"scene": f"s{int(row['photo'][1:]) // 4}"} for row in rows]
    by_scene, by_photo = table_of(tiled), table_of(rows)
    as_photos = table_of([row | {"photo": row["scene"]} for row in tiled])
    assert (by_scene.is_tiled, by_photo.is_tiled, as_photos.is_tiled) == (True, False, False)
    assert [(row.n_photos, row.n_scenes) for row in by_scene.rows] == [(0, 0), (64, 16), (64, 16)]
    assert [(row.n_photos, row.n_scenes) for row in by_photo.rows] == [(0, 0), (64, 64), (64, 64)]
    for row, expected in zip(by_scene.rows[1:], as_photos.rows[1:], strict=True):
        assert "judged a photo again" in expected.notes[1]  # tiles are photos of their own, and each is judged once
        notes = (expected.notes[0].replace("16 photos", "16 scenes"),)
        assert row == replace(expected, n_photos=64, notes=notes)
    assert by_scene.rows[2].ci_high != by_photo.rows[2].ci_high
    assert table_of(tiled, estimand="these").rows[2].ci_high == table_of(rows, estimand="these").rows[2].ci_high


def test_photo_of_two_scenes_is_refused() -> None:
    rows = made_up_rows()
    rows[5]["scene"] = "elsewhere"
    with pytest.raises(ValueError, match=r"photo p[0-9]+ has two scenes"):
        table_of(rows)


def test_infinite_psnr_is_noted() -> None:
    fidelity = {"regression": ConditionFidelity(psnr=float("inf"))}
    table = result_table(as_votes(made_up_rows()), conditions=CONDITIONS, fidelity=fidelity, study="rooms")
    assert "at least one sample equals its photo" in " ".join(table.rows[1].notes)


def test_order_of_the_votes_and_names_of_raters_change_no_digit() -> None:
    rows = made_up_rows()
    shuffled = [
        rows[i] | {"rater": f"x{hash(rows[i]['rater'])}"} for i in np.random.default_rng(1).permutation(len(rows))
    ]
    assert table_of(shuffled) == table_of(rows)


def test_numbers_serve_as_identifiers() -> None:
    votes = as_votes(made_up_rows())

    def number(column: Any) -> Any:
        return np.array([int(identifier[1:]) for identifier in column])

    numbered = replace(
        votes, session=number(votes.session), rater=number(votes.rater), photo=number(votes.photo) + 10**9
    )
    tables = [result_table(v, conditions=CONDITIONS, fidelity=FIDELITY, study="rooms") for v in (votes, numbered)]
    assert tables[0] == tables[1]


def test_study_without_any_response_has_empty_rows() -> None:
    words, truths = np.array([], dtype=np.str_), np.array([], dtype=np.bool_)
    votes = Votes(
        session=words,
        rater=words,
        photo=words,
        scene=words,
        condition=words,
        kind=words,
        fooled=truths,
        excluded=truths,
        completed=truths,
        origin=words,
        exclusion_reason=words,
    )
    table = result_table(votes, conditions=CONDITIONS, fidelity=FIDELITY, study="rooms")
    assert len(votes) == 0
    assert table.flow == Flow(started=0, completed=0, excluded=(), counted=0)
    assert [row.fool_rate for row in table.rows] == [None, None, None]


def test_votes_without_a_row_are_refused() -> None:
    with pytest.raises(ValueError, match="conditions that have no row: bicubic, regression"):
        result_table(as_votes(made_up_rows()), conditions=CONDITIONS[2:], fidelity={}, study="rooms")


def test_test_votes_on_a_golden_condition_are_refused() -> None:
    conditions = [ResultCondition(name=c.name, label=c.label, role="golden") for c in CONDITIONS]
    with pytest.raises(ValueError, match="regression has the role 'golden', but votes in test pairs"):
        result_table(as_votes(made_up_rows()), conditions=conditions, fidelity={}, study="rooms")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("alpha", 5, "alpha must lie between 0 and 1, got 5"),
        ("estimand", "all", "estimand must be one of new, these, got 'all'"),
        ("method", "wald", "method must be one of two_way_wilson, korn_graubard, got 'wald'"),
    ],
)
def test_options_without_a_meaning_are_refused(option: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table_of(made_up_rows(), **{option: value})


def test_conservative_interval_can_be_asked_for() -> None:
    default, conservative = table_of(made_up_rows()).rows[2], table_of(made_up_rows(), method="korn_graubard").rows[2]
    assert conservative.ci_method == "korn_graubard"
    assert conservative.ci_high is not None
    assert default.ci_high is not None
    assert conservative.ci_high > default.ci_high


def test_columns_that_do_not_fit_are_refused() -> None:
    votes = as_votes(made_up_rows())
    with pytest.raises(ValueError, match="must be aligned rows"):
        replace(votes, rater=votes.rater[:-1])
    with pytest.raises(ValueError, match="fooled must be bool, got int64"):
        replace(votes, fooled=votes.fooled.astype(np.int64))
