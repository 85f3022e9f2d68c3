"""What every registered network must keep, whatever its name: registering is enrolling here.

Each is built in its test form (``test_options`` and ``test_size`` of :func:`fiducia.models.register`), and most tests look at
one that has taken a few steps on drawn faces, so that no layer is idle and its points depend on what it sees.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from drawn import KITE, drawn_batch, two_view_batch
from fiducia.errors import FiduciaError, UsageError
from fiducia.exporting.graphs import to_onnx
from fiducia.exporting.sealed import Sealed
from fiducia.losses.registry import losses
from fiducia.models import LandmarkModel, build_model, models
from fiducia.models.parts.mean_face import mean_face
from fiducia.models.registry import is_family
from fiducia.recipes.files import parse_recipe
from fiducia.recipes.sections import Recipe
from fiducia.runtimes.onnx_runtime import OnnxRuntime
from fiducia.schemes.sets import Scheme, get_scheme
from fiducia.structures import Batch, Prediction
from fiducia.training.cards import run_card
from fiducia.training.loop import Learner
from fiducia.training.optim import build_optimizer
from fiducia.training.setup import build_network, build_objective, probe
from fiducia.weights.card import WeightCard
from fiducia.weights.ensembles import join_weights
from fiducia.weights.store import load_weights, save_weights
from fiducia.weights.transfer import init_from
from networks import lively

STEPS, RATES = 8, (5e-3, 1e-3, 3e-4)
NAMES = [name for name in models if not is_family(name)]
"""A family is no network: its members need what it brings in, and have tests of their own."""
each = pytest.mark.parametrize("name", NAMES)
FIRST = {models[name].build: name for name in reversed(NAMES)}
# Writing a graph takes seconds: of several presets of one class, the others are for the slow tests.
each_class = pytest.mark.parametrize(
    "name", [n if FIRST[models[n].build] == n else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]
)


def recipe_of(
    name: str, *, views: int = 1, loss: Mapping[str, Any] | None = None, optim: Mapping[str, Any] | None = None
) -> Recipe:
    """Return a run of a network's test form."""
    entry = models[name]
    return parse_recipe(
        {
            "name": name,
            "data": {"size": entry.test_size},
            "model": {"name": name, "options": dict(entry.test_options)},
            "augment": {"views": views},
            "loss": dict(loss or {}),
            "optim": dict(optim or {}),
        }
    )


def network(name: str, scheme: Scheme = KITE, size: int | None = None, seed: int = 0) -> LandmarkModel:
    torch.manual_seed(seed)
    entry = models[name]
    return build_model(name, scheme.num_points, size or entry.test_size, options=entry.test_options, scheme=scheme)


def look(model: LandmarkModel, images: Tensor, method: str | None = None) -> Prediction:
    with torch.no_grad():
        return model.decode(model(images), method)


def one_view(model: LandmarkModel) -> dict[str, Any]:
    """Return what leaves the losses between two views out of a network's published loss."""
    return {n: {"weight": 0} for n, t in model.default_loss().items() if losses[t["kind"]].views == 2}


@dataclass(frozen=True)
class Trained:
    """A network after a few steps on drawn faces, in evaluation mode; tests that change it take a copy."""

    model: LandmarkModel
    card: WeightCard
    batch: Batch
    totals: list[float]

    @property
    def faces(self) -> Tensor:
        """Four plain crops."""
        return self.batch.images[:, 0]

    def copy(self) -> LandmarkModel:
        return copy.deepcopy(self.model)


@cache
def trained(name: str) -> Trained:
    """Train on four faces, at the first of three usual rates at which the loss falls and does not leap."""
    for rate in RATES:
        recipe = recipe_of(name, optim={"lr": rate})
        torch.manual_seed(0)
        model = build_network(recipe, KITE)
        recipe = recipe_of(name, optim={"lr": rate}, loss=one_view(model))
        batch = drawn_batch(recipe, KITE)
        totals = train_on(batch, model, recipe)
        if totals[-1] < 0.98 * totals[0] and max(totals) < 2 * totals[0]:
            break
    # Norms see the faces' own statistics, as at the end of a long run.
    torch.optim.swa_utils.update_bn([batch.images[:, 0]], model)
    card = run_card(recipe, KITE, which="last", numbers=[], command="fiducia train scripted", date="2026-01-01")
    return Trained(model.eval(), card, batch, totals)


