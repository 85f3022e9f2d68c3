from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fiducia.models.count import count_gmac, count_parameters, describe_models
from fiducia.models.parts.blocks import ResidualBlock
from fiducia.models.parts.hourglass import BlurPool
from fiducia.models.parts.plain_hourglass import PlainHourglass
from fiducia.models.parts.resnet import BasicBlock
from fiducia.models.parts.spectral import FFParser
from fiducia.models.parts.vit import Attention
from fiducia.models.registry import is_family, models


class OnImages(nn.Module):
    """A part, behind a fold of the image into its channels, which costs nothing."""

    def __init__(self, part: nn.Module, channels: int, tokens: bool = False) -> None:
        super().__init__()
        self.part, self.channels, self.tokens = part, channels, tokens

    def forward(self, x: Tensor) -> Tensor:
        x = x.mean(1, keepdim=True).expand(-1, self.channels, -1, -1)
        return self.part(x.flatten(2).transpose(1, 2) if self.tokens else x)


def macs(part: nn.Module, channels: int, size: int, tokens: bool = False) -> int:
    return round(count_gmac(OnImages(part, channels, tokens), size) * 1e9)


def residual(inputs: int, outputs: int) -> int:
    """FAN's block, a cell: 3x3 to a half, to a quarter, to a quarter, and 1x1 on the skip where the channels change."""
    half, quarter = outputs // 2, outputs // 4
    chain = 9 * (inputs * half + half * quarter + quarter * quarter)
    return chain + (inputs * outputs if inputs != outputs else 0)


def test_one_convolution_by_hand() -> None:
    assert macs(nn.Conv2d(3, 8, 3, padding=1), 3, 10) == 3 * 8 * 9 * 100
    assert macs(nn.Conv2d(8, 8, 3, 2, 1, groups=4), 8, 10) == 2 * 8 * 9 * 25
    assert macs(nn.ConvTranspose2d(4, 6, 2, 2), 4, 10) == 4 * 6 * 4 * 100
    assert count_parameters(nn.Conv2d(3, 8, 3)) == 3 * 8 * 9 + 8


def test_a_stem_and_an_hourglass_as_fans_by_hand() -> None:
    stem = nn.Sequential(
        nn.Conv2d(3, 16, 7, 2, 3),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        ResidualBlock(16, 32),
        nn.AvgPool2d(2),
        ResidualBlock(32, 64),
        PlainHourglass(2, lambda: ResidualBlock(64, 64), pooling="average"),
    )
    size = 64
    half, quarter = (size // 2) ** 2, (size // 4) ** 2
    expected = 3 * 16 * 49 * half + residual(16, 32) * half + residual(32, 64) * quarter
    # An hourglass: the skip at its own side; two blocks a level at half of it; the lowest level has one more.
    expected += residual(64, 64) * (quarter + 2 * quarter // 4 + quarter // 4 + 3 * quarter // 16)
    assert macs(stem, 3, size) == expected


def test_a_residual_block_as_hrnets_by_hand() -> None:
    cells = 16 * 16
    assert macs(BasicBlock(18, 18), 18, 16) == 2 * 9 * 18 * 18 * cells
    assert macs(BasicBlock(18, 36, 2), 18, 16) == (9 * 18 * 36 + 9 * 36 * 36 + 18 * 36) * cells // 4


def test_attention_counts_its_two_products() -> None:
    tokens, width = 64, 12
    linear = tokens * (3 * width * width + width * width)
    assert macs(Attention(width, 3), width, 8, tokens=True) == linear + 2 * tokens * tokens * width


def test_an_ff_parser_counts_its_ffts_and_in_the_other_form_its_products() -> None:
    parser = FFParser(5, 16, 16)
    x = torch.zeros(1, 5, 16, 16)
    assert macs(parser, 5, 16) == parser.macs(x)
    parser.form = "matmul"
    h, w, half = 16, 16, 9
    # Two products along each axis on the way there and on the way back, in real and imaginary parts.
    assert macs(parser, 5, 16) == 5 * (4 * h * w * half + 8 * h * h * half)


def test_a_blur_pool_is_a_depthwise_convolution() -> None:
    assert macs(BlurPool(), 7, 16) == 7 * 8 * 8 * 16


def test_counting_changes_nothing_and_computes_nothing() -> None:
    part = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = {name: tensor.clone() for name, tensor in part.state_dict().items()}
    part.train()
    count_gmac(part, 4096)
    assert part.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in part.state_dict().items())
    with torch.device("meta"):
        empty = nn.Conv2d(3, 4, 3)
    assert count_gmac(empty, 12) == pytest.approx(3 * 4 * 9 * 100 / 1e9)


def test_every_network_is_listed_with_its_measures() -> None:
    rows = {row["name"]: row for row in describe_models(4)}
    assert set(rows) == set(models)
    for name, row in rows.items():
        assert set(row) == {"name", "params", "gmac", "input", "about", "decoders"}
        assert row["input"] == models[name].size
        if is_family(name):
            assert (row["params"], row["gmac"], row["decoders"]) == (None, None, [])
        else:
            assert row["params"] > 0
            assert row["gmac"] > 0
    assert rows["farl"]["decoders"][0] == "expectation"
    assert rows["dtld"]["decoders"] == []
