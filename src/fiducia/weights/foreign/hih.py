"""Checkpoints of HeatmapInHeatmap (``get_hourglass.py``, 4 stacks)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..converters import Converted, converters, rename
from ..published import SCHEMES, Rule, drop_unused_shortcuts, hourglass_name, require, rewrite

__all__ = ["convert_hih"]

_RULES: tuple[Rule, ...] = (
    (r"^pre_conv\.", "stem."),
    (r"^hg(\d+)\.res(\d)_(\d)\.", lambda m: f"stacks.{m[1]}.hourglass.{hourglass_name(int(m[2]), m[3])}"),
    (r"^hg(\d+)\.res_center\.", lambda m: f"stacks.{m[1]}.hourglass.{hourglass_name(1, 'centre')}"),
    (r"^hg(\d+)_res1\.", r"stacks.\1.block."),
    (r"^hg(\d+)_lin1\.", r"stacks.\1.lin."),
    (r"^hg(\d+)_conv_pred\.", r"stacks.\1.maps."),
    (r"^hg(\d+)_conv1\.", r"stacks.\1.carry."),
    (r"^hg(\d+)_conv2\.", r"stacks.\1.feed."),
    (r"^offset_head\.conv1\.", "decimals.0."),
    (r"^offset_head\.down_ops\.(\d)\.", lambda m: f"decimals.{2 + int(m[1])}."),
    (r"^offset_head\.head\.(\d)\.", lambda m: f"decimals.{4 + int(m[1])}."),
    (r"\.(skip_layer|downsample\.0)\.conv\.", ".downsample.0."),
    (r"\.(skip_layer|downsample\.0)\.bn\.", ".downsample.1."),
    (r"\.conv(\d)\.conv\.", r".conv\1."),
    (r"\.conv(\d)\.bn\.", r".bn\1."),
    (r"\.conv\.", ".0."),
    (r"\.bn\.", ".1."),
)


@converters.register("hih")
def convert_hih(state: Mapping[str, Tensor]) -> Converted:
    """Rename the tensors of a published HIH; shortcuts that it never uses are left out.

    Raises:
        FiduciaError: the tensors are of another network.
    """
    num_points = len(require(state, "hg0_conv_pred.bias", "HIH"))
    return Converted(
        model="hih",
        num_points=num_points,
        size=256,
        state=rename(drop_unused_shortcuts(state), lambda name: rewrite(name, _RULES)),
        options={"pixels": {"rule": "published"}},
        scheme=SCHEMES.get(num_points),
        notes="HIH of HeatmapInHeatmap (Lan et al., arXiv 2104.02273); the repository states no licence",
    )