def train_on(batch: Batch, model: LandmarkModel, recipe: Recipe) -> list[float]:
    """Take some steps on one batch, as the loop does; return the losses."""
    objective = build_objective(recipe, KITE, model)
    optimizer = build_optimizer(model, objective.parameters(), recipe.optim)
    learner = Learner(model, objective).train()
    totals = []
    for step in range(STEPS):
        loss, values = learner(batch, step / STEPS, 1.0)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), recipe.optim.clip)
        optimizer.step()
        totals.append(float(values["total"]))
    return totals


@each
def test_its_registration_says_what_it_is(name: str) -> None:
    entry = models[name]
    assert entry.name == name
    assert entry.about
    assert "\n" not in entry.about
    assert entry.size >= entry.test_size > 0
    # Of its usual size, on a device that computes nothing.
    with torch.device("meta"):
        model = build_model(name, 7, scheme=None)
        output = model.eval()(torch.zeros(2, 3, model.size, model.size, dtype=torch.uint8))
        points = model.decode(output).points
    assert (model.num_points, model.size, tuple(points.shape)) == (7, entry.size, (2, 7, 2))


@each
@pytest.mark.parametrize(("scheme", "factor"), [("ibug68", 1), ("cofw29", 2), ("kite", 1)])
def test_it_gives_the_landmarks_of_any_set_at_two_sizes(name: str, scheme: str, factor: int) -> None:
    landmarks = KITE if scheme == "kite" else get_scheme(scheme)
    size, k = factor * models[name].test_size, landmarks.num_points
    model = network(name, landmarks, size).eval()
    assert (model.num_points, model.size) == (k, size)
    images = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    before = images.clone()
    with torch.no_grad():
        output = model(images)
        found = model.decode(output)
    assert torch.equal(images, before)
    assert {stage.shape[:2] for stage in output.heatmaps} <= {(2, k)}
    assert {stage.shape for stage in output.points} <= {(2, k, 2)}
    assert output.heatmaps or output.points or output.maps
    assert output.features is None or (output.features.ndim == 4 and len(output.features) == 2)
    assert (found.points.shape, found.points.dtype) == ((2, k, 2), torch.float32)
    assert (found.confidence.shape, found.confidence.dtype) == ((2, k), torch.float32)
    assert found.spread is None or found.spread.shape == (2, k, 2, 2)
    assert torch.isfinite(found.points).all()
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    # Bytes and floats are the same picture.
    torch.testing.assert_close(look(model, images.float()).points, found.points, atol=1e-3, rtol=0)


@each
def test_it_takes_the_mean_face_of_the_training_faces_or_says_that_it_uses_none(name: str) -> None:
    """What it takes is kept in its weights and in nothing that learns."""
    model = network(name)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    turned = mean_face(KITE.num_points, KITE).flip(0)
    uses = model.prepare(turned)
    assert isinstance(uses, bool)
    changed = {key for key, tensor in model.state_dict().items() if not torch.equal(tensor, before[key])}
    assert bool(changed) == uses
    assert not changed & set(dict(model.named_parameters()))
    again = network(name, seed=1)
    again.load_state_dict(model.state_dict())
    images = torch.randint(0, 256, (1, 3, model.size, model.size), dtype=torch.uint8)
    torch.testing.assert_close(look(again.eval(), images).points, look(model.eval(), images).points)


@each
def test_its_loss_falls_on_four_faces_and_its_points_follow_them(name: str) -> None:
    one = trained(name)
    assert all(np.isfinite(one.totals))
    assert one.totals[-1] < one.totals[0]
    points = look(one.model, one.faces).points
    # Else every comparison of points below would be empty: the widest tolerance is a hundredth of a pixel.
    assert float((points - points.mean(0)).norm(dim=-1).max()) > 0.2


@each
def test_a_batch_is_its_faces_one_by_one(name: str) -> None:
    one = trained(name)
    together = look(one.model, one.faces)
    alone = [look(one.model, face[None]) for face in one.faces]
    torch.testing.assert_close(together.points, torch.cat([p.points for p in alone]), atol=5e-3, rtol=0)
    torch.testing.assert_close(together.confidence, torch.cat([p.confidence for p in alone]), atol=1e-3, rtol=0)


