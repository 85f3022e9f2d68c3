"""The ensemble: networks of any kind and input side, joined into one file that averages their points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typer.testing import CliRunner

from fiducia.cli import app
from fiducia.errors import UsageError
from fiducia.exporting.graphs import export
from fiducia.geometry import box_to_crop
from fiducia.images import crop, read_image
from fiducia.models import LandmarkModel, build_model, models, register
from fiducia.runtimes.onnx_runtime import OnnxRuntime
from fiducia.schemes.sets import Scheme
from fiducia.structures import ModelOutput, Prediction
from fiducia.weights.card import card_scheme
from fiducia.weights.ensembles import join_weights
from fiducia.weights.store import load_card, load_weights, save_weights
from fiducia.weights.transfer import init_from
from networks import lively, small, small_options, write_small

ASTRONAUT = Path(__file__).parents[2] / "assets" / "astronaut.jpg"


class Coordinates(LandmarkModel):
    """A network that gives points, and neither maps nor a confidence."""

    def __init__(self, num_points: int, size: int, *, width: int = 4) -> None:
        super().__init__(num_points, size)
        self.layer = nn.Linear(3 * width * width, 2 * num_points)
        self.width = width

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops → points."""
        pixels = F.adaptive_avg_pool2d(images.float() / 255, self.width).flatten(1)
        return ModelOutput(points=[self.size * torch.sigmoid(self.layer(pixels)).unflatten(1, (-1, 2))])

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """As they are."""
        self.check_method(method)
        return self.decode_points(output)


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ensemble of two networks of unlike crops: the default weights' network, and another of twice its side."""
    folder = tmp_path_factory.mktemp("ensemble")
    model, card = load_weights("fifa_tiny")
    other = lively(small("fifa_small", 68, 384), amount=0.02)
    table = {"model": "fifa_small", "size": 384, "options": small_options("fifa_small"), "name": "other"}
    save_weights(folder / "b.safetensors", other.state_dict(), card.model_copy(update=table))
    save_weights(folder / "a.safetensors", model.state_dict(), card)
    join_weights([folder / "a.safetensors", folder / "b.safetensors"], folder / "c.safetensors")
    return folder / "c.safetensors"


@pytest.fixture(scope="module")
def face() -> Tensor:
    image = crop(read_image(ASTRONAUT), box_to_crop(np.array([170, 60, 290, 190.0]), 384, 0.85), 384)
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None]))


def read(model: LandmarkModel, images: Tensor, method: str | None = None) -> Prediction:
    with torch.inference_mode():
        return model.decode(model(images), method)


