from __future__ import annotations

from typing import cast

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from fiducia.errors import UsageError
from fiducia.recipes.sections import TrainConfig
from fiducia.training.fabric import launch, require_same
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


class Processes:
    """Stands for fabric in one of several processes; the others' numbers are given."""

    def __init__(self, others: list[dict[str, str]]) -> None:
        self.world_size, self.global_rank, self.device = 1 + len(others), 0, torch.device("cpu")
        self._others = others

    def all_gather(self, own: Tensor) -> Tensor:
        rows = []
        for facts in self._others:
            alone = Processes([{}])
            alone.all_gather = lambda mine: rows.append(mine) or torch.stack([mine, mine])  # type: ignore[method-assign]
            require_same(cast(Fabric, alone), facts)
        return torch.stack([own, *rows])


def test_nodes_with_other_versions_or_files_are_refused() -> None:
    here = {"versions": "fiducia 1, torch 2.9", "faces": "20 for training"}
    require_same(cast(Fabric, Processes([])), here)
    require_same(cast(Fabric, Processes([here, dict(here)])), here)
    with pytest.raises(
        UsageError, match=r"differ in their versions \(process 0 has versions: fiducia 1, torch 2\.9\)"
    ) as caught:
        require_same(cast(Fabric, Processes([here, here | {"versions": "fiducia 1, torch 2.8"}])), here)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="differ in their versions and faces"):
        require_same(cast(Fabric, Processes([{"versions": "other", "faces": "19 for training"}])), here)
