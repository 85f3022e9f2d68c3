"""The losses of FAN, SLPT and PFLD where the recorded values say nothing: missing labels, tags, poses."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from drawn import BARE, batch_of
from fiducia.data.synthetic.shape import SELECTIONS, FaceShape, build_head
from fiducia.errors import UsageError
from fiducia.losses.base import LossContext
from fiducia.losses.fan_mse import fan_gaussian, fan_mse
from fiducia.losses.focal_wing import face_weights
from fiducia.losses.head_pose import average_head, head_pose
from fiducia.losses.pfld import PfldLoss, attribute_weights
from fiducia.losses.pip import pip
from fiducia.losses.registry import losses
from fiducia.losses.slpt import StageLoss, face_lengths
from fiducia.losses.targets import Targets
from fiducia.schemes.sets import Scheme, get_scheme
from fiducia.structures import Batch, ModelOutput

IBUG = get_scheme("ibug68")


def context(scheme: Scheme = IBUG) -> LossContext:
    return LossContext(scheme=scheme, size=128, gives=frozenset({"points"}))


def unlabel(batch: Batch, point: int) -> Batch:
    """Return the batch with one point of its first face without a label."""
    xy, mask = batch.xy.clone(), batch.mask.clone()
    xy[0, :, point], mask[0, :, point] = torch.nan, False
    return replace(batch, xy=xy, mask=mask)


def test_every_loss_of_these_networks_can_be_named_in_a_recipe() -> None:
    for name, views in {"fan_mse": 1, "stages": 1, "pip": 1, "pfld": 1, "heatmap_consistency": 2}.items():
        assert losses[name].views == views
        assert losses[name].about


def test_fan_mse_is_zero_at_its_target_and_ignores_a_point_without_a_label() -> None:
    batch = unlabel(batch_of(IBUG, 128, views=1), 5)
    targets = Targets(batch, IBUG, 128)
    maps = fan_gaussian(targets.cells(32), 32)
    assert float(maps[0, 5].abs().sum()) == 0.0
    assert float(fan_mse(ModelOutput(heatmaps=[maps], linear=True), targets)) == 0.0
    maps[0, 5] = 7.0
    assert float(fan_mse(ModelOutput(heatmaps=[maps], linear=True), targets)) == 0.0
    maps[1, 5] += 0.5
    assert float(fan_mse(ModelOutput(heatmaps=[maps], linear=True), targets)) == pytest.approx(0.25 / 135, rel=1e-4)


def test_stages_measures_in_eye_distances_and_weighs_the_stages() -> None:
    targets = Targets(batch_of(IBUG, 128, views=1), IBUG, 128)
    eyes = (targets.xy[:, 36] - targets.xy[:, 45]).norm(dim=-1)
    torch.testing.assert_close(face_lengths(targets), eyes)
    step = torch.tensor([3.0, 4.0])
    points = [targets.xy + step * i for i in (1, 3, 0, 0, 0, 2)]
    slpt = StageLoss(replace(context(), stages=6), weights=[0.2, 0.3, 0.5])
    value = slpt(ModelOutput(points=points), targets)
    # Two answers in each of three stages; a step of 1 is 5 pixels.
    expected = 5 * (0.2 * 2 + 0.5 * 1) * (1 / eyes).mean()
    assert float(value) == pytest.approx(float(expected), rel=1e-4)
    alike = StageLoss(context())(ModelOutput(points=points), targets)
    assert float(alike) == pytest.approx(float(5 * (1 / eyes).mean()), rel=1e-4)


def test_a_face_without_eyes_is_measured_by_its_box() -> None:
    batch = batch_of(BARE, 128, views=1)
    lengths = face_lengths(Targets(batch, BARE, 128))
    box = batch.xy[:, 0].amax(1) - batch.xy[:, 0].amin(1)
    torch.testing.assert_close(lengths, 0.5 * box.prod(-1).sqrt())
    hidden = face_lengths(Targets(unlabel(batch_of(IBUG, 128, views=1), 36), IBUG, 128))
    assert torch.isfinite(hidden).all()
    # An average face's eyes are about half as far apart as its box is wide.
    seen = face_lengths(Targets(batch_of(IBUG, 128, views=1), IBUG, 128))
    assert float(hidden[0] / seen[1]) == pytest.approx(1.0, abs=0.35)


def test_missing_points_have_no_part_in_any_loss() -> None:
    whole = batch_of(IBUG, 128, views=1)
    batch = unlabel(whole, 20)
    truth = torch.nan_to_num(batch.xy[:, 0])
    guess = (truth + torch.randn(2, 68, 2)).requires_grad_()
    for loss in (StageLoss(context()), PfldLoss(context())):
        (gradient,) = torch.autograd.grad(loss(ModelOutput(points=[guess]), Targets(batch, IBUG, 128)), guess)
        assert torch.isfinite(gradient).all()
        assert float(gradient[0, 20].abs().sum()) == 0.0
        assert float(gradient[1, 20].abs().sum()) > 0.0
    maps = {name: torch.randn(2, 68, 4, 4) for name in ("score", "x", "y")}
    maps |= {name: torch.randn(2, 136, 4, 4) for name in ("nb_x", "nb_y")}
    maps = {name: tensor.requires_grad_() for name, tensor in maps.items()}
    near = torch.stack([torch.arange(68).roll(1), torch.arange(68).roll(2)]).expand(2, -1, -1)
    output = ModelOutput(maps={**{n: [m] for n, m in maps.items()}, "neighbours": [near]})
    value = pip(output, Targets(batch, IBUG, 128))
    gradients = dict(zip(maps, torch.autograd.grad(value, list(maps.values())), strict=True))
    assert torch.isfinite(value)
    assert float(gradients["score"][0, 20].abs().sum()) == 0.0
    # Landmarks 21 and 22 have it as their first and second neighbour.
    for channel in (2 * 21, 2 * 22 + 1):
        assert float(gradients["nb_x"][0, channel].abs().sum()) == 0.0
        assert float(gradients["nb_x"][1, channel].abs().sum()) > 0.0


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (30.0, -12.0, 8.0), (-25.0, 10.0, -20.0), (5.0, 15.0, 40.0)])
def test_the_turn_of_a_head_is_found_from_its_points(angles: tuple[float, float, float]) -> None:
    yaw, pitch, roll = angles
    head = average_head(IBUG)
    assert head is not None
    turned = build_head(FaceShape(yaw=yaw, pitch=pitch, roll=roll))
    # The contour of a turned head is its silhouette: compare the points that stay where they are.
    solid = head.numpy().astype(np.float64)
    xy = torch.tensor(40 * turned.view(solid) + [60.0, 70.0], dtype=torch.float32)[None]
    found, known = head_pose(xy, torch.ones(1, 68, dtype=torch.bool), head)
    assert known.all()
    torch.testing.assert_close(torch.rad2deg(found[0]), torch.tensor(angles), atol=0.05, rtol=0)
    # Mirrored, with the points' names changed, yaw and roll change sign.
    other = xy[:, list(IBUG.mirror)] * torch.tensor([-1.0, 1.0])
    found, _ = head_pose(other, torch.ones(1, 68, dtype=torch.bool), head)
    torch.testing.assert_close(torch.rad2deg(found[0]), torch.tensor([-yaw, pitch, -roll]), atol=0.5, rtol=0)
    drawn = torch.tensor(40 * turned.view(turned.points[list(SELECTIONS["ibug68"])]), dtype=torch.float32)[None]
    seen, _ = head_pose(drawn, torch.ones(1, 68, dtype=torch.bool), head)
    assert (torch.rad2deg(seen[0]) - torch.tensor(angles)).abs().max() < 12


def test_too_few_points_tell_no_pose() -> None:
    head = average_head(IBUG)
    assert head is not None
    where = torch.zeros(2, 68, dtype=torch.bool)
    where[1, :6] = True
    xy = torch.full((2, 68, 2), torch.nan)
    xy[1, :6] = torch.rand(6, 2) * 50
    angles, known = head_pose(xy, where, head)
    assert known.tolist() == [False, True]
    assert torch.isfinite(angles).all()
    assert average_head(BARE) is None


def test_pfld_weighs_rare_attributes_and_wrong_poses() -> None:
    batch = batch_of(IBUG, 128, faces=4, views=1)
    tags = [{"occlusion": True, "blur": False}, {"occlusion": False, "blur": True}, {"blur": True}, {"blur": True}]
    off = batch.xy[:, 0] + 1.0
    square = 2 * 68 / 128**2

    def value(batch: Batch, angles: torch.Tensor | None, **options: object) -> float:
        maps = {} if angles is None else {"angles": [angles]}
        loss = PfldLoss(context(), **options)  # type: ignore[arg-type]
        return float(loss(ModelOutput(points=[off], maps=maps), Targets(batch, IBUG, 128)))

    assert value(batch, None) == pytest.approx(square, rel=1e-4)
    # One face of four is occluded: it counts four times; blur is three of four: 4/3 each. Together 8 / 4.
    tagged = replace(batch, tags=tags)
    assert value(tagged, None, attributes=("occlusion", "blur")) == pytest.approx(2 * square, rel=1e-4)
    # A face whose tags are all false has weight 0, and one without tags weight 1.
    some = replace(batch, tags=[{"blur": True}, {"blur": False}, {}, {}])
    weights = (4 + 0 + 1 + 1) / 4
    assert value(some, None, attributes=("blur",)) == pytest.approx(weights * square, rel=1e-4)
    head = average_head(IBUG)
    assert head is not None
    right, _ = head_pose(batch.xy[:, 0], batch.mask[:, 0], head)
    assert value(batch, right) == pytest.approx(0.0, abs=1e-9)
    wrong = right + torch.tensor([0.3, 0.0, 0.0])
    assert value(batch, wrong) == pytest.approx((1 - math.cos(0.3)) * square, rel=1e-3)
    assert value(batch, right, least=1.0) == pytest.approx(square, rel=1e-4)
    assert value(batch, wrong, pose=False) == pytest.approx(square, rel=1e-4)
    assert value(tagged, wrong, plain=True) == pytest.approx(square, rel=1e-4)


def test_two_views_share_their_faces_tags() -> None:
    batch = replace(batch_of(IBUG, 128, faces=2, views=2), tags=[{"blur": True}, {"blur": False}])
    points = batch.xy.flatten(0, 1) + torch.tensor([1.0, 0.0])
    value = PfldLoss(context(), attributes=("blur",))(ModelOutput(points=[points]), Targets(batch, IBUG, 128))
    assert float(value) == pytest.approx((2 + 2 + 0 + 0) / 4 * 68 / 128**2, rel=1e-4)


def test_an_attribute_that_no_face_has_makes_no_infinity() -> None:
    weights = attribute_weights(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert weights.tolist() == [2.0, 0.0]


def test_an_option_out_of_range_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"loss\.a: weights are 0 or more; found \[-1, 2\]"):
        losses["stages"].build(context(), {"weights": [-1, 2]}, "loss.a")
    four = replace(context(), stages=4)
    with pytest.raises(UsageError, match=r"loss\.a: weights names 3 stages; the network gives 4 answers"):
        losses["stages"].build(four, {"weights": [0.2, 0.3, 0.5]}, "loss.a")
    with pytest.raises(UsageError, match=r"loss\.a: least is 0 or more; found -1"):
        losses["pfld"].build(context(), {"least": -1}, "loss.a")


@pytest.mark.parametrize("name", ["focal_wing", "heatmap_consistency", "structured"])
def test_a_reconstructed_loss_says_so_where_losses_are_listed(name: str) -> None:
    assert "reconstruction" in losses[name].about


def test_rare_attributes_are_counted_over_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes with two faces each weigh them as one process weighs all four."""
    flags = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    for weigh, module in ((attribute_weights, "pfld"), (face_weights, "focal_wing")):
        whole = weigh(flags)
        with monkeypatch.context() as patch:
            patch.setattr(f"fiducia.losses.{module}.gather", lambda part: flags)
            torch.testing.assert_close(torch.cat([weigh(flags[:2]), weigh(flags[2:])]), whole)


def test_a_process_whose_faces_tell_nothing_takes_part_in_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait for its share of the batch."""
    asked: list[int] = []

    def gather(part: torch.Tensor) -> torch.Tensor:
        asked.append(len(part))
        return part

    monkeypatch.setattr("fiducia.losses.pfld.gather", gather)
    batch = replace(batch_of(IBUG, 128, faces=2, views=1), tags=[{}, {}])
    value = PfldLoss(context())(ModelOutput(points=[batch.xy[:, 0] + 1.0]), Targets(batch, IBUG, 128))
    assert asked == [2]
    assert float(value) == pytest.approx(2 * 68 / 128**2, rel=1e-4)