@pytest.mark.parametrize("method", [None, "expectation", "argmax"])
def test_its_points_are_the_mean_of_its_members(joined: Path, face: Tensor, method: str | None) -> None:
    model, card = load_weights(joined)
    assert card.size == 384
    assert [m["size"] for m in card.options["members"]] == [384, 192]
    large = read(load_weights(joined.with_stem("b"))[0], face, method)
    little = read(load_weights(joined.with_stem("a"))[0], F.avg_pool2d(face.float(), 2), method)
    found = read(model, face, method)
    expected = (large.points + (little.points + 0.5) * 2 - 0.5) / 2
    torch.testing.assert_close(found.points, expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(found.confidence, (large.confidence + little.confidence) / 2, atol=1e-4, rtol=0)
    assert ((found.confidence > 0) & (found.confidence < 1)).all()


def test_join_from_the_command_line_and_what_it_refuses(joined: Path, tmp_path: Path) -> None:
    a, b = joined.with_stem("a"), joined.with_stem("b")
    out = tmp_path / "d.safetensors"
    done = CliRunner().invoke(app, ["weights", "join", str(a), str(b), "--out", str(out)])
    assert done.exit_code == 0
    assert "an ensemble of 2" in done.output
    assert load_card(out).sha256 == load_card(joined).sha256
    with pytest.raises(UsageError, match="two weights or more"):
        join_weights([a], out)
    model, card = load_weights(a)
    save_weights(tmp_path / "e.safetensors", model.state_dict(), card.model_copy(update={"scale": 0.8, "name": "e"}))
    with pytest.raises(UsageError, match=r"e\.safetensors: scale is 0\.8, that of fifa_tiny 0\.85"):
        join_weights([a, tmp_path / "e.safetensors"], out)


def test_sides_that_do_not_divide_are_refused_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [write_small(tmp_path / f"{size}.safetensors", small(size=size)) for size in (64, 96)]
    monkeypatch.setattr("fiducia.weights.ensembles.read_weights", lambda *_: pytest.fail("weights were loaded"))
    with pytest.raises(UsageError, match=r"64\.safetensors: its crop of 64 pixels does not divide t's 96"):
        join_weights(sources, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_members_that_are_read_in_different_ways_are_refused(tmp_path: Path) -> None:
    """Each would be read by its network's own decoder, whatever its card asks for."""
    cards: dict[str, str | None] = {"own": None, "same": "expectation", "other": "integral"}
    files = {n: write_small(tmp_path / f"{n}.safetensors", small(), decode=way) for n, way in cards.items()}
    out = tmp_path / "out.safetensors"
    assert join_weights([files["own"], files["same"]], out).decode is None
    assert join_weights([files["other"], files["other"]], out).decode == "integral"
    out.unlink()
    with pytest.raises(UsageError, match=r"other\.safetensors: is read by 'integral', and other members are not"):
        join_weights([files["own"], files["other"]], out)
    assert not out.exists()


def test_a_single_network_starts_from_the_member_of_its_name(joined: Path) -> None:
    tiny = load_card(joined.with_stem("a")).options
    for name, size, part, points in (
        ("fifa_lite", 192, "a", 68),
        ("fifa_small", 384, "b", 68),
        ("fifa_small", 384, "b", 29),
    ):
        options = tiny if name == "fifa_lite" else small_options(name)

        def twin(other: Scheme, name: str = name, size: int = size, options: dict[str, Any] = options) -> LandmarkModel:
            return build_model(name, other.num_points, size, options=options)

        model = build_model(name, points, size, options=options)
        new = init_from(model, joined, kind=name, twin=twin)
        source = load_weights(joined.with_stem(part))[0].state_dict()
        assert set(new) == (set() if points == 68 else {"head.weight", "head.bias"})
        assert all(torch.equal(tensor, source[key]) for key, tensor in model.state_dict().items() if key not in new)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "two members or more; found 0"),
        (
            [{"model": "fifa_tiny", "size": 96}, {"model": "fifa_tiny", "size": 128}],
            "96 pixels, which do not divide 128",
        ),
        ([{"model": "nothing"}, {"model": "fifa_tiny"}], "no model is called 'nothing'"),
        ([{"model": "fifa_tiny", "hourglas": {}}, {"model": "fifa_tiny"}], "did you mean 'hourglass'"),
        ([{"size": 128}, {"model": "fifa_tiny"}], "no model is called ''"),
        (["fifa_tiny", "fifa_small"], "a member is a table"),
        ("fifa_tiny", "a member is a table"),
    ],
)
def test_members_that_do_not_go_together_are_refused(members: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        build_model("ensemble", 68, 128, options={"members": members})
    assert "\n" not in str(caught.value)


@pytest.fixture
def coordinates(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a registered network of coordinates, for the time of a test."""
    models.discover()
    monkeypatch.setattr(models, "_items", dict(models._items))
    register("coordinates", size=64)(Coordinates)
    return "coordinates"


def test_networks_of_coordinates_are_joined_with_each_other_and_with_heatmaps(coordinates: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    networks = {
        "one": (coordinates, build_model(coordinates, 5, 64)),
        "two": (coordinates, build_model(coordinates, 5, 32)),
        "maps": ("fifa_tiny", lively(small())),
    }
    files = {}
    for key, (name, model) in networks.items():
        files[key] = write_small(tmp_path / f"{key}.safetensors", model.eval(), model=name)
    for pair in (("one", "two"), ("one", "maps")):
        out = tmp_path / f"{'_'.join(pair)}.safetensors"
        join_weights([files[key] for key in pair], out)
        model, card = load_weights(out)
        assert model.decoders == ()
        with pytest.raises(UsageError, match="nothing to choose"):
            model.decode(model(images), "argmax")
        members = []
        for key in pair:
            network = networks[key][1]
            factor = 64 // network.size
            small_images = F.avg_pool2d(images.float(), factor) if factor > 1 else images
            members.append((read(network, small_images).points + 0.5) * factor - 0.5)
        torch.testing.assert_close(read(model, images).points, torch.stack(members).mean(0), atol=1e-3, rtol=0)
    # Of mixed kinds, too, the graph gives the network's points.
    sealed = export(model, card, tmp_path / "e.onnx", "onnx")
    points, _ = OnnxRuntime(sealed, card_scheme(card))(images.numpy())
    np.testing.assert_allclose(points, read(model, images).points.numpy(), atol=0.01)
