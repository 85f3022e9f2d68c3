from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fiducia.errors import UsageError
from fiducia.heatmaps import encode
from fiducia.losses import Objective, coord_losses, similarities
from fiducia.recipes.sections import HeatmapConfig, LossConfig
from fiducia.structures import ModelOutput

B, K, C, CELLS, STRIDE = 6, 4, 12, 32, 4
SIZE = CELLS * STRIDE


def objective(**loss: object) -> Objective:
    torch.manual_seed(0)
    return Objective(
        LossConfig(**{"dcca_dim": 3, **loss}),  # type: ignore[arg-type]
        HeatmapConfig(),
        num_points=K,
        feature_channels=C,
        stride=STRIDE,
        size=SIZE,
    )


def problem(views: int = 2) -> tuple[ModelOutput, Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    xy = (torch.rand(B, 1, K, 2, generator=g) * 70 + 28).expand(B, views, K, 2).clone()
    logits = torch.randn(B * views, K, CELLS, CELLS, generator=g)
    features = torch.randn(B * views, C, CELLS, CELLS, generator=g)
    mask = torch.ones(B, views, K, dtype=torch.bool)
    return ModelOutput(logits=logits.requires_grad_(), points=None, features=features.requires_grad_()), xy, mask


def test_a_perfect_answer_costs_the_entropy_floor_and_no_distance() -> None:
    """Facts 3.1: the floor of the BCE is 1.39e-3 a cell on 128 x 128 maps with sigma 1.5 and radius 5."""
    cells = torch.tensor([[[[60.2, 63.7]]]])
    target = encode(cells[0], (128, 128))
    output = ModelOutput(
        logits=torch.logit(target.clamp(1e-9, 1 - 1e-6)), points=None, features=torch.zeros(1, C, 128, 128)
    )
    loss = Objective(
        LossConfig(similarity="none"), HeatmapConfig(), num_points=1, feature_channels=C, stride=4, size=512
    )
    _, terms = loss(output, (cells + 0.5) * 4 - 0.5, torch.ones(1, 1, 1, dtype=torch.bool))
    assert terms["heatmap"].item() == pytest.approx(1.39e-3, abs=2e-5)
    assert terms["coord"].item() * 512 < 0.05


def test_total_is_the_weighted_sum() -> None:
    output, xy, mask = problem()
    total, terms = objective(similarity_weight=0.1, heatmap=2.0, coord=3.0)(output, xy, mask)
    expected = 2.0 * terms["heatmap"] + 3.0 * terms["coord"] + 0.1 * terms["similarity"]
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert terms["total"].item() == pytest.approx(total.item())


@pytest.mark.parametrize("name", list(similarities))
def test_every_similarity_is_finite_trains_and_is_lowest_for_equal_views(name: str) -> None:
    output, xy, mask = problem()
    loss = objective(similarity=name, dcca_shrinkage=0.0)
    total, terms = loss(output, xy, mask)
    total.backward()
    assert output.features.grad is not None
    assert torch.isfinite(output.features.grad).all()
    assert output.features.grad.abs().max() > 0
    twin = output.features.detach().view(B, 2, C, CELLS, CELLS)[:, :1].expand(-1, 2, -1, -1, -1).flatten(0, 1)
    same = loss(ModelOutput(logits=output.logits, points=None, features=twin), xy, mask)[1]
    assert same["similarity"] < terms["similarity"] + 1e-6


def test_dcca_logs_what_strangers_score() -> None:
    output, xy, mask = problem()
    twin = output.features.detach().view(B, 2, C, CELLS, CELLS)[:, :1].expand(-1, 2, -1, -1, -1).flatten(0, 1)
    terms = objective(dcca_shrinkage=0.0)(ModelOutput(logits=output.logits, points=None, features=twin), xy, mask)[1]
    assert terms["similarity"].item() == pytest.approx(-1.0, abs=1e-3)
    assert terms["dcca_shuffled"] > -0.9
    assert terms["dcca_sum"].item() == pytest.approx(3.0, abs=1e-2)


def test_unlabelled_points_move_nothing() -> None:
    output, xy, mask = problem()
    xy[0, :, 2] = math.nan
    mask[0, :, 2] = False
    total, _ = objective()(output, xy, mask)
    total.backward()
    assert torch.isfinite(total)
    assert output.logits.grad is not None
    assert output.logits.grad.view(B, 2, K, -1)[0, :, 2].abs().max() == 0
    assert output.logits.grad.view(B, 2, K, -1)[1, :, 2].abs().max() > 0


def test_points_outside_teach_an_empty_map_but_no_coordinate() -> None:
    output, xy, mask = problem()
    before = objective(similarity="none")(output, xy, mask)[1]
    xy[0, :, 0] = torch.tensor([-30.0, 50.0])
    mask[0, :, 0] = False
    beyond = objective(similarity="none", heatmap=0.0)(output, xy, mask)
    beyond[0].backward()
    assert output.logits.grad is not None
    assert output.logits.grad.view(B, 2, K, -1)[0, :, 0].abs().max() == 0
    assert objective(similarity="none")(output, xy, mask)[1]["heatmap"] != before["heatmap"]


def test_points_between_the_last_cell_and_the_border_have_no_coordinate_loss() -> None:
    """An expectation over cell centres cannot reach x = 0.2 pixels, which is cell -0.33."""
    output, xy, mask = problem()
    xy[0, :, 0] = torch.tensor([0.2, 50.0])
    total, _ = objective(similarity="none", heatmap=0.0)(output, xy, mask)
    total.backward()
    assert output.logits.grad is not None
    assert output.logits.grad.view(B, 2, K, -1)[0, :, 0].abs().max() == 0


def test_supervising_the_second_view_leaves_the_first_alone() -> None:
    output, xy, mask = problem()
    total, _ = objective(similarity="none", supervise="second")(output, xy, mask)
    total.backward()
    assert output.logits.grad is not None
    by_view = output.logits.grad.view(B, 2, -1).abs().amax((0, 2))
    assert by_view[0] == 0
    assert by_view[1] > 0


@pytest.mark.parametrize("name", list(coord_losses))
def test_coordinate_losses_vanish_at_the_truth_and_grow_away(name: str) -> None:
    truth = torch.tensor([[0.5, 0.5]])
    values = [float(coord_losses[name](truth + d, truth)) for d in (0.0, 0.001, 0.01, 0.1)]
    assert values[0] == pytest.approx(0.0, abs=1e-5)
    assert values == sorted(values)
    assert values[1] > values[0]


def test_coordinate_losses_by_hand() -> None:
    a, b = torch.tensor([0.03, 0.04]), torch.zeros(2)
    assert float(coord_losses["norm"](a, b)) == pytest.approx(0.05)
    assert float(coord_losses["l1"](a, b)) == pytest.approx(0.07)
    assert float(coord_losses["mse"](a, b)) == pytest.approx(0.0025)
    x, y = 0.03 * 512, 0.04 * 512
    assert float(coord_losses["smooth_l1"](a, b)) == pytest.approx((x - 0.5 + y - 0.5) / 512)
    constant = 10 - 10 * math.log(1 + 10 / 2)
    assert float(coord_losses["wing"](a, b)) == pytest.approx((x - constant + y - constant) / 512, rel=1e-5)


def test_coordinate_networks_without_heatmaps_are_trained_too() -> None:
    _, xy, mask = problem()
    points = (xy.flatten(0, 1) + 3.0).requires_grad_()
    features = torch.randn(2 * B, C, 8, 8, requires_grad=True)
    total, terms = objective(similarity_weight=0.1)(
        ModelOutput(logits=None, points=points, features=features), xy, mask
    )
    total.backward()
    assert "heatmap" not in terms
    assert terms["coord"].item() == pytest.approx(math.hypot(3, 3) / SIZE, rel=1e-4)
    assert points.grad is not None


def test_a_sum_over_two_halves_divided_by_the_global_count_is_the_whole() -> None:
    output, xy, mask = problem(views=1)
    mask[0, 0, :3] = False
    xy[0, 0, :3] = math.nan
    whole = objective(similarity="none").terms(output, xy, mask)
    counts = mask.sum()
    parts = []
    for half in (slice(0, 3), slice(3, 6)):
        assert output.logits is not None
        piece = ModelOutput(logits=output.logits[half], points=None, features=output.features[half])
        terms = objective(similarity="none").terms(piece, xy[half], mask[half])
        parts.append(terms["coord"] * mask[half].sum() / counts)
    assert sum(parts).item() == pytest.approx(whole["coord"].item(), rel=1e-6)  # type: ignore[union-attr]


def test_unknown_losses_name_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'dcca'"):
        objective(similarity="dca")
    with pytest.raises(UsageError, match="did you mean 'wing'"):
        objective(coord_loss="wings")


def test_an_unknown_decoder_is_refused_before_training() -> None:
    with pytest.raises(UsageError, match="did you mean 'argmax'"):
        Objective(LossConfig(), HeatmapConfig(decode="argmux"), num_points=4, feature_channels=8, stride=4, size=64)