@each
def test_it_reads_its_output_by_every_decoder_that_it_names_and_by_no_other(name: str) -> None:
    one = trained(name)
    assert len(set(one.model.decoders)) == len(one.model.decoders)
    plain = look(one.model, one.faces).points
    for method in one.model.decoders:
        found = look(one.model, one.faces, method)
        assert found.points.shape == plain.shape
        assert torch.isfinite(found.points).all()
    if one.model.decoders:
        assert torch.equal(look(one.model, one.faces, one.model.decoders[0]).points, plain)
    with pytest.raises(UsageError, match="'no_such_decoder'") as caught:
        look(one.model, one.faces, "no_such_decoder")
    assert "\n" not in str(caught.value)


@each
def test_a_seed_decides_its_weights_and_its_training(name: str) -> None:
    outcomes = []
    for _ in range(2):
        model = network(name, seed=5).train()
        torch.manual_seed(7)
        images = torch.randint(0, 256, (2, 3, model.size, model.size), dtype=torch.uint8)
        outcomes.append((model.state_dict(), model.decode(model(images)).points))
    (first, points), (second, again) = outcomes
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(points, again)
    other = network(name, seed=6).state_dict()
    assert any(not torch.equal(first[key], other[key]) for key in first)


@each
def test_an_optimiser_gets_every_parameter_once(name: str) -> None:
    model = network(name)
    listed = [id(p) for group in model.parameter_groups().values() for p in group]
    assert sorted(listed) == sorted(id(p) for p in model.parameters())


@each
def test_its_own_loss_reaches_every_parameter(name: str) -> None:
    scheme = get_scheme("cofw29")  # of which a head's pose can be told, unlike of four points
    # Shaken, since what stands behind a gate that starts closed gets its gradient from the second step on.
    model = lively(network(name, scheme), amount=0.02).train()
    similarity = {"similarity": {"kind": "dcca", "dim": 4}} if probe(model).features is not None else {}
    recipe = recipe_of(name, views=2, loss=model.default_loss() | similarity)
    objective = build_objective(recipe, scheme, model)
    loss, _ = Learner(model, objective)(two_view_batch(recipe, scheme), 0.0, 1.0)
    loss.backward()
    learned = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert [n for n, p in learned.items() if p.grad is None] == []
    assert [n for n, p in learned.items() if not torch.isfinite(p.grad).all()] == []
    # A vector may have no effect, such as a bias before a norm; a matrix that never changes is dead weight.
    assert [n for n, p in learned.items() if p.ndim > 1 and not p.grad.any()] == []


@each
def test_two_views_with_fifa_and_dcca_take_a_step_or_are_refused(name: str) -> None:
    model = trained(name).copy().train()
    recipe = recipe_of(name, views=2, loss={**model.default_loss(), "dcca": {"kind": "dcca", "dim": 4, "weight": 0.1}})
    assert recipe.augment.fifa.enabled
    if probe(model).features is None:
        with pytest.raises(UsageError, match=r"loss\.dcca: the loss 'dcca' needs features") as caught:
            build_objective(recipe, KITE, model)
        assert "\n" not in str(caught.value)
        return
    objective = build_objective(recipe, KITE, model)
    learner = Learner(model, objective)
    optimizer = build_optimizer(model, objective.parameters(), recipe.optim)
    before = copy.deepcopy(learner.state_dict())
    loss, values = learner(two_view_batch(recipe, KITE), 0.0, 1.0)
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    assert -1.0 <= float(values["dcca"]) <= 0.0
    assert {"dcca_shuffled", "total", *model.default_loss()} <= set(values)
    after = learner.state_dict()
    assert not torch.equal(
        before["objective.terms.dcca.projection.weight"], after["objective.terms.dcca.projection.weight"]
    )
    assert all(torch.isfinite(t).all() for t in after.values() if t.is_floating_point())


@each
def test_in_half_precision_its_points_its_loss_and_its_gradients_are_finite(name: str) -> None:
    one = trained(name)
    model = one.copy()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = look(model, one.faces)
        # Half of a crop has 256 steps in bfloat16: no loss could see an error below them.
        assert {points.dtype for points in model(one.faces).points} <= {torch.float32}
        recipe = recipe_of(name, loss=one_view(model))
        loss, _ = Learner(model.train(), build_objective(recipe, KITE, model))(one.batch, 0.0, 1.0)
    assert mixed.points.dtype == mixed.confidence.dtype == loss.dtype == torch.float32
    assert torch.isfinite(mixed.points).all()
    assert torch.isfinite(loss)
    loss.backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


