from __future__ import annotations

import pytest
import torch

from fiducia.errors import UsageError
from fiducia.losses import losses
from fiducia.losses.base import LossContext
from fiducia.losses.targets import Targets
from fiducia.schemes.sets import scheme_from_table
from fiducia.structures import Batch, ModelOutput

SCHEME = scheme_from_table({"name": "own", "points": 5, "mirror": [], "edges": [[0, 1, 2], [3, 4]]})
CONTEXT = LossContext(scheme=SCHEME, size=64, gives=frozenset({"maps.boundaries"}))
XY = torch.tensor([[[8.0, 8.0], [32.0, 8.0], [56.0, 8.0], [10.0, 50.0], [50.0, 50.0]]])


def batch(xy: torch.Tensor) -> Batch:
    n = len(xy)
    return Batch(
        images=torch.zeros(n, 1, 3, 64, 64, dtype=torch.uint8),
        xy=xy[:, None],
        visible=torch.full((n, 1, 5), 2, dtype=torch.int8),
        mask=torch.isfinite(xy).all(-1)[:, None],
        to_image=torch.zeros(n, 1, 2, 3, dtype=torch.float64),
        mirrored=torch.zeros(n, 1, dtype=torch.bool),
        index=torch.arange(n),
    )


def value(maps: torch.Tensor, xy: torch.Tensor = XY, **options: float) -> float:
    term = losses["boundaries"].build(CONTEXT, options, "loss.boundaries")
    return float(term(ModelOutput(maps={"boundaries": [maps]}), Targets(batch(xy), SCHEME, 64)))


def drawn() -> torch.Tensor:
    """Two level lines by hand: rows 1.625 and 12.125 of 16, columns from the first point to the last."""
    rows = torch.arange(16.0)[:, None]
    columns = torch.arange(16.0)[None]
    maps = []
    for (x0, y), (x1, _) in (((8.0, 8.0), (56.0, 8.0)), ((10.0, 50.0), (50.0, 50.0))):
        row, left, right = (y + 0.5) / 4 - 0.5, (x0 + 0.5) / 4 - 0.5, (x1 + 0.5) / 4 - 0.5
        beside = (left - columns).clamp(min=0) + (columns - right).clamp(min=0)
        square = (rows - row).square() + beside.square()
        maps.append(torch.where(square < 9, torch.exp(-0.5 * square), torch.zeros(())))
    return torch.stack(maps)[None]


def test_a_network_that_draws_each_line_on_its_own_map_is_right() -> None:
    assert value(drawn()) < 1e-4
    assert value(drawn().flip(1)) > 0.05


def test_the_loss_is_the_mean_square_over_cells_and_curves() -> None:
    truth = drawn()
    assert value(torch.zeros(1, 2, 16, 16)) == pytest.approx(float(truth.square().mean()), rel=0.02)
    assert value(truth + 0.5) == pytest.approx(0.25, rel=0.02)


def test_a_curve_with_an_unlabelled_point_does_not_count() -> None:
    xy = XY.clone()
    xy[0, 1] = torch.nan
    maps = drawn()
    maps[:, 0] = 7.0
    assert value(maps, xy) < 1e-4


def test_a_network_for_another_landmark_set_is_told() -> None:
    with pytest.raises(UsageError, match="draws 3 boundary maps, the landmark set 'own' has 2 curves"):
        value(torch.zeros(1, 3, 16, 16))


def test_a_landmark_set_without_lines_is_told() -> None:
    dots = scheme_from_table({"name": "dots", "points": 5, "mirror": [], "edges": []})
    context = LossContext(scheme=dots, size=64, gives=frozenset({"maps.boundaries"}))
    with pytest.raises(UsageError, match="the landmark set 'dots' has no edges"):
        losses["boundaries"].build(context, {}, "loss.boundaries")
    with pytest.raises(UsageError, match="sigma > 0"):
        losses["boundaries"].build(CONTEXT, {"sigma": 0.0}, "loss.boundaries")
