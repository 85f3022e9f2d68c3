"""EfficientNet-Lite as an encoder, and FiFANet on it."""

from __future__ import annotations

import pytest
import torch

from fiducia.errors import UsageError
from fiducia.models import build_model
from fiducia.models.parts.blocks import Normalize
from fiducia.models.parts.efficientnet_lite import SCALING, EfficientNetLite, _SameConv, lite_block_number
from fiducia.models.parts.spectral import FFParser

# Of the paper's scaling rule: tensors without classifier and head, parameters, channels of the maps.
VERSIONS = {
    0: (240, 2_958_848, {2: 16, 4: 24, 8: 40, 16: 112, 32: 320}),
    1: (315, 3_723_520, {2: 16, 4: 24, 8: 40, 16: 112, 32: 320}),
    2: (315, 4_357_952, {2: 16, 4: 24, 8: 48, 16: 120, 32: 352}),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_its_maps_have_the_published_strides_and_channels(version: int) -> None:
    tensors, parameters, channels = VERSIONS[version]
    net = EfficientNetLite(version).eval()
    named = [name for name in net.state_dict() if not name.endswith("num_batches_tracked")]
    assert len(named) == tensors
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert net.channels == channels
    with torch.no_grad():
        maps = net(torch.rand(1, 3, 64, 64))
    assert {stride: tuple(m.shape) for stride, m in maps.items()} == {
        stride: (1, count, 64 // stride, 64 // stride) for stride, count in channels.items()
    }


@pytest.mark.parametrize(
    ("side", "kernel", "before", "after"), [(8, 3, 0, 1), (8, 5, 1, 2), (7, 3, 1, 1), (7, 5, 2, 2)]
)
def test_padding_is_tensorflows_same(side: int, kernel: int, before: int, after: int) -> None:
    conv = _SameConv(1, 1, kernel, 2)
    with torch.no_grad():
        conv.weight.copy_(torch.rand_like(conv.weight))
    x = torch.rand(1, 1, side, side)
    padded = torch.nn.functional.pad(x, (before, after, before, after))
    expected = torch.nn.functional.conv2d(padded, conv.weight, stride=2)
    assert expected.shape[-1] == (side + 1) // 2
    torch.testing.assert_close(conv(x), expected)


def test_the_input_is_scaled_to_what_it_was_trained_on() -> None:
    grey = torch.tensor([0, 127, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 3, 1, 1)
    found = Normalize(SCALING)(grey)[:, 0, 0, 0]
    torch.testing.assert_close(found, torch.tensor([-127 / 128, 0.0, 1.0]), atol=1e-6, rtol=0)


def test_a_block_is_left_out_in_training_alone_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    net = EfficientNetLite(0, drop_path=0.5)
    assert net._blocks[0].drop == 0.0
    assert net._blocks[-1].drop == 0.5
    block = net._blocks[-2]
    x = torch.rand(1, 192, 2, 2).expand(400, -1, -1, -1)
    block.eval()
    with torch.no_grad():
        plain = block(x)[0] - x[0]
        assert torch.equal(block(x)[0], block(x)[1])
        block.training = True
        change = block(x) - x
    left_out = (change.flatten(1) == 0).all(1)
    assert abs(float(left_out.float().mean()) - block.drop) < 0.1
    torch.testing.assert_close(change.mean(0), plain, atol=0.2 * float(plain.abs().max()), rtol=0)


def test_layer_decay_counts_its_blocks() -> None:
    assert [lite_block_number(n) for n in ("trunk._conv_stem.weight", "trunk._blocks.0._bn1.bias", "_blocks.15.x")] == [
        0,
        1,
        16,
    ]


def test_options_of_the_transformer_are_refused_beside_another_encoder_and_the_other_way_round() -> None:
    for backbone, message in (
        ({"kind": "efficientnet_lite0", "width": 32}, r"backbone\.width has no meaning with backbone\.kind = 'eff"),
        ({"kind": "vit", "drop_path": 0.1}, r"backbone\.drop_path has no meaning with backbone\.kind = 'vit'"),
        ({"kind": "efficientnet_lite3"}, r"no encoder is called 'efficientnet_lite3'; did you mean"),
    ):
        with pytest.raises(UsageError, match=message):
            build_model("fifa_base", 5, 64, options={"backbone": backbone})


@pytest.mark.parametrize(
    ("options", "size", "message"),
    [
        ({}, 48, "size divides by 32; found 4 and 48"),
        ({"hourglass": {"stride": 3}}, 64, "hourglass.stride is one of the encoder's 2, 4, 8, 16, 32"),
        ({"hourglass": {"stride": 2, "depth": 1}, "head": {"refine": 8}}, 64, "head.refine needs a map of stride 1"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(options: dict[str, object], size: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_model("fifa_lite", 5, size, options=options)


def test_without_the_hourglass_and_with_a_head_before_it() -> None:
    bare = build_model("fifa_lite", 5, 64, options={"hourglass": {"depth": 0, "channels": 16}, "head": {"aux": True}})
    assert not [m for m in bare.modules() if isinstance(m, FFParser)]
    output = bare.eval()(torch.zeros(1, 3, 64, 64))
    assert [tuple(m.shape) for m in output.heatmaps] == [(1, 5, 16, 16), (1, 5, 16, 16)]


def test_weights_of_one_crop_size_fit_another() -> None:
    torch.manual_seed(0)
    options = {"hourglass": {"channels": 16}}
    small, large = (build_model("fifa_lite", 5, size, options=options).eval() for size in (128, 192))
    filters = [f"{name}.weight" for name, m in small.named_modules() if isinstance(m, FFParser)]
    with torch.no_grad():
        for name in filters:
            small.get_parameter(name)[..., 0] *= 0.5
    state, before = large.adapted(small.state_dict()), small.state_dict()
    large.load_state_dict(state)
    assert [state[name].shape[1] for name in filters] == [24]
    assert [before[name].shape[1] for name in filters] == [16]
    # A filter that halves everything does so at the new size too, and all other tensors are as they were.
    assert all(torch.allclose(state[name][..., 0], torch.tensor(0.5)) for name in filters)
    assert all(torch.equal(state[name], tensor) for name, tensor in before.items() if name not in filters)
