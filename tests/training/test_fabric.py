from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fiducia.recipes.sections import TrainConfig
from fiducia.training.fabric import launch
from networks import crops, lively, small


class Probe(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, xy: Tensor) -> tuple[Tensor, Tensor]:
        return xy, self.linear(xy)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_points_keep_their_digits_in_every_precision(precision: str) -> None:
    """100.3 is 100.5 in bfloat16: a mixed run would train on points half a pixel off."""
    fabric = launch(TrainConfig(precision=precision, device="cpu"))  # type: ignore[arg-type]
    xy = torch.tensor([[100.3, 57.7]])
    kept, computed = fabric.setup_module(Probe())(xy)
    assert torch.equal(kept, xy)
    assert computed.dtype == torch.float32


def test_a_network_in_bfloat16_gives_float32_heatmaps_near_its_own() -> None:
    model = lively(small()).eval()
    with torch.no_grad():
        plain = model(crops()).heatmaps[-1]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = model(crops()).heatmaps[-1]
    assert mixed.dtype == torch.float32
    assert (mixed - plain).abs().max() < 0.05 * plain.abs().max()
    assert not torch.equal(mixed, plain)
