from __future__ import annotations

import math

import pytest
import torch
from problems import Table, batch_of, context_of
from torch import Tensor, nn

from fiducia.errors import UsageError
from fiducia.heatmaps import encode
from fiducia.losses.objective import Objective, weight_at
from fiducia.structures import Batch, ModelOutput

B, K, C, CELLS, STRIDE = 6, 4, 12, 32, 4
SIZE = CELLS * STRIDE

BCE, COORD = Table("bce"), Table("coord")
SIMILARITIES = {
    "dcca": Table("dcca", own={"dim": 3, "shrinkage": 0.0}),
    "dcca_face": Table("dcca", own={"dim": 3, "shrinkage": 0.0, "pool": "face"}),
    "dcca_squared": Table("dcca", own={"dim": 3, "shrinkage": 0.0, "squared": True}),
    "scalar": Table("scalar_correlation"),
    **{name: Table("similarity", own={"distance": name}) for name in ("l2", "l1", "smooth_l1", "wing")},
}


def objective(supervise: str = "both", **tables: Table) -> Objective:
    torch.manual_seed(0)
    output, _ = problem()
    return Objective(tables, context_of(output, K, SIZE), supervise=supervise)


def problem(views: int = 2) -> tuple[ModelOutput, Batch]:
    g = torch.Generator().manual_seed(1)
    xy = (torch.rand(B, 1, K, 2, generator=g) * 70 + 28).expand(B, views, K, 2).clone()
    logits = torch.randn(B * views, K, CELLS, CELLS, generator=g)
    features = torch.randn(B * views, C, CELLS, CELLS, generator=g)
    return ModelOutput(heatmaps=[logits.requires_grad_()], features=features.requires_grad_()), batch_of(xy)


def hide(batch: Batch, face: int, point: int, xy: object = math.nan) -> None:
    """Move a point out of the crop, or take its label away."""
    batch.xy[face, :, point] = torch.as_tensor(xy, dtype=batch.xy.dtype)
    batch.mask[face, :, point] = False


def gradient(output: ModelOutput) -> Tensor:
    grad = output.heatmaps[0].grad
    assert grad is not None
    return grad.view(B, -1, K, CELLS * CELLS)


def twins(output: ModelOutput) -> ModelOutput:
    """Both views with the features of the first."""
    assert output.features is not None
    first = output.features.detach().view(B, 2, C, CELLS, CELLS)[:, :1]
    return ModelOutput(heatmaps=output.heatmaps, features=first.expand(-1, 2, -1, -1, -1).flatten(0, 1))


def test_a_perfect_answer_costs_the_entropy_floor_and_no_distance() -> None:
    """Facts 3.1: the floor of the BCE is 1.39e-3 a cell on 128 x 128 maps with sigma 1.5 and radius 5."""
    cells = torch.tensor([[[[60.2, 63.7]]]])
    output = ModelOutput(heatmaps=[torch.logit(encode(cells[0], (128, 128)).clamp(1e-9, 1 - 1e-6))])
    loss = Objective({"heatmap": BCE, "coord": COORD}, context_of(output, 1, 512))
    _, terms = loss(output, batch_of((cells + 0.5) * 4 - 0.5))
    assert terms["heatmap"].item() == pytest.approx(1.39e-3, abs=2e-5)
    assert terms["coord"].item() * 512 < 0.05


def test_total_is_the_weighted_sum_of_the_tables() -> None:
    output, batch = problem()
    loss = objective(
        heatmap=Table("bce", 2.0), coord=Table("coord", 3.0), same=Table("similarity", 0.1), off=Table("dcca", 0.0)
    )
    total, terms = loss(output, batch)
    assert set(terms) == {"heatmap", "coord", "same", "total"}
    expected = 2.0 * terms["heatmap"] + 3.0 * terms["coord"] + 0.1 * terms["same"]
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert terms["total"].item() == pytest.approx(total.item())


def test_one_kind_may_stand_in_several_tables() -> None:
    output, batch = problem()
    terms = objective(near=Table("coord", own={"distance": "wing"}), far=Table("coord", own={"distance": "l1"}))(
        output, batch
    )[1]
    assert terms["near"] != terms["far"]


@pytest.mark.parametrize("name", list(SIMILARITIES))
def test_every_similarity_is_finite_trains_and_is_lowest_for_equal_views(name: str) -> None:
    output, batch = problem()
    loss = objective(same=SIMILARITIES[name])
    total, terms = loss(output, batch)
    total.backward()
    assert output.features is not None
    assert output.features.grad is not None
    assert torch.isfinite(output.features.grad).all()
    assert output.features.grad.abs().max() > 0
    assert loss(twins(output), batch)[1]["same"] < terms["same"] + 1e-6


def test_dcca_logs_what_strangers_score() -> None:
    output, batch = problem()
    terms = objective(same=SIMILARITIES["dcca"])(twins(output), batch)[1]
    assert terms["same"].item() == pytest.approx(-1.0, abs=1e-3)
    assert terms["dcca_shuffled"] > -0.9
    assert terms["dcca_sum"].item() == pytest.approx(3.0, abs=1e-2)


def test_unlabelled_points_move_nothing() -> None:
    output, batch = problem()
    hide(batch, 0, 2)
    total, _ = objective(heatmap=BCE, coord=COORD, same=SIMILARITIES["dcca"])(output, batch)
    total.backward()
    assert torch.isfinite(total)
    assert gradient(output)[0, :, 2].abs().max() == 0
    assert gradient(output)[1, :, 2].abs().max() > 0