@each
def test_its_weights_and_card_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    one = trained(name)
    path = tmp_path / "own.safetensors"
    save_weights(path, one.model.state_dict(), one.card)
    again, card = load_weights(path)
    kept = {"sha256", "params"}
    assert card.model_dump(mode="json", exclude=kept) == one.card.model_dump(mode="json", exclude=kept)
    assert card.params == sum(t.numel() for t in one.model.state_dict().values())
    found, before = look(again, one.faces), look(one.model, one.faces)
    assert torch.equal(found.points, before.points)
    assert torch.equal(found.confidence, before.confidence)
    save_weights(path, one.model.state_dict(), one.card, half=True)
    halved = load_weights(path)[0]
    for key, tensor in halved.state_dict().items():
        assert torch.equal(tensor, one.model.state_dict()[key].half().to(tensor.dtype)), key
    assert torch.isfinite(look(halved, one.faces).points).all()


@each
def test_weights_of_another_landmark_count_leave_only_its_heads_new(name: str, tmp_path: Path) -> None:
    one = trained(name)
    save_weights(tmp_path / "w.safetensors", one.model.state_dict(), one.card)
    recipe, scheme = recipe_of(name), get_scheme("five")
    model = build_network(recipe, scheme)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    new = init_from(model, tmp_path / "w.safetensors", kind=name, twin=lambda other: build_network(recipe, other))
    source, own = one.model.state_dict(), model.state_dict()
    assert set(own) == set(source)
    assert set(new) == {key for key in own if own[key].shape != source[key].shape}
    assert 0 < len(new) < len(own) / 2
    for key, tensor in own.items():
        assert torch.equal(tensor, before[key] if key in new else source[key]), key


@each
def test_two_of_it_make_an_ensemble_that_averages_their_points(name: str, tmp_path: Path) -> None:
    one = trained(name)
    pair = [one.model, lively(one.copy(), amount=0.01)]
    for i, model in enumerate(pair):
        save_weights(tmp_path / f"{i}.safetensors", model.state_dict(), one.card)
    join_weights([tmp_path / "0.safetensors", tmp_path / "1.safetensors"], tmp_path / "both.safetensors")
    joined, card = load_weights(tmp_path / "both.safetensors")
    assert (card.model, len(card.options["members"]), joined.num_points) == ("ensemble", 2, KITE.num_points)
    first, second = (look(model, one.faces) for model in pair)
    assert not torch.allclose(first.points, second.points, atol=1e-2)
    found = look(joined, one.faces)
    torch.testing.assert_close(found.points, (first.points + second.points) / 2, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.confidence, (first.confidence + second.confidence) / 2, atol=1e-5, rtol=0)


@each_class
def test_it_is_a_graph_that_gives_its_points_or_says_why_not(name: str) -> None:
    """``torch.export`` of its graph, and the ONNX file made of that, give what ``decode`` gives, for any batch."""
    one = trained(name)
    note = one.model.export_notes()
    if note:
        assert "\n" not in note
        with pytest.raises(FiduciaError, match="cannot be exported") as caught:
            to_onnx(one.model, one.card)
        assert note in str(caught.value)
        return
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    graph = to_onnx(one.model, one.card)
    runtime = OnnxRuntime(Sealed(card=one.card, precision="float32", source="", graph=graph), KITE)
    for count in (1, 3):
        truth = look(one.model, one.faces[:count])
        points, confidence = runtime(one.faces[:count].numpy())
        np.testing.assert_allclose(points, truth.points, atol=1e-2)
        np.testing.assert_allclose(confidence, truth.confidence, atol=1e-3)


@each
def test_an_option_that_it_does_not_have_is_refused_in_one_line(name: str) -> None:
    options = {**models[name].test_options, "no_such_option": 1}
    with pytest.raises(UsageError, match=rf"{name} has no option 'no_such_option'") as caught:
        build_model(name, 5, models[name].test_size, options=options)
    assert "\n" not in str(caught.value)
