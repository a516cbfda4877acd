from pathlib import Path

import numpy as np
import pytest

from studies.statistics.responses_csv import REQUIRED_COLUMNS, read_responses
from studies.statistics.results import result_table
from studies.statistics.summaries import SEED, ConditionSummary, summaries
from tests.statistics.made_up import CONDITIONS, FIDELITY, as_cells, as_votes, made_up_rows, write_csv


def summed_up(path: Path) -> tuple[ConditionSummary, ...]:
    read = read_responses(path)
    return summaries(read.votes, conditions=read.conditions, rng=np.random.default_rng(SEED))


def test_the_same_votes_are_counted_as_in_the_table(tmp_path: Path) -> None:
    votes = as_votes(made_up_rows())
    table = result_table(votes, conditions=CONDITIONS, fidelity=FIDELITY, study="rooms")
    rows = {row.condition: row for row in table.rows}
    found = summed_up(write_csv(tmp_path / "responses.csv", as_cells(made_up_rows())))
    assert [one.condition for one in found] == ["regression", "prsr_11"]  # golden pairs have none
    for one in found:
        row = rows[one.condition]
        assert one.label == row.label
        assert one.ranking.mean_rate == row.fool_rate
        assert one.learning is not None
        assert sum(block.rate.n_responses for block in one.learning.blocks) == row.n_responses
        assert one.reaction_times is not None
        assert one.reaction_times.overall is not None
        assert one.reaction_times.overall.n_raters == row.n_raters
        assert one.side_effect is not None
        assert [correlation.metric for correlation in one.correlations] == ["psnr", "ssim"]
        assert one.correlations[0].n_pictures == row.n_photos
    everyone = summaries(votes, conditions=CONDITIONS, rng=np.random.default_rng(SEED), everyone=True)
    assert [one.ranking.mean_rate for one in everyone] == [rows[one.condition].fool_rate_all for one in everyone]


def test_file_and_order_of_its_rows_change_nothing(tmp_path: Path) -> None:
    rows = made_up_rows()
    cells = as_cells(rows)
    turned = write_csv(tmp_path / "turned.csv", cells[::-1])
    in_site = summaries(as_votes(rows), conditions=CONDITIONS, rng=np.random.default_rng(SEED))
    in_files = {one.condition: one for one in summed_up(turned)}
    assert set(in_files) == {one.condition for one in in_site}
    for one in in_site:
        other = in_files[one.condition]
        assert one.detection == other.detection
        assert one.agreement == other.agreement
        assert one.sided == other.sided
        assert one.learning is not None
        assert other.learning is not None
        assert one.learning.change == pytest.approx(other.learning.change, rel=1e-12)
        assert one.ranking.mean_rate == other.ranking.mean_rate
        assert one.ranking.is_separable == other.ranking.is_separable
        for mine, theirs in zip(one.correlations, other.correlations, strict=True):
            assert mine.rho == pytest.approx(theirs.rho)
            assert mine.n_pictures == theirs.n_pictures


def test_seven_columns_give_what_they_can(tmp_path: Path) -> None:
    cells = [{name: cell[name] for name in REQUIRED_COLUMNS} for cell in as_cells(made_up_rows()) if cell["completed"]]
    for one in summed_up(write_csv(tmp_path / "few.csv", cells)):
        assert one.detection is not None
        assert one.detection.d_prime > 0
        assert one.agreement.krippendorff is not None
        assert one.ranking.n_pictures > 10
        assert (one.sided, one.reaction_times, one.learning, one.side_effect, one.correlations) == (
            *(None, None, None, None),
            (),
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rt_ms": "fast"}, "rt_ms must be a number or empty, got 'fast'"),
        ({"position": "last"}, "position must be a number or empty, got 'last'"),
        ({"photo_side": "left"}, "photo_side must be first or second, got 'left'"),
    ],
)
def test_cells_that_summaries_cannot_read_are_named(changes: dict[str, str], message: str, tmp_path: Path) -> None:
    cells = as_cells(made_up_rows())
    cells[3] |= changes
    with pytest.raises(Exception, match=message) as refused:
        read_responses(write_csv(tmp_path / "bad.csv", cells))
    assert str(refused.value).startswith("bad.csv, line 5: ")
