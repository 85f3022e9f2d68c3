"""What every registered loss must keep, whatever its name: registering is enrolling here."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from contracts.loss_problem import FACES, Problem, detach_once, problem, variants
from fiducia.losses import losses

EVERY = [pytest.param(*each, id=f"{each[0]}-{'-'.join(each[1])}") for each in variants()]
each_loss = pytest.mark.parametrize(("name", "way"), EVERY)


def close(a: Tensor, b: Tensor) -> bool:
    return bool(torch.allclose(a, b, rtol=1e-9, atol=1e-11))


@pytest.mark.parametrize("name", list(losses))
def test_a_loss_says_what_it_is_and_can_be_set_by_name(name: str) -> None:
    kind = losses[name]
    assert kind.name == name
    assert len(kind.about) > 20
    assert kind.needs
    assert kind.views in (1, 2)
    for option, default in kind.options().items():
        assert isinstance(default, (str, int, float, bool, tuple, type(None))), (
            f"{option} has no default that TOML can hold"
        )


@each_loss
def test_its_gradient_is_that_of_its_value(name: str, way: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    given = problem(name, way)
    kept: list[Tensor] = []

    def value(*leaves: Tensor) -> Tensor:
        with detach_once(kept, monkeypatch):
            return given.value(leaves)

    leaves = tuple(leaf.requires_grad_() for leaf in given.leaves.values())
    value(*leaves)
    assert torch.autograd.gradcheck(value, leaves, fast_mode=True, atol=1e-10, rtol=1e-4)


@each_loss
def test_it_trains_what_it_reads(name: str, way: tuple[str, ...]) -> None:
    given = problem(name, way)
    value, grads = given.gradients()
    assert torch.isfinite(value)
    assert all(torch.isfinite(grad).all() for grad in grads.values())
    assert any(grad.abs().max() > 0 for grad in grads.values())


@each_loss
def test_unlabelled_points_have_no_part_in_value_or_gradient(name: str, way: tuple[str, ...]) -> None:
    given = problem(name, way)
    value, grads = given.gradients()
    hidden = ~given.batch.mask.flatten(0, 1)
    assert hidden.any()
    changed = {key: leaf.clone() for key, leaf in given.leaves.items()}
    for key in given.per_point():
        changed[key][hidden] = 30 * torch.rand_like(changed[key][hidden]) + 1
        assert grads[key][hidden].abs().max() == 0, key
    other, others = given.gradients(list(changed.values()))
    assert close(value, other)
    assert all(close(grads[key], others[key]) for key in grads)


@each_loss
def test_faces_without_a_label_give_a_finite_value_and_no_gradient(name: str, way: tuple[str, ...]) -> None:
    given = problem(name, way)
    nothing = torch.zeros_like(given.batch.mask)
    batch = replace(
        given.batch, xy=torch.full_like(given.batch.xy, torch.nan), mask=nothing, visible=nothing.to(torch.int8)
    )
    value, grads = given.gradients(batch=batch)
    assert torch.isfinite(value)
    for grad in grads.values():
        assert torch.isfinite(grad).all()
        # What two views have in common can be learned without any label.
        assert given.kind.views == 2 or grad.abs().max() == 0


@each_loss
def test_the_order_of_the_faces_does_not_matter(name: str, way: tuple[str, ...]) -> None:
    given = problem(name, way)
    order = torch.randperm(FACES, generator=torch.Generator().manual_seed(3))
    crops = (order[:, None] * given.kind.views + torch.arange(given.kind.views)).flatten()
    batch = given.batch
    moved = replace(
        batch,
        xy=batch.xy[order],
        visible=batch.visible[order],
        mask=batch.mask[order],
        index=batch.index[order],
        tags=[batch.tags[i] for i in order],
    )
    value, grads = given.gradients()
    other, others = given.gradients([leaf[crops] for leaf in given.leaves.values()], moved)
    assert torch.allclose(value, other, rtol=1e-9)
    assert all(torch.allclose(grads[key][crops], others[key], rtol=1e-6, atol=1e-10) for key in grads)


@each_loss
def test_half_precision_outputs_are_weighed_in_float32(name: str, way: tuple[str, ...]) -> None:
    given = problem(name, way, torch.float32)
    given.batch = replace(given.batch, xy=given.batch.xy.float())
    whole = given.value()
    assert whole.dtype == torch.float32
    halves = [leaf.bfloat16() for leaf in given.leaves.values()]
    rounded = given.value(halves)
    assert rounded.dtype == torch.float32
    exact = given.value([leaf.float() for leaf in halves])
    assert torch.allclose(rounded, exact, rtol=1e-4, atol=1e-5)


def test_the_problem_is_what_it_says() -> None:
    given: Problem = problem("coord", ("points",))
    assert given.per_point() == ["points 0", "points 1"]
    assert set(problem("coord", ("linear",)).leaves) == {"heatmaps 0", "heatmaps 1"}