def test_points_outside_teach_an_empty_map_but_no_coordinate() -> None:
    output, batch = problem()
    before = objective(heatmap=BCE)(output, batch)[1]
    hide(batch, 0, 0, [-30.0, 50.0])
    objective(coord=COORD)(output, batch)[0].backward()
    assert gradient(output)[0, :, 0].abs().max() == 0
    assert objective(heatmap=BCE)(output, batch)[1]["heatmap"] != before["heatmap"]


def test_points_between_the_last_cell_and_the_border_have_no_coordinate_loss() -> None:
    """An expectation over cell centres cannot reach x = 0.2 pixels, which is cell -0.33."""
    output, batch = problem()
    batch.xy[0, :, 0] = torch.tensor([0.2, 50.0])
    objective(coord=COORD)(output, batch)[0].backward()
    assert gradient(output)[0, :, 0].abs().max() == 0
    assert gradient(output)[0, :, 1].abs().max() > 0


def test_supervising_the_second_view_leaves_the_first_alone() -> None:
    output, batch = problem()
    objective("second", heatmap=BCE, coord=COORD)(output, batch)[0].backward()
    by_view = gradient(output).abs().amax((0, 2, 3))
    assert by_view[0] == 0
    assert by_view[1] > 0


def test_coordinate_networks_without_heatmaps_are_trained_too() -> None:
    _, batch = problem()
    points = (batch.xy.flatten(0, 1) + 3.0).requires_grad_()
    output = ModelOutput(points=[points], features=torch.randn(2 * B, C, 8, 8, requires_grad=True))
    loss = Objective({"coord": COORD, "same": Table("dcca", 0.1, own={"dim": 3})}, context_of(output, K, SIZE))
    total, terms = loss(output, batch)
    total.backward()
    assert terms["coord"].item() == pytest.approx(math.hypot(3, 3) / SIZE, rel=1e-4)
    assert points.grad is not None
    assert points.grad.abs().min() > 0


def test_a_sum_over_two_halves_divided_by_the_global_count_is_the_whole() -> None:
    output, batch = problem(views=1)
    for point in range(3):
        hide(batch, 0, point)
    loss = objective(coord=COORD)
    whole = loss(output, batch)[1]["coord"].item()
    parts = 0.0
    for half in (slice(0, 3), slice(3, 6)):
        piece = ModelOutput(heatmaps=[output.heatmaps[0][half]])
        value = loss(piece, batch_of(batch.xy[half]))[1]["coord"]
        parts += float(value * batch.mask[half].sum() / batch.mask.sum())
    assert parts == pytest.approx(whole, rel=1e-6)


def test_a_schedule_ramps_the_weight_between_its_epochs() -> None:
    ramp = [(2.0, 0.0), (4.0, 1.0), (8.0, 0.5)]
    assert [weight_at(3.0, ramp, epoch) for epoch in (0.0, 2.0, 3.0, 4.0, 6.0, 8.0, 99.0)] == [
        0,
        0,
        1.5,
        3,
        2.25,
        1.5,
        1.5,
    ]
    assert weight_at(3.0, [], 5.0) == 3.0
    output, batch = problem()
    loss = objective(heatmap=BCE, coord=Table("coord", 2.0, ramp))
    early, terms = loss(output, batch, epoch=1.0, total=10.0)
    assert early.item() == pytest.approx(terms["heatmap"].item())
    late, terms = loss(output, batch, epoch=4.0, total=10.0)
    assert late.item() == pytest.approx((terms["heatmap"] + 2.0 * terms["coord"]).item())


def test_the_shares_of_the_gradient_sum_to_one_and_leave_the_network_as_it_was() -> None:
    class Maps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.maps = nn.Parameter(torch.randn(B, K, CELLS, CELLS, generator=torch.Generator().manual_seed(0)))

        def forward(self, images: Tensor) -> ModelOutput:
            return ModelOutput(heatmaps=[self.maps])

    _, batch = problem(views=1)
    network = Maps().train()
    shares = objective(heatmap=BCE, coord=Table("coord", 10.0)).gradient_shares(network, batch)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert min(shares.values()) > 0
    assert network.training
    assert network.maps.grad is None
    # The weights are those of the epoch that is asked about.
    rising = objective(heatmap=BCE, coord=Table("coord", 10.0, schedule=((0, 0.0), (2, 1.0))))
    assert rising.gradient_shares(network, batch)["coord"] == 0.0
    assert rising.gradient_shares(network, batch, 2.0, 4.0) == shares


@pytest.mark.parametrize("name", ["a.b", "", "total", "update", "keys"])
def test_a_name_that_no_loss_can_have_is_told(name: str) -> None:
    """``total`` is the column of the sum; the others cannot be names of modules."""
    with pytest.raises(UsageError, match="give it another name"):
        objective(**{name: BCE})


def test_faults_of_a_table_are_told_in_one_line_before_training() -> None:
    with pytest.raises(UsageError, match=r"loss\.same\.kind: no loss is called 'dca'; did you mean 'dcca'"):
        objective(same=Table("dca"))
    with pytest.raises(UsageError, match=r"loss\.coord\.distance: no distance is called 'wings'; did you mean 'wing'"):
        objective(coord=Table("coord", own={"distance": "wings"}))
    with pytest.raises(
        UsageError, match=r"loss\.coord\.distnce: the loss 'coord' has no such option; did you mean 'distance'"
    ):
        objective(coord=Table("coord", own={"distnce": "wing"}))
    with pytest.raises(
        UsageError, match=r"loss\.heatmap: the loss 'awing' needs linear, which the network does not give"
    ):
        objective(heatmap=Table("awing"))
    with pytest.raises(UsageError, match=r"loss\.coord: stages is 'final', .*found 'last'"):
        objective(coord=Table("coord", own={"stages": "last"}))
    with pytest.raises(UsageError, match="every loss has weight 0"):
        objective(coord=Table("coord", 0.0))
