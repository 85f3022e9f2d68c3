from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fiducia.models.parts.hourglass import BlurPool, Hourglass
from fiducia.models.parts.spectral import FFParser, resize_spectrum


def test_blurpool_and_bilinear_up_shift_nothing_over_three_levels() -> None:
    """On an index ramp every level samples at 2i + 0.5, which is where bilinear upsampling puts it back."""
    ramp = torch.arange(128.0).expand(1, 1, 128, 128)
    x = ramp
    for _ in range(3):
        x = BlurPool()(x)
    assert x.shape[-1] == 16
    back = F.interpolate(x, size=(128, 128), mode="bilinear", align_corners=False)
    inner = slice(40, 88)
    assert (back - ramp)[..., inner, inner].abs().max() < 1e-4


def test_blurpool_keeps_a_constant_and_forgets_the_checkerboard() -> None:
    blur = BlurPool()
    assert torch.allclose(blur(torch.ones(1, 3, 8, 8)), torch.ones(1, 3, 4, 4))
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2
    assert (blur(board[None, None].float()) - 0.5).abs().max() < 1e-6


def test_blurpool_moves_less_than_maxpool_under_a_shift() -> None:
    x = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    shifted = x.roll(1, -1)

    def change(pool: torch.nn.Module) -> float:
        a, b = pool(x)[..., 4:-4, 4:-4], pool(shifted)[..., 4:-4, 4:-4]
        return float((a - b).abs().mean() / a.std())

    assert change(BlurPool()) < 0.8 * change(torch.nn.MaxPool2d(2, 2))


def test_odd_filters_are_refused() -> None:
    with pytest.raises(ValueError, match="half a cell"):
        BlurPool(3)


@pytest.mark.parametrize(("h", "w"), [(8, 8), (16, 16), (32, 32), (7, 9), (6, 5)])
def test_ffparser_by_fft_equals_by_matmul(h: int, w: int) -> None:
    layer = FFParser(5, h, w, init="paper")
    with torch.no_grad():
        layer.weight.normal_()
    x = torch.randn(2, 5, h, w)
    by_fft = layer(x)
    layer.form = "matmul"
    assert torch.allclose(by_fft, layer(x), atol=2e-5)


def test_ffparser_starts_as_the_identity_or_as_medsegdiffs_noise() -> None:
    x = torch.randn(1, 3, 16, 16)
    assert torch.allclose(FFParser(3, 16, 16)(x), x, atol=1e-6)
    assert FFParser(3, 16, 16, init="paper")(x).std() < 0.1


def test_ffparser_is_a_circular_convolution() -> None:
    layer = FFParser(2, 12, 12, init="paper")
    x = torch.randn(1, 2, 12, 12)
    assert torch.allclose(layer(x).roll((3, 5), (-2, -1)), layer(x.roll((3, 5), (-2, -1))), atol=1e-6)


def test_ffparser_names_the_sizes_when_they_differ() -> None:
    with pytest.raises(ValueError, match="16x16 maps; found 8x8"):
        FFParser(3, 16, 16)(torch.zeros(1, 3, 8, 8))


def test_resized_spectra_keep_the_identity_and_the_mean() -> None:
    layer = FFParser(2, 16, 16, init="paper")
    small = resize_spectrum(layer.weight.detach(), 16, 8, 8)
    assert small.shape == (2, 8, 5, 2)
    assert torch.allclose(small[:, 0, 0], layer.weight[:, 0, 0])
    identity = FFParser(2, 16, 16).weight.detach()
    assert torch.allclose(resize_spectrum(identity, 16, 24, 24), FFParser(2, 24, 24).weight.detach())


@pytest.mark.parametrize("fuse", ["concat", "add"])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("ffp", [True, False])
def test_every_hourglass_gives_the_shape_it_got(fuse: str, antialias: bool, ffp: bool) -> None:
    hourglass = Hourglass(8, 16, 2, fuse=fuse, antialias=antialias, ffp=ffp, norm="group")
    assert hourglass(torch.randn(2, 8, 16, 16)).shape == (2, 8, 16, 16)
    assert any(isinstance(m, FFParser) for m in hourglass.modules()) == ffp
    assert any(isinstance(m, BlurPool) for m in hourglass.modules()) == antialias


def test_an_ffparser_stands_after_every_join_of_the_full_hourglass() -> None:
    sizes = [m.height for m in Hourglass(8, 32, 3).modules() if isinstance(m, FFParser)]
    assert sorted(sizes) == [8, 16, 32]
    limited = [m.height for m in Hourglass(8, 32, 3, ffp_max=16).modules() if isinstance(m, FFParser)]
    assert sorted(limited) == [8, 16]


def test_maps_that_cannot_be_halved_so_often_are_refused() -> None:
    with pytest.raises(ValueError, match="divides by 8"):
        Hourglass(8, 20, 3)
