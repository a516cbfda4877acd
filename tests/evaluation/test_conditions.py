"""Conditions as people type them, and the checkpoints that they take."""

from pathlib import Path

import pytest

from studies.errors import EvalsiteError, EvaluationImpossible
from studies.evaluation.conditions import EvaluationCondition, conditions_read, factor_of, tau_label
from tests.tiny_checkpoints import make_checkpoint


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    make_checkpoint(folder / "a.safetensors")
    make_checkpoint(folder / "b.safetensors")
    make_checkpoint(folder / "mean.safetensors", network="srresnet")
    return folder


def checkpoints(conditions: list[EvaluationCondition]) -> list[object]:
    return [condition.parameters.get("checkpoint") for condition in conditions]


def test_conditions_come_in_the_order_and_with_the_names_that_were_typed() -> None:
    typed = ["bicubic, nearest-neighbor,regression", "pixel_recursive:tau=1.10,", "pixel_recursive:tau=1.2"]
    read = conditions_read(typed, checkpoints=["small"])
    assert [condition.name for condition in read.conditions] == [
        *("bicubic", "nearest-neighbor", "regression"),
        *("pixel_recursive:tau=1.10", "pixel_recursive:tau=1.2"),
    ]
    assert [condition.method.slug for condition in read.conditions[1:4]] == [
        *("nearest_neighbour", "regression", "pixel_recursive"),
    ]
    assert read.conditions[3].parameters == {"tau": 1.1, "checkpoint": "small"}
    assert read.notes == []


def test_a_label_shows_the_temperature_beside_tau() -> None:
    (condition,) = conditions_read(["pixel_recursive:tau=1.1"], checkpoints=["small"]).conditions
    assert condition.label == "Pixel recursive, tau 1.1 (T 0.909), small"
    assert tau_label(1.25) == "tau 1.25 (T 0.8)"


def test_without_any_checkpoint_the_default_is_taken_and_said() -> None:
    read = conditions_read(["bicubic,regression"])
    assert read.notes == ["regression takes the checkpoint small, since none is given."]


def test_a_file_serves_its_network_and_a_name_the_others(own: Path) -> None:
    file = own / "mean.safetensors"
    read = conditions_read(["regression,pixel_recursive"], checkpoints=["small", str(file)])
    assert checkpoints(read.conditions) == [file, "small"]
    assert read.conditions[0].label == "Regression, mean.safetensors"


def test_the_folder_of_a_training_run_stands_for_its_best_checkpoint(tmp_path: Path) -> None:
    best = make_checkpoint(tmp_path / "run" / "best.safetensors")
    read = conditions_read(["pixel_recursive"], checkpoints=[str(tmp_path / "run")])
    assert checkpoints(read.conditions) == [best]


def test_a_shipped_name_without_this_network_leaves_it_to_the_default() -> None:
    read = conditions_read(["regression,pixel_recursive"], checkpoints=["faces"])
    assert checkpoints(read.conditions) == ["small", "faces"]
    assert read.notes == ["regression takes the checkpoint small, since faces has none of regression."]


def test_a_checkpoint_in_the_condition_goes_before_all_others(own: Path) -> None:
    typed = [
        "pixel_recursive:checkpoint=a",
        "pixel_recursive:checkpoint=small:tau=1",
        f"regression:checkpoint={own}/mean.safetensors",
    ]
    read = conditions_read(typed, checkpoints=["b"], folder=own)
    assert checkpoints(read.conditions) == ["a", "small", own / "mean.safetensors"]
    assert read.notes == ["No condition uses the checkpoint b."]


@pytest.mark.parametrize(
    ("typed", "given", "sentence"),
    [
        ([" , "], [], "There is no condition to evaluate; name some of bicubic, nearest_neighbour"),
        (["gan"], [], "no method 'gan'; choose one of bicubic"),
        (["bicubic,bicubic"], [], "bicubic is given twice; leave one of them out"),
        (
            ["pixel_recursive:tau=1,pixel_recursive:tau=1.0"],
            ["small"],
            "pixel_recursive:tau=1 and pixel_.* mean the same",
        ),
        (["pixel_recursive:1.1"], ["small"], "'1.1' in .* is no parameter; write name=value, .* tau=1.0"),
        (["pixel_recursive:tau"], ["small"], "'tau' in .* is no parameter"),
        (["pixel_recursive:tau=1:tau=2"], ["small"], "gives tau twice"),
        (["pixel_recursive:tau=hot"], ["small"], "must be a number, not 'hot'"),
        (["pixel_recursive:tau=0"], ["small"], "must lie between 0.1 and 100, not 0"),
        (["bicubic:tau=1"], [], "Bicubic has no parameter 'tau'; it has none"),
        (["regression"], ["nowhere"], "no checkpoint 'nowhere': it is no file, and the names are .*small"),
        (["regression"], ["a"], "regression needs a checkpoint of regression, but a is of pixel_recursive; give one"),
        (["pixel_recursive"], ["a", "b"], "could take the checkpoint a or b; .*pixel_recursive:checkpoint=a,pixel_rec"),
    ],
)
def test_what_cannot_be_understood_is_said_in_one_sentence(
    own: Path, typed: list[str], given: list[str], sentence: str
) -> None:
    with pytest.raises(EvalsiteError, match=sentence):
        conditions_read(typed, checkpoints=given, folder=own)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    with pytest.raises(EvaluationImpossible, match=r"photo\.png is no checkpoint of this program"):
        conditions_read(["regression"], checkpoints=[str(tmp_path / "photo.png")])


def test_the_checkpoints_say_how_many_times_to_enlarge(tmp_path: Path) -> None:
    eight = make_checkpoint(tmp_path / "eight.safetensors", factor=8)
    assert factor_of(conditions_read(["bicubic"]).conditions) == 4
    assert factor_of(conditions_read(["bicubic,pixel_recursive"], checkpoints=[str(eight)]).conditions) == 8
    both = conditions_read([f"regression:checkpoint=small,pixel_recursive:checkpoint={eight}"]).conditions
    with pytest.raises(EvaluationImpossible, match=r"enlarges 4 times, pixel_recursive:.* enlarges 8 times; evaluate"):
        factor_of(both)
