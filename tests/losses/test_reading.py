from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fiducia.heatmaps import decode, encode
from fiducia.losses.reading import weigh_and_read


def maps(dtype: torch.dtype, spread: float = 2.0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    logits = (torch.randn(3, 4, 8, 12, generator=g, dtype=torch.float64) * spread).to(dtype)
    target = encode(torch.rand(3, 4, 2, generator=g, dtype=torch.float64) * 7, (8, 12)).to(dtype)
    return logits.requires_grad_(), target


def test_it_is_cross_entropy_and_expectation() -> None:
    logits, target = maps(torch.float32, spread=20.0)
    entropy, points = weigh_and_read(logits, target)
    plain = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((-2, -1))
    torch.testing.assert_close(entropy, plain)
    torch.testing.assert_close(points, decode(logits, "expectation")[0])


def test_its_gradient_is_autograds() -> None:
    logits, target = maps(torch.float64)
    assert torch.autograd.gradcheck(lambda z: weigh_and_read(z, target), (logits,))


def test_a_map_without_mass_has_a_finite_gradient() -> None:
    logits = torch.full((1, 1, 8, 8), -40.0, dtype=torch.float64, requires_grad=True)
    entropy, points = weigh_and_read(logits, torch.zeros(1, 1, 8, 8))
    (entropy.sum() + points.sum()).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_half_precision_is_computed_in_float32() -> None:
    logits, target = maps(torch.float32)
    entropy, points = weigh_and_read(logits.detach().bfloat16(), target)
    assert entropy.dtype == points.dtype == torch.float32
    torch.testing.assert_close(points, decode(logits.detach().bfloat16(), "expectation")[0])
