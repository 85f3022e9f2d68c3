"""Grad-CAM by arithmetic, its share near a landmark by hand, and the sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from fiducia.commands.data import app
from fiducia.errors import UsageError
from fiducia.heatmaps.decode import heatmap_decoders
from fiducia.images import read_image
from fiducia.inspect.saliency import focus, grad_cam, saliency
from fiducia.models import LandmarkModel
from fiducia.recipes.files import load_recipe
from fiducia.structures import ModelOutput, Prediction


class Linear(LandmarkModel):
    """Features are the picture's channels, and the head is a 1 x 1 convolution: Grad-CAM is known in closed form."""

    def __init__(self) -> None:
        super().__init__(2, 6)
        self.decoders = heatmap_decoders("expectation")
        self.head = nn.Conv2d(3, 2, 1)
        with torch.no_grad():
            self.head.weight.div_(100)  # of pixels up to 255, logits that a sigmoid in float32 can tell from 1

    def forward(self, images: Tensor) -> ModelOutput:
        """Logits of the picture."""
        features = images.float().requires_grad_()
        return ModelOutput(heatmaps=[self.head(features)], features=features)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """By any decoder."""
        return self.decode_heatmaps(output, method)


def test_of_a_linear_head_it_is_the_positive_part_of_the_logit_without_bias() -> None:
    torch.manual_seed(0)
    model = Linear().eval()
    images = torch.randint(0, 256, (3, 3, 6, 5), dtype=torch.uint8)
    expected = (model.head(images.float()) - model.head.bias[:, None, None]).clamp(min=0).detach()
    expected = expected / expected.amax(dim=(-2, -1), keepdim=True).clamp(min=1e-30)
    np.testing.assert_allclose(grad_cam(model, images), expected.numpy(), atol=1e-5)


def test_where_nothing_is_positive_there_is_none() -> None:
    model = Linear().eval()
    nn.init.constant_(model.head.weight, -1.0)
    assert (grad_cam(model, torch.full((1, 3, 4, 4), 9, dtype=torch.uint8)) == 0).all()


def test_the_share_near_a_landmark_is_counted_in_cells() -> None:
    # A 100-pixel crop of 10 x 10 cells: cell (row 2, column 3) is centred on x = 34.5, y = 24.5.
    cam = np.zeros((3, 10, 10))
    cam[0, 2, 3], cam[0, 9, 9] = 3.0, 1.0
    cam[1, 5, 5] = 1.0
    points = np.array([[34.5, 24.5], [90.0, 5.0], [np.nan, np.nan]])
    assert focus(cam, points, 100) == pytest.approx((0.75 + 0.0) / 2)
    assert focus(cam, points[[0, 2, 2]], 100) == pytest.approx(0.75)
    assert focus(cam, points + 4.9 * np.array([1, 0]), 100) == pytest.approx(0.375)
    assert focus(cam, points + 5.1 * np.array([1, 0]), 100) == 0.0
    assert np.isnan(focus(cam, np.full((3, 2), np.nan), 100))


def test_a_sheet_has_a_row_a_face_and_two_tiles_a_network() -> None:
    recipe = load_recipe("300w", ["data.source='synthetic:4'"])
    one = saliency(recipe, ["fifa_tiny"], faces=2)
    two = saliency(recipe, ["fifa_tiny", "fifa_tiny"], faces=2)
    assert (one.faces, list(one.side.values())) == (2, [2])
    assert two.image.shape[0] == one.image.shape[0]
    assert two.image.shape[1] == pytest.approx(one.image.shape[1] * 5 / 3, rel=0.02)
    (plain, squares), (again, _) = two.focus.values()
    assert plain == again
    assert plain != squares
    assert 0 < plain < 1
    with pytest.raises(UsageError, match="squares have ended"):
        saliency(recipe, ["fifa_tiny"], epoch=26, faces=1)


def test_weights_of_another_landmark_set_are_refused() -> None:
    recipe = load_recipe("300w", ["data.source='synthetic:4'", "data.scheme=aflw19"])
    with pytest.raises(UsageError, match=r"fifa_tiny: they give ibug68 \(68 points\) and the data has aflw19 \(19\)"):
        saliency(recipe, ["fifa_tiny"], faces=1)


def test_the_command_writes_it_and_refuses_what_does_not_go_together(tmp_path: Path) -> None:
    out, runner = tmp_path / "s.png", CliRunner()
    base = ["preview", "synthetic:4", "--out", str(out), "--faces", "1"]
    result = runner.invoke(app, [*base, "--saliency"])
    assert result.exit_code == 0, result.output
    assert "fifa_tiny: " in result.stdout
    assert read_image(out).shape[1] > 3 * 256
    for more, says in ((["--against", "x"], "add --saliency"), (["--saliency", "--views"], "leave out --views")):
        refused = runner.invoke(app, [*base, *more])
        assert isinstance(refused.exception, UsageError)
        assert says in str(refused.exception)
