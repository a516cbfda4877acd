"""Pictures shown alone: fool rates of samples only, errors on photos apart, HYPE's score over both."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from studies.reports.comparisons import comparison_sections
from studies.reports.report import report_sections
from studies.reports.wording import percent
from studies.statistics.comparison import comparisons
from studies.statistics.responses_csv import read_responses
from studies.statistics.results import REAL, TEST, ResultRow, Votes, result_table
from studies.statistics.staircase import modal_exposure
from studies.statistics.summaries import SEED, summaries
from tests.statistics.made_up import CONDITIONS, FIDELITY, as_cells, as_votes, made_up_rows, write_csv


def single_rows() -> list[dict[str, Any]]:
    """Return the made-up study as if every picture had been shown alone, the photo where it came first."""
    return [row | {"shown": "photo" if row["photo_side"] == "first" else "sample"} for row in made_up_rows()]


def single_votes() -> Votes:
    rows = single_rows()
    kinds = [REAL if row["shown"] == "photo" and row["kind"] == TEST else row["kind"] for row in rows]
    plain = [{name: cell for name, cell in row.items() if name != "shown"} for row in rows]
    return replace(as_votes(plain), kind=np.array(kinds))


def pick(votes: Votes, chosen: np.ndarray[Any, Any]) -> Votes:
    columns = {field.name: getattr(votes, field.name) for field in fields(votes)}
    return Votes(**{name: column[chosen] for name, column in columns.items() if column is not None})


def rows_of(votes: Votes) -> tuple[ResultRow, ...]:
    return result_table(votes, conditions=CONDITIONS, fidelity=FIDELITY, study="rooms").rows


def test_fool_rates_are_those_without_the_photos_and_say_so() -> None:
    votes = single_votes()
    with_photos, without = rows_of(votes), rows_of(pick(votes, votes.kind != REAL))
    assert [replace(row, notes=()) for row in with_photos] == [replace(row, notes=()) for row in without]
    for row, bare in zip(with_photos, without, strict=True):
        n_alone = ((votes.kind == REAL) & (votes.condition == row.condition) & votes.completed & ~votes.excluded).sum()
        said = [note for note in row.notes if "not the" in note]
        assert bool(said) == (row.role == "test")
        assert all(f"not the {n_alone} answers on photos" in note for note in said)
        assert set(bare.notes) == set(row.notes) - set(said)


def test_score_holds_the_errors_on_both_kinds_of_counted_answers_alone() -> None:
    votes = single_votes()
    counted = votes.completed & ~votes.excluded
    for one in summaries(votes, conditions=CONDITIONS, rng=np.random.default_rng(SEED)):
        assert one.single is not None
        assert one.detection is None, "d' of a choice between two has no meaning here"
        of = counted & (votes.condition == one.condition)
        shares = {}
        for kind, part in ((TEST, one.single.samples), (REAL, one.single.photos)):
            wrong = votes.fooled[of & (votes.kind == kind)]
            assert (part.n_fooled, part.n_responses) == (wrong.sum(), wrong.size)
            shares[kind] = wrong.mean()
        both = one.single.both
        wrong = votes.fooled[of & np.isin(votes.kind, [TEST, REAL])]
        assert both.rate == pytest.approx(wrong.mean())
        assert both.ci_low is not None
        assert both.ci_high is not None
        assert both.ci_low < both.rate < both.ci_high
        expected = stats.norm.ppf(1 - shares[REAL]) - stats.norm.ppf(shares[TEST])
        assert one.single.d_prime == pytest.approx(expected)
        assert not one.single.is_corrected


def test_a_rater_who_says_real_to_everything_is_at_chance() -> None:
    votes = single_votes()
    votes = replace(votes, fooled=votes.kind == TEST)
    for one in summaries(votes, conditions=CONDITIONS, rng=np.random.default_rng(SEED)):
        assert one.single is not None
        assert (one.single.samples.rate, one.single.photos.rate) == (1.0, 0.0)
        assert 0.4 < one.single.both.rate < 0.6
        assert one.single.is_corrected
        assert abs(one.single.d_prime) < 0.2


def test_pairs_have_no_score() -> None:
    found = summaries(as_votes(made_up_rows()), conditions=CONDITIONS, rng=np.random.default_rng(SEED))
    assert all(one.single is None and one.detection is not None for one in found)


def test_file_tells_which_picture_was_shown(tmp_path: Path) -> None:
    cells = as_cells(single_rows())
    read = read_responses(write_csv(tmp_path / "responses.csv", cells))
    assert read.votes.kind.tolist() == single_votes().kind.tolist()
    for cell in cells:
        cell["set_aside"] = "1"
    set_aside = read_responses(write_csv(tmp_path / "set_aside.csv", cells))
    assert set(set_aside.votes.kind) == {"set_aside"}
    cells[0]["shown"] = "both"
    with pytest.raises(Exception, match="line 2: shown must be pair, sample or photo, got 'both'"):
        read_responses(write_csv(tmp_path / "bad.csv", cells))


def test_report_shows_errors_on_photos_apart_and_the_score_beside_them() -> None:
    votes = single_votes()
    table = result_table(votes, conditions=CONDITIONS, fidelity=FIDELITY, study="rooms")
    found = summaries(votes, conditions=CONDITIONS, rng=np.random.default_rng(SEED))
    section = report_sections(table, summed_up=found)[0]
    assert section.name == "single_pictures"
    for one, row, record in zip(found, section.rows, section.records, strict=True):
        assert one.single is not None
        told = dict(row)
        samples, both, photos = one.single.samples, one.single.both, one.single.photos
        assert told["HYPE score, % [95 %]"] == percent(both.rate, both.ci_low, both.ci_high)
        assert told["% of photos taken for samples [95 %]"] == percent(photos.rate, photos.ci_low, photos.ci_high)
        assert told["% of samples taken for photos [95 %]"] == percent(
            table.rows[1 + found.index(one)].fool_rate, samples.ci_low, samples.ci_high
        )
        assert told["answers"] == f"{one.single.samples.n_responses} + {one.single.photos.n_responses}"
        assert record["single_both_rate"] == one.single.both.rate
        assert record["single_photos_n_fooled"] == one.single.photos.n_fooled


def test_nothing_is_said_of_half_where_pictures_were_shown_alone() -> None:
    votes = single_votes()
    assert comparisons(votes, conditions=CONDITIONS, family="all_pairs").against_half == ()
    in_pairs = comparisons(as_votes(made_up_rows()), conditions=CONDITIONS, family="all_pairs", margin=0.05)
    assert len(in_pairs.against_half) == len(in_pairs.equivalence) > 0
    alone = comparisons(votes, conditions=CONDITIONS, family="all_pairs", margin=0.05)
    table = result_table(votes, conditions=CONDITIONS, fidelity=FIDELITY, study="rooms")
    assert [section.name for section in comparison_sections(alone, table)] == ["differences"]


def held_rows() -> list[dict[str, Any]]:
    """Return the study of single pictures as if answers had set the exposures, in blocks of ten."""
    rows = single_rows()
    for row in rows:
        position = int(row["position"])
        row["block"] = str(1 + position // 10) if row["kind"] == TEST else ""
        row["exposure_asked_ms"] = str(300 + 10 * (position % 3))
    return rows


def test_exposures_that_answers_set_are_scored_alike_from_arrays_and_from_a_file(tmp_path: Path) -> None:
    write_csv(tmp_path / "responses.csv", as_cells(held_rows()))
    read = read_responses(tmp_path / "responses.csv")
    found = summaries(read.votes, conditions=read.conditions, rng=np.random.default_rng(SEED))
    table = result_table(read.votes, conditions=read.conditions, fidelity={}, study="rooms")
    sections = {section.name: section for section in report_sections(table, summed_up=found)}
    assert {one.condition for one in found if one.exposure} == {row.condition for row in table.rows if row.n_responses}
    for one, record in zip(found, sections["exposures"].records, strict=True):
        assert one.exposure is not None
        counted = read.votes.completed & ~read.votes.excluded & (read.votes.condition == one.condition)
        counted &= np.isin(read.votes.kind, [TEST, REAL])
        assert one.exposure.n_responses == counted.sum()
        assert one.exposure.right_rate == pytest.approx(1 - read.votes.fooled[counted].mean())
        of_raters = []
        for rater in np.unique(read.votes.rater[counted]):
            of_rater = counted & (read.votes.rater == rater)
            assert read.votes.block is not None
            assert read.votes.exposure_asked_ms is not None
            modes = [
                modal_exposure(read.votes.exposure_asked_ms[of_rater & (read.votes.block == block)])
                for block in np.unique(read.votes.block[of_rater])
            ]
            of_raters.append(np.mean(modes))
        assert one.exposure.score_ms == pytest.approx(np.mean(of_raters))
        assert record["exposure_score_ms"] == one.exposure.score_ms
    assert all("Answers set the exposures" in " ".join(row.notes) for row in table.rows if row.n_responses)
