"""PIPNet's neighbours and its two ways of reading points."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor

from drawn import batch_of
from fiducia.errors import UsageError
from fiducia.losses.pip import pip
from fiducia.losses.targets import Targets
from fiducia.models.build import build_model
from fiducia.models.parts.mean_face import mean_face, nearest_points
from fiducia.models.pipnet_r18 import PIPNet, PipOptions
from fiducia.schemes.sets import get_scheme
from fiducia.structures import ModelOutput


def drawn(model: PIPNet, xy: Tensor, grid: int) -> ModelOutput:
    """Return what a perfect network of S = 256 would give for points ``(B, K, 2)`` in crop pixels."""
    points = xy * grid / 256
    cell = points.floor().clamp(0, grid - 1)
    index = (cell[..., 1] * grid + cell[..., 0]).long()
    score = torch.nn.functional.one_hot(index, grid * grid).unflatten(-1, (grid, grid)).float()
    own = points - cell
    near = (points[:, model.neighbours] - cell[:, :, None]).flatten(1, 2)

    def everywhere(values: Tensor) -> Tensor:
        return values[..., None, None].expand(-1, -1, grid, grid)

    maps = {"score": score, "x": everywhere(own[..., 0]), "y": everywhere(own[..., 1])}
    maps |= {"nb_x": everywhere(near[..., 0]), "nb_y": everywhere(near[..., 1])}
    maps["neighbours"] = model.neighbours.T.expand(len(xy), -1, -1)
    return ModelOutput(maps={name: [tensor] for name, tensor in maps.items()})


@pytest.mark.parametrize("method", ["merged", "own"])
def test_perfect_maps_give_the_points_and_no_loss(method: str) -> None:
    scheme = get_scheme("ibug68")
    model = PIPNet(68, 256, scheme=scheme)
    batch = batch_of(scheme, 256, faces=3, views=1)
    output = drawn(model, batch.xy[:, 0], 8)
    prediction = model.decode(output, method)
    torch.testing.assert_close(prediction.points, batch.xy[:, 0], atol=1e-3, rtol=0)
    torch.testing.assert_close(prediction.confidence, torch.ones(3, 68))
    assert float(pip(output, Targets(batch, scheme, 256))) < 1e-4


def test_one_wrong_cell_is_drawn_back_by_the_neighbours() -> None:
    scheme = get_scheme("ibug68")
    model = PIPNet(68, 256, scheme=scheme)
    xy = batch_of(scheme, 256, faces=1, views=1).xy[:, 0]
    output = drawn(model, xy, 8)
    for axis in ("x", "y"):
        output.maps[axis][-1] = output.maps[axis][-1].clone()
        output.maps[axis][-1][:, 30] += 2.0
    off = {name: (model.decode(output, name).points - xy)[0, 30].norm() for name in ("own", "merged")}
    assert off["own"] > 90
    assert off["merged"] < off["own"] / 4


def test_weights_bring_their_own_neighbours() -> None:
    scheme = get_scheme("cofw29")
    model = PIPNet(29, 64, scheme=scheme)
    face = torch.rand(29, 2)
    other = PIPNet(29, 64, heads=PipOptions(mean_face=tuple(map(tuple, face.tolist()))))
    assert not torch.equal(model.neighbours, other.neighbours)
    assert torch.equal(other.neighbours, nearest_points(face, 10))
    model.load_state_dict(other.state_dict())
    assert torch.equal(model.neighbours, other.neighbours)
    assert torch.equal(model.shares, other.shares)
    again = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    again.load_state_dict(PIPNet(29, 64, scheme=scheme).state_dict())
    assert not torch.equal(again.neighbours, model.neighbours)


def test_a_landmark_that_is_nobodys_neighbour_has_its_own_word() -> None:
    face = ((0.0, 0.0), (0.1, 0.0), (0.0, 0.1), (1.0, 1.0))
    model = PIPNet(4, 64, heads=PipOptions(neighbours=2, mean_face=face))
    assert 3 not in model.neighbours[:3]
    assert float(model.shares[3].sum()) == 0.0
    # The three others hear two answers each, and the farthest one's to its two nearest: three at most, so all count alike.
    assert float(model.shares[:3].sum(1).min()) == pytest.approx(0.75)


def test_mean_faces_are_symmetric_where_the_set_is_known_and_spread_where_it_is_not() -> None:
    for name in ("ibug68", "wflw98", "cofw29", "aflw19", "five"):
        scheme = get_scheme(name)
        face = mean_face(scheme.num_points, scheme)
        mirrored = face[list(scheme.mirror)] * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0])
        assert (face - mirrored).abs().max() < 0.02, name
        assert float((face.amax(0) - face.amin(0)).max()) == pytest.approx(0.8, abs=1e-5)
    disc = mean_face(12)
    distances = torch.cdist(disc, disc) + torch.eye(12)
    assert float(distances.min()) > 0.1
    with pytest.raises(UsageError, match=r"mean_face has one pair \(x, y\) for each of 4 landmarks; found \(2, 2\)"):
        build_model("pipnet_r18", 4, 64, options={"heads": {"mean_face": [[0.1, 0.2], [0.3, 0.4]]}})


def test_offsets_are_told_in_float32_under_autocast() -> None:
    """In bfloat16 an offset of four cells of 32 pixels has steps of a pixel."""
    torch.manual_seed(0)
    model = PIPNet(5, 64, heads=PipOptions(neighbours=2)).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        maps = model(torch.rand(1, 3, 64, 64) * 255).maps
    assert {maps[name][-1].dtype for name in ("score", "x", "y", "nb_x", "nb_y")} == {torch.float32}
