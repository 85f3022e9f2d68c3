from __future__ import annotations

import pytest
import torch
from torch import nn

from fiducia.recipes.sections import OptimConfig
from fiducia.training.optim import EMA, build_optimizer, learning_rate_factor


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(2, 2)
        self.head = nn.Linear(2, 1)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        return {
            "backbone": [self.backbone.weight],
            "backbone_no_decay": [self.backbone.bias],
            "rest": [self.head.weight],
            "rest_no_decay": [self.head.bias],
        }


def test_groups_take_their_own_rate_and_decay() -> None:
    cfg = OptimConfig(lr=1e-3, backbone_lr=1e-4, weight_decay=0.05)
    projection = nn.Parameter(torch.zeros(3))
    optimizer = build_optimizer(Toy(), [projection], cfg)
    seen = {g["name"]: (g["lr"], g["weight_decay"], len(g["params"])) for g in optimizer.param_groups}
    assert seen == {
        "backbone": (1e-4, 0.05, 1),
        "backbone_no_decay": (1e-4, 0.0, 1),
        "rest": (1e-3, 0.05, 1),
        "rest_no_decay": (1e-3, 0.0, 1),
        "objective": (1e-3, 0.05, 1),
    }


def test_step_schedule_is_farls_drop_at_epoch_200_of_250() -> None:
    cfg = OptimConfig(schedule="step")
    assert learning_rate_factor(199, 250, cfg) == 1.0
    assert learning_rate_factor(200, 250, cfg) == pytest.approx(0.1)


def test_cosine_with_warmup_climbs_to_one_and_ends_near_zero() -> None:
    cfg = OptimConfig(schedule="cosine", warmup=0.1)
    values = [learning_rate_factor(i, 100, cfg) for i in range(100)]
    assert values[0] == pytest.approx(0.1)
    assert values[9] == values[10] == 1.0
    assert values[55] == pytest.approx(0.5)
    assert values[99] < 1e-3


def test_ema_follows_its_formula_and_copies_integers() -> None:
    model = nn.BatchNorm1d(1)
    ema = EMA(model, 0.9)
    with torch.no_grad():
        model.weight.fill_(3.0)
    model.num_batches_tracked.fill_(7)
    ema.update(model)
    decay = min(0.9, 2 / 11)
    assert ema.tensors["weight"].item() == pytest.approx(1.0 * decay + 3.0 * (1 - decay))
    assert ema.tensors["num_batches_tracked"].item() == 7
