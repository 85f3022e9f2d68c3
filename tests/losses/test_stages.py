from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fiducia.errors import UsageError
from fiducia.losses.stages import Stages, check_stages, stage_mean, stage_weights


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("final", 8.0),
        ("all", 3.75),
        ("intermediate", 7 / 3),
        ("doubling", 8 + 4 / 2 + 2 / 4 + 1 / 8),
        ([0.1, 0.2, 0.3, 0.4], 0.1 + 0.4 + 1.2 + 3.2),
    ],
)
def test_stages_are_weighed_as_their_word_says(which: Stages, expected: float) -> None:
    stages = [torch.tensor(v) for v in (1.0, 2.0, 4.0, 8.0)]
    assert float(stage_mean(stages, which, lambda stage: stage)) == pytest.approx(expected)


def test_stages_without_weight_are_not_computed() -> None:
    seen: list[float] = []

    def one(stage: Tensor) -> Tensor:
        seen.append(float(stage))
        return stage

    stage_mean([torch.tensor(1.0), torch.tensor(2.0)], "final", one)
    assert seen == [2.0]


def test_a_single_stage_has_no_intermediate_one_and_that_costs_nothing() -> None:
    only = torch.tensor(3.0, requires_grad=True)
    value = stage_mean([only], "intermediate", lambda stage: stage.square())
    value.backward()
    assert value.item() == 0.0
    assert only.grad == 0.0


def test_faults_are_told() -> None:
    with pytest.raises(ValueError, match="'last'"):
        check_stages("last")
    with pytest.raises(UsageError, match="gives 3 weights, but the network has 4 stages"):
        stage_weights([0.2, 0.3, 0.5], 4)
