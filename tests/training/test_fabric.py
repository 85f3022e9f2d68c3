from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fiducia.models import build_model
from fiducia.recipes.sections import ModelConfig, TrainConfig
from fiducia.training.fabric import launch

OPTIONS: dict[str, str | int | float | bool | list[int]] = {
    **{"width": 32, "heads": 2, "channels": 16, "depth": 3, "stem_base": 8, "hourglass_depth": 2, "refine": 16}
}


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
    torch.manual_seed(0)
    model = build_model(ModelConfig(name="fifa_tiny", options=OPTIONS), 5, 64).eval()
    crops = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        plain = model(crops).logits
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = model(crops).logits
    assert mixed.dtype == torch.float32
    assert (mixed - plain).abs().max() < 0.05
    assert not torch.equal(mixed, plain)
