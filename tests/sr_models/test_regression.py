"""The regression networks predict a picture from its small version."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sr_models.checkpoints import network_build
from sr_models.pixels import model_range, pixel_range
from sr_models.regression import Regression, RegressionConfig
from sr_models.srresnet import SRResNet, SRResNetConfig
from sr_models.train import config_read

CONFIGS = Path(__file__).resolve().parents[2] / "sr_models" / "configs"


def test_without_a_residual_it_is_pillow_s_bicubic() -> None:
    network = Regression(RegressionConfig(channels=4, blocks=1)).eval()
    nn.init.zeros_(network.residual.exit.weight)
    nn.init.zeros_(network.residual.exit.bias)  # type: ignore[arg-type] # there is one
    low = np.random.default_rng(0).integers(40, 216, (3, 8, 8, 3), np.uint8)
    with torch.inference_mode():
        enlarged = pixel_range(network(model_range(torch.from_numpy(low)))).numpy()
    for picture, result in zip(low, enlarged, strict=True):
        bicubic = np.asarray(Image.fromarray(picture).resize((32, 32), Image.Resampling.BICUBIC))
        assert np.abs(bicubic.astype(int) - result).max() <= 1


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_every_power_of_two_and_size_works(factor: int) -> None:
    low = torch.zeros(2, 3, 3, 5)
    for network in (
        Regression(RegressionConfig(factor=factor, channels=4, blocks=1)),
        SRResNet(SRResNetConfig(factor=factor, channels=4, blocks=1)),
    ):
        assert network.eval()(low).shape == (2, 3, 3 * factor, 5 * factor)


def test_loss_is_the_mean_squared_error() -> None:
    network = Regression(RegressionConfig(channels=4, blocks=1)).eval()
    low, high = torch.rand(2, 3, 4, 4) - 0.5, torch.rand(2, 3, 16, 16) - 0.5
    assert network.loss(low, high).item() == pytest.approx(((network(low) - high) ** 2).mean().item())


def test_both_published_networks_are_configs() -> None:
    paper = network_build((config := config_read(CONFIGS / "paper_regression.toml")).network, config.sizes)
    assert isinstance(paper, Regression)
    assert paper.config == RegressionConfig(factor=4, channels=32, blocks=6, batch_norm=True)
    ledig = network_build((config := config_read(CONFIGS / "regression_small.toml")).network, config.sizes)
    assert isinstance(ledig, SRResNet)
    assert ledig.config == SRResNetConfig(factor=4, channels=64, blocks=16)


def test_impossible_sizes_are_refused_with_their_value() -> None:
    with pytest.raises(ValueError, match="power of two of at least 2, got 6"):
        RegressionConfig(factor=6)
    with pytest.raises(ValueError, match="got 0 and 6"):
        RegressionConfig(channels=0)
