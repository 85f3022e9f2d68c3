"""FAN and SH-FAN: how many maps, and points read from drawn ones."""

from __future__ import annotations

import pytest
import torch

from drawn import batch_of
from fiducia.heatmaps.encode import encode
from fiducia.losses.fan_mse import fan_gaussian
from fiducia.models.build import build_model
from fiducia.schemes.sets import get_scheme
from fiducia.structures import ModelOutput


@pytest.mark.parametrize(("name", "stacks"), [("fan", 4), ("fan2", 2), ("fan1", 1), ("shfan", 2)])
def test_every_stack_gives_maps_at_a_quarter_of_the_side(name: str, stacks: int) -> None:
    options = {"trunk": {"channels": 16, "depth": 1}}
    model = build_model(name, 5, 32, options=options).eval()
    with torch.no_grad():
        output = model(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    assert [tuple(maps.shape) for maps in output.heatmaps] == [(2, 5, 8, 8)] * stacks
    assert output.linear
    assert output.features is not None
    assert output.features.shape == (2, 16, 8, 8)


def test_drawn_maps_give_the_points() -> None:
    scheme = get_scheme("wflw98")
    xy = batch_of(scheme, 256, faces=2, views=1).xy[:, 0]
    cells = (xy + 0.5) / 4 - 0.5
    options = {"trunk": {"channels": 16, "depth": 1, "stacks": 1}}
    fine = build_model("shfan", 98, 256, options=options)
    coarse = build_model("fan", 98, 256, options=options)
    continuous = ModelOutput(heatmaps=[encode(cells, (64, 64))], linear=True)
    rounded = ModelOutput(heatmaps=[fan_gaussian(cells, 64)], linear=True)
    assert (fine.decode(continuous).points - xy).norm(dim=-1).max() < 0.25
    # The published target knows whole cells of 4 pixels only.
    assert (coarse.decode(rounded).points - xy).abs().max() < 2.01
    torch.testing.assert_close(coarse.decode(rounded).confidence, torch.ones(2, 98))
