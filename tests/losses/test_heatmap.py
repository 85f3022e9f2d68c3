from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from problems import context_of, targets_of
from torch import Tensor

from fiducia.errors import UsageError
from fiducia.heatmaps import encode
from fiducia.losses import losses
from fiducia.losses.awing import awing_map, weight_map
from fiducia.losses.focal import focal_bce_map
from fiducia.losses.targets import Targets
from fiducia.structures import ModelOutput

SIZE, SIDE, K = 64, 16, 3


def faces() -> Targets:
    xy = torch.rand(4, K, 2, generator=torch.Generator().manual_seed(0)) * 40 + 12
    return targets_of(xy, SIZE)


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def value(kind: str, output: ModelOutput, targets: Targets, **options: object) -> Tensor:
    return losses[kind].build(context_of(output, K, SIZE), options, "loss")(output, targets)


def test_bce_and_mse_are_torchs_over_all_cells() -> None:
    targets, maps = faces(), noise(4, K, SIDE, SIDE)
    drawn = encode(targets.cells(SIDE), (SIDE, SIDE))
    entropy = value("bce", ModelOutput(heatmaps=[maps]), targets)
    torch.testing.assert_close(entropy, F.binary_cross_entropy_with_logits(maps, drawn))
    torch.testing.assert_close(
        value("heatmap_mse", ModelOutput(heatmaps=[maps], linear=True), targets), F.mse_loss(maps, drawn)
    )
    squared = value("heatmap_mse", ModelOutput(heatmaps=[maps]), targets)
    torch.testing.assert_close(squared, F.mse_loss(torch.sigmoid(maps), drawn))


def test_logits_of_another_side_are_resized_to_the_target() -> None:
    targets, maps = faces(), noise(4, K, SIDE, SIDE)
    output = ModelOutput(heatmaps=[maps])
    large = F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
    drawn = encode(targets.cells(32), (32, 32), sigma=1.25)
    expected = F.binary_cross_entropy_with_logits(large, drawn)
    torch.testing.assert_close(value("bce", output, targets, side=32, sigma=1.25), expected)
    assert value("bce", output, targets, side=SIDE) == value("bce", output, targets)


def test_the_recipes_drawing_holds_where_a_loss_says_nothing() -> None:
    from fiducia.losses.targets import HeatmapTargets

    maps = noise(4, K, SIDE, SIDE)
    batch = faces().batch
    narrow = Targets(batch, faces().scheme, SIZE, drawing=HeatmapTargets(sigma=1.0))
    output = ModelOutput(heatmaps=[maps])
    assert value("bce", output, narrow) == value("bce", output, faces(), sigma=1.0)
    assert value("bce", output, narrow) != value("bce", output, faces())


def test_focal_bce_is_bce_at_gamma_0_and_forgets_what_is_right() -> None:
    targets, maps = faces(), noise(4, K, SIDE, SIDE)
    output = ModelOutput(heatmaps=[maps])
    torch.testing.assert_close(value("focal_bce", output, targets, gamma=0.0), value("bce", output, targets))
    logits, truth = torch.tensor([0.0, 4.0, -4.0]), torch.tensor([0.0, 1.0, 0.0])
    each = focal_bce_map(logits, truth, 2.0)
    by_hand = [(0.5**2) * math.log(2), 0, 0]
    p = 1 / (1 + math.exp(4.0))
    by_hand[1] = by_hand[2] = p**2 * -math.log(1 - p)
    torch.testing.assert_close(each, torch.tensor(by_hand))
    with pytest.raises(UsageError, match=r"gamma is 0, or 1 or more; found 0\.5"):
        value("focal_bce", output, targets, gamma=0.5)


def test_adaptive_wing_is_continuous_at_theta_in_value_and_slope() -> None:
    for level in (0.0, 0.4, 1.0):
        target = torch.tensor([level, level], dtype=torch.float64)
        predicted = (target + torch.tensor([0.5 - 1e-9, 0.5 + 1e-9])).requires_grad_()
        each = awing_map(predicted, target)
        (slope,) = torch.autograd.grad(each.sum(), predicted)
        assert each[0].item() == pytest.approx(each[1].item(), abs=1e-6)
        assert slope[0].item() == pytest.approx(slope[1].item(), abs=1e-5)


def test_adaptive_wing_has_no_gradient_where_it_is_right_and_none_that_is_not_finite() -> None:
    target = encode(torch.tensor([[[5.0, 6.0]]]), (16, 16))
    predicted = target.clone().requires_grad_()
    awing_map(predicted, target).sum().backward()
    assert predicted.grad is not None
    assert predicted.grad.abs().max() == 0
    far = torch.tensor([1e4, -1e4], requires_grad=True)
    awing_map(far, torch.tensor([0.0, 1.0])).sum().backward()
    assert far.grad is not None
    assert torch.isfinite(far.grad).all()


def test_the_weight_map_covers_the_peak_and_one_cell_round_it() -> None:
    target = torch.zeros(1, 1, 7, 7)
    target[0, 0, 3, 3] = 0.2
    target[0, 0, 0, 0] = 0.19
    weights = weight_map(target)
    assert (weights == 11).sum() == 9
    assert (weights[0, 0, 2:5, 2:5] == 11).all()
    assert weights.min() == 1


def test_weighing_can_be_turned_off_and_stages_add_up() -> None:
    targets, first, last = faces(), noise(4, K, SIDE, SIDE), noise(4, K, SIDE, SIDE, seed=2)
    output = ModelOutput(heatmaps=[first, last], linear=True)
    drawn = encode(targets.cells(SIDE), (SIDE, SIDE))
    plain = [awing_map(maps, drawn).mean() for maps in (first, last)]
    torch.testing.assert_close(value("awing", output, targets, emphasis=0.0, stages="final"), plain[1])
    torch.testing.assert_close(
        value("awing", output, targets, emphasis=0.0, stages="doubling"), plain[0] / 2 + plain[1]
    )
    assert value("awing", output, targets) > 2 * value("awing", output, targets, emphasis=0.0)
    with pytest.raises(UsageError, match="alpha > 2"):
        value("awing", output, targets, alpha=2.0)
