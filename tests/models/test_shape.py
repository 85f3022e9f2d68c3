from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fiducia.recipes.files.sections import HeatmapConfig, LossConfig, ModelConfig
from fiducia.losses.objective import Objective
from fiducia.models.build import build_model
from fiducia.exporting.rewrite import CropsToPoints
from fiducia.runtimes.torch_runtime import crop_points

K = 6


def turned(points: torch.Tensor, angle: float, scale: float, shift: tuple[float, float]) -> torch.Tensor:
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    return points @ torch.tensor([[c, s], [-s, c]], dtype=points.dtype) + torch.tensor(shift, dtype=points.dtype)


def faces(count: int = 200) -> torch.Tensor:
    """Shapes round one mean, each turned, scaled and moved."""
    generator = torch.Generator().manual_seed(1)
    mean = torch.tensor([[0, 0], [40, 2], [20, 25], [5, 45], [35, 44], [20, 60]], dtype=torch.float64)
    shapes = mean + 2 * torch.randn(count, K, 2, generator=generator, dtype=torch.float64)
    draws = torch.rand(count, 4, generator=generator).tolist()
    return torch.stack(
        [turned(s, a - 0.5, 1 + b, (9 * c, 9 * d)) for s, (a, b, c, d) in zip(shapes, draws, strict=True)]
    )


def fitted(points: torch.Tensor, truth: torch.Tensor, ridge: float = 1e-6) -> ShapeRegressor:
    regressor = ShapeRegressor(K).double()
    regressor.fit(points, truth, ridge)
    return regressor


def test_it_moves_nothing_before_it_is_fitted() -> None:
    points = faces(3)
    regressor = ShapeRegressor(K).double()
    assert torch.equal(regressor(points), points)
    regressor(points).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in regressor.parameters() if p.grad is not None)


def test_it_finds_an_error_that_is_linear_in_the_shape() -> None:
    points = faces()
    plain = fitted(points[:180], points[:180])
    generator = torch.Generator().manual_seed(2)
    spoil = ShapeRegressor(K).double()
    spoil.mean.copy_(plain.mean)
    with torch.no_grad():
        spoil.linear.weight.copy_(0.05 * torch.randn(2 * K, 2 * K, generator=generator))
        spoil.linear.bias.copy_(0.02 * torch.randn(2 * K, generator=generator))
        truth = spoil(points)
        new = faces(260)[200:]
        wanted, found = spoil(new), fitted(points[:180], truth[:180])(new)
    assert float((wanted - new).abs().max()) > 1
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-3)


@given(angle=st.floats(-3.1, 3.1), scale=st.floats(0.05, 20), x=st.floats(-50, 50), y=st.floats(-50, 50))
def test_turning_scaling_and_moving_a_face_commute_with_it(angle: float, scale: float, x: float, y: float) -> None:
    points = faces(12)
    regressor = fitted(points[:8], points[:8] + torch.sin(points[:8]), ridge=1.0).requires_grad_(False)
    new = points[8:]
    torch.testing.assert_close(
        regressor(turned(new, angle, scale, (x, y))),
        turned(regressor(new), angle, scale, (x, y)),
        rtol=0,
        atol=1e-5 * scale,
    )


def test_faces_with_unknown_points_are_refused() -> None:
    points = faces(4)
    with pytest.raises(ValueError, match="points are all known"):
        fitted(points[:0], points[:0])
    points[1, 2, 0] = math.nan
    with pytest.raises(ValueError, match="points are all known"):
        fitted(faces(4), points)


def test_runtime_graph_and_objective_all_settle_the_points() -> None:
    options = {"width": 32, "heads": 2, "channels": 16, "depth": 3, "stem_base": 8}
    torch.manual_seed(0)
    model = build_model(ModelConfig(name="fifa_tiny", options={**options, "shape": True}), K, 64).eval()
    torch.nn.init.normal_(model.head.weight, std=0.5)  # type: ignore[union-attr,arg-type]
    images = torch.randint(0, 255, (2, 3, 64, 64), dtype=torch.uint8)
    before, _ = crop_points(model, images, "expectation")
    regressor = model.shape
    assert isinstance(regressor, ShapeRegressor)
    regressor.fit(faces().float(), faces().float() + 3, 1.0)
    after, _ = crop_points(model, images, "expectation")
    assert float((after - before).abs().max()) > 0.03
    with torch.no_grad():
        torch.testing.assert_close(after, regressor(before), rtol=0, atol=1e-3)
        torch.testing.assert_close(CropsToPoints(model, "expectation")(images)[0], after, rtol=0, atol=1e-3)
    objective = Objective(
        LossConfig(similarity="none"), HeatmapConfig(), num_points=K, feature_channels=32, stride=2, size=64
    )
    xy = after[:, None]
    terms = objective.terms(model(images), xy, torch.isfinite(xy).all(-1))
    assert float(terms["coord"].detach()) == pytest.approx(0.0, abs=1e-4)
    terms["heatmap"].backward()
