"""The losses of FAN, SLPT, PFLD and PIPNet against recorded values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from golden import check, load, uniform, written_point
from torch import Tensor

from fiducia.losses.distances import wing
from fiducia.losses.fan_mse import fan_gaussian
from fiducia.losses.pfld import attribute_weights, weighted_square
from fiducia.losses.pip import pip
from fiducia.losses.slpt import errors_in_units
from fiducia.losses.targets import Targets
from fiducia.models.parts.mean_face import nearest_points
from fiducia.schemes.sets import scheme_from_table
from fiducia.structures import Batch, ModelOutput


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    return load("losses")


def draw(recorded: dict[str, Any], step: int, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return torch.from_numpy(uniform(shape, recorded["key"] + step, low, high))


def test_wing(recorded: dict[str, Any]) -> None:
    golden = recorded["losses"]["wing"]
    predicted = draw(recorded, 5, 3, 10, low=-30, high=30).requires_grad_()
    value = wing(predicted - draw(recorded, 6, 3, 10, low=-30, high=30)).sum(-1).mean()
    assert float(value.detach()) == pytest.approx(golden["values"]["loss"], rel=1e-5)
    (gradient,) = torch.autograd.grad(value, predicted)
    check(gradient, golden["gradient"]["pred"], "gradient")


def test_fan_draws_its_published_gaussian(recorded: dict[str, Any]) -> None:
    entry = recorded["losses"]["fan_gaussian"]
    golden = entry["values"]
    # The recorded point counts cells from 1, and the centre of the first is at 1.5.
    cells = torch.tensor([[written_point(entry["inputs"])]], dtype=torch.float64) - 1.5
    maps = fan_gaussian(cells, 64)[0, 0]
    peak = int(maps.argmax())
    assert peak == golden["argmax"]
    assert float(maps.sum()) == pytest.approx(golden["sum"], rel=1e-6)
    row = maps[peak // 64]
    assert row[row > 0].numpy() == pytest.approx(np.array(golden["kernel_centre_row"]), rel=1e-6)


def test_pip_loss(recorded: dict[str, Any]) -> None:
    golden, size = recorded["losses"]["pip_loss"], 256
    near = nearest_points(draw(recorded, 27, 6, 2), 2)
    assert near.flatten().tolist() == golden["values"]["neighbours"]
    xy = draw(recorded, 28, 6, 2, low=0.02, high=1.05) * size
    shapes = {"score": 6, "x": 6, "y": 6, "nb_x": 12, "nb_y": 12}
    maps = {
        name: draw(recorded, 29 + i, 1, k, 8, 8, low=-1, high=1).requires_grad_()
        for i, (name, k) in enumerate(shapes.items())
    }
    output = ModelOutput(maps={**{n: [m] for n, m in maps.items()}, "neighbours": [near.T[None]]})
    batch = Batch(
        images=torch.zeros(1, 1, 3, size, size, dtype=torch.uint8),
        xy=xy[None, None],
        visible=torch.full((1, 1, 6), 2, dtype=torch.int8),
        mask=(xy < size).all(-1)[None, None],
        to_image=torch.eye(3, dtype=torch.float64)[None, None, :2],
        mirrored=torch.zeros(1, 1, dtype=torch.bool),
        index=torch.zeros(1, dtype=torch.long),
    )
    targets = Targets(batch, scheme_from_table({"name": "six", "points": 6, "mirror": []}), size)
    expected = golden["values"]
    parts = {(1, 0, 0): ["score"], (0, 1, 0): ["x", "y"], (0, 0, 1): ["nb_x", "nb_y"]}
    for (score, offset, neighbour), names in parts.items():
        value = pip(output, targets, score=score, offset=offset, neighbour=neighbour)
        assert float(value.detach()) == pytest.approx(sum(expected[name] for name in names), rel=1e-5)
    total = pip(output, targets)
    assert float(total.detach()) == pytest.approx(expected["total"], rel=1e-5)
    (gradient,) = torch.autograd.grad(total, maps["score"])
    check(gradient, golden["gradient"]["score"], "gradient")


def test_slpt_loss(recorded: dict[str, Any]) -> None:
    predicted, truth = draw(recorded, 44, 2, 3, 5, 2), draw(recorded, 45, 2, 5, 2)
    unit = draw(recorded, 46, 2, low=0.2, high=0.4)
    layers = [errors_in_units(predicted[:, i], truth, unit).mean() for i in range(3)]
    expected = recorded["losses"]["slpt_loss"]["values"]["stage"]
    assert float(torch.stack(layers).mean()) == pytest.approx(expected, rel=1e-5)


def test_pfld_loss(recorded: dict[str, Any]) -> None:
    golden = recorded["losses"]["pfld_loss"]["values"]
    flags = torch.tensor(golden["attributes"]).view(4, 6)
    square = (draw(recorded, 9, 4, 20) - draw(recorded, 8, 4, 20)).square().sum(1)
    angles = draw(recorded, 11, 4, 3, low=-1, high=1) - draw(recorded, 10, 4, 3, low=-1, high=1)
    assert float(square.mean()) == pytest.approx(golden["plain"], rel=1e-5)
    # The first column is the large pose, which the angles stand for.
    value = weighted_square(square, angles, attribute_weights(flags[:, 1:])).mean()
    assert float(value) == pytest.approx(golden["weighted"], rel=1e-5)
