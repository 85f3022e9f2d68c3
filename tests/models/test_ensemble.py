from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fiducia.weights.files import init_from, load_card, load_weights, save_weights
from fiducia.weights.join import join_weights
from typer.testing import CliRunner

from fiducia.cli import app
from fiducia.errors import UsageError
from fiducia.exporting.graphs import export
from fiducia.geometry import box_to_crop
from fiducia.images import crop, read_image
from fiducia.models.build import build_model, models
from fiducia.recipes.sections import ModelConfig
from fiducia.runtimes.onnx_runtime import OnnxRuntime
from fiducia.runtimes.torch_runtime import card_scheme, crop_points

ASTRONAUT = Path(__file__).parents[2] / "assets" / "astronaut.jpg"


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committee of two networks of unlike crops: the default weights' network twice, at 128 pixels and at 256."""
    folder = tmp_path_factory.mktemp("committee")
    model, card = load_weights("fifa_tiny")
    torch.manual_seed(0)
    other = build_model(ModelConfig(name="fifa_small"), 68, 256)
    table = {
        "model": "fifa_small",
        "size": 256,
        "options": {**card.options, **models["fifa_small"].options},
        "name": "other",
    }
    save_weights(folder / "b.safetensors", other.state_dict(), card.model_copy(update=table))
    save_weights(folder / "a.safetensors", model.state_dict(), card)
    join_weights([folder / "a.safetensors", folder / "b.safetensors"], folder / "c.safetensors")
    return folder / "c.safetensors"


@pytest.fixture(scope="module")
def face() -> torch.Tensor:
    image = crop(read_image(ASTRONAUT), box_to_crop(np.array([170, 60, 290, 190.0]), 256, 0.85), 256)
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None]))


def test_its_points_are_the_mean_of_its_members(joined: Path, face: torch.Tensor) -> None:
    model, card = load_weights(joined)
    assert card.size == 256
    assert [m["size"] for m in card.options["members"]] == [256, 128]  # type: ignore[index, union-attr]
    large, _ = crop_points(load_weights(joined.with_stem("b"))[0], face, "expectation")
    small, _ = crop_points(load_weights(joined.with_stem("a"))[0], F.avg_pool2d(face.float(), 2), "expectation")
    expected = (large + (small + 0.5) * 2 - 0.5) / 2
    found, confidence = crop_points(model, face, "expectation")
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)
    assert ((confidence > 0) & (confidence < 1)).all()


def test_a_batch_gives_what_its_faces_give_alone(joined: Path, face: torch.Tensor) -> None:
    model, _ = load_weights(joined)
    faces = torch.cat([face, face.flip(-1), 255 - face])
    together, _ = crop_points(model, faces, "expectation")
    alone = torch.cat([crop_points(model, one[None], "expectation")[0] for one in faces])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=0)


def test_every_member_learns(joined: Path, face: torch.Tensor) -> None:
    model, _ = load_weights(joined)
    groups = model.parameter_groups()  # type: ignore[operator]
    listed = [id(p) for group in groups.values() for p in group]
    assert sorted(listed) == sorted(id(p) for p in model.parameters())
    model(face).logits.square().mean().backward()
    assert all(p.grad is not None for p in model.members.parameters() if p.requires_grad)  # type: ignore[union-attr]


def test_its_export_gives_the_same_points(joined: Path, face: torch.Tensor, tmp_path: Path) -> None:
    model, card = load_weights(joined)
    sealed = export(model, card, tmp_path / "c.onnx", "onnx")
    points, sure = crop_points(model, face, "expectation")
    runtime = OnnxRuntime(sealed, card_scheme(card))
    found, confidence = runtime(face.numpy())
    np.testing.assert_allclose(found, points.numpy(), atol=0.01)
    np.testing.assert_allclose(confidence, sure.numpy(), atol=1e-3)


def test_join_from_the_command_line_and_what_it_refuses(joined: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    a, b = joined.with_stem("a"), joined.with_stem("b")
    out = tmp_path / "d.safetensors"
    done = runner.invoke(app, ["weights", "join", str(a), str(b), "--out", str(out)])
    assert done.exit_code == 0
    assert "a committee of 2" in done.output
    assert load_card(out).sha256 == load_card(joined).sha256
    with pytest.raises(UsageError, match="two weights or more"):
        join_weights([a], out)
    model, card = load_weights(a)
    save_weights(tmp_path / "e.safetensors", model.state_dict(), card.model_copy(update={"scale": 0.8, "name": "e"}))
    with pytest.raises(UsageError, match=r"e: scale is 0\.8, that of fifa_tiny 0\.85"):
        join_weights([a, tmp_path / "e.safetensors"], out)


def test_a_single_network_starts_from_the_member_of_its_name(joined: Path) -> None:
    for name, size, part, points in (
        ("fifa_tiny", 128, "a", 68),
        ("fifa_small", 256, "b", 68),
        ("fifa_small", 256, "b", 29),
    ):
        model = build_model(ModelConfig(name=name), points, size)
        new = init_from(model, joined)
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
        ([{"model": "fifa_tiny", "shape": True}, {"model": "fifa_tiny"}], "brings a shape regressor"),
        ([{"model": "nothing"}, {"model": "fifa_tiny"}], "no model is called 'nothing'"),
    ],
)
def test_members_that_do_not_go_together_are_refused(members: list[dict[str, object]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_model(ModelConfig(name="committee", options={"members": members}), 68, 128)  # type: ignore[dict-item]
