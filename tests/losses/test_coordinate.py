from __future__ import annotations

import pytest
import torch
from problems import batch_of, context_of, scheme, targets_of
from torch import Tensor

from fiducia.heatmaps import encode
from fiducia.losses import losses, register
from fiducia.losses.coordinate import point_stages, read_points, true_points
from fiducia.losses.focal_wing import face_weights
from fiducia.losses.targets import Targets
from fiducia.structures import ModelOutput

SIZE = 100


def test_points_and_maps_are_read_in_the_same_unit() -> None:
    xy = torch.tensor([[[40.0, 62.0], [70.0, 31.0]]])
    targets = targets_of(xy, SIZE)
    cells = targets.cells(25)
    maps = encode(cells, (25, 25))
    for output in (
        ModelOutput(points=[xy]),
        ModelOutput(heatmaps=[maps], linear=True),
        ModelOutput(heatmaps=[torch.logit(maps.clamp(1e-9, 1 - 1e-6))]),
    ):
        found, where = read_points(output, point_stages(output)[-1], targets)
        assert where.all()
        torch.testing.assert_close(found, (xy + 0.5) / SIZE, atol=2e-4, rtol=0)
        torch.testing.assert_close(found, true_points(targets), atol=2e-4, rtol=0)


def test_stages_of_points_are_weighed() -> None:
    xy = torch.full((2, 3, 2), 50.0)
    output = ModelOutput(points=[xy + torch.tensor([8.0, 0.0]), xy + torch.tensor([0.0, 2.0])])
    context, targets = context_of(output, 3, SIZE), targets_of(xy, SIZE)

    def value(stages: object) -> float:
        return float(losses["coord"].build(context, {"stages": stages}, "loss.coord")(output, targets))

    assert value("final") == pytest.approx(0.02, rel=1e-5)
    assert value("all") == pytest.approx(0.05, rel=1e-5)
    assert value([0.25, 1.0]) == pytest.approx(0.04, rel=1e-5)


def test_a_loss_of_your_own_is_a_function_with_one_line_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A visibility-weighted coordinate loss in ten lines."""
    monkeypatch.setattr(losses, "_items", dict(losses._items))

    @register("visible_coord", needs=("points|heatmaps",))
    def visible_coord(output: ModelOutput, targets: Targets, *, occluded: float = 0.5) -> Tensor:
        """Mean distance of the points; occluded ones weigh less."""
        predicted, where = read_points(output, point_stages(output)[-1], targets)
        distance = (predicted - true_points(targets)).nan_to_num().norm(dim=-1)
        weight = torch.where(targets.visible == 1, occluded, 1.0)
        return targets.mean(distance * weight, where)

    xy = torch.full((1, 4, 2), 50.0)
    points = xy + torch.tensor([4.0, 0.0])
    batch = batch_of(xy[:, None])
    batch.visible[0, 0, 3] = 1
    output = ModelOutput(points=[points])
    for occluded, expected in ((1.0, 0.04), (0.5, 0.035), (0.0, 0.03)):
        term = losses["visible_coord"].build(context_of(output, 4, SIZE), {"occluded": occluded}, "loss.mine")
        assert float(term(output, Targets(batch, scheme(4), SIZE))) == pytest.approx(expected, rel=1e-5)


def test_rare_faces_weigh_by_the_inverse_of_their_share() -> None:
    flags = torch.tensor([[1, 0, 1], [1, 0, 0], [1, 0, 0], [0, 0, 0]])
    assert face_weights(flags.double()).tolist() == pytest.approx([4 / 3 + 4, 4 / 3, 4 / 3, 1.0])
    assert face_weights(flags.bool()).dtype == torch.float32


def test_focal_wing_takes_a_faces_tags_and_is_wing_without_any() -> None:
    xy = torch.full((2, 3, 2), 50.0)
    points = xy + torch.tensor([3.0, 0.0])
    output = ModelOutput(points=[points])
    context = context_of(output, 3, SIZE)
    wing = losses["coord"].build(context, {"distance": "wing"}, "loss.a")
    focal = losses["focal_wing"].build(context, {}, "loss.b")
    plain = targets_of(xy, SIZE)
    torch.testing.assert_close(focal(output, plain), wing(output, plain))
    blurred = targets_of(xy, SIZE, tags=[{"blur": True, "line": 7}, {"blur": False}])
    # One of two faces is blurred: it weighs 2, the other 1.
    torch.testing.assert_close(focal(output, blurred), 1.5 * wing(output, blurred))
    own = losses["focal_wing"].build(context, {"tags": ["line"]}, "loss.b")
    torch.testing.assert_close(own(output, blurred), 1.5 * wing(output, blurred))
