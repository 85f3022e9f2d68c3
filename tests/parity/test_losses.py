"""Our losses against the values that published code gave, from ``losses.json``; inputs are drawn by the key in the file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from golden import load, uniform
from torch import Tensor

from fiducia.heatmaps.decode import decoders
from fiducia.heatmaps.encode import encode
from fiducia.losses import losses
from fiducia.losses.adl import anisotropy, direction_points, normals
from fiducia.losses.awing import awing_map, weight_map
from fiducia.losses.base import LossContext
from fiducia.losses.distances import distances, smooth_l1, wing
from fiducia.losses.focal_wing import face_weights
from fiducia.losses.moments import map_moments, principal_axes
from fiducia.losses.star import star_points
from fiducia.losses.targets import Targets
from fiducia.metrics.errors import auc, auc_grid, failure_rate, nme, normalizer, point_errors
from fiducia.schemes.sets import get_scheme, scheme_from_table
from fiducia.structures import Batch, ModelOutput

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return load("losses")


class Draw:
    """The tensors of a golden file, float64 as the losses' reference runs need."""

    def __init__(self, golden: dict[str, Any]) -> None:
        self.key = golden["key"]

    def __call__(self, shape: tuple[int, ...], number: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.from_numpy(uniform(shape, self.key + number, low, high)).double()


@pytest.fixture(scope="module")
def draw(golden: dict[str, Any]) -> Draw:
    return Draw(golden)


def near(found: Tensor | float, recorded: Any, what: str) -> None:
    """Compare with recorded values: to 1e-4 of each, or of their standard deviation."""
    ours = np.asarray(found.detach() if isinstance(found, Tensor) else found, dtype=np.float64).ravel()
    theirs = np.asarray(recorded, dtype=np.float64).ravel()
    assert ours.shape == theirs.shape, what
    off = np.abs(ours - theirs) / np.maximum(np.abs(theirs), theirs.std() if theirs.size > 1 else 1e-30)
    assert off.max() <= TOLERANCE, f"{what}: {off.max():.2e}, {ours[off.argmax()]} for {theirs[off.argmax()]}"


def same_gradient(found: Tensor | None, recorded: dict[str, Any], what: str) -> None:
    assert found is not None
    assert list(found.shape) == recorded["shape"], what
    ours = found.double().flatten().numpy()
    for name in ("mean", "std", "min", "max"):
        off = abs(float(getattr(ours, name)()) - recorded[name])
        assert off <= TOLERANCE * max(abs(recorded[name]), recorded["std"]), f"{what}: {name}"
    theirs = np.asarray(recorded["val"])
    off = np.abs(ours[recorded["idx"]] - theirs) / np.maximum(np.abs(theirs), recorded["std"])
    assert off.max() <= TOLERANCE, f"{what}: gradient {off.max():.2e}"


def test_adaptive_wing_with_and_without_its_weight_map(golden: dict[str, Any], draw: Draw) -> None:
    entry = golden["losses"]["awing"]
    target = draw((2, 3, 16, 16), 1) ** 4
    predicted = draw((2, 3, 16, 16), 2, -0.2, 1.2).requires_grad_()
    each = awing_map(predicted, target)
    near(each.mean(), entry["values"]["without"], "AWing")
    weighted = (each * weight_map(target)).mean()
    near(weighted, entry["values"]["with_weight_map"], "AWing with weights")
    weighted.backward()
    same_gradient(predicted.grad, entry["gradient"]["pred(with_weight_map)"], "AWing")


@pytest.mark.parametrize("name", ["adnet_smooth_l1", "star_smooth_l1", "star_wing"])
def test_euclidean_distances(name: str, golden: dict[str, Any], draw: Draw) -> None:
    entry = golden["losses"][name]
    predicted, truth = draw((2, 5, 2), 3, -0.05, 0.05).requires_grad_(), draw((2, 5, 2), 4, -0.05, 0.05)
    # The registered distances take coordinates in [0, 1]; these are published for [-1, 1].
    value = distances[name]((predicted + 1) / 2, (truth + 1) / 2).mean()
    near(value, entry["values"]["loss"], name)
    value.backward()
    same_gradient(predicted.grad, entry["gradient"]["pred"], name)


def test_wing_and_smooth_l1_of_coordinates(golden: dict[str, Any], draw: Draw) -> None:
    predicted, truth = draw((3, 10), 5, -30, 30).requires_grad_(), draw((3, 10), 6, -30, 30)
    value = wing(predicted - truth, w=10.0, epsilon=2.0).sum(-1).mean()
    near(value, golden["losses"]["wing"]["values"]["loss"], "Wing")
    value.backward()
    same_gradient(predicted.grad, golden["losses"]["wing"]["gradient"]["pred"], "Wing")
    huber = smooth_l1(predicted - truth, beta=1.0).sum(-1).mean()
    near(huber, golden["losses"]["pfld_smooth_l1"]["values"]["loss"], "smooth L1")


def star_map(draw: Draw) -> tuple[Tensor, Tensor]:
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    angle = draw((2, 4, 1, 1), 15, 0, 3.14159)
    cx, cy = draw((2, 4, 1, 1), 13, 4, 11), draw((2, 4, 1, 1), 14, 4, 11)
    u = (x - cx) * angle.cos() + (y - cy) * angle.sin()
    v = -(x - cx) * angle.sin() + (y - cy) * angle.cos()
    maps = torch.exp(-(u**2) / 18 - v**2 / 2) + 0.02 * draw((2, 4, 16, 16), 12) ** 6
    return maps, draw((2, 4, 2), 16, -0.4, 0.4)


def test_star_and_what_it_is_made_of(golden: dict[str, Any], draw: Draw) -> None:
    entry = golden["losses"]["star_v2"]
    maps, truth = star_map(draw)
    mean, covariance = map_moments(maps, "centres")
    values, axes = principal_axes(covariance)
    near(mean, entry["values"]["means"], "means")
    near(covariance, entry["values"]["covariance"], "covariance")
    near(values, entry["values"]["eigenvalues"], "eigenvalues")
    first = torch.tensor(entry["values"]["first_eigenvector_matrix_row_major"]).view(2, 2).T.double()
    assert ((axes[0, 0] * first).sum(-1).abs() > 1 - TOLERANCE).all(), "axes, up to their sign"
    maps.requires_grad_()
    value = star_points(maps, truth, version=2, grid="centres").mean()
    near(value, entry["values"]["eigenvector_columns"], "STAR v2")
    value.backward()
    same_gradient(maps.grad, entry["gradient"]["map(eigenvector_columns)"], "STAR v2")
    first_version = star_points(maps, truth, version=1, grid="centres").mean()
    near(first_version, golden["losses"]["star_v1"]["values"]["published_code"], "STAR v1")


def test_anisotropic_direction_loss(golden: dict[str, Any], draw: Draw) -> None:
    entry = golden["losses"]["adnet_adl"]
    truth = draw((2, 9, 2), 17, -0.8, 0.8)
    predicted = (truth + draw((2, 9, 2), 18, -0.03, 0.03)).requires_grad_()
    attention, centre = draw((2, 9, 16, 16), 19) ** 8, draw((2, 9, 2), 20, -0.3, 0.3)
    normal = normals(truth, [((0, 1, 2, 3, 4), False), ((5, 6, 7), True)])
    near(normal, entry["values"]["normals"], "normals")
    ratio = anisotropy(attention, centre, normal, "centres")
    near(ratio, entry["values"]["lambda"], "lambda")
    value = direction_points(predicted, truth, normal, ratio).mean()
    near(value, entry["values"]["loss"], "ADL")
    value.backward()
    same_gradient(predicted.grad, entry["gradient"]["pred"], "ADL")


def test_farl_losses_through_the_recipes_own_terms(golden: dict[str, Any], draw: Draw) -> None:
    entry = golden["losses"]["farl_losses"]
    size = 448
    points, logits = draw((1, 3, 2), 25, 0.1, 0.9), draw((1, 3, 28, 28), 26, -6, 2).requires_grad_()
    xy = (points * size - 0.5)[:, None]
    scheme = scheme_from_table({"points": 3, "mirror": []})
    batch = Batch(
        images=torch.zeros(1, 1, 3, 1, 1, dtype=torch.uint8),
        xy=xy,
        visible=torch.full((1, 1, 3), 2, dtype=torch.int8),
        mask=torch.ones(1, 1, 3, dtype=torch.bool),
        to_image=torch.zeros(1, 1, 2, 3),
        mirrored=torch.zeros(1, 1, dtype=torch.bool),
        index=torch.zeros(1, dtype=torch.int64),
    )
    targets, output = Targets(batch, scheme, size), ModelOutput(heatmaps=[logits])
    context = LossContext.of(output, scheme, size)
    drawn = encode(points[0] * 128 - 0.5, (128, 128), sigma=1.25, radius=5.0)
    near(drawn.sum((-2, -1)), entry["values"]["target_sum"], "target")
    entropy = losses["bce"].build(context, {"side": 128, "sigma": 1.25, "radius": 5.0}, "bce")(output, targets)
    near(entropy, entry["values"]["bce"], "BCE")
    cells = decoders["expectation"](torch.sigmoid(logits))
    near((cells + 0.5) / 28, entry["values"]["landmarks"], "landmarks")
    coordinate = losses["coord"].build(context, {"distance": "norm"}, "coord")(output, targets)
    near(coordinate, entry["values"]["coordinate"], "coordinate loss")
    (entropy + coordinate).backward()
    same_gradient(logits.grad, entry["gradient"]["logits(bce+coordinate)"], "FaRL")


def test_focal_wing_reconstruction(golden: dict[str, Any], draw: Draw) -> None:
    entry = golden["losses"]["focal_wing_reconstruction"]
    predicted, truth = draw((3, 10), 47, -30, 30), draw((3, 10), 48, -30, 30)
    flags = (draw((3, 3), 49) > 0.5).double()
    near(flags, entry["values"]["flags"], "flags")
    value = (wing(predicted - truth).sum(-1) * face_weights(flags)).mean()
    near(value, entry["values"]["loss"], "focal Wing")


def test_failure_rate_and_areas(golden: dict[str, Any], draw: Draw) -> None:
    recorded = golden["losses"]["auc_fr"]["values"]
    errors = draw((200,), 41, 0.01, 0.13).numpy()
    near(failure_rate(errors, 0.10), recorded["fr10"], "FR")
    near(auc_grid(errors, 0.10), recorded["auc10_simpson"], "AUC on the grid")
    near(auc(errors, 0.10), recorded["auc10_exact_step"], "AUC, exact")
    assert len(np.arange(0.0, 0.10 + 1e-4, 1e-4)) == recorded["grid_points"]


def test_nme_by_both_eye_distances(golden: dict[str, Any], draw: Draw) -> None:
    recorded = golden["losses"]["nme68"]["values"]
    truth = draw((1, 68, 2), 42, 0, 256).numpy()
    found = truth + draw((1, 68, 2), 43, -3, 3).numpy()
    errors, scheme = point_errors(found, truth), get_scheme("ibug68")
    near(float(nme(errors, normalizer("ic", truth, scheme))[0]), recorded["inter_ocular_36_45"], "inter-ocular")
    near(float(nme(errors, normalizer("ip", truth, scheme))[0]), recorded["inter_pupil"], "inter-pupil")
