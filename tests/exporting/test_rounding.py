"""Rounding to bfloat16 that keeps what a depthwise filter makes of a flat area."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import given

from fiducia.exporting.rounding import round_depthwise, round_to_sum
from fiducia.models.parts.efficientnet_lite import EfficientNetLite

ROWS = arrays.arrays(
    np.float32, (3, 9), elements=st.floats(-64, 64, width=32).filter(lambda x: x == 0 or abs(x) > 1e-6)
)


@given(ROWS)
def test_every_weight_stays_beside_its_value_and_the_sum_is_never_worse(values: np.ndarray) -> None:
    rows = torch.from_numpy(values)
    nearest, rounded = rows.bfloat16().float(), round_to_sum(rows)
    assert torch.equal(rounded, rounded.bfloat16().float())
    assert ((rounded - rows).abs() <= rows.abs() / 128 + 1e-30).all()
    before, after = ((one.double() - rows.double()).sum(1).abs() for one in (nearest, rounded))
    # The sums are compared in float32 in there.
    assert (after <= before + 1e-5 * rows.abs().sum(1)).all()


def test_the_sum_of_ordinary_filters_comes_out_five_times_closer() -> None:
    rows = torch.randn(400, 9, generator=torch.Generator().manual_seed(0))
    before, after = ((one - rows).sum(1).abs().mean() for one in (rows.bfloat16().float(), round_to_sum(rows)))
    assert after < before / 5


def test_only_depthwise_layers_are_rounded() -> None:
    torch.manual_seed(0)
    trunk = EfficientNetLite()
    state = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    assert round_depthwise(trunk) == 16
    changed = {name for name, tensor in trunk.state_dict().items() if not torch.equal(tensor, state[name])}
    assert len(changed) == 16
    assert all("depthwise" in name for name in changed)
