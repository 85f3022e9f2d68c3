"""What every registered decoder must keep, whatever its name: registering is enrolling here."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fiducia.errors import UsageError
from fiducia.heatmaps import decode, decode_maps, decoders, encode, heatmap_decoders
from fiducia.heatmaps.decode import Decoder, register
from networks import small

H, W = 40, 48
each_decoder = pytest.mark.parametrize("name", list(decoders))


def as_it_takes(decoder: Decoder, maps: Tensor) -> Tensor:
    """Return ideal maps in the form that a decoder reads: values, or what an ideal network gives before any activation."""
    return maps.clamp(min=1e-12).log() if decoder.takes == "raw" else maps


def on_the_map(found: Tensor, h: int = H, w: int = W) -> bool:
    x, y = found.unbind(-1)
    return bool(
        torch.isfinite(found).all()
        and (x >= -0.5).all()
        and (x <= w - 0.5).all()
        and (y >= -0.5).all()
        and (y <= h - 0.5).all()
    )


@each_decoder
@settings(deadline=None, max_examples=60)
@given(
    points=st.lists(st.tuples(st.floats(6, W - 7), st.floats(6, H - 7)), min_size=1, max_size=6),
    sigma=st.floats(1.4, 1.7),
)
def test_a_drawn_peak_is_read_within_the_documented_bound(
    name: str, points: list[tuple[float, float]], sigma: float
) -> None:
    xy = torch.tensor(points, dtype=torch.float32)[None]
    decoder = decoders[name]
    found = decoder(as_it_takes(decoder, encode(xy, (H, W), sigma=sigma, radius=4 * sigma)))
    assert found.shape == xy.shape
    assert (found - xy).abs().max() <= decoder.within


@each_decoder
def test_the_bound_is_not_looser_than_a_cell_and_a_half_is_reached_by_whole_cells_only(name: str) -> None:
    """A decoder that claims less than a quarter of a cell must beat the largest cell on average."""
    decoder = decoders[name]
    assert 0 < decoder.within <= 0.51
    xy = torch.rand(2, 60, 2, generator=torch.Generator().manual_seed(0)) * 25 + 7
    found = decoder(as_it_takes(decoder, encode(xy, (H, W))))
    mean = (found - xy).abs().mean()
    assert mean <= (0.26 if decoder.within > 0.25 else 0.02)


@each_decoder
@settings(deadline=None, max_examples=40)
@given(
    x=st.floats(-0.5, W - 0.5),
    y=st.floats(-0.5, H - 0.5),
    edge=st.sampled_from(["left", "right", "top", "bottom", "corner"]),
)
def test_a_peak_at_the_border_stays_on_the_map(name: str, x: float, y: float, edge: str) -> None:
    x = {"left": -0.5, "right": W - 0.5, "corner": W - 0.5}.get(edge, x)
    y = {"top": -0.5, "bottom": H - 0.5, "corner": -0.5}.get(edge, y)
    xy = torch.tensor([[[x, y]]])
    decoder = decoders[name]
    found = decoder(as_it_takes(decoder, encode(xy, (H, W))))
    assert on_the_map(found)
    assert (found - xy).abs().max() < 1.8


@each_decoder
@pytest.mark.parametrize("level", [0.0, 1e-9, 0.5, 1.0])
def test_a_flat_map_has_a_finite_point_on_it(name: str, level: float) -> None:
    decoder = decoders[name]
    maps = torch.full((2, 3, H, W), level)
    assert on_the_map(decoder(maps if decoder.takes == "values" else maps.clamp(min=1e-30).log()))
    for value in (-60.0, 0.0, 60.0):
        prediction = decode_maps(torch.full((1, 2, W, W), value), name, size=4 * W, spread=True)
        assert on_the_map(prediction.points, 4 * W, 4 * W)
        assert prediction.spread is not None
        assert torch.isfinite(prediction.spread).all()


@each_decoder
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.01, 1.0, 30.0]), side=st.sampled_from([4, 7, 16]))
def test_noise_gives_finite_points_on_the_map(name: str, seed: int, scale: float, side: int) -> None:
    logits = scale * torch.randn(2, 3, side, side + 3, generator=torch.Generator().manual_seed(seed))
    decoder = decoders[name]
    found = decoder(logits if decoder.takes == "raw" else torch.sigmoid(logits))
    assert on_the_map(found, side, side + 3)


@each_decoder
def test_a_map_is_read_alone(name: str) -> None:
    """The same in any batch, and beside any other landmark."""
    maps = torch.rand(3, 4, 12, 12, generator=torch.Generator().manual_seed(2))
    decoder = decoders[name]
    together = decoder(maps)
    assert torch.allclose(decoder(maps[1:2, 2:3]), together[1:2, 2:3], atol=1e-5)
    assert torch.allclose(decoder(maps.flip(0)), together.flip(0), atol=1e-5)


@each_decoder
def test_float64_maps_give_float64_points(name: str) -> None:
    decoder = decoders[name]
    xy = torch.tensor([[[20.3, 17.6]]], dtype=torch.float64)
    found = decoder(as_it_takes(decoder, encode(xy, (H, W))))
    assert found.dtype == torch.float64
    assert (found - xy).abs().max() <= decoder.within


@each_decoder
def test_it_is_traced_by_torch_export_with_a_free_batch(name: str) -> None:
    class Read(nn.Module):
        def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
            prediction = decode_maps(maps, name, size=64, spread=True)
            assert prediction.spread is not None
            return prediction.points, prediction.spread

    logits = 4 * torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(1)) - 3
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(Read(), (logits[:3],), dynamic_shapes={"maps": {0: batch}})
    for found, expected in zip(program.module()(logits), Read()(logits), strict=True):
        torch.testing.assert_close(found, expected)


def test_all_are_offered_with_the_networks_own_first_and_a_wrong_name_is_told() -> None:
    assert heatmap_decoders("quarter")[0] == "quarter"
    assert sorted(heatmap_decoders("quarter")) == list(decoders)
    assert all(decoders[name].about for name in decoders)
    with pytest.raises(UsageError, match="did you mean 'argmax'"):
        decoders.get("argmux")
    with pytest.raises(KeyError, match="argmax"):
        decode(torch.zeros(1, 1, 4, 4), "argmux")


def test_the_spread_of_a_gaussian_is_its_variance_in_crop_pixels() -> None:
    sigma, size, side = 2.0, 192, 48
    maps = encode(torch.tensor([[[20.0, 26.0]]]), (side, side), sigma=sigma, radius=12.0)
    prediction = decode_maps(maps, "expectation", size=size, linear=True, spread=True)
    assert prediction.spread is not None
    expected = torch.eye(2) * (sigma * size / side) ** 2
    torch.testing.assert_close(prediction.spread[0, 0], expected, atol=0.05, rtol=1e-3)
    assert decode_maps(maps, "expectation", size=size, linear=True).spread is None


@settings(deadline=None, max_examples=40)
@given(angle=st.floats(0, math.pi), long=st.floats(2.0, 4.0), short=st.floats(1.0, 2.0))
def test_the_spread_lies_along_the_maps_long_axis(angle: float, long: float, short: float) -> None:
    side = 64
    y, x = torch.meshgrid(torch.arange(64.0) - 31, torch.arange(64.0) - 30, indexing="ij")
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    maps = torch.exp(-0.5 * (u / long) ** 2 - 0.5 * (v / short) ** 2)[None, None]
    spread = decode_maps(maps, "argmax", size=side, linear=True, spread=True).spread
    assert spread is not None
    axis = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    expected = axis @ torch.diag(torch.tensor([long**2, short**2])) @ axis.T
    torch.testing.assert_close(spread[0, 0], expected, atol=0.03, rtol=1e-2)


def test_a_network_that_is_of_two_minds_has_a_wide_spread_and_an_empty_map_the_widest() -> None:
    two = encode(torch.tensor([[[10.0, 24.0]]]), (48, 48)) + encode(torch.tensor([[[38.0, 24.0]]]), (48, 48))
    spread = decode_maps(torch.cat([two, torch.zeros_like(two)]), "argmax", size=48, linear=True, spread=True).spread
    assert spread is not None
    assert spread[0, 0, 0, 0] == pytest.approx(14**2 + 1.5**2, rel=0.02)
    assert spread[0, 0, 1, 1] == pytest.approx(1.5**2, rel=0.1)
    uniform = (48**2 - 1) / 12
    torch.testing.assert_close(spread[1, 0], torch.eye(2) * uniform, rtol=1e-3, atol=1e-2)


def test_the_integral_does_not_change_with_a_constant_where_values_would() -> None:
    xy = torch.tensor([[[20.4, 11.2]]])
    raw = encode(xy, (48, 48), sigma=1.0, radius=6.0).clamp(min=1e-12).log()
    for constant in (-50.0, 0.0, 50.0):
        found, _ = decode(raw + constant, "integral")
        assert (found - xy).abs().max() < 0.01


@pytest.mark.parametrize("name", ["awing", "fan", "fifa_lite", "hrnet_w18", "shfan"])
def test_a_decoder_that_is_registered_after_the_networks_is_one_of_theirs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = small(name)
    monkeypatch.setattr(decoders, "_items", dict(decoders._items))
    register("late", within=1.0)(decoders["argmax"].read)
    after = small(name)
    assert after.check_method("late") == "late"
    assert (
        after.decoders[0]
        == before.decoders[0]
        == {"fifa_lite": "expectation", "shfan": "local_softargmax"}.get(name, "quarter")
    )
