"""Checkpoints by name: those that come with the platform, and the researchers' own."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from studies import methods
from studies.errors import MethodUnavailable, ParameterInvalid
from tests.tiny_checkpoints import make_checkpoint, make_photos


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put tiny networks in the place of those that come with the platform."""
    folder = tmp_path / "weights"
    make_checkpoint(folder / "pixel_recursive_small.safetensors")
    make_checkpoint(folder / "pixel_recursive_faces.safetensors")
    make_checkpoint(folder / "regression_small.safetensors", network="srresnet")
    (folder / "pixel_recursive_small.md").write_text("a model card")
    monkeypatch.setattr(methods, "checkpoints_folder", lambda: folder)
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Make a folder of researchers' own checkpoints, with two files that are none."""
    folder = tmp_path / "own"
    make_checkpoint(folder / "my-rooms.safetensors")
    make_checkpoint(folder / "my-mean.safetensors", network="srresnet")
    (folder / "broken.safetensors").write_bytes(b"not a checkpoint")
    (folder / "half.safetensors.partial").write_bytes(b"")
    return folder


def test_names_are_those_of_the_network_wherever_they_lie(shipped: Path, own: Path) -> None:
    assert methods.checkpoint_names("pixel_recursive", None) == ("faces", "small")
    assert methods.checkpoint_names("pixel_recursive", own) == ("faces", "small", "my-rooms")
    assert methods.checkpoint_names("regression", own) == ("small", "my-mean")
    assert methods.checkpoint_names("regression", own / "nowhere") == ("small",)


def test_an_own_checkpoint_cannot_take_the_name_of_one_that_comes_with_the_platform(shipped: Path, own: Path) -> None:
    make_checkpoint(own / "small.safetensors", seed=9)
    assert methods.checkpoint_names("pixel_recursive", own).count("small") == 1
    found = methods.checkpoint_path("small", network="pixel_recursive", folder=own)
    assert found == shipped / "pixel_recursive_small.safetensors"


def test_the_platform_comes_with_the_checkpoints_that_methods_take_by_default() -> None:
    for slug in ("regression", "pixel_recursive"):
        method = methods.METHODS[slug]
        checkpoint = next(parameter for parameter in method.parameters if parameter.network)
        assert checkpoint.choices == methods.checkpoint_names(slug, None)
        assert checkpoint.default in checkpoint.choices


def test_a_checkpoint_is_checked_by_name_with_the_researchers_own(own: Path) -> None:
    regression = methods.METHODS["regression"]
    assert regression.parameters_check({"checkpoint": "my-mean"}, checkpoints=own) == {"checkpoint": "my-mean"}
    with pytest.raises(ParameterInvalid, match=r"must be one of .*small, not 'my-mean'"):
        regression.parameters_check({"checkpoint": "my-mean"})
    with pytest.raises(ParameterInvalid, match=r"must be one of .*small, my-mean, not 'my-rooms'"):
        regression.parameters_check({"checkpoint": "my-rooms"}, checkpoints=own)


def test_conditions_of_earlier_versions_name_the_file() -> None:
    assert methods.METHODS["regression"].parameters_check({"checkpoint": "regression_small"}) == {"checkpoint": "small"}


def test_own_checkpoints_run_by_name_and_by_file(own: Path) -> None:
    low_res = make_photos(2, size=4)
    results = []
    for checkpoint in ("my-rooms", own / "my-rooms.safetensors"):
        need = methods.Need(4, {"tau": 1.1, "checkpoint": checkpoint}, None, checkpoints=own)
        results.append(methods.METHODS["pixel_recursive"].load(need)(low_res, seeds=[1, 2]))
    assert results[0].shape == (2, 16, 16, 3)
    assert (results[0] == results[1]).all()


@pytest.mark.parametrize(
    ("slug", "checkpoint", "sentence"),
    [
        ("regression", "my-rooms.safetensors", "my-rooms.safetensors holds the network 'pixel_recursive'"),
        ("pixel_recursive", "my-mean.safetensors", "my-mean.safetensors holds the network 'srresnet', not pixel_rec"),
        ("regression", "broken.safetensors", "broken.safetensors cannot be read"),
        ("regression", "gone.safetensors", "gone.safetensors is missing from the folder own"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_sentence(
    own: Path, slug: str, checkpoint: str, sentence: str
) -> None:
    need = methods.Need(4, {"tau": 1.0, "checkpoint": own / checkpoint}, None)
    with pytest.raises(MethodUnavailable, match=sentence):
        methods.METHODS[slug].load(need)


def test_another_enlargement_than_the_photos_need_is_refused(own: Path) -> None:
    need = methods.Need(2, {"checkpoint": "my-mean"}, None, checkpoints=own)
    with pytest.raises(MethodUnavailable, match="enlarges 4 times, but the photo set needs 2 times"):
        methods.METHODS["regression"].load(need)


def test_a_replaced_file_is_read_anew(own: Path, tmp_path: Path) -> None:
    method = methods.METHODS["regression"]
    need = methods.Need(4, {"checkpoint": "my-mean"}, None, checkpoints=own)
    before = method.load(need)
    shutil.copy(make_checkpoint(tmp_path / "new.safetensors", network="srresnet", seed=5), own / "my-mean.safetensors")
    after = method.load(need)
    low_res = make_photos(1, size=4)
    assert before.digest != after.digest
    assert (before(low_res, seeds=[0]) != after(low_res, seeds=[0])).any()


def test_a_header_is_read_without_torch(own: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from studies import methods;"
        f"print(methods.checkpoint_header(Path({str(own / 'my-mean.safetensors')!r})), 'torch' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "CheckpointHeader(network='regression', factor=4) False"


def test_tau_is_explained_with_the_usual_temperature() -> None:
    help_text = methods.TAU.help
    assert "T = 1 / tau" in help_text
    for tau in (1.1, 1.2):
        assert f"tau {tau:g} is T {1 / tau:.3f}" in help_text


def test_regression_does_not_depend_on_the_batch(own: Path) -> None:
    upscaler = methods.METHODS["regression"].load(methods.Need(4, {"checkpoint": "my-mean"}, None, checkpoints=own))
    low_res = make_photos(3, size=4)
    together = upscaler(low_res, seeds=[0, 0, 0]).astype(int)
    apart = np.concatenate([upscaler(low_res[i : i + 1], seeds=[0]) for i in range(3)])
    assert np.abs(together - apart).max() <= 1
