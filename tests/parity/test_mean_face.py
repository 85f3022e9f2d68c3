"""``weights convert --mean-face``: the file that PIPNet's and SLPT's projects keep beside a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden import cases, load, state_dict
from rebuild import crop, shapes, variant, variants
from test_pipnet_r18 import face

from fiducia.cli import main
from fiducia.weights.store import load_weights


def convert(kind: str, state: dict[str, torch.Tensor], folder: Path, mean: Path) -> int:
    torch.save(state, folder / "published.pth")
    command = ["weights", "convert", "--from", kind, str(folder / "published.pth"), str(folder / "out.safetensors")]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--mean-face", str(mean)])
    return int(ended.value.code or 0)


@pytest.mark.parametrize("number", cases("pipnet_r18")[:1])
def test_with_its_mean_face_a_pipnet_gives_the_published_merged_points(number: int, tmp_path: Path) -> None:
    recorded = load("pipnet_r18")
    case = recorded["golden"][number]
    points = variant(recorded, case["variant"])["points"]
    # One line, as PIPNet's project has it.
    (tmp_path / "meanface.txt").write_text(" ".join(f"{v:.9f}" for v in face(points).flatten().tolist()) + "\n")
    assert convert("pipnet", state_dict(recorded, case["variant"]), tmp_path, tmp_path / "meanface.txt") == 0
    model, card = load_weights(tmp_path / "out.safetensors")
    assert card.options["heads"].get("merge", True)
    assert model.decoders[0] == "merged"
    with torch.no_grad():
        read = model.eval().decode(model(crop(case, recorded))).points.numpy() / model.size
    facts = case["points"]["merged"]
    off = np.abs(read - np.reshape(facts["all"], facts["shape"])).max(-1)
    assert (off < 1e-4).mean() >= 0.99


@pytest.mark.parametrize("name", variants("slpt")[:1])
def test_an_slpt_starts_from_the_face_that_it_is_given(name: str, tmp_path: Path) -> None:
    recorded = load("slpt")
    mean = face(variant(recorded, name)["points"]).float()
    np.savez(tmp_path / "face.npz", init_face=mean.numpy())
    assert convert("slpt", shapes(recorded, name), tmp_path, tmp_path / "face.npz") == 0
    model, card = load_weights(tmp_path / "out.safetensors")
    torch.testing.assert_close(model.state_dict()["mean_face"], mean, rtol=0, atol=1e-7)
    assert "drawn face" not in card.notes


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("hrnet", "0.5 0.5 " * 98, "--mean-face: hrnet_w18 uses no mean face; leave the option out"),
        ("vit", "0.5 0.5", "--mean-face: an encoder uses no mean face; leave the option out"),
        ("hrnet", "0.5 0.5 " * 97, "--mean-face: 97 landmarks; the checkpoint has 98"),
        ("hrnet", "0.5 0.5 0.5", "3 numbers; expected two, x and y, for each landmark"),
        ("hrnet", "128 100 " * 98, "numbers from 100 to 128; expected fractions of the crop's side"),
        ("hrnet", "[0.5 0.5]", "expected the numbers x and y of each landmark"),
        ("hrnet", None, "cannot be read: No such file or directory"),
    ],
)
def test_a_mean_face_of_no_use_is_refused_in_one_line(
    kind: str, text: str | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = load("hrnet_w18")
    if text is not None:
        (tmp_path / "face.txt").write_text(text)
    assert convert(kind, shapes(recorded, "wflw"), tmp_path, tmp_path / "face.txt") in (1, 2)
    error = capsys.readouterr().err
    assert says in " ".join(error.split())
    assert not (tmp_path / "out.safetensors").exists()
