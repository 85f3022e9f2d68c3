"""The losses of edge, point and boundary maps and of HIH: zero or least at their own targets, and one line for what cannot be."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from drawn import batch_of, scheme_of
from fiducia.errors import UsageError
from fiducia.heatmaps.lines import draw_boundary, draw_edges
from fiducia.heatmaps.squares import reduced_gaussian
from fiducia.losses.base import LossContext
from fiducia.losses.registry import losses
from fiducia.losses.targets import Targets
from fiducia.schemes.curves import boundary_curves, curves
from fiducia.structures import Batch, ModelOutput

SIZE, SIDE = 128, 32


def term(kind: str, output: ModelOutput, scheme: str = "ibug68", **options: object):  # type: ignore[no-untyped-def]
    return losses.get(kind).build(LossContext.of(output, scheme_of(scheme), SIZE), options, f"loss.{kind}")


def faces(scheme: str = "ibug68") -> tuple[Batch, Targets]:
    torch.manual_seed(5)
    batch = batch_of(scheme_of(scheme), SIZE, views=1)
    return batch, Targets(batch, scheme_of(scheme), SIZE)


def drawn(kind: str, targets: Targets, scheme: str = "ibug68") -> Tensor:
    own = scheme_of(scheme)
    if kind == "edges":
        return draw_edges(targets.cells(4 * SIDE), curves(own), SIDE)
    if kind == "point_maps":
        return reduced_gaussian(targets.cells(4 * SIDE), SIDE)
    return draw_boundary(targets.cells(SIDE), boundary_curves(own), SIDE)


NAMES = {"edges": "edges", "point_maps": "points", "boundary": "boundary"}


@pytest.mark.parametrize("kind", NAMES)
def test_it_is_zero_at_its_own_target_and_grows_with_the_distance(kind: str) -> None:
    _, targets = faces()
    truth = drawn(kind, targets)
    output = ModelOutput(maps={NAMES[kind]: [truth, truth]})
    loss = term(kind, output)
    assert float(loss(output, targets)) < 1e-6
    values = [float(loss(ModelOutput(maps={NAMES[kind]: [truth, truth + d]}), targets)) for d in (0.1, 0.3)]
    assert 0.0 < values[0] < values[1]


@pytest.mark.parametrize("kind", ["edges", "point_maps"])
def test_later_stacks_weigh_double(kind: str) -> None:
    _, targets = faces()
    truth = drawn(kind, targets)
    loss = term(kind, ModelOutput(maps={NAMES[kind]: [truth, truth]}))
    first, last = (
        float(loss(ModelOutput(maps={NAMES[kind]: stages}), targets))
        for stages in ([truth + 0.2, truth], [truth, truth + 0.2])
    )
    assert last == pytest.approx(2 * first, rel=1e-5)


@pytest.mark.parametrize("kind", NAMES)
def test_what_is_not_labelled_does_not_count(kind: str) -> None:
    batch, _ = faces()
    batch.xy[0, 0, 40] = torch.nan  # on the right eye
    batch.mask[0, 0, 40] = False
    targets = Targets(batch, scheme_of("ibug68"), SIZE)
    truth = drawn(kind, targets)
    maps = truth.clone().requires_grad_()
    output = ModelOutput(maps={NAMES[kind]: [maps]})
    grad = torch.autograd.grad(term(kind, output)(ModelOutput(maps={NAMES[kind]: [maps + 0.1]}), targets), maps)[0]
    silent = grad.abs().amax((-2, -1)) == 0
    if kind == "boundary":
        assert silent.tolist() == [[True], [False]]
    else:
        assert silent[0].nonzero().flatten().tolist() == [40 if kind == "point_maps" else 5]
        assert not silent[1].any()


def test_published_targets_differ_by_their_rounding_only() -> None:
    _, targets = faces()
    for kind in ("edges", "point_maps"):
        truth = drawn(kind, targets)
        output = ModelOutput(maps={NAMES[kind]: [truth]})
        off = float(term(kind, output, rule="published")(output, targets))
        empty = float(
            term(kind, output, rule="published")(ModelOutput(maps={NAMES[kind]: [torch.zeros_like(truth)]}), targets)
        )
        assert 0.0 < off < empty


@pytest.mark.parametrize("rule", ["cells", "published"])
def test_hih_is_least_where_both_maps_show_the_point(rule: str) -> None:
    batch, targets = faces()
    places = (batch.xy.flatten(0, 1) + (0.5 if rule == "cells" else 0.0)) * SIDE / SIZE
    maps = torch.zeros(2, 68, SIDE, SIDE)
    cell = places.floor().long()
    maps[torch.arange(2)[:, None], torch.arange(68), cell[..., 1], cell[..., 0]] = 1.0
    part = (8 * (places - places.floor()) - (0.5 if rule == "cells" else 0.0)).round().long().clamp(0, 7)
    inner = torch.zeros(2, 68, 8, 8)
    inner[torch.arange(2)[:, None], torch.arange(68), part[..., 1], part[..., 0]] = 1.0

    def value(heat: Tensor, small: Tensor) -> float:
        output = ModelOutput(heatmaps=[heat], linear=True, maps={"offsets": [small]})
        return float(term("hih", output, rule=rule, decimal=1.0)(output, targets))

    right = value(maps, inner)
    assert right < value(maps.roll(2, -1), inner)
    assert right < value(maps, inner.roll(3, -1))
    with torch.no_grad():
        twice = ModelOutput(heatmaps=[maps, maps.roll(2, -1)], linear=True, maps={"offsets": [inner]})
        mean = (right + value(maps.roll(2, -1), inner)) / 2
        assert float(term("hih", twice, rule=rule, decimal=1.0)(twice, targets)) == pytest.approx(mean, rel=1e-5)


def test_what_cannot_be_trained_is_refused_before_training() -> None:
    maps = torch.rand(2, 9, SIDE, SIDE)
    output = ModelOutput(maps={"edges": [maps], "boundary": [maps[:, :1]], "points": [maps]})
    for kind in ("edges", "boundary"):
        with pytest.raises(UsageError, match=rf"loss\.{kind}: {kind}: the landmark set 'bare4' has no edges"):
            term(kind, output, "bare4")
    with pytest.raises(UsageError, match=r"loss\.edges: edges: rule is 'cells' or 'published'; found 'exact'"):
        term("edges", output, rule="exact")
    with pytest.raises(UsageError, match=r"loss\.point_maps: point_maps: sigma > 0; found 0"):
        term("point_maps", output, sigma=0.0)
    _, targets = faces("cofw29")
    with pytest.raises(UsageError, match=r"the network draws 9 edge maps, the landmark set 'cofw29' has 7 curves"):
        term("edges", output, "cofw29")(output, targets)


def test_wflws_lower_brows_are_left_out_as_published() -> None:
    output = ModelOutput(maps={"boundary": [torch.rand(2, 1, SIDE, SIDE)]})
    assert len(term("boundary", output, "wflw98").curves) == 13
    assert len(term("boundary", output, "wflw98", lower_brows=True).curves) == 15
