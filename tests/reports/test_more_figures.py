"""The figures beside the forest plot: what they show, in every form, light and dark."""

import io
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from studies.reports import figures
from studies.reports.figures import FileFormat, ThemeName
from studies.reports.figures.gallery import Picture
from studies.reports.summaries import interval
from studies.statistics.comparison import Comparisons
from studies.statistics.phrases import points
from studies.statistics.plan import AnalysisPlan
from studies.statistics.results import ResultTable, result_table
from studies.statistics.summaries import SEED, ConditionSummary, summaries
from tests.statistics.made_up import CONDITIONS, FIDELITY, SHA, as_votes, made_up_rows
from tests.tiny_checkpoints import make_photos

VOTES = as_votes(made_up_rows(n_raters=60))
TAUS = {"prsr_11": 1.1}


@cache
def table() -> ResultTable:
    return result_table(
        VOTES,
        conditions=CONDITIONS,
        fidelity=FIDELITY,
        study="rooms",
        title="Rooms",
        design_sha256=SHA,
        last_vote="2026-11-25",
    )


@cache
def compared() -> Comparisons:
    return AnalysisPlan(family="all_pairs", reference=None, margin=None).carry_out(VOTES, conditions=CONDITIONS)


@cache
def summed_up() -> tuple[ConditionSummary, ...]:
    """The summaries, with a ranking in which pictures can be told apart: half of the photos fool everybody."""
    odd = np.array([int(photo[1:]) % 2 == 1 for photo in VOTES.photo])
    votes = replace(VOTES, fooled=odd & (VOTES.kind == "test"))
    ranked = summaries(votes, conditions=CONDITIONS, rng=np.random.default_rng(SEED))
    plain = summaries(VOTES, conditions=CONDITIONS, rng=np.random.default_rng(SEED))
    return tuple(replace(one, ranking=other.ranking) for one, other in zip(plain, ranked, strict=True))


def picture_of(condition: str, photo: object) -> Picture:
    picture: Picture = make_photos(1, size=16)[0]
    return picture


Draw = Callable[[FileFormat, ThemeName], bytes]
DRAWN: dict[str, Draw] = {
    "forest": lambda kind, theme: figures.fool_rates(table(), file_format=kind, theme=theme),
    "tau": lambda kind, theme: figures.temperatures(table(), TAUS, file_format=kind, theme=theme),
    "pairwise": lambda kind, theme: figures.pairwise(table(), compared(), file_format=kind, theme=theme),
    "times": lambda kind, theme: figures.times(table(), summed_up(), file_format=kind, theme=theme),
    "realism": lambda kind, theme: figures.realism(table(), summed_up(), file_format=kind, theme=theme),
    "gallery": lambda kind, theme: figures.gallery(table(), summed_up(), picture_of, file_format=kind, theme=theme),
}


def words(svg: bytes) -> str:
    """Return all texts of an SVG, line breaks as spaces."""
    root = ET.fromstring(svg)  # noqa: S314 -- our own bytes
    return " | ".join("".join(e.itertext()).strip() for e in root.iter("{http://www.w3.org/2000/svg}text"))


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_states_study_design_date_and_version_in_sight_and_in_its_file(name: str) -> None:
    svg = DRAWN[name]("svg", "light")
    assert f"Study rooms, design {SHA[:12]}, votes until 2026-11-25, evalsite" in words(svg)
    assert f"study rooms, design {SHA}, votes until 2026-11-25".encode() in svg
    assert "Rooms (rooms): " in words(svg)
    pdf, png = DRAWN[name]("pdf", "light"), DRAWN[name]("png", "light")
    assert pdf.startswith(b"%PDF")
    assert b"/Title (Rooms" in pdf
    about = Image.open(io.BytesIO(png)).info
    assert about["Source"] == f"study rooms, design {SHA}, votes until 2026-11-25"
    assert about["Software"].startswith("evalsite ")


@pytest.mark.parametrize("name", DRAWN)
def test_dark_figures_are_dark_and_give_the_same_bytes_again(name: str) -> None:
    first, second = (DRAWN[name]("png", "dark") for _ in range(2))
    assert first == second
    light, dark = (
        np.asarray(Image.open(io.BytesIO(DRAWN[name]("png", theme))).convert("L")) for theme in ("light", "dark")
    )
    assert light[0, 0] == 255
    assert dark[0, 0] < 40
    assert light.shape == dark.shape


def test_matrix_of_differences_reads_both_ways() -> None:
    (one,) = compared().differences
    assert one.difference is not None
    text = words(DRAWN["pairwise"]("svg", "light"))
    assert f"{points(one.difference)}" in text
    assert f"{points(-one.difference)}" in text
    assert "with the 95 % interval" in text


def test_reference_has_a_column_but_no_row() -> None:
    found = AnalysisPlan(family="reference", reference="regression", margin=None).carry_out(
        VOTES, conditions=CONDITIONS
    )
    text = words(figures.pairwise(table(), found))
    assert text.count("Regression & friends") == 1
    assert text.count("pixel recursive") == 1


def test_differences_without_votes_or_interval_say_so() -> None:
    (one,) = compared().differences
    for changed, text in (
        (replace(one, difference=None, p_holm=None), "no votes"),
        (replace(one, ci_low=None, ci_high=None, p_holm=None), points(one.difference or 0)),
    ):
        shown = words(figures.pairwise(table(), replace(compared(), differences=(changed,))))
        assert text in shown
        assert "[" not in shown


def test_conditions_without_tau_are_lines_across() -> None:
    row = table().rows[1]
    assert row.fool_rate is not None
    text = words(DRAWN["tau"]("svg", "light"))
    assert f"{row.label}, {100 * row.fool_rate:.1f}" in text
    assert "cannot tell" in text


def test_rank_correlations_stand_in_the_key() -> None:
    rank = summed_up()[0].correlations[0]
    assert interval(rank.rho, rank.ci_low, rank.ci_high) in words(DRAWN["realism"]("svg", "light"))


def test_gallery_shows_counts_and_shrunk_rates_best_and_worst() -> None:
    best, worst = summed_up()[0].ranking.best[0], summed_up()[0].ranking.worst[0]
    text = words(DRAWN["gallery"]("svg", "light"))
    for one in (best, worst):
        assert f"{one.n_fooled}/{one.n_votes}" in text
        assert f"{100 * one.rate:.0f} [{100 * one.low:.0f}, {100 * one.high:.0f}]" in text


def test_what_cannot_be_drawn_says_why() -> None:
    bare = tuple(
        replace(
            one,
            reaction_times=None,
            correlations=(),
            ranking=replace(one.ranking, best=(), worst=(), prior=None),
        )
        for one in summed_up()
    )
    refused: tuple[tuple[Callable[[], bytes], str], ...] = (
        (lambda: figures.times(table(), bare), "no reaction time is known"),
        (lambda: figures.realism(table(), bare), "no picture has a pixel metric"),
        (lambda: figures.gallery(table(), bare, picture_of), "there is no best and no worst"),
        (lambda: figures.temperatures(table(), {}), "no condition with a fool rate has a tau"),
        (lambda: figures.pairwise(table(), replace(compared(), differences=())), "the family has no difference"),
    )
    for draw, message in refused:
        with pytest.raises(ValueError, match=message):
            draw()
